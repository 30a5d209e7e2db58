// The stream of what happens in a machine. A category that nobody listens to costs nothing.

import type { FirmwareEvent } from '../firmware/client-interface.ts';
import type { ConsoleEvent, HcallEvent, InterruptEvent, RtasEvent } from '../hypervisor/events.ts';
import type { Violation } from '../memory/violations.ts';
import { busAddressText } from '../pci/bus-address.ts';
import type { DeviceOrigin, DmaFaultReason, DmaMode } from '../pci/dma-space.ts';
import type { DmaAccess } from '../pci/tce-table.ts';
import type { SvmEvent } from '../ultravisor/ultravisor.ts';
import type { DmaSwitchEvent } from '../vmm/dma-policy.ts';

export type MachineEvent =
  | ({ readonly category: 'hcall' } & HcallEvent)
  | ({ readonly category: 'rtas' } & RtasEvent)
  | ({ readonly category: 'interrupt' } & InterruptEvent)
  | ({ readonly category: 'console' } & ConsoleEvent)
  | { readonly category: 'firmware'; readonly event: FirmwareEvent }
  | {
      readonly category: 'machine';
      readonly event: 'start' | 'reboot' | 'power-off' | 'panic' | 'stop';
      readonly message?: string;
    }
  | ({ readonly category: 'dma' } & DmaTraceEvent)
  | ({ readonly category: 'device' } & DmaSwitchEvent)
  | ({ readonly category: 'svm' } & SvmEvent)
  | ({ readonly category: 'violation' } & Violation)
  | { readonly category: 'warning'; readonly message: string };

/** A device reached for memory: it got there (`gra`, `lenBytes`), or it did not (`fault`). */
export interface DmaTraceEvent {
  readonly device: string;
  /** -1 where there is none. */
  readonly queue: number;
  readonly descriptor: number;
  readonly access: DmaAccess;
  readonly mode: DmaMode;
  /** The address the device used, in hexadecimal. */
  readonly address: string;
  readonly gra?: number;
  readonly lenBytes?: number;
  readonly fault?: DmaFaultReason;
}

/** The part of a DMA event that says who and where. */
export function dmaEvent({ name, queue, descriptor, busAddress }: DeviceOrigin) {
  return { category: 'dma', device: name, queue, descriptor, address: busAddressText(busAddress) } as const;
}

export type EventCategory = MachineEvent['category'];
export const EVENT_CATEGORIES: readonly EventCategory[] = [
  'hcall',
  'rtas',
  'interrupt',
  'console',
  'firmware',
  'machine',
  'dma',
  'device',
  'svm',
  'violation',
  'warning',
];

/** Listeners with a queue each; a listener that stops listening is forgotten. */
export class EventStream {
  private readonly queues = new Set<EventQueue>();
  /** Called when the categories that somebody wants have changed. */
  private readonly changed: () => void;

  constructor(changed: () => void) {
    this.changed = changed;
  }

  wants(category: EventCategory): boolean {
    for (const queue of this.queues) if (queue.wants(category)) return true;
    return false;
  }

  emit(event: MachineEvent): void {
    for (const queue of this.queues) if (queue.wants(event.category)) queue.push(event);
  }

  /** All events of the given categories from now on. Ends when the machine is disposed of. */
  listen(categories: readonly EventCategory[]): AsyncIterableIterator<MachineEvent> {
    const queue = new EventQueue(new Set(categories), () => {
      this.queues.delete(queue);
      this.changed();
    });
    this.queues.add(queue);
    this.changed();
    return queue;
  }

  end(): void {
    for (const queue of [...this.queues]) queue.end();
  }
}

class EventQueue implements AsyncIterableIterator<MachineEvent> {
  private readonly categories: ReadonlySet<EventCategory>;
  private readonly forget: () => void;
  private readonly waiting: MachineEvent[] = [];
  private wake: (() => void) | undefined;
  private ended = false;

  constructor(categories: ReadonlySet<EventCategory>, forget: () => void) {
    this.categories = categories;
    this.forget = forget;
  }
  wants(category: EventCategory): boolean {
    return this.categories.has(category);
  }
  push(event: MachineEvent): void {
    this.waiting.push(event);
    this.wake?.();
  }
  end(): void {
    this.ended = true;
    this.forget();
    this.wake?.();
  }
  async next(): Promise<IteratorResult<MachineEvent>> {
    while (this.waiting.length === 0) {
      if (this.ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return { done: false, value: this.waiting.shift()! };
  }
  async return(): Promise<IteratorResult<MachineEvent>> {
    this.end();
    return { done: true, value: undefined };
  }
  [Symbol.asyncIterator](): AsyncIterableIterator<MachineEvent> {
    return this;
  }
}
