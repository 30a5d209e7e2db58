// What a device may have of the machine besides memory and interrupts: time, and a door for what the host finished.
// A device takes these in its constructor; it never sees the machine.

/** Time of the guest: the same in every run with the virtual clock. */
export interface DeviceClock {
  /** Nanoseconds since power-on of the machine; never goes back, not even at a reset. */
  nowNs(): number;
  /** Calls `action` at the first turn boundary at or after `deadlineNs`. Returns what cancels that. */
  at(deadlineNs: number, action: () => void): () => void;
}

/** Where work that finished on the host (a disk read, a packet) enters the machine. */
export interface HostEvents {
  /**
   * Runs `action` at the next turn boundary, in the order of the calls, waking the machine if it sleeps. May be called
   * at any time.
   */
  post(action: () => void): void;
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
