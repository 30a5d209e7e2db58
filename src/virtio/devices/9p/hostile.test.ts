import { expect, it } from 'vitest';
import { nineMessage } from '../../../../tests/support/nine-p-client.ts';
import { randomWords } from '../../../../tests/support/random.ts';
import { ManualEvents, throwRubbish } from '../../../../tests/support/virtio-bench.ts';
import { MemoryShare } from '../../../backends/memory/share.ts';
import { VirtioNineP } from './device.ts';
import { NinePServer } from './server.ts';
import { T } from './wire.ts';

const TYPES = Object.values(T);

it('virtio-9p survives 100,000 sets of rubbish', { timeout: 300_000 }, async () => {
  const events = new ManualEvents();
  const backend = new MemoryShare({ limitBytes: 2 ** 20, limitFiles: 1000 });
  const kind = new VirtioNineP({ tag: 'share', backend, events });
  const { reasons, seconds, lines } = await throwRubbish(kind, 100_000, {
    events,
    fill: (buffers, word) => {
      for (let n = 0; n < 400; n++) {
        const at = 16 * (word() % (buffers.byteLength / 16 - 2));
        buffers.setUint32(at, 7 + (word() % 26), true);
        buffers.setUint8(at + 4, TYPES[word() % TYPES.length]);
        buffers.setUint16(at + 5, word() % 8, true);
        buffers.setUint32(at + 7, word() % 4, true);
        buffers.setUint32(at + 11, word() % 4, true);
      }
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect([...kind.server.counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1000);
  expect(lines).toBeLessThan(10);
  expect(seconds).toBeLessThan(90);
});

it('300,000 messages, mostly nearly right, in any order: an answer to each, and nothing is left over', {
  timeout: 300_000,
}, async () => {
  const word = randomWords(9);
  const backend = new MemoryShare({ limitBytes: 2 ** 20, limitFiles: 500 });
  backend.put('a/b/c', 'text');
  const server = new NinePServer(backend);
  const pick = <Item>(items: readonly Item[]) => items[word() % items.length];
  const fid = () => ['u32', word() % 12] as const;
  const name = () => pick(['a', 'b', 'c', 'd', 'e', '..', '.', '', 'x/y', 'n'.repeat(300)]);
  const u32 = () => ['u32', pick([0, 1, 2, 3, 0o100, 0o300, 0o1000, 0o644, 0o40755, 0x200, word()])] as const;
  const u64 = () => ['u64', pick([0, 1, 2, 100, 2 ** 40, BigInt(word()) << 32n])] as const;
  const makers: Record<number, () => Uint8Array> = {
    [T.VERSION]: () =>
      nineMessage(T.VERSION, 0xffff, ['u32', pick([0, 4096, 65536, 2 ** 32 - 1])], pick(['9P2000.L', '9P2000'])),
    [T.ATTACH]: () => nineMessage(T.ATTACH, 1, fid(), ['u32', pick([0xffffffff, 1])], 'u', '', ['u32', 0]),
    [T.WALK]: () => {
      const names = Array.from({ length: word() % 4 }, name);
      return nineMessage(T.WALK, 1, fid(), fid(), ['u16', word() % 8 === 0 ? word() % 65536 : names.length], ...names);
    },
    [T.LOPEN]: () => nineMessage(T.LOPEN, 1, fid(), u32()),
    [T.LCREATE]: () => nineMessage(T.LCREATE, 1, fid(), name(), u32(), u32(), u32()),
    [T.READ]: () => nineMessage(T.READ, 1, fid(), u64(), u32()),
    [T.WRITE]: () => nineMessage(T.WRITE, 1, fid(), u64(), ['u32', word() % 100], new Uint8Array(word() % 100)),
    [T.READDIR]: () => nineMessage(T.READDIR, 1, fid(), u64(), u32()),
    [T.SETATTR]: () =>
      nineMessage(
        T.SETATTR,
        1,
        fid(),
        ['u32', word() % 512],
        u32(),
        ['u32', 0],
        ['u32', 0],
        u64(),
        u64(),
        u64(),
        u64(),
        u64(),
      ),
    [T.SYMLINK]: () => nineMessage(T.SYMLINK, 1, fid(), name(), pick(['../..', '', 't'.repeat(5000)]), u32()),
    [T.MKNOD]: () => nineMessage(T.MKNOD, 1, fid(), name(), u32(), u32(), u32(), u32()),
    [T.RENAME]: () => nineMessage(T.RENAME, 1, fid(), fid(), name()),
    [T.RENAMEAT]: () => nineMessage(T.RENAMEAT, 1, fid(), name(), fid(), name()),
    [T.LINK]: () => nineMessage(T.LINK, 1, fid(), fid(), name()),
    [T.UNLINKAT]: () => nineMessage(T.UNLINKAT, 1, fid(), name(), ['u32', pick([0, 0x200])]),
    [T.MKDIR]: () => nineMessage(T.MKDIR, 1, fid(), name(), u32(), u32()),
    [T.FLUSH]: () => nineMessage(T.FLUSH, 1, ['u16', word() % 4]),
    [T.LOCK]: () => nineMessage(T.LOCK, 1, fid(), ['u8', 1], u32(), u64(), u64(), u32(), 'x'),
    [T.GETLOCK]: () => nineMessage(T.GETLOCK, 1, fid(), ['u8', 1], u64(), u64(), u32(), 'x'),
  };
  const outcomes = { done: 0, refused: 0 };
  let waiting: Promise<unknown>[] = [];
  for (let n = 0; n < 300_000; n++) {
    // Version now and then only, for it takes all fids away; attach often, for nothing goes without.
    const type = n % 500 === 0 ? T.VERSION : n % 10 === 0 ? T.ATTACH : pick(TYPES.filter((each) => each !== T.VERSION));
    let message = makers[type]?.() ?? nineMessage(type, 1, fid(), u32());
    if (word() % 20 === 0) {
      message = message.slice(0, 7 + (word() % (message.length - 6)));
      new DataView(message.buffer).setUint32(0, message.length, true);
    }
    if (word() % 50 === 0) message[4] = word();
    new DataView(message.buffer, message.byteOffset).setUint16(5, n % 65535, true);
    const room = pick([11, 100, 8192]);
    const answer = server.handle(message, room).then((bytes) => {
      expect(bytes.length).toBeLessThanOrEqual(room);
      expect(new DataView(bytes.buffer, bytes.byteOffset).getUint16(5, true)).toBe(n % 65535);
      if (bytes[4] === 7) outcomes.refused++;
      else outcomes.done++;
    });
    waiting.push(answer);
    if (waiting.length === 100) {
      await Promise.all(waiting);
      waiting = [];
    }
  }
  await Promise.all(waiting);
  expect(outcomes.done).toBeGreaterThan(30_000);
  expect(outcomes.done + outcomes.refused).toBe(300_000);
  server.reset();
  await server.handle(nineMessage(T.VERSION, 0xffff, ['u32', 8192], '9P2000.L'), 100);
  expect(server.inUse).toEqual({ fids: 0, files: 0, listed: 0, names: 1 });
});
