// IPv4 reassembly and fragmentation (RFC 791 3.2). Bounded: few datagrams at a time, each of 64 KiB at most; overlapping
// pieces drop their datagram, for no honest sender makes them (RFC 5722's reasoning).

import type { DeviceClock } from '../../device/ports.ts';
import {
  type Bytes,
  ETHER_BYTES,
  ETHERTYPE,
  IPV4_BYTES,
  type Ipv4Fields,
  type Ipv4Packet,
  putEthernet,
  putIpv4,
} from './packet.ts';

const MAX_DATAGRAMS = 16;
const MAX_PIECES = 64;
const LIFETIME_NS = 15e9;

interface Partial {
  readonly startedNs: number;
  readonly pieces: { readonly offset: number; readonly bytes: Bytes }[];
  totalBytes: number | undefined;
}

export class Reassembly {
  private readonly clock: Pick<DeviceClock, 'nowNs'>;
  private readonly partials = new Map<string, Partial>();

  constructor(clock: Pick<DeviceClock, 'nowNs'>) {
    this.clock = clock;
  }

  clear(): void {
    this.partials.clear();
  }

  /** Takes a fragment. Gives the whole once it is there, as one packet; `malformed` for what cannot be a part of any. */
  add(packet: Ipv4Packet): Ipv4Packet | 'wait' | 'malformed' {
    const { frame, from, to, fragmentOffset: offset, moreFragments } = packet;
    const lenBytes = to - from;
    if (offset + lenBytes > 65535 - IPV4_BYTES || lenBytes === 0 || (moreFragments && lenBytes % 8 !== 0))
      return 'malformed';
    const key = `${packet.source}|${packet.destination}|${packet.protocol}|${packet.id}`;
    const partial = this.partialOf(key);
    const overlaps = partial.pieces.some(
      (each) => offset < each.offset + each.bytes.length && each.offset < offset + lenBytes,
    );
    if (overlaps || partial.pieces.length >= MAX_PIECES) {
      this.partials.delete(key);
      return 'malformed';
    }
    partial.pieces.push({ offset, bytes: frame.slice(from, to) });
    if (!moreFragments) partial.totalBytes = offset + lenBytes;
    const total = partial.totalBytes;
    if (total === undefined || partial.pieces.reduce((sum, { bytes }) => sum + bytes.length, 0) < total) return 'wait';
    this.partials.delete(key);
    const whole = new Uint8Array(total);
    for (const piece of partial.pieces) {
      if (piece.offset + piece.bytes.length > total) return 'malformed';
      whole.set(piece.bytes, piece.offset);
    }
    return { ...packet, frame: whole, at: 0, from: 0, to: total, fragmentOffset: 0, moreFragments: false };
  }

  private partialOf(key: string): Partial {
    const now = this.clock.nowNs();
    for (const [other, { startedNs }] of this.partials) if (now - startedNs > LIFETIME_NS) this.partials.delete(other);
    const known = this.partials.get(key);
    if (known) return known;
    if (this.partials.size >= MAX_DATAGRAMS) this.partials.delete(this.partials.keys().next().value!);
    const partial: Partial = { startedNs: now, pieces: [], totalBytes: undefined };
    this.partials.set(key, partial);
    return partial;
  }
}

/** Ethernet frames that carry `payload` as one IPv4 datagram over a wire of `mtu` bytes. */
export function datagramFrames(
  macs: { readonly source: Uint8Array; readonly destination: Uint8Array },
  fields: Ipv4Fields,
  payload: Bytes,
  mtu: number,
): Bytes[] {
  const room = payload.length + IPV4_BYTES <= mtu ? payload.length : (mtu - IPV4_BYTES) & ~7;
  const frames: Bytes[] = [];
  for (let at = 0; at < payload.length; at += room) {
    const part = payload.subarray(at, at + room);
    const frame = new Uint8Array(ETHER_BYTES + IPV4_BYTES + part.length);
    putEthernet(frame, macs.destination, macs.source, ETHERTYPE.ipv4);
    frame.set(part, ETHER_BYTES + IPV4_BYTES);
    const more = at + room < payload.length ? 0x2000 : 0;
    putIpv4(frame, ETHER_BYTES, { ...fields, fragment: room === payload.length ? 0 : more | (at / 8) });
    frames.push(frame);
  }
  return frames;
}
