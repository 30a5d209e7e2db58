// The piece of guest code that firmware owns: the entry of the client interface. (The entry of RTAS belongs to the
// hypervisor, hypervisor/rtas/layout.ts.) It runs in 32-bit big-endian real mode (IEEE 1275 PowerPC binding 8) and turns
// the call into a private hypercall. It changes r3 and r4, which the client expects to lose.

/** Private hypercall of the stub, the number that QEMU uses. r4 holds the real address of the argument array. */
export const H_OPEN_FIRMWARE = 0xf005;

/** Power ISA words, stored big-endian. r4 = arguments, r3 = number; r3 comes back as the call's result. */
const STUB_WORDS = [
  0x7c641b78, // mr r4,r3
  0x38600000, // li r3,0
  0x60630000 | H_OPEN_FIRMWARE, // ori r3,r3,H_OPEN_FIRMWARE
  0x44000022, // sc 1
  0x4e800020, // blr
];

/** The stub; it may stand anywhere below 4 GiB. */
export function clientInterfaceStub(): Uint8Array<ArrayBuffer> {
  const stub = new DataView(new ArrayBuffer(4 * STUB_WORDS.length));
  STUB_WORDS.forEach((word, index) => {
    stub.setUint32(4 * index, word);
  });
  return new Uint8Array(stub.buffer);
}
