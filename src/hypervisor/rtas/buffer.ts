// Buffers that a guest names in RTAS arguments: 32-bit real address and length, neither believed.

import type { RtasCall } from './service.ts';

/**
 * Writes as much of `bytes` as `lenBytes` allows to the guest's buffer at `gra`. False, with nothing written, if that
 * part of the buffer is not RAM.
 */
export function writeTruncated(call: RtasCall, gra: number, lenBytes: number, bytes: Uint8Array): boolean {
  const part = bytes.subarray(0, Math.min(lenBytes, bytes.length));
  if (!call.view.contains(gra, part.length)) return false;
  if (part.length > 0) call.view.write(gra, part, call.origin);
  return true;
}

/** The bytes before the first NUL at `gra`, at most `maxBytes` of them and never beyond RAM. */
export function readString(call: RtasCall, gra: number, maxBytes: number): Uint8Array {
  const available = Math.max(0, Math.min(maxBytes, call.view.sizeBytes - gra));
  if (available === 0 || !call.view.contains(gra, available)) return new Uint8Array(0);
  const bytes = call.view.read(gra, available, call.origin);
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
