import { expect, it } from 'vitest';
import { ManualEvents, throwRubbish } from '../../../../tests/support/virtio-bench.ts';
import type { BlockBackend, BlockOutcome } from '../../../backends/block-backend.ts';
import { VirtioBlock } from './device.ts';

const SIZE = 64 * 512;

/** Checks that the device keeps its word to backends. */
class StrictDisk implements BlockBackend {
  readonly name = 'strict disk';
  readonly sizeBytes = SIZE;
  readonly readOnly = false;
  requests = 0;

  private async check(offset: number, lenBytes: number): Promise<BlockOutcome> {
    this.requests++;
    const right =
      Number.isInteger(offset) &&
      offset >= 0 &&
      offset % 512 === 0 &&
      lenBytes % 512 === 0 &&
      offset + lenBytes <= SIZE;
    if (!right) throw new Error(`the device asked for ${lenBytes} bytes at ${offset}`);
    return this.requests % 16 === 0 ? { kind: 'io-error', message: 'now and then' } : undefined;
  }
  read(offset: number, target: Uint8Array) {
    return this.check(offset, target.length);
  }
  write(offset: number, source: Uint8Array) {
    return this.check(offset, source.length);
  }
  flush() {
    return this.check(0, 0);
  }
  discard(offset: number, lenBytes: number) {
    return this.check(offset, lenBytes);
  }
  writeZeroes(offset: number, lenBytes: number) {
    return this.check(offset, lenBytes);
  }
  async close() {}
}

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
