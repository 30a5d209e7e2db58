import { expect, test } from 'vitest';
import { BufferPool } from './buffer-pool.ts';

test('a buffer that was given back is used again for a request of about its size', () => {
  const pool = new BufferPool();
  const first = pool.take(5000);
  expect(first.length).toBe(5000);
  pool.give(first);
  expect(pool.take(4000).buffer).not.toBe(first.buffer);
  const again = pool.take(8192);
  expect(again.buffer).toBe(first.buffer);
  expect(again.length).toBe(8192);
  // It is in use.
  expect(pool.take(8192).buffer).not.toBe(first.buffer);
});

test('what is kept is bounded', () => {
  const pool = new BufferPool();
  const taken = Array.from({ length: 20 }, () => pool.take(2 ** 21));
  for (const each of taken) pool.give(each);
  const known = new Set(taken.map(({ buffer }) => buffer));
  const reused = Array.from({ length: 20 }, () => pool.take(2 ** 21)).filter(({ buffer }) => known.has(buffer));
  expect(reused).toHaveLength(4);
  const huge = pool.take(2 ** 21 + 1);
  pool.give(huge);
  expect(pool.take(2 ** 21 + 1).buffer).not.toBe(huge.buffer);
});
