// Densely packed decimal: three digits in a declet of ten bits (ISA 3.0B I 5.3.3, Appendix B; IEEE 754-2008 3.5.2).

/** Three digits as twelve bits (packed decimal) to a declet. Digits above 9 give what the equations of the manual give. */
export function bcdToDeclet(bcd: number): number {
  const bit = (n: number) => (bcd >> (11 - n)) & 1;
  const [a, b, c, d, e, f, g, h, i, j, k, m] = Array.from({ length: 12 }, (_, n) => bit(n));
  const p = b | (a & j) | (a & f & i);
  const q = c | (a & k) | (a & g & i);
  const s = (f & ((a ^ 1) | (i ^ 1))) | ((a ^ 1) & e & j) | (e & i);
  const t = g | ((a ^ 1) & e & k) | (a & i);
  const v = a | e | i;
  const w = a | (e & i) | ((e ^ 1) & j);
  const x = e | (a & i) | ((a ^ 1) & k);
  return [p, q, d, s, t, h, v, w, x, m].reduce((declet, next) => (declet << 1) | next, 0);
}

/** A declet, also one of the 24 redundant ones, to three digits as twelve bits. */
export function decletToBcd(declet: number): number {
  const high = (declet >> 7) & 7;
  const middle = (declet >> 4) & 7;
  const low = declet & 7;
  if (!(declet & 8)) return (high << 8) | (middle << 4) | low;
  // Bits w and x tell which digits are 8 or 9: those keep one bit, and lend the place of two others.
  const one = (digit: number) => 8 | (digit & 1);
  const borrow = (lender: number, own: number) => (lender & 6) | (own & 1);
  const digits = (first: number, second: number, third: number) => (first << 8) | (second << 4) | third;
  switch ((declet >> 1) & 3) {
    case 0:
      return digits(high, middle, one(low));
    case 1:
      return digits(high, one(middle), borrow(middle, low));
    case 2:
      return digits(one(high), middle, borrow(high, low));
  }
  switch (middle >> 1) {
    case 0:
      return digits(one(high), one(middle), borrow(high, low));
    case 1:
      return digits(one(high), borrow(high, middle), one(low));
    case 2:
      return digits(high, one(middle), one(low));
    default:
      return digits(one(high), one(middle), one(low));
  }
}

const bcdOf = (value: number) => Number.parseInt(String(value), 16);

/** Number 0 to 999 of each declet. */
export const decletValues: readonly number[] = Array.from({ length: 1024 }, (_, declet) =>
  Number(decletToBcd(declet).toString(16)),
);
/** The canonical declet of each number 0 to 999. */
export const declets: readonly number[] = Array.from({ length: 1000 }, (_, value) => bcdToDeclet(bcdOf(value)));
