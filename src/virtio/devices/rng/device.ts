// virtio-rng: gives the guest random bytes (VIRTIO 1.2 5.4).

import type { EntropyBackend } from '../../../backends/entropy-backend.ts';
import type { DeviceKind } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import { RNG_QUEUE_SIZE, VIRTIO_ID_RNG } from './config.ts';
import { parseRngRequest } from './request.ts';

export class VirtioRng implements DeviceKind {
  readonly name = 'virtio-rng';
  readonly deviceType = VIRTIO_ID_RNG;
  readonly features = 0n;
  readonly queueSizes = [RNG_QUEUE_SIZE];
  readonly configBytes = 0;
  readonly config = { load: () => 0, store: () => {} };
  private readonly entropy: EntropyBackend;

  constructor(entropy: EntropyBackend) {
    this.entropy = entropy;
  }

  attach(): void {}

  notified(queue: Virtqueue): void {
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const wanted = parseRngRequest(chain);
      if (typeof wanted === 'string') {
        queue.fail('request', wanted, chain.id);
        return;
      }
      const bytes = new Uint8Array(wanted);
      this.entropy.fill(bytes);
      if (!chain.write(0, bytes)) return;
      queue.complete(chain, wanted);
    }
    queue.signal();
  }

  reset(): void {}
}
