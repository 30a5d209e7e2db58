// Configuration, features and queues of virtio-net (VIRTIO 1.2 5.1.2 to 5.1.4).
//
// Not offered: IPv6 and UDP segmentation, guest announcements, RSS, hash reports, VLAN filtering, changing offloads while
// running, standby, speed and duplex.

import { RegisterMap } from '../../../device/register-map.ts';

export const VIRTIO_ID_NET = 1;

export const VIRTIO_NET_F_CSUM = 0;
export const VIRTIO_NET_F_GUEST_CSUM = 1;
export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_F_GUEST_TSO4 = 7;
export const VIRTIO_NET_F_HOST_TSO4 = 11;
export const VIRTIO_NET_F_MRG_RXBUF = 15;
export const VIRTIO_NET_F_STATUS = 16;
export const VIRTIO_NET_F_CTRL_VQ = 17;
export const VIRTIO_NET_F_CTRL_RX = 18;
export const VIRTIO_NET_F_CTRL_RX_EXTRA = 20;
export const VIRTIO_NET_F_MQ = 22;
export const VIRTIO_NET_F_CTRL_MAC_ADDR = 23;

export const VIRTIO_NET_S_LINK_UP = 1;

export const NET_QUEUE_SIZE = 256;
export const NET_CONTROL_QUEUE_SIZE = 64;
/** Pairs of a receive and a transmit queue. */
export const MAX_NET_PAIRS = 16;

export const NET_CONFIG_BYTES = 10;

export const NET_CONFIG = new RegisterMap(NET_CONFIG_BYTES, [
  ['mac0', 1, 'rw'],
  ['mac1', 1, 'rw'],
  ['mac2', 1, 'rw'],
  ['mac3', 1, 'rw'],
  ['mac4', 1, 'rw'],
  ['mac5', 1, 'rw'],
  ['status', 2, 'ro'],
  ['max_virtqueue_pairs', 2, 'ro'],
] as const);
