// What becomes of the pages that a secure guest shares: when and by which call they were shared, and who touches them for
// what. Told by the ownership table and the checking view; nothing here is known beforehand or guessed.
//
// Where devices touch buffers in shared memory, the guest bounces: it copies between there and its own memory. Linux does
// so in slots of 2 KiB (swiotlb), hence touched slots are counted.

import type { AccessCause, CauseDescription } from './access-cause.ts';
import type { AccessOrigin } from './host-view.ts';
import type { PageOwnership } from './ownership.ts';
import type { AccessDirection } from './violations.ts';

export const SLOT_BYTES = 2048;

/** Ranges that are kept; further ones are only counted. */
const MAX_RANGES = 4096;

/** One way in which somebody uses a range. */
export interface SharedUser {
  readonly kind: AccessOrigin['kind'];
  readonly name: string;
  /** Of a device; -1 where there is none. */
  readonly queue: number;
  /** Of a device: its queue itself, or what the driver put into it. */
  readonly use?: string;
  readonly reads: number;
  readonly bytesRead: number;
  readonly writes: number;
  readonly bytesWritten: number;
}

/** Adjacent pages shared by one call. */
export interface SharedRange {
  readonly startGra: number;
  readonly pageBytes: number;
  readonly pages: number;
  /** Those that are shared still. */
  readonly pagesNow: number;
  /** Instructions retired by the machine when it was shared. */
  readonly instructions: bigint;
  readonly by: CauseDescription | undefined;
  readonly users: readonly SharedUser[];
  /** Slots in which devices have touched buffers or indirect tables, of how many. */
  readonly slotsTouched: number;
  readonly slots: number;
}

