import { describe, expect, it } from 'vitest';
import type { AccessCause } from './access-cause.ts';
import type { AccessOrigin } from './host-view.ts';
import { PageOwnership } from './ownership.ts';
import { SharedUse } from './shared-use.ts';

const PAGE = 0x10000;

class Bench {
  readonly ownership = new PageOwnership(64 * PAGE);
  cause: AccessCause | undefined;
  described = 0;
  readonly use = new SharedUse({
    ownership: this.ownership,
    instructions: () => 77n,
    cause: () => this.cause,
    describe: ({ number }) => {
      this.described++;
      return { vcpu: number, instructions: 5n, by: 'ucall', chain: [] };
    },
  });

  /** One call that shares pages. */
  share(number: number, ...pages: number[]) {
    this.cause = { number };
    for (const page of pages) this.ownership.set(page, 'shared', 'UV_SHARE_PAGE');
  }
  ranges() {
    return this.use.report().ranges.map(({ startGra, pages, pagesNow }) => [startGra / PAGE, pages, pagesNow]);
  }
}

const blk = { kind: 'device', name: 'blk', queue: 2, use: 'buffer' } as AccessOrigin;
const ring = { kind: 'device', name: 'blk', queue: 2, use: 'queue' } as AccessOrigin;
const hcall = { kind: 'hcall', name: 'H_REGISTER_VPA' } as const;

describe('use of shared memory', () => {
  it('joins adjacent pages of one call, and no others', () => {
    const bench = new Bench();
    bench.share(0, 4, 5, 6);
    bench.share(1, 7);
    bench.share(2, 20, 22, 23);
    expect(bench.ranges()).toEqual([
      [4, 3, 3],
      [7, 1, 1],
      [20, 1, 1],
      [22, 2, 2],
    ]);
    expect(bench.described).toBe(4);
    expect(bench.use.report().ranges[1]).toMatchObject({ instructions: 77n, by: { vcpu: 1 } });
  });

  it('keeps what was shared once, and starts anew when it is shared again', () => {
    const bench = new Bench();
    bench.share(0, 4, 5, 6);
    bench.ownership.set(5, 'secure', 'UV_UNSHARE_PAGE');
    expect(bench.ranges()).toEqual([[4, 3, 2]]);
    bench.use.access(5 * PAGE, 8, 'read', hcall);
    expect(bench.use.report().ranges[0].users).toEqual([]);
    bench.share(1, 5);
    bench.use.access(5 * PAGE, 8, 'read', hcall);
    expect(bench.ranges()).toEqual([
      [4, 3, 2],
      [5, 1, 1],
    ]);
    expect(bench.use.report().ranges[1].users).toEqual([
      { kind: 'hcall', name: 'H_REGISTER_VPA', queue: -1, reads: 1, bytesRead: 8, writes: 0, bytesWritten: 0 },
    ]);
    expect([...bench.use.shared()]).toEqual([{ startGra: 5 * PAGE, endGra: 6 * PAGE }]);
    bench.ownership.setAll('normal', 'UV_SVM_TERMINATE');
    expect([...bench.use.shared()]).toEqual([]);
  });

  it('counts who moves how much, by queue and use, and the slots that buffers touch', () => {
    const bench = new Bench();
    bench.share(0, 4, 5);
    bench.use.access(4 * PAGE + 0x7ff, 2, 'write', blk); // two slots
    bench.use.access(4 * PAGE + 0x100, 16, 'read', ring); // none
    bench.use.access(5 * PAGE - 0x800, 0x1000, 'read', blk); // over the border of pages: two more
    bench.use.access(4 * PAGE, 1, 'write', blk); // again
    bench.use.access(6 * PAGE - 4, 8, 'read', blk); // half of it beyond
    bench.use.access(10 * PAGE, 8, 'read', blk); // beyond
    const { ranges, devices } = bench.use.report();
    expect(ranges[0]).toMatchObject({ slotsTouched: 5, slots: 64 });
    expect(ranges[0].users).toEqual([
      {
        kind: 'device',
        name: 'blk',
        queue: 2,
        use: 'buffer',
        reads: 3,
        bytesRead: 0x1004,
        writes: 2,
        bytesWritten: 3,
      },
      { kind: 'device', name: 'blk', queue: 2, use: 'queue', reads: 1, bytesRead: 16, writes: 0, bytesWritten: 0 },
    ]);
    expect(devices).toEqual([{ device: 'blk', bytesRead: 0x1004, bytesWritten: 3 }]);
  });

  it('follows a guest that counts in other pages', () => {
    const bench = new Bench();
    bench.share(0, 4);
    bench.ownership.setAll('normal', 'UV_SVM_TERMINATE');
    bench.ownership.divide(0x1000);
    bench.share(1, 1000, 1001);
    bench.use.access(1001 * 0x1000, 4, 'read', blk);
    const [before, after] = bench.use.report().ranges;
    expect(before).toMatchObject({ startGra: 4 * PAGE, pageBytes: PAGE, pages: 1, pagesNow: 0 });
    expect(after).toMatchObject({ startGra: 1000 * 0x1000, pageBytes: 0x1000, pages: 2, slots: 4, slotsTouched: 1 });
  });

  it('keeps no more ranges than it has room for, and says how many it has not', () => {
    const ownership = new PageOwnership(10_000 * PAGE);
    const use = new SharedUse({
      ownership,
      instructions: () => 0n,
      cause: () => undefined,
      describe: () => ({ vcpu: 0, instructions: 0n, by: 'ucall', chain: [] }),
    });
    for (let page = 0; page < 10_000; page += 2) ownership.set(page, 'shared', 'UV_SHARE_PAGE');
    use.access(9998 * PAGE, 4, 'read', blk);
    expect(use.report()).toMatchObject({ unrecorded: 5000 - 4096, devices: [] });
  });
});
