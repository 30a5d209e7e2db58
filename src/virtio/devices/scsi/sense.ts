// How a command ended: status, and sense data that says why (SAM-5 5.3.1, SPC-4 4.5).

import type { BlockFailure } from '../../../backends/block-backend.ts';

export const STATUS_GOOD = 0x00;
export const STATUS_CHECK_CONDITION = 0x02;
export const STATUS_CONDITION_MET = 0x04;

/** SPC-4 table 43. */
export const SENSE_KEY = {
  NO_SENSE: 0x0,
  NOT_READY: 0x2,
  ILLEGAL_REQUEST: 0x5,
  UNIT_ATTENTION: 0x6,
  DATA_PROTECT: 0x7,
  ABORTED_COMMAND: 0xb,
  MISCOMPARE: 0xe,
} as const;

/** Sense key, additional code and its qualifier, and the block or byte it is about. */
export interface Sense {
  readonly key: number;
  readonly code: number;
  readonly qualifier: number;
  /** A block address; left out of what cannot hold it. */
  readonly information?: number;
}

function sense(key: number, code: number, qualifier: number): Sense {
  return { key, code, qualifier };
}

const { NO_SENSE, NOT_READY, ILLEGAL_REQUEST, UNIT_ATTENTION, DATA_PROTECT, ABORTED_COMMAND, MISCOMPARE } = SENSE_KEY;

/** The additional codes of SPC-4 annex F that are used here. */
export const SENSE = {
  none: sense(NO_SENSE, 0, 0),
  stopped: sense(NOT_READY, 0x04, 0x02),
  parameterListLength: sense(ILLEGAL_REQUEST, 0x1a, 0x00),
  unknownCommand: sense(ILLEGAL_REQUEST, 0x20, 0x00),
  outOfRange: sense(ILLEGAL_REQUEST, 0x21, 0x00),
  invalidCdb: sense(ILLEGAL_REQUEST, 0x24, 0x00),
  unitNotSupported: sense(ILLEGAL_REQUEST, 0x25, 0x00),
  invalidParameter: sense(ILLEGAL_REQUEST, 0x26, 0x00),
  savingNotSupported: sense(ILLEGAL_REQUEST, 0x39, 0x00),
  powerOn: sense(UNIT_ATTENTION, 0x29, 0x00),
  unitReset: sense(UNIT_ATTENTION, 0x29, 0x03),
  modeChanged: sense(UNIT_ATTENTION, 0x2a, 0x01),
  capacityChanged: sense(UNIT_ATTENTION, 0x2a, 0x09),
  unitsChanged: sense(UNIT_ATTENTION, 0x3f, 0x0e),
  writeProtected: sense(DATA_PROTECT, 0x27, 0x00),
  noSpace: sense(DATA_PROTECT, 0x27, 0x07),
  /** I/O process terminated. A medium error would be read as a lost sector, and in Linux be ENODATA instead of EIO. */
  hostError: sense(ABORTED_COMMAND, 0x00, 0x06),
  miscompare: sense(MISCOMPARE, 0x1d, 0x00),
} as const;

/** What the guest is told of a failure of the host at block `lba`. */
export function hostSense(failure: BlockFailure, lba: number): Sense {
  if (failure.kind === 'no-space') return SENSE.noSpace;
  if (failure.kind === 'read-only') return SENSE.writeProtected;
  return { ...SENSE.hostError, information: lba };
}

/** 18 bytes of the fixed format, or 8 and more of the one with descriptors (SPC-4 4.5.2, 4.5.3). */
export function senseBytes({ key, code, qualifier, information }: Sense, descriptors = false): Uint8Array {
  if (descriptors) {
    const bytes = new Uint8Array(information === undefined ? 8 : 20);
    bytes.set([0x72, key, code, qualifier]);
    if (information === undefined) return bytes;
    bytes[7] = 12;
    bytes.set([0, 10, 0x80], 8);
    new DataView(bytes.buffer).setBigUint64(12, BigInt(information));
    return bytes;
  }
  const bytes = new Uint8Array(18);
  bytes[0] = 0x70;
  bytes[2] = key;
  bytes[7] = 10;
  bytes[12] = code;
  bytes[13] = qualifier;
  if (information !== undefined && information < 2 ** 32) {
    bytes[0] |= 0x80;
    new DataView(bytes.buffer).setUint32(3, information);
  }
  return bytes;
}
