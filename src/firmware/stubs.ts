// The two pieces of guest code that firmware owns. Each turns a call of the 32-bit big-endian real-mode conventions of
// Open Firmware (IEEE 1275 PowerPC binding 8) and of RTAS (PAPR 7.2) into a private hypercall. r0, r3 to r12, LR, CTR
// and CR may change under either convention; only r3, r4 and what `sc` itself changes do.

/** Private hypercall numbers, the ones QEMU and KVM use. r4 holds the real address of the argument block. */
export const H_RTAS = 0xf000;
export const H_OPEN_FIRMWARE = 0xf005;

const INSTRUCTION = {
  mr_r4_r3: 0x7c641b78,
  li_r3_0: 0x38600000,
  ori_r3_r3: 0x60630000, // low half: the immediate
  sc_1: 0x44000022,
  blr: 0x4e800020,
} as const;

/** The stub for one hypercall: argument address from r3 to r4, number into r3, `sc 1`, back to the caller. */
function hypercallStub(token: number): Uint8Array<ArrayBuffer> {
  const { mr_r4_r3, li_r3_0, ori_r3_r3, sc_1, blr } = INSTRUCTION;
  const words = [mr_r4_r3, li_r3_0, ori_r3_r3 | token, sc_1, blr];
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => {
    view.setUint32(index * 4, word);
  });
  return bytes;
}

/** What a client calls with r3 = its argument array; the hypercall's r3 is what the call returns. */
export function clientInterfaceStub(): Uint8Array<ArrayBuffer> {
  return hypercallStub(H_OPEN_FIRMWARE);
}

/** What stands at `linux,rtas-base`; its entry is its first byte. */
export function rtasStub(): Uint8Array<ArrayBuffer> {
  return hypercallStub(H_RTAS);
}

/** The property `rtas-size`: the memory a client gives to RTAS. The stub is all that stands in it. */
export const RTAS_SIZE_BYTES = 4096;
