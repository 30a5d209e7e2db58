// Requests of virtio-scsi as bytes, turned into checked values (VIRTIO 1.2 5.6.6): commands, control requests, events.

import type { DescriptorChain } from '../../core/chain.ts';
import { EVENT_BYTES } from './config.ts';

/** Response codes (5.6.6.1, 5.6.6.2). */
export const RESPONSE = {
  OK: 0,
  OVERRUN: 1,
  ABORTED: 2,
  BAD_TARGET: 3,
  RESET: 4,
  FAILURE: 9,
  FUNCTION_SUCCEEDED: 10,
  FUNCTION_REJECTED: 11,
  INCORRECT_LUN: 12,
  FUNCTION_COMPLETE: 0,
} as const;

/** Task management functions. */
export const TASK_FUNCTION = {
  ABORT_TASK: 0,
  ABORT_TASK_SET: 1,
  CLEAR_ACA: 2,
  CLEAR_TASK_SET: 3,
  I_T_NEXUS_RESET: 4,
  LOGICAL_UNIT_RESET: 5,
  QUERY_TASK: 6,
  QUERY_TASK_SET: 7,
} as const;

export const TASK_ORDERED = 1;
export const TASK_HEAD_OF_QUEUE = 2;

export const EVENT = { NO_EVENT: 0, TRANSPORT_RESET: 1, PARAM_CHANGE: 3, MISSED: 0x8000_0000 } as const;
export const EVENT_RESCAN = 1;
export const EVENT_REMOVED = 2;

/** Type (4), function (4), unit (8), tag (8). */
const TASK_MANAGEMENT_BYTES = 24;
/** Type (4), unit (8), events (4). */
const NOTIFICATION_BYTES = 16;
/** In front of the command: unit (8), tag (8), attribute, priority, reference number. */
const COMMAND_HEADER_BYTES = 19;
/** In front of the sense data: its length (4), bytes left (4), qualifier (2), status, response. */
export const RESPONSE_HEADER_BYTES = 12;
/** The longest command that is known. */
const MIN_CDB_BYTES = 16;

/** Where a request goes. */
export interface UnitAddress {
  readonly target: number;
  /** `reports`: the well-known unit that reports the others; undefined: a format of address that nobody has. */
  readonly unit: number | 'reports' | undefined;
}

/** The 8 bytes of a unit's number as initiators know it: peripheral format to 255, flat beyond (SAM-5 4.7.7). */
export function encodeUnitNumber(number: number): Uint8Array {
  const high = number < 256 ? 0 : 0x40 | (number >> 8);
  return Uint8Array.of(high, number & 0xff, 0, 0, 0, 0, 0, 0);
}

/** The 8 bytes that stand for a unit in requests and events: a bus of 1, the target, the number. */
export function encodeUnitAddress(target: number, number: number): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes.set([1, target, ...encodeUnitNumber(number).subarray(0, 2)]);
  return bytes;
}

/** Undefined where no target is named. */
export function decodeUnitAddress(bytes: Uint8Array): UnitAddress | undefined {
  const [bus, target, high, low] = bytes;
  const rest = bytes.subarray(4, 8).some((byte) => byte !== 0);
  // REPORT LUNS is at c1 01 followed by zeroes (5.6.6.1), and asks about target 0.
  if (bus === 0xc1 && target === 1 && high === 0 && low === 0 && !rest) return { target: 0, unit: 'reports' };
  if (bus !== 1) return undefined;
  if (rest) return { target, unit: undefined };
  if (high === 0) return { target, unit: low };
  if (high >> 6 === 1) return { target, unit: ((high & 0x3f) << 8) | low };
  return { target, unit: high === 0xc1 && low === 1 ? 'reports' : undefined };
}

export interface CommandRequest {
  /** Undefined: no target is named. */
  readonly address: UnitAddress | undefined;
  readonly tag: bigint;
  readonly attribute: number;
  /** At least 16 bytes. */
  readonly cdb: Uint8Array;
  /** Where the data to read starts in the chain, and how much there is. */
  readonly outAt: number;
  readonly outBytes: number;
  /** The same for the data to write. */
  readonly inAt: number;
  readonly inBytes: number;
}

/** A string says what is wrong where there is no place to say it in; undefined: memory could not be reached. */
export function parseCommandRequest(
  chain: DescriptorChain,
  sizes: { readonly cdb: number; readonly sense: number },
): CommandRequest | string | undefined {
  const outAt = COMMAND_HEADER_BYTES + sizes.cdb;
  const inAt = RESPONSE_HEADER_BYTES + sizes.sense;
  if (chain.readableBytes < outAt) return `a command request of ${chain.readableBytes} bytes`;
  if (chain.writableBytes < inAt) return `a command request with ${chain.writableBytes} bytes for its response`;
  const cdbBytes = Math.min(sizes.cdb, MIN_CDB_BYTES);
  const head = chain.readBytes(0, COMMAND_HEADER_BYTES + cdbBytes);
  if (!head) return undefined;
  const cdb = new Uint8Array(MIN_CDB_BYTES);
  cdb.set(head.subarray(COMMAND_HEADER_BYTES));
  return {
    address: decodeUnitAddress(head),
    tag: new DataView(head.buffer).getBigUint64(8, true),
    attribute: head[16] & 7,
    cdb,
    outAt,
    outBytes: chain.readableBytes - outAt,
    inAt,
    inBytes: chain.writableBytes - inAt,
  };
}

export type ControlRequest =
  | {
      readonly kind: 'task';
      readonly function: number;
      readonly address: UnitAddress | undefined;
      readonly tag: bigint;
    }
  /** Queries or subscribes to events of the medium, of which there are none. */
  | { readonly kind: 'notification'; readonly address: UnitAddress | undefined };

/** As `parseCommandRequest`. */
export function parseControlRequest(chain: DescriptorChain): ControlRequest | string | undefined {
  if (chain.readableBytes < 4) return `a control request of ${chain.readableBytes} bytes`;
  const head = chain.readBytes(0, Math.min(chain.readableBytes, TASK_MANAGEMENT_BYTES));
  if (!head) return undefined;
  const view = new DataView(head.buffer);
  const type = view.getUint32(0, true);
  if (type > 2) return `a control request of type ${type}`;
  const [readable, writable] = type === 0 ? [TASK_MANAGEMENT_BYTES, 1] : [NOTIFICATION_BYTES, 5];
  if (chain.readableBytes < readable || chain.writableBytes < writable) return 'a control request that is too short';
  if (type !== 0) return { kind: 'notification', address: decodeUnitAddress(head.subarray(4)) };
  return {
    kind: 'task',
    function: view.getUint32(4, true),
    address: decodeUnitAddress(head.subarray(8)),
    tag: view.getBigUint64(16, true),
  };
}

/** The header of a response; sense data follows. */
export function responseHeader(senseLen: number, residual: number, status: number, response: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(RESPONSE_HEADER_BYTES));
  view.setUint32(0, senseLen, true);
  view.setUint32(4, residual, true);
  view.setUint8(10, status);
  view.setUint8(11, response);
  return new Uint8Array(view.buffer);
}

export function eventBytes(event: number, unit: Uint8Array, reason: number): Uint8Array {
  const bytes = new Uint8Array(EVENT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, event, true);
  bytes.set(unit, 4);
  view.setUint32(12, reason, true);
  return bytes;
}
