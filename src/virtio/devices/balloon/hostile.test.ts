import { expect, it } from 'vitest';
import { throwRubbish } from '../../../../tests/support/virtio-bench.ts';
import { RUBBISH_BYTES } from '../../../../tests/support/virtio-rubbish.ts';
import { VirtioBalloon } from './device.ts';

it('virtio-balloon survives 100,000 sets of rubbish', async () => {
  const balloon = new VirtioBalloon(RUBBISH_BYTES);
  let most = 0;
  const { reasons, seconds, lines } = await throwRubbish(balloon, 100_000, {
    after: () => {
      most = Math.max(most, balloon.inflatedBytes);
    },
    fill: (buffers, word) => {
      for (let n = 0; n < 32; n++) buffers.setUint32(4 * (word() % (buffers.byteLength / 4)), word() % 20, true);
      if (word() % 4 === 0) balloon.requestStats();
      if (word() % 4 === 0) balloon.setTargetBytes(4096 * (word() % 32));
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(RUBBISH_BYTES);
  expect(lines).toBeLessThan(10);
  expect(seconds).toBeLessThan(90);
});
