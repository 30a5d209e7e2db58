import { expect, it } from 'vitest';
import { throwRubbish } from '../../../../tests/support/virtio-bench.ts';
import { SeededEntropy } from '../../../backends/memory/entropy.ts';
import { VirtioRng } from './device.ts';

it('virtio-rng survives 100,000 sets of rubbish', async () => {
  const { reasons, seconds, lines } = await throwRubbish(new VirtioRng(new SeededEntropy(1)), 100_000);
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect(lines).toBeLessThan(10);
  expect(seconds).toBeLessThan(60);
});
