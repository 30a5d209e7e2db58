import { describe, expect, it } from 'vitest';
import { Mutex, RangeLock } from './locks.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('Mutex', () => {
  it('runs one task at a time, also after one that failed', async () => {
    const mutex = new Mutex();
    const order: string[] = [];
    const task = (name: string, fail: boolean) => async () => {
      order.push(`${name} begins`);
      await settle();
      order.push(`${name} ends`);
      if (fail) throw new Error(name);
      return name;
    };
    const results = await Promise.allSettled([mutex.run(task('a', true)), mutex.run(task('b', false))]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'fulfilled']);
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });
});

describe('RangeLock', () => {
  it('lets shared claims and claims of other ranges run together', () => {
    const lock = new RangeLock();
    expect(lock.acquire(0, 5, false)).toBeTypeOf('function');
    expect(lock.acquire(5, 9, false)).toBeTypeOf('function');
    expect(lock.acquire(10, 12, true)).toBeTypeOf('function');
    expect(lock.acquire(12, 13, false)).toBeInstanceOf(Promise);
  });

  it('grants conflicting claims in the order of their arrival, so that a writer is not overtaken for ever', async () => {
    const lock = new RangeLock();
    const first = lock.acquire(0, 9, false);
    const granted: string[] = [];
    const claim = async (name: string, from: number, to: number, exclusive: boolean) => {
      const release = await lock.acquire(from, to, exclusive);
      granted.push(name);
      return release;
    };
    const writer = claim('writer', 4, 6, true);
    const reader = claim('reader', 6, 7, false);
    const other = claim('other', 8, 8, false);
    await settle();
    expect(granted).toEqual(['other']);
    if (first instanceof Promise) throw new Error('nothing stood in the way of the first');
    first();
    const release = await writer;
    await settle();
    expect(granted).toEqual(['other', 'writer']);
    release();
    await reader;
    await other;
    expect(granted).toEqual(['other', 'writer', 'reader']);
  });
});
