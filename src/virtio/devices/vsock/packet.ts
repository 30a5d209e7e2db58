// Packets of virtio-vsock: a header of 44 bytes, data behind it (VIRTIO 1.2 5.10.6).

import type { DescriptorChain } from '../../core/chain.ts';

export const HEADER_BYTES = 44;
export const TYPE_STREAM = 1;
/** The most data of one packet from the guest; Linux sends up to 64 KiB. */
export const MAX_PACKET_BYTES = 2 ** 20;

export const OP = {
  REQUEST: 1,
  RESPONSE: 2,
  RST: 3,
  SHUTDOWN: 4,
  RW: 5,
  CREDIT_UPDATE: 6,
  CREDIT_REQUEST: 7,
} as const;

/** Of OP.SHUTDOWN: the sender will receive, or send, no more. */
export const SHUTDOWN = { RECEIVE: 1, SEND: 2 } as const;

export interface PacketHeader {
  readonly sourceCid: bigint;
  readonly targetCid: bigint;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly lenBytes: number;
  readonly type: number;
  readonly op: number;
  readonly flags: number;
  /** Bytes the sender has room for on this connection, and bytes it has used up so far, modulo 2^32. */
  readonly bufferBytes: number;
  readonly forwarded: number;
}

/** A string says what is wrong; undefined: memory could not be reached. The data behind is not read yet. */
export function parsePacket(chain: DescriptorChain): PacketHeader | string | undefined {
  if (chain.readableBytes < HEADER_BYTES) return `a packet of ${chain.readableBytes} bytes`;
  const bytes = chain.readBytes(0, HEADER_BYTES);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer);
  const lenBytes = view.getUint32(24, true);
  const room = Math.min(chain.readableBytes - HEADER_BYTES, MAX_PACKET_BYTES);
  if (lenBytes > room) return `a packet with ${lenBytes} bytes of data where there is room for ${room}`;
  return {
    sourceCid: view.getBigUint64(0, true),
    targetCid: view.getBigUint64(8, true),
    sourcePort: view.getUint32(16, true),
    targetPort: view.getUint32(20, true),
    lenBytes,
    type: view.getUint16(28, true),
    op: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    bufferBytes: view.getUint32(36, true),
    forwarded: view.getUint32(40, true),
  };
}

export function packetBytes(header: PacketHeader, data: readonly Uint8Array[] = []): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + header.lenBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, header.sourceCid, true);
  view.setBigUint64(8, header.targetCid, true);
  view.setUint32(16, header.sourcePort, true);
  view.setUint32(20, header.targetPort, true);
  view.setUint32(24, header.lenBytes, true);
  view.setUint16(28, header.type, true);
  view.setUint16(30, header.op, true);
  view.setUint32(32, header.flags, true);
  view.setUint32(36, header.bufferBytes, true);
  view.setUint32(40, header.forwarded, true);
  let at = HEADER_BYTES;
  for (const part of data) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
