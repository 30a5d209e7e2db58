// Configuration and limits of virtio-9p: a 16-bit length and the mount tag (VIRTIO device type 9, "9P transport"; its
// layout is described by drivers only, no section of VIRTIO 1.2).

import type { MmioHandler } from '../../../device/address-map.ts';
import { featureSet } from '../../core/features.ts';

export const VIRTIO_ID_9P = 9;
export const VIRTIO_9P_MOUNT_TAG = 0;
export const NINE_P_FEATURES = featureSet(VIRTIO_9P_MOUNT_TAG);
export const NINE_P_QUEUE_SIZE = 128;
export const MAX_TAG_BYTES = 31;

/** What drivers read to learn the name of the share. */
export function tagConfig(tag: string): { readonly bytes: number; readonly handler: MmioHandler } {
  const name = new TextEncoder().encode(tag);
  const block = new Uint8Array(2 + name.length);
  block[0] = name.length & 0xff;
  block[1] = name.length >> 8;
  block.set(name, 2);
  return {
    bytes: block.length,
    handler: {
      load(offset, lenBytes) {
        let value = 0;
        for (let n = lenBytes - 1; n >= 0; n--) value = value * 256 + (block[offset + n] ?? 0);
        return value;
      },
      store() {},
    },
  };
}
