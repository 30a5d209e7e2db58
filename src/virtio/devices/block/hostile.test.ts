import { expect, it } from 'vitest';
import { StrictDisk } from '../../../../tests/support/strict-disk.ts';
import { ManualEvents, throwRubbish } from '../../../../tests/support/virtio-bench.ts';
import { VirtioBlock } from './device.ts';

it('virtio-blk survives 100,000 sets of rubbish', async () => {
  const events = new ManualEvents();
  const backend = new StrictDisk();
  let failureLines = 0;
  const kind = new VirtioBlock({ backend, events, log: { warn: () => failureLines++ }, queues: 2 });
  const { reasons, seconds, lines } = await throwRubbish(kind, 100_000, {
    events,
    fill: (buffers, word) => {
      for (let n = 0; n < 150; n++) {
        const at = 16 * (word() % (buffers.byteLength / 16 - 2));
        buffers.setUint32(at, [0, 1, 1, 4, 8, 11, 13, word() % 16][word() % 8], true);
        buffers.setUint32(at + 4, 0);
        buffers.setUint32(at + 8, word() % 8 === 0 ? word() : word() % 70, true);
        buffers.setUint32(at + 12, word() % 16 === 0 ? word() : 0, true);
      }
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect(backend.requests, JSON.stringify(kind.counts)).toBeGreaterThan(1000);
  for (const count of Object.values(kind.counts)) expect(count, JSON.stringify(kind.counts)).toBeGreaterThan(20);
  expect(lines).toBeLessThan(10);
  expect(failureLines).toBeLessThan(10);
  expect(seconds).toBeLessThan(90);
});
