// Configuration and queues of virtio-vsock (VIRTIO 1.2 5.10.2 to 5.10.4).

import { RegisterMap } from '../../../device/register-map.ts';
import { featureSet } from '../../core/features.ts';

export const VIRTIO_ID_VSOCK = 19;
const VIRTIO_VSOCK_F_STREAM = 0;
export const VSOCK_FEATURES = featureSet(VIRTIO_VSOCK_F_STREAM);

export const RX_QUEUE = 0;
export const TX_QUEUE = 1;
export const VSOCK_QUEUE_SIZES: readonly number[] = [256, 256, 16];

/** The guest's number is of 64 bits, the upper 32 of them reserved. */
export const VSOCK_CONFIG_BYTES = 8;
export const VSOCK_CONFIG = new RegisterMap(VSOCK_CONFIG_BYTES, [
  ['guest_cid', 4, 'ro'],
  ['', 4, 'reserved'],
] as const);

/** The host, as every guest knows it. */
export const HOST_CID = 2;
/** 0 to 2 have a meaning of their own, and so has the last one. */
export const MIN_GUEST_CID = 3;
export const MAX_GUEST_CID = 0xffff_fffe;
