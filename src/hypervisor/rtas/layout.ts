// The RTAS area in guest memory (`rtas-size` bytes at `linux,rtas-base`): an entry stub that turns a call into a
// hypercall, room for an error log, and one save slot to a vCPU for system resets.

import { assert } from '../../util/errors.ts';

/** Private hypercall of the stub: r4 is the real address of the argument block. */
export const H_RTAS_TOKEN = 0xf000;

/** Power ISA words, stored big-endian: RTAS runs in 32-bit big-endian real mode. */
const STUB_WORDS = [
  0x7c641b78, // mr r4,r3
  0x3c600000, // lis r3,0
  0x6063f000, // ori r3,r3,0xf000
  0x44000022, // sc 1
  0x4e800020, // blr
];

/** `rtas-error-log-max`. */
export const RTAS_ERROR_LOG_BYTES = 2048;

const SAVE_SLOTS_OFFSET = RTAS_ERROR_LOG_BYTES;
const SAVE_SLOT_BYTES = 16;

/** The entry stub; it goes to the start of the area, which is also the entry point. */
export function rtasStub(): Uint8Array<ArrayBuffer> {
  const stub = new DataView(new ArrayBuffer(4 * STUB_WORDS.length));
  STUB_WORDS.forEach((word, i) => {
    stub.setUint32(4 * i, word);
  });
  return new Uint8Array(stub.buffer);
}

/** `rtas-size` for a machine with `vcpuCount` vCPUs. */
export function rtasAreaBytes(vcpuCount: number): number {
  return SAVE_SLOTS_OFFSET + SAVE_SLOT_BYTES * vcpuCount;
}

/** Offset of the 16-byte save slot of the vCPU with position `index` among the partition's. */
export function saveSlotOffset(index: number): number {
  assert(index >= 0, 'save slot of no vCPU');
  return SAVE_SLOTS_OFFSET + SAVE_SLOT_BYTES * index;
}
