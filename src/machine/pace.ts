// How long to execute, when to sleep, and when to let the host do its other work.

import type { MachineHost } from '../backends/machine-host.ts';
import type { DeviceSchedule } from './device-schedule.ts';
import type { Scheduler } from './scheduler.ts';
import type { MachineTime } from './time.ts';

/** Host milliseconds of execution between two breaths of the host. */
const BREATH_MS = 12;
/** Longest sleep of an idle machine, in host milliseconds; input wakes it earlier. */
const LONGEST_SLEEP_MS = 1000;
/**
 * Idle time passes at once with the virtual clock; while somebody may type, each skip gives the host this long, unless the
 * machine has executed for as long since it last slept: then only an idle guest that wakes all the time is slowed down,
 * and a boot, which waits dozens of times, is not.
 */
const IDLE_SKIP_MS = 1;

export interface PacePorts {
  readonly host: MachineHost;
  readonly time: MachineTime;
  readonly schedule: DeviceSchedule;
  readonly scheduler: Scheduler;
  /** True once there is nothing more to execute, for now or for good. */
  readonly stopped: () => boolean;
  /** Something that must be over before anything else happens to the machine. */
  readonly held: () => Promise<void> | undefined;
  /** Called after each turn: what must not happen within one. */
  readonly betweenTurns: () => void;
  /** Nothing will ever wake a CPU again. */
  readonly stuck: () => void;
}

export class Pace {
  private readonly ports: PacePorts;
  private wakeSleeper: (() => void) | undefined;
  private inputOpen = true;
  private wokeAtMs = 0;

  constructor(ports: PacePorts) {
    this.ports = ports;
  }

  /** Ends the sleep of an idle machine. */
  wake(): void {
    this.wakeSleeper?.();
  }

  /** Nobody will type any more: idle time need not wait for input. */
  closeInput(): void {
    this.inputOpen = false;
    this.wake();
  }

  /** Executes until host time `deadlineMs`, for at most BREATH_MS, or sleeps; then lets the host breathe. */
  async burst(deadlineMs: number, lastTick: bigint | undefined): Promise<void> {
    const { host, time, schedule, scheduler, stopped } = this.ports;
    const untilMs = Math.min(deadlineMs, host.monotonicMs() + BREATH_MS);
    let rounds = 0;
    while (!stopped()) {
      if (lastTick !== undefined && time.now >= lastTick) return;
      const held = this.ports.held();
      if (held) await held;
      if (schedule.mustSettle) await schedule.settle();
      schedule.runPosted();
      const result = scheduler.round();
      this.ports.betweenTurns();
      if (result.kind === 'idle' && !stopped()) {
        if (await this.idle(result.until)) return;
      }
      // The clock is looked at every few turns only: it costs as much as a short turn.
      if ((++rounds & 7) === 0 && host.monotonicMs() >= untilMs) break;
    }
    await host.breathe();
  }

  /** Nothing to execute before `until`. True if the host has had time for its other work. */
  private async idle(until: bigint | undefined): Promise<boolean> {
    const { time, schedule } = this.ports;
    if (schedule.pressing || schedule.fireEager()) return false;
    if (time.mode === 'host') {
      const ms = until === undefined ? LONGEST_SLEEP_MS : Math.min(LONGEST_SLEEP_MS, time.hostMsUntil(until));
      await this.sleep(ms);
      return true;
    }
    if (until === undefined) {
      if (!this.inputOpen) this.ports.stuck();
      else await this.sleep(LONGEST_SLEEP_MS);
      return true;
    }
    time.skipTo(until);
    if (!this.inputOpen) return false;
    const { host } = this.ports;
    if (host.monotonicMs() - this.wokeAtMs >= IDLE_SKIP_MS) await host.breathe();
    else await this.sleep(IDLE_SKIP_MS);
    this.wokeAtMs = host.monotonicMs();
    return true;
  }

  private async sleep(ms: number): Promise<void> {
    const sleeper = this.ports.host.sleep(ms);
    this.wakeSleeper = () => sleeper.wake();
    await sleeper.done;
    this.wakeSleeper = undefined;
  }
}