/** Bytes that a device moved through shared buffers. */
export interface BouncedBytes {
  readonly device: string;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface SharedUseReport {
  /** In the order of sharing. */
  readonly ranges: readonly SharedRange[];
  /** Ranges of which there is no record because there were too many. */
  readonly unrecorded: number;
  readonly devices: readonly BouncedBytes[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Range {
  readonly startGra: number;
  readonly pageBytes: number;
  pages: number;
  pagesNow: number;
  readonly instructions: bigint;
  readonly by: CauseDescription | undefined;
  readonly users: Map<string, Mutable<SharedUser>>;
  touched: Uint8Array | undefined;
  slotsTouched: number;
}

export interface SharedUseOptions {
  readonly ownership: PageOwnership;
  readonly instructions: () => bigint;
  /** The call that is sharing. */
  readonly cause: () => AccessCause | undefined;
  readonly describe: (cause: AccessCause) => CauseDescription;
}

export class SharedUse {
  private readonly options: SharedUseOptions;
  private readonly ranges: Range[] = [];
  /** Index of the range that each page belongs to, or -1. */
  private rangeOf: Int32Array;
  private beyond = 0;
  /** The range that grows, and the call that shares it. */
  private growing: { readonly index: number; readonly cause: AccessCause | undefined; next: number } | undefined;
  /** The user of the latest access. */
  private latest:
    | { index: number; origin: AccessOrigin; use: string | undefined; user: Mutable<SharedUser> }
    | undefined;

  /** Listens to `ownership` from now on. */
  constructor(options: SharedUseOptions) {
    this.options = options;
    const { ownership } = options;
    this.rangeOf = new Int32Array(ownership.pages).fill(-1);
    ownership.onShare = (page, shared) => {
      if (page < 0) this.forgetAll();
      else if (shared) this.share(page);
      else this.unshare(page);
    };
  }

  private get pageBytes(): number {
    return this.options.ownership.pageBytes;
  }

  /** An access of the host, whether it hits shared memory or not. */
  access(gra: number, lenBytes: number, direction: AccessDirection, origin: AccessOrigin): void {
    const { pageBytes } = this;
    for (let at = gra; at < gra + lenBytes; ) {
      const page = Math.floor(at / pageBytes);
      const bytes = Math.min((page + 1) * pageBytes, gra + lenBytes) - at;
      const index = this.rangeOf[page];
      if (index >= 0) this.touch(index, at, bytes, direction, origin);
      at += bytes;
    }
  }

  /** Pages that one call shared and that are shared still, as guest real addresses. */
  *shared(): Generator<{ startGra: number; endGra: number }> {
    for (const { startGra, pageBytes, pages, pagesNow } of this.ranges) {
      if (pagesNow === pages) yield { startGra, endGra: startGra + pages * pageBytes };
    }
  }

  report(): SharedUseReport {
    const devices = new Map<string, Mutable<BouncedBytes>>();
    for (const { users } of this.ranges) {
      for (const { kind, name, use, bytesRead, bytesWritten } of users.values()) {
        if (kind !== 'device' || use === 'queue') continue;
        const sum = devices.get(name) ?? { device: name, bytesRead: 0, bytesWritten: 0 };
        sum.bytesRead += bytesRead;
        sum.bytesWritten += bytesWritten;
        devices.set(name, sum);
      }
    }
    return {
      ranges: this.ranges.map(({ startGra, pageBytes, pages, pagesNow, instructions, by, users, slotsTouched }) => ({
        startGra,
        pageBytes,
        pages,
        pagesNow,
        instructions,
        by,
        users: [...users.values()],
        slotsTouched,
        slots: (pages * pageBytes) / SLOT_BYTES,
      })),
      unrecorded: this.beyond,
      devices: [...devices.values()],
    };
  }

  private share(page: number): void {
    const { growing } = this;
    const cause = this.options.cause();
    if (growing && growing.next === page && growing.cause === cause && cause !== undefined) {
      const range = this.ranges[growing.index];
      range.pages++;
      range.pagesNow++;
      growing.next++;
      this.rangeOf[page] = growing.index;
      return;
    }
    this.growing = undefined;
    if (this.ranges.length >= MAX_RANGES) {
      this.beyond++;
      return;
    }
    const index = this.ranges.length;
    this.ranges.push({
      startGra: page * this.pageBytes,
      pageBytes: this.pageBytes,
      pages: 1,
      pagesNow: 1,
      instructions: this.options.instructions(),
      by: cause && this.options.describe(cause),
      users: new Map(),
      touched: undefined,
      slotsTouched: 0,
    });
    this.rangeOf[page] = index;
    this.growing = { index, cause, next: page + 1 };
  }

  private unshare(page: number): void {
    const index = this.rangeOf[page];
    this.rangeOf[page] = -1;
    this.growing = undefined;
    if (index >= 0) this.ranges[index].pagesNow--;
  }

  private forgetAll(): void {
    const { ownership } = this.options;
    this.growing = undefined;
    this.latest = undefined;
    for (const range of this.ranges) range.pagesNow = 0;
    // A guest that turns secure next may count in pages of another size.
    if (this.rangeOf.length !== ownership.pages) this.rangeOf = new Int32Array(ownership.pages);
    this.rangeOf.fill(-1);
  }

  private touch(index: number, gra: number, bytes: number, direction: AccessDirection, origin: AccessOrigin): void {
    const user = this.userOf(index, origin);
    if (direction === 'read') {
      user.reads++;
      user.bytesRead += bytes;
    } else {
      user.writes++;
      user.bytesWritten += bytes;
    }
    if (user.kind === 'device' && user.use !== 'queue') this.touchSlots(this.ranges[index], gra, bytes);
  }

  private userOf(index: number, origin: AccessOrigin): Mutable<SharedUser> {
    const { queue = -1, use } = origin as { queue?: number; use?: string };
    const { latest } = this;
    if (latest && latest.index === index && latest.origin === origin && latest.use === use) return latest.user;
    const { kind, name } = origin;
    const key = `${kind} ${name} ${queue} ${use}`;
    const { users } = this.ranges[index];
    let user = users.get(key);
    if (!user) {
      user = { kind, name, queue, ...(use && { use }), reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
      users.set(key, user);
    }
    this.latest = { index, origin, use, user };
    return user;
  }

  private touchSlots(range: Range, gra: number, bytes: number): void {
    range.touched ??= new Uint8Array((range.pages * range.pageBytes) / SLOT_BYTES);
    const offset = gra - range.startGra;
    const last = Math.floor((offset + bytes - 1) / SLOT_BYTES);
    for (let slot = Math.floor(offset / SLOT_BYTES); slot <= last; slot++) {
      if (range.touched[slot]) continue;
      range.touched[slot] = 1;
      range.slotsTouched++;
    }
  }
}
