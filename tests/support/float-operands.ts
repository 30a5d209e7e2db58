// Random binary64 operands that look for trouble: special values, neighbours, ties, borders of the ranges.

/** xorshift128+, so that a failure can be repeated. */
function generator(seed: bigint) {
  let [s0, s1] = [seed, 0x9e37_79b9_7f4a_7c15n];
  return () => {
    const x = s0;
    s0 = s1;
    let y = BigInt.asUintN(64, x ^ (x << 23n));
    y ^= (y >> 17n) ^ s1 ^ (s1 >> 26n);
    s1 = y;
    return BigInt.asUintN(64, y + s0);
  };
}

const special = [
  0n,
  1n,
  2n,
  (1n << 52n) - 1n,
  1n << 52n,
  (1n << 52n) + 1n,
  0x3ffn << 52n,
  (0x3ffn << 52n) + 1n,
  (0x3ffn << 52n) - 1n,
  0x4000n << 48n,
  0x3fe0n << 48n,
  0x7fefn << 48n,
  0x7fef_ffff_ffff_ffffn,
  0x7ff0n << 48n,
  0x7ff8n << 48n,
  0x7ff0_0000_0000_0001n,
  0x7ff4_0000_2000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x3800n << 48n,
  0x3810n << 48n,
  0x380f_ffff_ffff_ffffn,
  0x380f_ffff_f000_0000n,
  0x36a0n << 48n,
  0x3690n << 48n,
  0x47ef_ffff_e000_0000n,
  0x47ef_ffff_f000_0000n,
  0x47ef_ffff_efff_ffffn,
  0x43e0n << 48n,
  0x43efn << 48n,
  0x41dfn << 48n,
  0x41ef_ffff_ffe0_0000n,
  0x41e0n << 48n,
  0x3ff8n << 48n,
  0x4008n << 48n,
  0x3e50n << 48n,
  0x3ca0n << 48n,
  0x3f10n << 48n,
  0x40ef_fc00_0000_0000n,
];

/** Operands of all kinds, often near each other or near a border. */
export function floatOperands(seed: bigint): () => bigint {
  const next = generator(seed);
  let last = 0n;
  return () => {
    const choice = Number(next() & 15n);
    const noise = next();
    const sign = (next() & 1n) << 63n;
    let bits: bigint;
    if (choice < 3) bits = special[Number(noise % BigInt(special.length))];
    else if (choice < 5) bits = noise & ~(1n << 63n);
    else if (choice < 7) bits = ((0x3ffn + (noise % 64n) - 32n) << 52n) | (next() & ((1n << 52n) - 1n));
    else if (choice < 9) bits = ((0x3ffn + (noise % 300n) - 150n) << 52n) | ((next() & ((1n << 23n) - 1n)) << 29n);
    else if (choice < 10) bits = ((noise % 3n) << 52n) | (next() & ((1n << 52n) - 1n));
    else if (choice < 11) bits = ((0x7fcn + (noise % 3n)) << 52n) | (next() & ((1n << 52n) - 1n));
    else if (choice < 13) bits = (last ^ (1n << (noise % 63n))) & ~(1n << 63n);
    else if (choice < 14) bits = (last + (noise % 5n) - 2n) & ~(1n << 63n);
    // Few ones: exact cases and ties.
    else bits = ((0x3ffn + (noise % 120n) - 60n) << 52n) | ((1n << (next() % 52n)) ^ (1n << (next() % 52n)));
    last = BigInt.asUintN(64, bits | sign);
    return last;
  };
}
