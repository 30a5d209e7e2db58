// Addresses of the built-in network, and what its parts say to each other about places and failures.

import type { HostSocketFailure } from './host-sockets.ts';
import type { Bytes } from './packet.ts';

export const MTU = 1500;
export const GATEWAY_MAC: Bytes = Uint8Array.of(0x52, 0x55, 0x0a, 0x00, 0x02, 0x02);
/** 10.0.2.0 */
export const NETWORK = 0x0a000200;
export const NETWORK_MASK = 0xffffff00;
export const GATEWAY = NETWORK + 2;
export const NAME_SERVER = NETWORK + 3;
export const FIRST_GUEST = NETWORK + 15;

/** Where on the host something is that the guest sends to. */
export type HostPlace = { readonly address: string; readonly port: number } | 'prohibited';

/** Codes of "destination unreachable" (RFC 792, RFC 1812 5.2.7.1). */
export const UNREACHABLE = { host: 1, protocol: 2, port: 3, prohibited: 13 } as const;

export function unreachableCode(failure: HostSocketFailure): number {
  return failure === 'refused' ? UNREACHABLE.port : UNREACHABLE.host;
}
