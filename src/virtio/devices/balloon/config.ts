// Configuration, features and queues of virtio-balloon (VIRTIO 1.2 5.5.2 to 5.5.4).

import { RegisterMap } from '../../../device/register-map.ts';
import { featureSet } from '../../core/features.ts';

export const VIRTIO_ID_BALLOON = 5;
export const VIRTIO_BALLOON_F_STATS_VQ = 1;
export const VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 2;
export const VIRTIO_BALLOON_F_REPORTING = 5;

export const BALLOON_FEATURES = featureSet(
  VIRTIO_BALLOON_F_STATS_VQ,
  VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
  VIRTIO_BALLOON_F_REPORTING,
);
export const BALLOON_QUEUE_SIZE = 128;
/** Balloon pages are of this size whatever the guest's are. */
export const BALLOON_PAGE_BYTES = 4096;
export const BALLOON_CONFIG_BYTES = 8;

export const BALLOON_CONFIG = new RegisterMap(BALLOON_CONFIG_BYTES, [
  ['num_pages', 4, 'ro'],
  ['actual', 4, 'rw'],
] as const);

export type BalloonQueue = 'inflate' | 'deflate' | 'stats' | 'reporting';

/**
 * What queue `index` is for. Deviation: VIRTIO 1.2 5.5.2 numbers the reporting queue 4 in any case; drivers count only the
 * queues that exist, so it comes behind those that were negotiated.
 */
export function balloonQueue(index: number, stats: boolean): BalloonQueue {
  const present: BalloonQueue[] = ['inflate', 'deflate', ...(stats ? (['stats'] as const) : []), 'reporting'];
  return present[index] ?? 'reporting';
}
