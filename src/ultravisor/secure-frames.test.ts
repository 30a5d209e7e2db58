import { describe, expect, it } from 'vitest';
import { PageOwnership } from '../memory/ownership.ts';
import { SecureFrames } from './secure-frames.ts';

const PAGE = 0x10000;
const PAGES = 64;

/** All pages secure; `use` is the guest's touch of one. */
function bench(limitPages: number | undefined) {
  const ownership = new PageOwnership(PAGES * PAGE);
  ownership.setAll('secure', 'UV_ESM');
  const watched = new Set<number>();
  const residency = {
    remove: () => {},
    restore: () => {},
    watch: (gras: readonly number[]) => {
      for (const gra of gras) watched.add(gra / PAGE);
    },
    untouched: (gra: number) => watched.has(gra / PAGE),
  };
  const frames = new SecureFrames(ownership, residency, limitPages === undefined ? undefined : limitPages * PAGE);
  const evict = () => {
    const page = frames.victim();
    ownership.set(page, 'paged-out', 'UV_PAGE_OUT');
    return page;
  };
  return { ownership, frames, evict, use: (page: number) => watched.delete(page) };
}

describe('SecureFrames', () => {
  it('has no limit unless given one', () => {
    expect(bench(undefined).frames.excess(PAGES)).toBe(0);
    const { frames } = bench(16);
    expect(frames.limit).toBe(16);
    expect(frames.excess(0)).toBe(PAGES - 16);
    expect(frames.excess(1)).toBe(PAGES - 15);
  });

  it('takes each page once, in order of address, when none is used', () => {
    const { evict, frames } = bench(16);
    const gone = Array.from({ length: PAGES - 16 }, evict);
    expect(gone).toEqual(Array.from({ length: PAGES - 16 }, (_, page) => page));
    expect(frames.excess(0)).toBe(0);
  });

  it('spares pages that are used while they are watched, as long as there are others', () => {
    const { evict, use } = bench(16);
    const gone: number[] = [];
    for (let round = 0; round < PAGES - 16; round++) {
      gone.push(evict());
      for (const page of [1, 20, 40]) use(page);
    }
    expect(gone).not.toContain(20);
    expect(gone).not.toContain(40);
    expect(new Set(gone).size).toBe(gone.length);
  });

  it('comes to an end when every page is in use', () => {
    const { evict, use } = bench(16);
    for (let n = 0; n < 40; n++) {
      evict();
      for (let page = 0; page < PAGES; page++) use(page);
    }
  });

  it('passes over pages that are shared or out', () => {
    const { evict, ownership } = bench(16);
    for (let page = 0; page < PAGES; page += 2) ownership.set(page, 'shared', 'UV_SHARE_PAGE');
    const gone = Array.from({ length: 16 }, evict);
    expect(gone.every((page) => page % 2 === 1)).toBe(true);
  });
});
