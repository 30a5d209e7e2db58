// Breaches: accesses of the hypervisor or of a device to pages that are not theirs, one record for what is alike.

import { type CauseDescription, chainText } from './access-cause.ts';
import type { AccessOrigin } from './host-view.ts';
import type { PageState } from './ownership.ts';

export type AccessDirection = 'read' | 'write';

/** One kind of breach: the same party, in the same direction, at the same page in the same state, by the same call. */
export interface Violation {
  /** A copy of the access's origin; a device's has queue, descriptor and bus address of the first access. */
  readonly origin: Omit<AccessOrigin, 'cause'>;
  readonly direction: AccessDirection;
  /** First byte of the first such access, guest real. */
  readonly gra: number;
  /** Length of the first such access within the page. */
  readonly lenBytes: number;
  /** Start of the page. */
  readonly pageGra: number;
  readonly pageState: PageState;
  /** The call that made the page what it is. */
  readonly madeBy: string;
  /** Instructions retired by the machine at the first such access. */
  readonly instructions: bigint;
  /** What the guest had done to bring it about; undefined if it is nobody's doing but the host's. */
  readonly cause?: CauseDescription;
  /** True if the guest had gone on in the meantime, as when a device finishes its work. */
  readonly later?: boolean;
  /** How often it happened, and how many bytes in all. */
  readonly times: number;
  readonly totalBytes: number;
}

/** Different breaches that are kept; further ones are only counted. */
const MAX_RECORDS = 1000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class ViolationLog {
  /** Told of each new record, before the access is settled. */
  onNew: ((violation: Violation) => void) | undefined;
  private readonly records = new Map<string, Mutable<Violation>>();
  private total = 0;
  private beyond = 0;

  add(first: Omit<Violation, 'times' | 'totalBytes'>): void {
    this.total++;
    const { direction, pageGra, pageState } = first;
    const { cause, ...origin } = first.origin as AccessOrigin;
    const { queue = '', use = '' } = origin as { queue?: number; use?: string };
    const calls = first.cause ? chainText(first.cause.chain) : '';
    const key = `${origin.kind} ${origin.name} ${queue} ${use} ${direction} ${pageGra} ${pageState} ${calls}`;
    const known = this.records.get(key);
    if (known) {
      known.times++;
      known.totalBytes += first.lenBytes;
      return;
    }
    if (this.records.size >= MAX_RECORDS) {
      this.beyond++;
      return;
    }
    const record = { ...first, origin, times: 1, totalBytes: first.lenBytes };
    this.records.set(key, record);
    this.onNew?.(record);
  }

  /** Accesses in all. */
  get count(): number {
    return this.total;
  }
  /** Accesses of which there is no record because there are too many different ones. */
  get unrecorded(): number {
    return this.beyond;
  }
  /** In the order in which they first happened. */
  all(): readonly Violation[] {
    return [...this.records.values()];
  }
}
