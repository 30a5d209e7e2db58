// Virtual terminals (vty, "client Vterm"): the consoles behind H_PUT_TERM_CHAR and H_GET_TERM_CHAR. LoPAR, Client Vterm.

import { assert } from '../util/errors.ts';
import type { HypervisorEvents } from './events.ts';

/** Bytes of input held for a guest that does not read; what does not fit is refused to the caller of `input`. */
export const VTY_INPUT_BYTES = 65536;

/** Most bytes one hypercall carries. */
export const VTY_TRANSFER_BYTES = 16;

export interface VtyConfig {
  /** Unit address: the `reg` of the vty node and the first argument of the hypercalls. */
  readonly unit: number;
  /** Interrupt source number, edge. */
  readonly irq: number;
}

/** Where the guest's output goes. */
export interface TerminalOutput {
  write(bytes: Uint8Array): void;
  /** False makes the guest retry (H_BUSY); absent means always ready. */
  ready?(): boolean;
}

export class Vty {
  readonly unit: number;
  readonly irq: number;
  private readonly output: TerminalOutput;
  private readonly events: HypervisorEvents;
  private readonly raiseInterrupt: (irq: number) => void;
  private readonly queue = new Uint8Array(VTY_INPUT_BYTES);
  private head = 0;
  private count = 0;

  constructor(
    config: VtyConfig,
    output: TerminalOutput,
    events: HypervisorEvents,
    raiseInterrupt: (irq: number) => void,
  ) {
    this.unit = config.unit;
    this.irq = config.irq;
    this.output = output;
    this.events = events;
    this.raiseInterrupt = raiseInterrupt;
  }

  /** Bytes waiting for the guest. */
  get pending(): number {
    return this.count;
  }

  /** Output of the guest; false if the host cannot take it now, and then nothing was taken. */
  put(bytes: Uint8Array): boolean {
    if (this.output.ready && !this.output.ready()) return false;
    if (bytes.length > 0) {
      this.events.console?.({ unit: this.unit, direction: 'from-guest', bytes });
      this.output.write(bytes);
    }
    return true;
  }

  /**
   * Up to 16 bytes of input for the guest. Stops before a NUL that follows a carriage return: guests drop a NUL in that
   * place within one transfer, a workaround for an old hypervisor that invented it.
   */
  get(): Uint8Array {
    const bytes = new Uint8Array(VTY_TRANSFER_BYTES);
    let taken = 0;
    while (taken < VTY_TRANSFER_BYTES && this.count > 0) {
      const byte = this.queue[this.head]!;
      if (byte === 0 && taken > 0 && bytes[taken - 1] === 0x0d) break;
      bytes[taken++] = byte;
      this.head = (this.head + 1) % VTY_INPUT_BYTES;
      this.count--;
    }
    return bytes.subarray(0, taken);
  }

  /** Input from the host; returns how many bytes were taken. The interrupt is raised when the queue was empty. */
  input(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, VTY_INPUT_BYTES - this.count);
    if (taken === 0) return 0;
    const wasEmpty = this.count === 0;
    for (let i = 0; i < taken; i++) this.queue[(this.head + this.count + i) % VTY_INPUT_BYTES] = bytes[i]!;
    this.count += taken;
    this.events.console?.({ unit: this.unit, direction: 'to-guest', bytes: bytes.slice(0, taken) });
    if (wasEmpty) this.raiseInterrupt(this.irq);
    return taken;
  }

  reset(): void {
    this.head = 0;
    this.count = 0;
  }
}

/** The partition's terminals; the first is the console. */
export class Terminals {
  readonly all: readonly Vty[];

  constructor(all: readonly Vty[]) {
    assert(new Set(all.map((vty) => vty.unit)).size === all.length, 'two terminals have the same unit address');
    this.all = all;
  }

  /** By unit address as in a register; 0 means the first terminal. */
  find(unit: bigint): Vty | undefined {
    return unit === 0n ? this.all[0] : this.all.find((vty) => BigInt(vty.unit) === unit);
  }

  reset(): void {
    for (const vty of this.all) vty.reset();
  }
}
