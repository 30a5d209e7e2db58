// The guest's console as the program outside sees it.

import type { Vty } from '../hypervisor/terminal.ts';
import type { EventStream } from './events.ts';

/** The console as bytes in both directions. */
export interface MachineConsole {
  /** Everything the guest writes from now on. Ends when the machine is disposed of. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Types on the console. Returns how many bytes were taken; the guest's input queue holds 64 KiB. */
  write(bytes: Uint8Array): number;
}

/** Hands on what the guest writes, and types what the program outside writes. */
export class GuestConsole implements MachineConsole {
  readonly output: AsyncIterable<Uint8Array>;
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();
  private readonly vty: () => Vty;
  private readonly typed: () => void;

  /** `typed` is called when there is something for the guest to read. */
  constructor(stream: EventStream, vty: () => Vty, typed: () => void) {
    this.vty = vty;
    this.typed = typed;
    this.output = { [Symbol.asyncIterator]: () => outputOf(stream) };
  }

  write(bytes: Uint8Array): number {
    const taken = this.vty().input(bytes);
    this.typed();
    return taken;
  }

  /** The guest has written `bytes`. */
  written(bytes: Uint8Array): void {
    for (const listener of this.listeners) listener(bytes);
  }

  /** What has been typed, for firmware, which polls; at most `maxBytes`. */
  firmwareInput(maxBytes: number): Uint8Array {
    return this.vty().get().subarray(0, maxBytes);
  }

  /** Calls `listener` with everything the guest writes, as it writes it. Returns what ends that. */
  listen(listener: (bytes: Uint8Array) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.listeners.clear();
  }
}

function outputOf(stream: EventStream): AsyncIterableIterator<Uint8Array> {
  const events = stream.listen(['console']);
  return {
    next: async (): Promise<IteratorResult<Uint8Array>> => {
      for (;;) {
        const { done, value } = await events.next();
        if (done) return { done: true, value: undefined };
        if (value.category === 'console' && value.direction === 'from-guest')
          return { done: false, value: value.bytes };
      }
    },
    return: async () => {
      await events.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
