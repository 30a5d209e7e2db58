// Which pages leave when secure memory is short: second chance in address order. A page is watched for a while before it
// goes; one that the guest touches in the meantime stays. The limit is on pages in secure memory: shared pages are the
// hypervisor's.

import type { PageOwnership } from '../memory/ownership.ts';
import type { Residency } from './ports.ts';

/** The smallest limit: what one instruction can need at once, with room to get on. */
export const MIN_SECURE_BYTES = 2 ** 24;

/** Pages watched at a time, at most; each batch costs a pass over the translations in use. */
const MAX_BATCH = 64;

export class SecureFrames {
  private readonly limitBytes: number | undefined;
  private readonly ownership: PageOwnership;
  private readonly residency: Residency;
  private watched: number[] = [];
  private hand = 0;

  constructor(ownership: PageOwnership, residency: Residency, limitBytes: number | undefined) {
    this.ownership = ownership;
    this.residency = residency;
    this.limitBytes = limitBytes;
  }

  /** Pages; undefined: as many as there are. */
  get limit(): number | undefined {
    return this.limitBytes === undefined ? undefined : Math.floor(this.limitBytes / this.ownership.pageBytes);
  }

  /** Pages that must leave before `wanted` more can come. */
  excess(wanted: number): number {
    return this.limit === undefined ? 0 : Math.max(0, this.ownership.counts().secure + wanted - this.limit);
  }

  /** The page that can be spared best. There is a secure page. */
  victim(): number {
    const { ownership, residency } = this;
    for (;;) {
      // Early, so that the guest has some time to use what is watched.
      if (this.watched.length <= this.batch / 2) this.watchMore();
      const page = this.watched.shift()!;
      if (ownership.state(page) !== 'secure') continue;
      if (residency.untouched(page * ownership.pageBytes, ownership.pageBytes)) return page;
    }
  }

  reset(): void {
    this.watched = [];
    this.hand = 0;
  }

  private get batch(): number {
    return Math.min(MAX_BATCH, Math.ceil((this.limit ?? MAX_BATCH) / 8));
  }

  private watchMore(): void {
    const { ownership, residency } = this;
    const more: number[] = [];
    for (let seen = 0; seen < ownership.pages && more.length < this.batch; seen++) {
      if (ownership.state(this.hand) === 'secure') more.push(this.hand);
      this.hand = (this.hand + 1) % ownership.pages;
    }
    this.watched.push(...more);
    residency.watch(
      more.map((page) => page * ownership.pageBytes),
      ownership.pageBytes,
    );
  }
}
