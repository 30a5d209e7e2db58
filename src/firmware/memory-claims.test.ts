import { expect, it } from 'vitest';
import { MemoryClaims } from './memory-claims.ts';

it('claims what is free and nothing else', () => {
  const claims = new MemoryClaims(0x10000, 0x8000);
  expect(claims.claim(0x1000, 0x1000)).toBe(true);
  expect(claims.claim(0x1fff, 1)).toBe(false);
  expect(claims.claim(0xfff, 2)).toBe(false);
  expect(claims.claim(0x2000, 1)).toBe(true);
  expect(claims.claim(0xffff, 2)).toBe(false);
  expect(claims.claim(0x8000, 0)).toBe(false);
  expect(claims.free()).toEqual([
    { start: 0, end: 0x1000 },
    { start: 0x2001, end: 0x10000 },
  ]);
});

it('finds a place below the limit, from the top', () => {
  const claims = new MemoryClaims(0x10000, 0x8000);
  expect(claims.claimAnywhere(0x1800, 0x1000)).toBe(0x6000);
  expect(claims.claimAnywhere(0x400, 0x400)).toBe(0x7c00);
  expect(claims.claimAnywhere(0x6000, 1)).toBe(0);
  expect(claims.claimAnywhere(0x2000, 1)).toBeUndefined();
});

it('releases parts and joins of claims, but nothing that was not claimed', () => {
  const claims = new MemoryClaims(0x10000, 0x10000);
  claims.claim(0x1000, 0x1000);
  claims.claim(0x2000, 0x1000);
  expect(claims.release(0x1800, 0x1000)).toBe(true);
  expect(claims.release(0x1800, 0x1000)).toBe(false);
  expect(claims.release(0x0, 0x1001)).toBe(false);
  expect(claims.free()).toEqual([
    { start: 0, end: 0x1000 },
    { start: 0x1800, end: 0x2800 },
    { start: 0x3000, end: 0x10000 },
  ]);
});

it('agrees with a map of single bytes over random calls', () => {
  const size = 64;
  const claims = new MemoryClaims(size, size);
  const taken = new Array<boolean>(size).fill(false);
  let seed = 12345;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let step = 0; step < 1000; step++) {
    const start = random(size + 4);
    const lenBytes = random(12);
    const bytes = taken.slice(start, start + lenBytes);
    const inside = lenBytes > 0 && start + lenBytes <= size;
    const isRelease = random(2) === 1;
    const expected = inside && bytes.every((byte) => byte === isRelease);
    const done = isRelease ? claims.release(start, lenBytes) : claims.claim(start, lenBytes);
    expect(done, `step ${step}`).toBe(expected);
    if (done) taken.fill(!isRelease, start, start + lenBytes);
    const free = claims
      .free()
      .flatMap(({ start: from, end }) => Array.from({ length: end - from }, (_, n) => from + n));
    expect(free).toEqual(taken.flatMap((byte, index) => (byte ? [] : [index])));
  }
});

it('refuses a client that scatters claims without end', () => {
  const claims = new MemoryClaims(2 ** 32, 2 ** 32);
  let granted = 0;
  while (granted < 10_000 && claims.claim(granted * 2, 1)) granted++;
  expect(granted).toBe(1024);
});
