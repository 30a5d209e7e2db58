// What a device may have of the machine besides memory and interrupts: time, and a door for what the host finished.
// A device takes these in its constructor; it never sees the machine.

/** Time of the guest: the same in every run with the virtual clock. */
export interface DeviceClock {
  /** Nanoseconds since power-on of the machine; never goes back, not even at a reset. */
  nowNs(): number;
  /** Calls `action` at the first turn boundary at or after `deadlineNs`. Returns what cancels that. */
  at(deadlineNs: number, action: () => void): () => void;
  /** As `at`, but already when no vCPU has anything to execute: for what is put off only so that more may join it. */
  atOrIdle(deadlineNs: number, action: () => void): () => void;
}

/** What the host has done already: for `HostEvents.finish`, in place of a promise, where going away and coming back would take longer than the work. */
export class Done<Result> {
  readonly result: Result;

  constructor(result: Result) {
    this.result = result;
  }
}

/**
 * Where what happens on the host enters the machine. Actions that are under way when the machine is reset still run: a
 * device tells by a count of its own that they belong to an earlier life.
 */
export interface HostEvents {
  /**
   * Runs `action` at the next turn boundary, in the order of the calls, waking the machine if it sleeps. May be called
   * at any time: a packet, a key, a client that connects.
   */
  post(action: () => void): void;
  /**
   * Runs `action` with the result of `work` at a turn boundary once it is there. With the virtual clock the guest stands
   * still until then and actions run in the order of the calls, so that every run sees the same; with the host's clock
   * the guest goes on. `work` turns its failures into results: a rejection is a bug and ends the run. Whether work is a
   * promise or done makes no difference to a guest with the virtual clock.
   */
  finish<Result>(work: Promise<Result> | Done<Result>, action: (result: Result) => void): void;
}

export interface DeviceLog {
  /** One line; the device bounds how many it writes. */
  warn(message: string): void;
}

/** All of it, as the machine hands it to the makers of devices. */
export interface DevicePorts {
  readonly clock: DeviceClock;
  readonly events: HostEvents;
  readonly log: DeviceLog;
}
