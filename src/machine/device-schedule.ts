// Time and host events for devices: their timers fire, and what finished on the host enters, at turn boundaries only, so
// that a vCPU never sees a device change under its hands.

import { type DeviceClock, Done, type HostEvents } from '../device/ports.ts';
import { type MachineTime, TIMEBASE_HZ } from './time.ts';

interface Timer {
  readonly deadline: bigint;
  readonly action: () => void;
  /** Need not wait for the deadline when nobody executes. */
  readonly eager: boolean;
}

/** Work of the host that has not been told of yet. */
interface Work {
  /** What is to be done about it, or a promise of that. */
  readonly done: Promise<() => void> | (() => void);
}

export class DeviceSchedule implements DeviceClock, HostEvents {
  private readonly time: MachineTime;
  /** Ends the turn that is under way and wakes a sleeping machine. */
  private readonly attention: () => void;
  /** By ascending deadline; equal ones in the order they were set. */
  private timers: Timer[] = [];
  private posted: (() => void)[] = [];
  private works: Work[] = [];

  constructor(time: MachineTime, attention: () => void) {
    this.time = time;
    this.attention = attention;
  }

  nowNs(): number {
    return Math.floor((Number(this.time.now) * 1e9) / TIMEBASE_HZ);
  }

  at(deadlineNs: number, action: () => void): () => void {
    return this.add(deadlineNs, action, false);
  }

  atOrIdle(deadlineNs: number, action: () => void): () => void {
    return this.add(deadlineNs, action, true);
  }

  private add(deadlineNs: number, action: () => void, eager: boolean): () => void {
    const deadline = BigInt(Math.ceil((Math.max(0, deadlineNs) * TIMEBASE_HZ) / 1e9));
    const timer = { deadline, action, eager };
    const place = this.timers.findIndex((other) => other.deadline > deadline);
    this.timers.splice(place < 0 ? this.timers.length : place, 0, timer);
    this.attention();
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  post(action: () => void): void {
    this.posted.push(action);
    this.attention();
  }

  finish<Result>(work: Promise<Result> | Done<Result>, action: (result: Result) => void): void {
    if (work instanceof Done) {
      const last = () => action(work.result);
      if (this.time.mode === 'host') this.posted.push(last);
      else this.works.push({ done: last });
      this.attention();
      return;
    }
    const done = work.then((result) => () => action(result));
    const entry = { done };
    this.works.push(entry);
    this.attention();
    if (this.time.mode === 'virtual') {
      // Waited for in settle(), which is where a rejection shows.
      done.catch(() => {});
      return;
    }
    const leave = (last: () => void) => {
      this.works = this.works.filter((other) => other !== entry);
      this.post(last);
    };
    done.then(leave, (error: unknown) =>
      leave(() => {
        throw error;
      }),
    );
  }

  /** True if there is something to do at this turn boundary already. */
  get pressing(): boolean {
    return this.posted.length > 0 || this.mustSettle;
  }

  /** True if guest time must stand still until `settle` is through. */
  get mustSettle(): boolean {
    return this.time.mode === 'virtual' && this.works.length > 0;
  }

  /** Waits for the work of the host that is under way and does what is to be done about it. */
  async settle(): Promise<void> {
    const { works } = this;
    this.works = [];
    for (const { done } of works) (typeof done === 'function' ? done : await done)();
  }

  /** Turn boundary: what was posted, in order. What that posts waits for the next one. */
  runPosted(): void {
    if (this.posted.length === 0) return;
    const { posted } = this;
    this.posted = [];
    for (const action of posted) action();
  }

  /** Timebase value of the next timer. */
  nextTimer(): bigint | undefined {
    return this.timers[0]?.deadline;
  }

  /** No vCPU has anything to execute: does what need not wait then. True if there was something. */
  fireEager(): boolean {
    const eager = this.timers.filter((timer) => timer.eager);
    if (eager.length === 0) return false;
    this.timers = this.timers.filter((timer) => !timer.eager);
    for (const { action } of eager) action();
    return true;
  }

  /** Turn boundary: timers whose time has come. */
  fireTimers(): void {
    while (this.timers.length > 0 && this.timers[0].deadline <= this.time.now) this.timers.shift()!.action();
  }
}
