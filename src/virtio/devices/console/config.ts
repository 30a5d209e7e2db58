// Configuration, features and queue numbers of virtio-console (VIRTIO 1.2 5.3.2 to 5.3.4).

import { RegisterMap } from '../../../device/register-map.ts';
import { featureSet } from '../../core/features.ts';

export const VIRTIO_ID_CONSOLE = 3;
export const VIRTIO_CONSOLE_F_SIZE = 0;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1;
export const VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

export const CONSOLE_FEATURES = featureSet(
  VIRTIO_CONSOLE_F_SIZE,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_F_EMERG_WRITE,
);
export const MAX_CONSOLE_PORTS = 16;
export const CONSOLE_QUEUE_SIZE = 64;
export const CONSOLE_CONFIG_BYTES = 12;

export const CONSOLE_CONFIG = new RegisterMap(CONSOLE_CONFIG_BYTES, [
  ['cols', 2, 'ro'],
  ['rows', 2, 'ro'],
  ['max_nr_ports', 4, 'ro'],
  ['emerg_wr', 4, 'wo'],
] as const);

export const CONTROL_RECEIVE_QUEUE = 2;
export const CONTROL_TRANSMIT_QUEUE = 3;

/** Queue to the guest of a port. */
export function receiveQueue(port: number): number {
  return port === 0 ? 0 : 2 + 2 * port;
}

/** What a queue is for: the port number and direction, or control. */
export function queueRole(index: number): { readonly port: number; readonly fromGuest: boolean } | 'control' {
  const fromGuest = index % 2 === 1;
  if (index < 2) return { port: 0, fromGuest };
  if (index < 4) return 'control';
  return { port: Math.floor((index - 2) / 2), fromGuest };
}
