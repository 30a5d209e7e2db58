// Queues of both formats against drivers written from the specification: what goes in comes out, once, in any order of
// completion, with direct and indirect buffers, around the end of the ring, and with the interrupts that were asked for.

import { describe, expect, it } from 'vitest';
import { randomWords } from '../../../tests/support/random.ts';
import { type Piece, type QueueFormat, queueDriver } from '../../../tests/support/virtio-driver.ts';
import { TestMemory } from '../../../tests/support/virtio-memory.ts';
import type { DescriptorChain } from './chain.ts';
import type { DriverFault } from './fault.ts';
import type { RingFeatures } from './features.ts';
import { PackedQueue } from './packed-queue.ts';
import type { QueueHost, Virtqueue } from './queue.ts';
import { SplitQueue } from './split-queue.ts';

const formats: readonly QueueFormat[] = ['split', 'packed'];

function setUp(format: QueueFormat, options: { size?: number; eventIdx?: boolean; inOrder?: boolean } = {}) {
  const { size = 8, eventIdx = false, inOrder = false } = options;
  const memory = new TestMemory();
  const driver = queueDriver(format, memory, { size, eventIdx });
  const faults: DriverFault[] = [];
  const counts = { interrupts: 0 };
  const host: QueueHost = {
    name: 'test device',
    dma: memory.dma,
    get running() {
      return faults.length === 0;
    },
    failed: (fault) => faults.push(fault),
    interrupt: () => counts.interrupts++,
  };
  const features: RingFeatures = { packed: format === 'packed', indirect: true, eventIdx, inOrder };
  const queue: Virtqueue =
    format === 'packed'
      ? new PackedQueue(driver.layout, features, host)
      : new SplitQueue(driver.layout, features, host);
  return { memory, driver, queue, faults, counts };
}

