import { describe, expect, it } from 'vitest';
import { VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { SeededEntropy } from '../../../backends/memory/entropy.ts';
import { VirtioRng } from './device.ts';
import { MAX_RANDOM_BYTES } from './request.ts';

describe.each(['split', 'packed'] as const)('virtio-rng over %s rings', (format) => {
  it('fills buffers with the bytes of its backend', () => {
    const bench = new VirtioBench(new VirtioRng(new SeededEntropy(7)));
    const [driver] = bench.start({ format });
    driver.add([5, 3]);
    driver.add([8], true);
    bench.notify(0);
    const expected = [new Uint8Array(8), new Uint8Array(8)];
    const entropy = new SeededEntropy(7);
    for (const each of expected) entropy.fill(each);
    const used = driver.takeUsed();
    expect(used.map(({ bytes }) => [...bytes])).toEqual(expected.map((each) => [...each]));
    expect(used.map(({ writtenBytes }) => writtenBytes)).toEqual([8, 8]);
  });

  it('gives at most 64 KiB at once', () => {
    const bench = new VirtioBench(new VirtioRng(new SeededEntropy(7)));
    const [driver] = bench.start({ format });
    driver.add([200_000]);
    bench.notify(0);
    expect(driver.takeUsed()[0].writtenBytes).toBe(MAX_RANDOM_BYTES);
  });
});
