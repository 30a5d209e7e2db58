// A log that a hostile guest cannot flood: one line per subject, and a bounded number of subjects.

import type { HypervisorLog } from './vcpu-port.ts';

const MAX_SUBJECTS = 64;

export class LimitedLog {
  private readonly log: HypervisorLog | undefined;
  private readonly seen = new Set<string>();

  constructor(log: HypervisorLog | undefined) {
    this.log = log;
  }

  /** Logs `message` unless `subject` was logged before or too many subjects were. */
  once(subject: string, message: string): void {
    if (this.seen.has(subject) || this.seen.size >= MAX_SUBJECTS) return;
    this.seen.add(subject);
    this.log?.warn(
      this.seen.size === MAX_SUBJECTS ? `${message} (further subjects of this kind are not logged)` : message,
    );
  }
}
