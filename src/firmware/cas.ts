// ibm,client-architecture-support (PAPR B.6.2.3, "Root Node Methods"): the client says what it can do, the firmware
// answers with what both will use. This machine offers radix translation with guest-executed tlbie (GTSE) and the XICS
// interrupt controller, nothing else; a client that insists on another way is refused and told why.
// Each call is answered from scratch, because a boot loader may ask before the kernel does.

/** What goes wrong or is agreed, for the event stream. */
export type CasOutcome =
  | { readonly agreed: true; readonly cpuVersion: number; readonly vector5: Uint8Array<ArrayBuffer> }
  | { readonly agreed: false; readonly reason: string };

/** The client's request after parsing. */
export interface CasRequest {
  readonly processors: readonly { readonly mask: number; readonly value: number }[];
  /** Option vector n at index n - 1; its byte 1 at index 0. */
  readonly vectors: readonly Uint8Array[];
}

/** Reads bytes of the request at an offset from its start; undefined outside of memory. */
export type CasReader = (offset: number, lenBytes: number) => Uint8Array | undefined;

/** Logical processor version "ISA 3.00", which every CPU node shows as `cpu-version` from then on. */
export const CPU_VERSION_ISA_3_00 = 0x0f000005;

const MAX_PROCESSORS = 256;
const MAX_VECTORS = 256;

/** Bytes of option vector 5 that this firmware gives a meaning, by number (byte 1 is the first). */
const VECTOR_5 = { interruptMode: 23, mmu: 24, radix: 26 } as const;
const VECTOR_5_BYTES = 26;
const CHOICE_MASK = 0xc0;
const INTERRUPT_XIVE_ONLY = 0x40;
const MMU_HASH_ONLY = 0x00;
const MMU_RADIX = 0x40;
const RADIX_GTSE = 0x40;

/** `/chosen/ibm,arch-vec-5-platform-support`: pairs of byte number and what is offered in that byte. */
export const PLATFORM_SUPPORT = [VECTOR_5.interruptMode, 0, VECTOR_5.mmu, MMU_RADIX, 25, 0, VECTOR_5.radix, RADIX_GTSE];

/** `/chosen/ibm,architecture-vec-5` of a client that took all that is offered. */
export function fullVector5(): Uint8Array<ArrayBuffer> {
  return encodeVector5(RADIX_GTSE);
}

/** Undefined if the request runs out of memory or past any sensible size. */
export function parseCasRequest(read: CasReader): CasRequest | undefined {
  const cursor = new Cursor(read);
  const processors: { mask: number; value: number }[] = [];
  for (;;) {
    const mask = cursor.u32();
    const value = cursor.u32();
    if (mask === undefined || value === undefined || processors.length >= MAX_PROCESSORS) return undefined;
    processors.push({ mask, value });
    if ((value & ~mask) !== 0) break; // such a pair matches nothing; it ends the list
  }
  const count = cursor.u8();
  if (count === undefined) return undefined;
  const vectors: Uint8Array[] = [];
  for (let index = 0; index <= count && index < MAX_VECTORS; index++) {
    const lenBytes = cursor.u8();
    const vector = lenBytes === undefined ? undefined : cursor.bytes(lenBytes + 1);
    if (vector === undefined) return undefined;
    vectors.push(vector);
  }
  return { processors, vectors };
}

/** Decides what client and machine will use. `pvr` is the processor version register. */
export function negotiate(request: CasRequest, pvr: number): CasOutcome {
  if (!acceptsProcessor(request, pvr)) {
    return { agreed: false, reason: 'the client lists neither POWER9 nor ISA 3.00 among its processors' };
  }
  // A byte that the client's vector is too short for says nothing: GRUB sends such a vector.
  const vector5 = request.vectors[4] ?? new Uint8Array(0);
  const mmu = vector5[VECTOR_5.mmu - 1];
  if (mmu !== undefined && (mmu & CHOICE_MASK) === MMU_HASH_ONLY) {
    return { agreed: false, reason: 'hash MMU is not offered' };
  }
  const interruptMode = vector5[VECTOR_5.interruptMode - 1] ?? 0;
  if ((interruptMode & CHOICE_MASK) === INTERRUPT_XIVE_ONLY) {
    return { agreed: false, reason: 'XIVE interrupt controller is not offered' };
  }
  const radix = vector5[VECTOR_5.radix - 1] ?? RADIX_GTSE;
  return { agreed: true, cpuVersion: CPU_VERSION_ISA_3_00, vector5: encodeVector5(radix & RADIX_GTSE) };
}

/** A list of nothing but its end says nothing about processors. */
function acceptsProcessor({ processors }: CasRequest, pvr: number): boolean {
  const named = processors.slice(0, -1);
  const matches = (version: number) => named.some(({ mask, value }) => (version & mask) >>> 0 === value);
  return named.length === 0 || matches(CPU_VERSION_ISA_3_00) || matches(pvr);
}

/** The property's form: byte 0 is the number of the bytes that follow, less 1. */
function encodeVector5(radix: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(1 + VECTOR_5_BYTES);
  bytes[0] = VECTOR_5_BYTES - 1;
  bytes[VECTOR_5.mmu] = MMU_RADIX;
  bytes[VECTOR_5.radix] = radix;
  return bytes;
}

class Cursor {
  private readonly read: CasReader;
  private offset = 0;

  constructor(read: CasReader) {
    this.read = read;
  }

  bytes(lenBytes: number): Uint8Array | undefined {
    const bytes = this.read(this.offset, lenBytes);
    this.offset += lenBytes;
    return bytes;
  }

  u8(): number | undefined {
    return this.bytes(1)?.[0];
  }

  u32(): number | undefined {
    const bytes = this.bytes(4);
    return bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }
}
