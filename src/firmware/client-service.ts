// What the groups of client services share: how a service is described and called (IEEE 1275 6.3.1).

import type { ClientMemory } from './client-memory.ts';

/** The cell that says "no such thing" or "failed". */
export const MINUS_1 = 0xffff_ffff;

/** The longest strings taken from a client, with their NUL. */
export const MAX_NAME_BYTES = 64;
export const MAX_PATH_BYTES = 1024;

export interface ServiceCall {
  /** Argument cells, at least as many as the service declares. */
  readonly args: readonly number[];
  readonly memory: ClientMemory;
}

/** One client service. */
export interface ClientService {
  readonly name: string;
  /** How many argument cells it needs. More may be given. */
  readonly args: number;
  /** Returns the return cells (missing ones become 0), or `failed`, which the client sees as -1 in r3. */
  readonly run: (call: ServiceCall) => readonly number[] | 'failed';
}

/** Text into a client's buffer as for `package-to-path`: cut to fit, a NUL if there is room; the full length. */
export function returnText(call: ServiceCall, value: string, gra: number, lenBytes: number): number {
  const bytes = new TextEncoder().encode(`${value}\0`);
  return call.memory.write(gra, bytes.subarray(0, lenBytes)) ? bytes.length - 1 : MINUS_1;
}
