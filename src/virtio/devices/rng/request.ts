// A request for random bytes: a buffer to be written, and nothing in it to read (VIRTIO 1.2 5.4.6).

import type { DescriptorChain } from '../../core/chain.ts';

/** The most random bytes that one buffer is given; the device may give fewer than there is room for (5.4.6.2). */
export const MAX_RANDOM_BYTES = 65536;

/** How many bytes to give; a string says what is wrong. */
export function parseRngRequest(chain: DescriptorChain): number | string {
  if (chain.readableBytes > 0) return 'a request for random bytes with something to read';
  if (chain.writableBytes === 0) return 'a request for random bytes without room for any';
  return Math.min(chain.writableBytes, MAX_RANDOM_BYTES);
}
