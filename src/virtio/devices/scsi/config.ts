// Configuration, features and numbers of virtio-scsi (VIRTIO 1.2 5.6.2 to 5.6.4).

import { RegisterMap } from '../../../device/register-map.ts';
import { featureSet } from '../../core/features.ts';

export const VIRTIO_ID_SCSI = 8;

/** Events tell of units that come and go. */
export const VIRTIO_SCSI_F_HOTPLUG = 1;
/** Events tell of units whose parameters change. */
export const VIRTIO_SCSI_F_CHANGE = 2;
export const SCSI_FEATURES = featureSet(VIRTIO_SCSI_F_HOTPLUG, VIRTIO_SCSI_F_CHANGE);

export const CONTROL_QUEUE = 0;
export const EVENT_QUEUE = 1;
export const FIRST_REQUEST_QUEUE = 2;
export const SCSI_QUEUE_SIZE = 256;
export const MAX_SCSI_QUEUES = 16;

/** Segments of the data of one command: the queue's size less request and response. */
export const SCSI_SEG_MAX = SCSI_QUEUE_SIZE - 2;
/** In sectors of 512 bytes. */
export const SCSI_MAX_SECTORS = 65_528;
export const COMMANDS_PER_UNIT = 128;
export const MAX_TARGET = 255;
/** What the flat format of a unit's number can say (SAM-5 4.7.7.3). */
export const MAX_UNIT_NUMBER = 16_383;
export const EVENT_BYTES = 16;

export const DEFAULT_SENSE_SIZE = 96;
export const DEFAULT_CDB_SIZE = 32;

export const SCSI_CONFIG_BYTES = 36;

export const SCSI_CONFIG = new RegisterMap(SCSI_CONFIG_BYTES, [
  ['num_queues', 4, 'ro'],
  ['seg_max', 4, 'ro'],
  ['max_sectors', 4, 'ro'],
  ['cmd_per_lun', 4, 'ro'],
  ['event_info_size', 4, 'ro'],
  ['sense_size', 4, 'rw'],
  ['cdb_size', 4, 'rw'],
  ['max_channel', 2, 'ro'],
  ['max_target', 2, 'ro'],
  ['max_lun', 4, 'ro'],
] as const);

export type ScsiRegister = Exclude<Parameters<(typeof SCSI_CONFIG)['offsetOf']>[0], ''>;

/** Value of a register that the driver cannot change. */
export function scsiRegister(name: Exclude<ScsiRegister, 'sense_size' | 'cdb_size'>, requestQueues: number): number {
  switch (name) {
    case 'num_queues':
      return requestQueues;
    case 'seg_max':
      return SCSI_SEG_MAX;
    case 'max_sectors':
      return SCSI_MAX_SECTORS;
    case 'cmd_per_lun':
      return COMMANDS_PER_UNIT;
    case 'event_info_size':
      return EVENT_BYTES;
    case 'max_channel':
      return 0;
    case 'max_target':
      return MAX_TARGET;
    case 'max_lun':
      return MAX_UNIT_NUMBER;
  }
}
