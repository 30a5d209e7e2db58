// Bit numbering of the Power ISA: bit 0 is the most significant. All shifts that translate from it live here.

/** Mask of `ppcBit(n)` in a register of `width` bits. `n` counts from the most significant bit. */
export function ppcBit(n: number, width = 64): bigint {
  return 1n << BigInt(width - 1 - n);
}

/** Mask with ones in bits `first` to `last` inclusive (most significant bit is 0) of a `width`-bit register. */
export function ppcMask(first: number, last: number, width = 64): bigint {
  return ((1n << BigInt(last - first + 1)) - 1n) << BigInt(width - 1 - last);
}

/** Bits `first` to `last` of a 32-bit instruction word, right-aligned, unsigned. */
export function wordField(word: number, first: number, last: number): number {
  const length = last - first + 1;
  return (word >>> (31 - last)) & (length === 32 ? 0xffffffff : (1 << length) - 1);
}

/** The low `bits` bits of `value` taken as a two's complement number; `bits` is 1 to 32. */
export function signExtend(value: number, bits: number): number {
  return (value << (32 - bits)) >> (32 - bits);
}

export const U64_MASK = 0xffff_ffff_ffff_ffffn;
