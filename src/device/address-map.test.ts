import { expect, test } from 'vitest';
import { RamHandler } from '../../tests/support/pci-bench.ts';
import { randomWords } from '../../tests/support/random.ts';
import { AddressMap, type UnassignedAccess } from './address-map.ts';

function bench() {
  const missed: UnassignedAccess[] = [];
  const map = new AddressMap((access) => missed.push(access));
  const add = (base: number, sizeBytes: number, rank = 0) => {
    const handler = new RamHandler(sizeBytes);
    const range = { base, sizeBytes, rank, handler, name: `at ${base.toString(16)}` };
    map.add(range);
    return { handler, range };
  };
  return { map, missed, add };
}

test('an access reaches its range with the offset from the range’s start', () => {
  const { map, add } = bench();
  const { handler } = add(0x2100_0000_0000, 0x1000);
  add(0x2000_8000_0000, 0x1000);
  map.store(0x2100_0000_0ffc, 4, 0x89ab_cdef);
  expect(map.load(0x2100_0000_0ffc, 4)).toBe(0x89ab_cdef);
  expect(map.load(0x2100_0000_0ffe, 2)).toBe(0x89ab);
  expect(map.load(0x2100_0000_0ffd, 1)).toBe(0xcd);
  expect(handler.log).toEqual(['store ffc/4=89abcdef', 'load ffc/4', 'load ffe/2', 'load ffd/1']);
});

test('where nothing is, loads give ones and stores are lost; each is counted and told', () => {
  const { map, missed, add } = bench();
  add(0x1000, 0x100);
  expect(map.load(0xffc, 4)).toBe(0xffff_ffff);
  expect(map.load(0x1100, 2)).toBe(0xffff);
  expect(map.load(0x7fff_ffff_ffff, 1)).toBe(0xff);
  expect(map.load64(2 ** 60)).toBe(0xffff_ffff_ffff_ffffn);
  map.store(0x1100, 1, 7);
  expect(missed.slice(0, 3)).toEqual([
    { kind: 'load', gra: 0xffc, lenBytes: 4 },
    { kind: 'load', gra: 0x1100, lenBytes: 2 },
    { kind: 'load', gra: 0x7fff_ffff_ffff, lenBytes: 1 },
  ]);
  expect(missed.at(-1)).toEqual({ kind: 'store', gra: 0x1100, lenBytes: 1 });
  expect(map.unassigned).toBe(6);
});

test('8 bytes are two accesses of 4, low address first', () => {
  const { map, add } = bench();
  const { handler } = add(0x1000, 0x100);
  map.store64(0x1010, 0x1122_3344_5566_7788n);
  expect(map.load64(0x1010)).toBe(0x1122_3344_5566_7788n);
  expect(handler.log).toEqual(['store 10/4=55667788', 'store 14/4=11223344', 'load 10/4', 'load 14/4']);
});

test('an unaligned access is single bytes, also across the border of two ranges', () => {
  const { map, add } = bench();
  const first = add(0x1000, 0x10);
  const second = add(0x1010, 0x10);
  map.store(0x100e, 4, 0xaabb_ccdd);
  expect(first.handler.log).toEqual(['store e/1=dd', 'store f/1=cc']);
  expect(second.handler.log).toEqual(['store 0/1=bb', 'store 1/1=aa']);
  expect(map.load(0x100e, 4)).toBe(0xaabb_ccdd);
});

test('of overlapping ranges the lowest rank answers, and what it leaves the next one does', () => {
  const { map, add } = bench();
  const wide = add(0x1000, 0x3000, 5);
  const narrow = add(0x2000, 0x1000, 1);
  expect(map.at(0x1fff)).toBe(wide.range);
  expect(map.at(0x2000)).toBe(narrow.range);
  expect(map.at(0x3000)).toBe(wide.range);
  map.load(0x3008, 4);
  expect(wide.handler.log).toEqual(['load 2008/4']);
  map.remove(narrow.range);
  expect(map.at(0x2000)).toBe(wide.range);
  map.remove(narrow.range);
  map.remove(wide.range);
  expect(map.at(0x2000)).toBeUndefined();
  expect(map.all()).toEqual([]);
});

test('any set of ranges answers like a search through all of them', () => {
  const random = randomWords(0x5eed);
  for (let round = 0; round < 200; round++) {
    const { map, add } = bench();
    const ranges = Array.from({ length: 8 }, (_, rank) => add((random() % 64) * 16, (1 + (random() % 16)) * 16, rank));
    const gone = ranges.splice(random() % 8, 1)[0];
    map.remove(gone.range);
    for (let gra = 0; gra < 1400; gra += 4) {
      const expected = ranges.find(({ range }) => gra >= range.base && gra < range.base + range.sizeBytes);
      expect(map.at(gra), `round ${round}, address ${gra}`).toBe(expected?.range);
    }
  }
});

test('a range must have addresses below 2^53', () => {
  const { add } = bench();
  expect(() => add(0x1000, 0)).toThrow(/no addresses/);
  expect(() => add(2 ** 53 - 8, 16)).toThrow(/beyond 2\^53/);
});