describe.each(formats)('%s queue', (format) => {
  it.each([
    { eventIdx: false, inOrder: false },
    { eventIdx: true, inOrder: false },
    { eventIdx: true, inOrder: true },
  ])('carries random buffers, %o', ({ eventIdx, inOrder }) => {
    for (let seed = 1; seed <= 40; seed++) {
      const word = randomWords(seed);
      const size = format === 'packed' ? 1 + (word() % 20) : 2 ** (word() % 5);
      const { memory, driver, queue, faults, counts } = setUp(format, { size, eventIdx, inOrder });
      const expected = new Map<number, { sent: number[]; room: number }>();
      const held: { chain: DescriptorChain; reply: Uint8Array }[] = [];
      const order: number[] = [];
      let waiting = false;
      const keep = memory.allocate(0);
      for (let step = 0; step < 300; step++) {
        if (expected.size === 0) memory.releaseTo(keep);
        const count = 1 + (word() % 4);
        const indirect = word() % 2 === 0;
        if (driver.room >= (indirect ? 1 : count) && expected.size < size) {
          const pieces = randomPieces(word, count);
          const token = driver.add(pieces, indirect);
          order.push(token);
          const sent = pieces.flatMap((piece) => (typeof piece === 'number' ? [] : [...piece]));
          const room = pieces.reduce<number>((sum, piece) => sum + (typeof piece === 'number' ? piece : 0), 0);
          expected.set(token, { sent, room });
          waiting = driver.mustNotify() || waiting;
        }
        if (waiting && word() % 2 === 0) {
          waiting = false;
          for (let chain = queue.take(); chain; chain = queue.take()) {
            const of = expected.get(chain.id)!;
            expect([...chain.readBytes(0, chain.readableBytes)!], `seed ${seed}`).toEqual(of.sent);
            expect(chain.writableBytes).toBe(of.room);
            const reply = Uint8Array.from({ length: word() % (of.room + 1) }, () => word() & 0xff);
            held.push({ chain, reply });
          }
        }
        if (held.length > 0 && word() % 2 === 0) {
          const replies = new Map<number, Uint8Array>();
          for (let n = 1 + (word() % held.length); n > 0; n--) {
            const [{ chain, reply }] = held.splice(word() % held.length, 1);
            expect(chain.write(0, reply)).toBe(true);
            queue.complete(chain, reply.length);
            replies.set(chain.id, reply);
          }
          driver.askForInterrupt();
          const before = counts.interrupts;
          queue.signal();
          const back = driver.takeUsed();
          if (!inOrder) expect(back.map(({ token }) => token).sort()).toEqual([...replies.keys()].sort());
          expect(counts.interrupts - before, `seed ${seed}, step ${step}`).toBe(back.length > 0 ? 1 : 0);
          for (const { token, writtenBytes, bytes } of back) {
            if (inOrder) expect(token).toBe(order.shift());
            const reply = replies.get(token);
            if (reply) {
              expect(writtenBytes).toBe(reply.length);
              expect([...bytes.subarray(0, writtenBytes)]).toEqual([...reply]);
            }
            expected.delete(token);
          }
        }
      }
      expect(faults, `seed ${seed}`).toEqual([]);
    }
  });

  it('interrupts only when asked to', () => {
    for (const eventIdx of [false, true]) {
      const { driver, queue, counts } = setUp(format, { eventIdx });
      driver.askForInterrupt();
      driver.add([4]);
      driver.add([4]);
      driver.add([4]);
      queue.complete(queue.take()!);
      queue.signal();
      expect(counts.interrupts).toBe(1);
      // Nothing new: no interrupt. A driver that looks away: none either.
      queue.signal();
      driver.takeUsed();
      driver.askForInterrupt(false);
      queue.complete(queue.take()!);
      queue.signal();
      expect(counts.interrupts).toBe(1);
      driver.takeUsed();
      driver.askForInterrupt();
      queue.complete(queue.take()!);
      queue.signal();
      expect(counts.interrupts).toBe(2);
    }
  });

  it('asks for a notification when it has run dry', () => {
    const { driver, queue } = setUp(format, { eventIdx: true });
    for (let round = 0; round < 20; round++) {
      driver.add([4]);
      // The first buffer of all: nobody has looked yet, so split asks for it by the zero in memory, packed by ENABLE.
      expect(driver.mustNotify()).toBe(true);
      driver.add([4]);
      expect(driver.mustNotify()).toBe(round === 0 && format === 'packed');
      for (let chain = queue.take(); chain; chain = queue.take()) queue.complete(chain);
      expect(driver.takeUsed()).toHaveLength(2);
    }
  });

  it('lets go of buffers when it is reset', () => {
    const { memory, driver, queue, faults } = setUp(format);
    driver.add([new Uint8Array(3), 8]);
    const chain = queue.take()!;
    const before = memory.bytes.slice();
    queue.abandon();
    expect(chain.live).toBe(false);
    expect(chain.readBytes(0, 3)).toBeUndefined();
    expect(chain.write(0, Uint8Array.of(1, 2))).toBe(false);
    queue.complete(chain, 2);
    expect(memory.bytes.every((byte, at) => byte === before[at])).toBe(true);
    expect(faults).toEqual([]);
  });

  it('goes through the windows of a host bridge', () => {
    const { memory } = setUp(format);
    const [window] = memory.windows.all();
    // Bus page n is memory page 255 - n.
    for (let n = 0; n < 256; n++) window.set(n, 0, ((255 - n) << 12) | 3);
    memory.dma.mode = 'platform';
    const driver = queueDriver(format, memory, { toBus: (gra) => ((255 - (gra >> 12)) << 12) | (gra & 4095) });
    const faults: DriverFault[] = [];
    const host: QueueHost = {
      name: 'test device',
      dma: memory.dma,
      running: true,
      failed: (fault) => faults.push(fault),
      interrupt() {},
    };
    const features: RingFeatures = { packed: format === 'packed', indirect: true, eventIdx: false, inOrder: false };
    const queue =
      format === 'packed'
        ? new PackedQueue(driver.layout, features, host)
        : new SplitQueue(driver.layout, features, host);
    driver.add([Uint8Array.of(1, 2, 3), 2], true);
    const chain = queue.take()!;
    expect([...chain.readBytes(0, 3)!]).toEqual([1, 2, 3]);
    chain.write(0, Uint8Array.of(8, 9));
    queue.complete(chain, 2);
    expect([...driver.takeUsed()[0].bytes]).toEqual([8, 9]);
    window.clear();
    driver.add([1]);
    expect(queue.take()).toBeUndefined();
    expect(faults).toMatchObject([{ reason: 'dma', dma: { reason: 'not-mapped', mode: 'platform' } }]);
  });
});

function randomPieces(word: () => number, count: number): Piece[] {
  const reads = word() % (count + 1);
  return Array.from({ length: count }, (_, n) => {
    const length = word() % 20;
    return n < reads ? Uint8Array.from({ length }, () => word() & 0xff) : length;
  });
}
