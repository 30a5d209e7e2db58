// The timebase of a machine. One instruction is one tick, whichever vCPU executes it, so that time is the same on all of
// them and never goes back; idle time is added when every vCPU waits.
//
// With the virtual clock that is all. With the host clock the timebase is brought up to the host's time at the start of
// each turn; it never runs behind what it has already shown.

import type { MachineHost } from '../backends/machine-host.ts';

/** Ticks per second of guest time: POWER9's timebase. */
export const TIMEBASE_HZ = 512_000_000;
export const TICKS_PER_MS = BigInt(TIMEBASE_HZ / 1000);

export type ClockMode = 'virtual' | 'host';

export class MachineTime {
  readonly mode: ClockMode;
  /** Current timebase value. */
  now = 0n;
  private readonly host: MachineHost;
  private readonly hostStartMs: number;

  constructor(mode: ClockMode, host: MachineHost) {
    this.mode = mode;
    this.host = host;
    this.hostStartMs = host.monotonicMs();
  }

  /** `instructions` have been executed. */
  advance(instructions: number): void {
    this.now += BigInt(instructions);
  }

  /** Nothing happens before `deadline`: virtual time goes there at once. */
  skipTo(deadline: bigint): void {
    if (deadline > this.now) this.now = deadline;
  }

  /** Follows the host's clock; does nothing with the virtual one. */
  sample(): void {
    if (this.mode === 'host') this.skipTo(this.hostTicks());
  }

  /** Host milliseconds until the timebase reaches `deadline` with the host clock. */
  hostMsUntil(deadline: bigint): number {
    return Math.max(0, Number(deadline - this.hostTicks()) / Number(TICKS_PER_MS));
  }

  get seconds(): number {
    return Number(this.now) / TIMEBASE_HZ;
  }

  private hostTicks(): bigint {
    return BigInt(Math.floor((this.host.monotonicMs() - this.hostStartMs) * (TIMEBASE_HZ / 1000)));
  }
}
