// Finishing frames in software: checksums that a driver left to the device, and TCP segments larger than the wire carries
// (VIRTIO 1.2 5.1.6.2). Checks everything itself: hints come from a guest.

import { type FrameHints, type Offloads, VERIFIED } from './net-backend.ts';
import {
  addToSum,
  type Bytes,
  ETHER_BYTES,
  ETHERTYPE,
  foldSum,
  IPV4_BYTES,
  PROTOCOL,
  parseIpv4Packet,
  pseudoSum,
  putU16,
  putU32,
  TCP_BYTES,
  TCP_FLAG,
  u16,
  u32,
} from './packet.ts';

const CHECKSUM_OF_TCP = 16;
/** A segment smaller than this is not worth a frame: bounds how many frames one frame becomes. */
const MIN_SEGMENT_BYTES = 128;

/** True if the hints fit the frame. */
export function hintsFit(frame: Bytes, { checksum, checksumStart, checksumOffset, segmentBytes }: FrameHints): boolean {
  if (checksum === 'partial' && checksumStart + checksumOffset + 2 > frame.length) return false;
  return (
    segmentBytes === 0 ||
    (checksum === 'partial' && segmentBytes >= MIN_SEGMENT_BYTES && tcp4Layout(frame) !== undefined)
  );
}

/** The frame as somebody who offers `offloads` can take it: itself, or what it has to be cut into. Hints must fit. */
export function adaptFrame(
  frame: Bytes,
  hints: FrameHints,
  offloads: Offloads,
): readonly { readonly frame: Bytes; readonly hints: FrameHints }[] {
  if (hints.segmentBytes > 0 && !offloads.tcp4) {
    return segments(frame, hints.segmentBytes).map((each) => ({ frame: each, hints: VERIFIED }));
  }
  if (hints.checksum === 'partial' && !offloads.checksum)
    return [{ frame: completeChecksum(frame, hints), hints: VERIFIED }];
  return [{ frame, hints }];
}

/** The frames as they are on the wire. */
export function wireFrames(frame: Bytes, hints: FrameHints): Bytes[] {
  return adaptFrame(frame, hints, { checksum: false, tcp4: false }).map((each) => each.frame);
}

/** Computes a partial checksum in place: the field holds the sum of the pseudo header. */
export function completeChecksum(frame: Bytes, { checksumStart, checksumOffset }: FrameHints): Bytes {
  const sum = 0xffff ^ foldSum(addToSum(0, frame, checksumStart, frame.length));
  // A UDP sum of 0 would mean none; for TCP the two zeros are the same.
  putU16(frame, checksumStart + checksumOffset, sum === 0 ? 0xffff : sum);
  return frame;
}

/** Where TCP starts and its payload, if the frame is an IPv4 TCP packet that is no fragment. */
function tcp4Layout(frame: Bytes): { tcp: number; payload: number; end: number } | undefined {
  if (frame.length < ETHER_BYTES + IPV4_BYTES + TCP_BYTES || u16(frame, 12) !== ETHERTYPE.ipv4) return undefined;
  const packet = parseIpv4Packet(frame);
  if (!packet || packet.protocol !== PROTOCOL.tcp || packet.fragmentOffset > 0 || packet.moreFragments)
    return undefined;
  const { from, to } = packet;
  if (to - from < TCP_BYTES) return undefined;
  const headerBytes = (frame[from + 12] >> 4) * 4;
  return headerBytes < TCP_BYTES || from + headerBytes > to
    ? undefined
    : { tcp: from, payload: from + headerBytes, end: to };
}

function segments(frame: Bytes, segmentBytes: number): Bytes[] {
  const layout = tcp4Layout(frame);
  if (!layout) return [];
  const { tcp, payload, end } = layout;
  const result: Bytes[] = [];
  const id = u16(frame, ETHER_BYTES + 4);
  const seq = u32(frame, tcp + 4);
  let at = payload;
  do {
    const stop = Math.min(at + segmentBytes, end);
    const part = new Uint8Array(payload + stop - at);
    part.set(frame.subarray(0, payload));
    part.set(frame.subarray(at, stop), payload);
    putU16(part, ETHER_BYTES + 2, part.length - ETHER_BYTES);
    putU16(part, ETHER_BYTES + 4, id + result.length);
    putU16(part, ETHER_BYTES + 10, 0);
    putU16(part, ETHER_BYTES + 10, 0xffff ^ foldSum(addToSum(0, part, ETHER_BYTES, tcp)));
    putU32(part, tcp + 4, seq + (at - payload));
    if (stop < end) part[tcp + 13] &= ~(TCP_FLAG.fin | TCP_FLAG.psh);
    sumTransport(part, tcp);
    result.push(part);
    at = stop;
  } while (at < end);
  return result;
}

/** Stores the TCP sum of a frame that is one IPv4 TCP packet with nothing behind. */
export function sumTransport(frame: Bytes, tcp: number): void {
  const pseudo = pseudoSum(
    u32(frame, ETHER_BYTES + 12),
    u32(frame, ETHER_BYTES + 16),
    PROTOCOL.tcp,
    frame.length - tcp,
  );
  putU16(frame, tcp + CHECKSUM_OF_TCP, 0);
  putU16(frame, tcp + CHECKSUM_OF_TCP, 0xffff ^ foldSum(addToSum(pseudo, frame, tcp, frame.length)));
}
