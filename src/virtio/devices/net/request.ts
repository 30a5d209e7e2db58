// What drivers of virtio-net write, parsed once into checked values: the header before each frame (VIRTIO 1.2 5.1.6) and
// commands of the control queue (5.1.6.5). Headers of received frames, the other way round.

import { type FrameHints, MAX_FRAME_BYTES, MIN_FRAME_BYTES } from '../../../backends/net/net-backend.ts';
import { hintsFit } from '../../../backends/net/offload.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import { MAX_NET_PAIRS } from './config.ts';

const HDR_F_NEEDS_CSUM = 1;
const HDR_F_DATA_VALID = 2;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
/** Headers without and with the number of buffers. */
export const SHORT_HEADER_BYTES = 10;
export const HEADER_BYTES = 12;
/** Entries of one MAC table; a driver that has more gets all multicast, or everything. */
export const MAX_MAC_ENTRIES = 64;
const MAX_COMMAND_BYTES = 4096;

/** What the driver may ask of a frame it sends. */
export interface SendRules {
  readonly headerBytes: number;
  readonly checksum: boolean;
  readonly tcp4: boolean;
}

export interface SentFrame {
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly hints: FrameHints;
}

/**
 * The frame in a buffer of a transmit queue. A number is the size of one that cannot be sent and is dropped, as a wire
 * does; undefined: memory failed, and the queue has said so.
 */
export function parseSend(chain: DescriptorChain, rules: SendRules): SentFrame | number | undefined {
  const { headerBytes } = rules;
  const lenBytes = chain.readableBytes - headerBytes;
  if (lenBytes < MIN_FRAME_BYTES || lenBytes > MAX_FRAME_BYTES) return chain.readableBytes;
  const header = chain.readBytes(0, headerBytes);
  const frame = header && chain.readBytes(headerBytes, lenBytes);
  if (!frame) return undefined;
  const hints = parseHeader(header, rules);
  return hints && hintsFit(frame, hints) ? { frame, hints } : lenBytes;
}

function parseHeader(header: Uint8Array<ArrayBuffer>, { checksum, tcp4 }: SendRules): FrameHints | undefined {
  const view = new DataView(header.buffer);
  const partial = (header[0] & HDR_F_NEEDS_CSUM) !== 0;
  const gso = header[1];
  if (partial && !checksum) return undefined;
  if (gso !== GSO_NONE && (gso !== GSO_TCPV4 || !tcp4 || !partial)) return undefined;
  return {
    checksum: partial ? 'partial' : 'complete',
    checksumStart: partial ? view.getUint16(6, true) : 0,
    checksumOffset: partial ? view.getUint16(8, true) : 0,
    segmentBytes: gso === GSO_TCPV4 ? Math.max(1, view.getUint16(4, true)) : 0,
  };
}

/** The header of a frame that goes to the driver in `buffers` buffers. `tells`: GUEST_CSUM was negotiated. */
export function receiveHeader(
  headerBytes: number,
  hints: FrameHints,
  headersBytes: number,
  buffers: number,
  tells: boolean,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  if (tells && hints.checksum === 'verified') header[0] = HDR_F_DATA_VALID;
  if (tells && hints.checksum === 'partial') {
    header[0] = HDR_F_NEEDS_CSUM;
    view.setUint16(6, hints.checksumStart, true);
    view.setUint16(8, hints.checksumOffset, true);
  }
  if (hints.segmentBytes > 0) {
    header[1] = GSO_TCPV4;
    view.setUint16(2, headersBytes, true);
    view.setUint16(4, hints.segmentBytes, true);
  }
  if (headerBytes === HEADER_BYTES) view.setUint16(10, buffers, true);
  return header;
}

/** A command of the driver. */
export type ControlCommand =
  | { readonly kind: 'rx-mode'; readonly mode: RxMode; readonly on: boolean }
  | { readonly kind: 'mac-table'; readonly unicast: readonly string[]; readonly multicast: readonly string[] }
  | { readonly kind: 'mac'; readonly mac: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'pairs'; readonly pairs: number };

const RX_MODES = ['promiscuous', 'all-multicast', 'all-unicast', 'no-multicast', 'no-unicast', 'no-broadcast'] as const;
export type RxMode = (typeof RX_MODES)[number];

const CLASS = { rx: 0, mac: 1, mq: 4 } as const;

/** `refused`: to be answered with an error. `malformed`: there is no room for an answer. */
export function parseControl(chain: DescriptorChain): ControlCommand | 'refused' | 'malformed' | undefined {
  if (chain.writableBytes < 1) return 'malformed';
  if (chain.readableBytes < 2 || chain.readableBytes > MAX_COMMAND_BYTES) return 'refused';
  const bytes = chain.readBytes(0, chain.readableBytes);
  if (!bytes) return undefined;
  const [group, code] = bytes;
  const data = bytes.subarray(2);
  if (group === CLASS.rx && code < RX_MODES.length && data.length === 1) {
    return { kind: 'rx-mode', mode: RX_MODES[code], on: data[0] !== 0 };
  }
  if (group === CLASS.mac && code === 0) return parseMacTables(data);
  if (group === CLASS.mac && code === 1 && data.length === 6) return { kind: 'mac', mac: data.slice() };
  if (group === CLASS.mq && code === 0 && data.length === 2) {
    const pairs = data[0] | (data[1] << 8);
    return pairs >= 1 && pairs <= MAX_NET_PAIRS ? { kind: 'pairs', pairs } : 'refused';
  }
  return 'refused';
}

function parseMacTables(data: Uint8Array<ArrayBuffer>): ControlCommand | 'refused' {
  const tables: string[][] = [];
  let at = 0;
  for (let table = 0; table < 2; table++) {
    if (at + 4 > data.length) return 'refused';
    const count = new DataView(data.buffer, data.byteOffset).getUint32(at, true);
    at += 4;
    if (count > MAX_MAC_ENTRIES || at + 6 * count > data.length) return 'refused';
    tables.push(Array.from({ length: count }, (_, n) => macKey(data, at + 6 * n)));
    at += 6 * count;
  }
  return at === data.length ? { kind: 'mac-table', unicast: tables[0], multicast: tables[1] } : 'refused';
}

/** The address at `at` as something a set can hold. */
export function macKey(bytes: Uint8Array, at: number): string {
  return bytes.subarray(at, at + 6).join(':');
}
