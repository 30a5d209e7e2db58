// Ethernet, ARP, IPv4, ICMP, UDP and TCP headers (RFC 826, 791, 792, 768, 9293): bytes to checked values and back. A parser
// gives undefined for what is malformed; whoever called counts it. IPv4 addresses are unsigned 32-bit numbers.

export type Bytes = Uint8Array<ArrayBuffer>;

export const ETHER_BYTES = 14;
export const IPV4_BYTES = 20;
export const TCP_BYTES = 20;
export const UDP_BYTES = 8;
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17 } as const;
export const BROADCAST_MAC: Bytes = new Uint8Array(6).fill(0xff);

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** `10.0.2.15` to a number; undefined for anything else. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  const parts = match.slice(1).map(Number);
  return parts.some((part) => part > 255) ? undefined : parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

export function formatMac(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Adds the 16-bit words of a range to a running one's complement sum (RFC 1071), the last byte padded with 0. */
export function addToSum(sum: number, bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  let total = sum;
  // Below 2^53 for any frame, so the carries can wait.
  for (const even = to - 1; at < even; at += 2) total += (bytes[at] << 8) | bytes[at + 1];
  if (at < to) total += bytes[at] << 8;
  return total;
}

/** A sum folded to 16 bits, not complemented. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return folded;
}

/** Sum of the pseudo header of TCP and UDP. */
export function pseudoSum(source: number, destination: number, protocol: number, lenBytes: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + lenBytes;
}

/** A packet's IPv4 header, checked: it lies in `frame` with all of its payload. */
export interface Ipv4Packet {
  readonly frame: Bytes;
  /** Where the header starts. */
  readonly at: number;
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly ttl: number;
  readonly id: number;
  /** Bytes of the datagram before this fragment. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** Where the payload starts and ends. */
  readonly from: number;
  readonly to: number;
}

export function parseIpv4Packet(frame: Bytes, at = ETHER_BYTES): Ipv4Packet | undefined {
  if (frame.length < at + IPV4_BYTES) return undefined;
  const headerBytes = (frame[at] & 15) * 4;
  const total = u16(frame, at + 2);
  if (frame[at] >> 4 !== 4 || headerBytes < IPV4_BYTES || total < headerBytes || at + total > frame.length) {
    return undefined;
  }
  if (foldSum(addToSum(0, frame, at, at + headerBytes)) !== 0xffff) return undefined;
  const fragment = u16(frame, at + 6);
  return {
    frame,
    at,
    source: u32(frame, at + 12),
    destination: u32(frame, at + 16),
    protocol: frame[at + 9],
    ttl: frame[at + 8],
    id: u16(frame, at + 4),
    fragmentOffset: (fragment & 0x1fff) * 8,
    moreFragments: (fragment & 0x2000) !== 0,
    from: at + headerBytes,
    to: at + total,
  };
}

/** Whether the TCP or UDP sum of a packet is right. */
export function transportSumRight({ frame, source, destination, protocol, from, to }: Ipv4Packet): boolean {
  const sum = addToSum(pseudoSum(source, destination, protocol, to - from), frame, from, to);
  return foldSum(sum) === 0xffff;
}

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Bytes;
  /** No sum was sent. */
  readonly unsummed: boolean;
}

export function parseUdp({ frame, from, to }: Ipv4Packet): UdpDatagram | undefined {
  if (to - from < UDP_BYTES) return undefined;
  const lenBytes = u16(frame, from + 4);
  if (lenBytes < UDP_BYTES || from + lenBytes > to) return undefined;
  return {
    sourcePort: u16(frame, from),
    destinationPort: u16(frame, from + 2),
    payload: frame.subarray(from + UDP_BYTES, from + lenBytes),
    unsummed: u16(frame, from + 6) === 0,
  };
}

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** As sent, not scaled. */
  readonly window: number;
  readonly payload: Bytes;
  /** Options of a SYN. */
  readonly mss: number | undefined;
  readonly windowScale: number | undefined;
}

export function parseTcp({ frame, from, to }: Ipv4Packet): TcpSegment | undefined {
  if (to - from < TCP_BYTES) return undefined;
  const headerBytes = (frame[from + 12] >> 4) * 4;
  if (headerBytes < TCP_BYTES || from + headerBytes > to) return undefined;
  const flags = frame[from + 13];
  const { fin, syn, rst } = TCP_FLAG;
  if (flags & syn && flags & (fin | rst)) return undefined;
  const options = flags & syn ? tcpOptions(frame, from + TCP_BYTES, from + headerBytes) : {};
  return {
    sourcePort: u16(frame, from),
    destinationPort: u16(frame, from + 2),
    seq: u32(frame, from + 4),
    ack: u32(frame, from + 8),
    flags,
    window: u16(frame, from + 14),
    payload: frame.subarray(from + headerBytes, to),
    mss: options.mss,
    windowScale: options.windowScale,
  };
}

function tcpOptions(frame: Bytes, from: number, to: number): { mss?: number; windowScale?: number } {
  const found: { mss?: number; windowScale?: number } = {};
  for (let at = from; at < to; ) {
    const kind = frame[at];
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const lenBytes = at + 1 < to ? frame[at + 1] : 0;
    if (lenBytes < 2 || at + lenBytes > to) break;
    if (kind === 2 && lenBytes === 4) found.mss = u16(frame, at + 2);
    if (kind === 3 && lenBytes === 3) found.windowScale = Math.min(14, frame[at + 2]);
    at += lenBytes;
  }
  return found;
}

/** Stores an Ethernet header at the start of `frame`. */
export function putEthernet(frame: Bytes, destination: Uint8Array, source: Uint8Array, type: number): void {
  frame.set(destination, 0);
  frame.set(source, 6);
  putU16(frame, 12, type);
}

export interface Ipv4Fields {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly id: number;
  /** Offset in units of 8 bytes, and the flags above it. */
  readonly fragment?: number;
}

/** Stores an IPv4 header without options at `at`, for a packet that ends with the frame. */
export function putIpv4(frame: Bytes, at: number, fields: Ipv4Fields): void {
  frame[at] = 0x45;
  frame[at + 1] = 0;
  putU16(frame, at + 2, frame.length - at);
  putU16(frame, at + 4, fields.id);
  putU16(frame, at + 6, fields.fragment ?? 0x4000);
  frame[at + 8] = 64;
  frame[at + 9] = fields.protocol;
  putU16(frame, at + 10, 0);
  putU32(frame, at + 12, fields.source);
  putU32(frame, at + 16, fields.destination);
  putU16(frame, at + 10, 0xffff ^ foldSum(addToSum(0, frame, at, at + IPV4_BYTES)));
}
