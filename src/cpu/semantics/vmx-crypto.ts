// AES rounds, SHA-2 sigmas and polynomial multiplication (ISA 3.0B I 6.11; FIPS 197, FIPS 180-4). vpermxor is in
// vmx-permute.ts.
//
// The S-boxes are looked up sixteen bytes at a time; carry-less products come from integer products of operands whose
// bits stand four apart, so that the carries of at most eight summands stay below the next bit.

import type { FunctionBuilder, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { type Runtime, type RuntimeFunction, runtimeFunction } from './runtime.ts';
import { constantBytes, constantLanes, element64, isaShuffle, shape } from './vector-elements.ts';
import { evenWordsLow, oddWordsLow } from './vmx-multiply.ts';

/** SubBytes by its definition: the inverse in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, then an affine map (FIPS 197 5.1.1). */
function makeSubBytesTable(): readonly number[] {
  // The powers of x + 1 are all elements but 0; the inverse of power i is power 255 - i.
  const powers = [1];
  while (powers.length < 255) {
    const last = powers[powers.length - 1];
    const doubled = last << 1;
    powers.push(last ^ (doubled > 0xff ? doubled ^ 0x11b : doubled));
  }
  const table = new Array<number>(256).fill(0x63);
  powers.forEach((element, i) => {
    const inverse = powers[(255 - i) % 255];
    const twice = inverse * 0x101;
    const affine = inverse ^ (twice >> 7) ^ (twice >> 6) ^ (twice >> 5) ^ (twice >> 4) ^ 0x63;
    table[element] = affine & 0xff;
  });
  return table;
}
const subBytesTable = makeSubBytesTable();
const inverseSubBytesTable = subBytesTable.reduce((inverse, value, index) => {
  inverse[value] = index;
  return inverse;
}, new Array<number>(256).fill(0));

/** Each byte through a table of 256: one swizzle for each sixteen entries, all but one giving 0. */
function lookUp(name: string, table: readonly number[]): RuntimeFunction {
  return runtimeFunction(name, ['v128'], 'v128', (fn) => {
    const index = fn.param('v128', 0);
    let result = constantBytes(fn, table.slice(0, 16)).swizzle(index);
    for (let start = 16; start < 256; start += 16) {
      const part = constantBytes(fn, table.slice(start, start + 16));
      result = result.or(part.swizzle(index.xor(constantLanes(fn, 1, start))));
    }
    fn.return(result);
  });
}
const subBytes = lookUp('aesSubBytes', subBytesTable);
const inverseSubBytes = lookUp('aesInverseSubBytes', inverseSubBytesTable);

// ISA byte 4c+r is row r of column c of the state.
const cells = Array.from({ length: 16 }, (_, i) => ({ row: i % 4, column: i >> 2 }));
/** Row r moves left by r columns. */
const shiftedRows = cells.map(({ row, column }) => 4 * ((column + row) % 4) + row);
const inverseShiftedRows = cells.map(({ row, column }) => 4 * ((column - row + 4) % 4) + row);

function rows(v: V128, sources: readonly number[]): V128 {
  return isaShuffle(v, v, sources);
}
/** Row r becomes row r+n of the same column. */
function rotateColumns(v: V128, n: number): V128 {
  return rows(
    v,
    cells.map(({ row, column }) => 4 * column + ((row + n) % 4)),
  );
}
/** Each byte times x. */
function timesX(fn: FunctionBuilder, v: V128): V128 {
  const reduction = v.shift('i8x16.shr_s', 7).and(constantLanes(fn, 1, 0x1b));
  return v.shift('i8x16.shl', 1).xor(reduction);
}
/** Each row: 2 * this one + 3 * the next + the two after. */
function mixColumns(fn: FunctionBuilder, v: V128): V128 {
  const next = rotateColumns(v, 1);
  const others = next.xor(rotateColumns(v, 2)).xor(rotateColumns(v, 3));
  return timesX(fn, v.xor(next)).xor(others);
}
/** The inverse is MixColumns after the columns were multiplied by 4y^2 + 5. */
function inverseMixColumns(fn: FunctionBuilder, v: V128): V128 {
  const fourTimes = timesX(fn, timesX(fn, v.xor(rotateColumns(v, 2))));
  return mixColumns(fn, v.xor(fourTimes));
}

function aesFunction(
  name: string,
  build: (fn: FunctionBuilder, runtime: Runtime, state: V128, key: V128) => V128,
): Semantics {
  const f = runtimeFunction(name, ['v128', 'v128'], 'v128', (fn, runtime) =>
    fn.return(build(fn, runtime, fn.param('v128', 0), fn.param('v128', 1))),
  );
  return (s) => s.setVr('vrt', s.fn.call('v128', s.runtime(f), [s.vr('vra'), s.vr('vrb')]));
}
function substitute(fn: FunctionBuilder, runtime: Runtime, table: RuntimeFunction, v: V128): V128 {
  return fn.call('v128', runtime.ref(table), [v]);
}

type Sigma = readonly { readonly kind: 'rotate' | 'shift'; readonly right: number }[];
function sigma(...parts: readonly (number | `>>${number}`)[]): Sigma {
  return parts.map((part) =>
    typeof part === 'number' ? { kind: 'rotate', right: part } : { kind: 'shift', right: Number(part.slice(2)) },
  );
}
/** FIPS 180-4 4.1.2 and 4.1.3: [ST = 0: small sigma 0 and 1, ST = 1: capital sigma 0 and 1]. */
const sigmas: Readonly<Record<4 | 8, readonly (readonly [Sigma, Sigma])[]>> = {
  4: [
    [sigma(7, 18, '>>3'), sigma(17, 19, '>>10')],
    [sigma(2, 13, 22), sigma(6, 11, 25)],
  ],
  8: [
    [sigma(1, 8, '>>7'), sigma(19, 61, '>>6')],
    [sigma(28, 34, 39), sigma(14, 18, 41)],
  ],
};
function applySigma(v: V128, width: 4 | 8, parts: Sigma): V128 {
  const lanes = shape[width];
  const moved = parts.map(({ kind, right }) => {
    const down = v.shift(`${lanes}.shr_u`, right);
    return kind === 'shift' ? down : down.or(v.shift(`${lanes}.shl`, 8 * width - right));
  });
  return moved.reduce((all, part) => all.xor(part));
}
/** ST chooses the pair of functions, the bit of SIX for each element which of the two. */
function shaSigma(width: 4 | 8): Semantics {
  return (s: Emitter) => {
    const { fn } = s;
    const v = s.vr('vra');
    // The bit of SIX for each element: bit i for word i, bit 2i for doubleword i.
    const bits =
      width === 4
        ? fn.v128(0x0000_0008_0000_0004_0000_0002_0000_0001n)
        : fn.v128(0x0000_0000_0000_0008_0000_0000_0000_0002n);
    const six = width === 4 ? fn.splat32(s.field('six')) : fn.splat64(s.field64('six'));
    const second = six.and(bits).bin(`${shape[width]}.eq`, bits);
    const [small, capital] = sigmas[width].map(([zero, one]) => () => {
      return applySigma(v, width, one).bitselect(applySigma(v, width, zero), second);
    });
    s.setVr('vrt', fn.choose(s.field('st'), capital, small));
  };
}

/** Carry-less product of each lane, whose operands are half as wide as it; `multiply` makes the integer products. */
function carrylessLanes(fn: FunctionBuilder, a: V128, b: V128, multiply: (x: V128, y: V128) => V128): V128 {
  const every4 = [0n, 1n, 2n, 3n].map((first) => constantLanes(fn, 8, 0x1111_1111_1111_1111n << first));
  const partsA = every4.map((mask) => a.and(mask));
  const partsB = every4.map((mask) => b.and(mask));
  const residues = every4.map((mask, k) => {
    const products = partsA.map((x, i) => multiply(x, partsB[(k - i + 4) % 4]));
    return products.reduce((all, product) => all.xor(product)).and(mask);
  });
  return residues.reduce((all, part) => all.or(part));
}

function polynomialFunction(name: string, build: (fn: FunctionBuilder, a: V128, b: V128) => V128): Semantics {
  const f = runtimeFunction(name, ['v128', 'v128'], 'v128', (fn) =>
    fn.return(build(fn, fn.param('v128', 0), fn.param('v128', 1))),
  );
  return (s) => s.setVr('vrt', s.fn.call('v128', s.runtime(f), [s.vr('vra'), s.vr('vrb')]));
}
/** The two products of each pair of elements, added: elements of `width` bytes, results of twice that. */
function polynomialSum(name: string, width: 1 | 2): Semantics {
  const lanes = shape[width === 1 ? 2 : 4];
  const bits = 8 * width;
  const multiply = (x: V128, y: V128) => x.bin(`${lanes}.mul`, y);
  return polynomialFunction(name, (fn, a, b) => {
    const upper = (v: V128) => v.shift(`${lanes}.shr_u`, bits);
    const lower = (v: V128) => v.and(constantLanes(fn, width === 1 ? 2 : 4, (1 << bits) - 1));
    const even = carrylessLanes(fn, upper(a), upper(b), multiply);
    return even.xor(carrylessLanes(fn, lower(a), lower(b), multiply));
  });
}
const multiplyLowWords = (x: V128, y: V128) => x.bin('i64x2.extmul_low_i32x4_u', y);

function polynomialSumWords(fn: FunctionBuilder, a: V128, b: V128): V128 {
  const even = carrylessLanes(fn, evenWordsLow(a), evenWordsLow(b), multiplyLowWords);
  return even.xor(carrylessLanes(fn, oddWordsLow(a), oddWordsLow(b), multiplyLowWords));
}
/** Both products at once, each from three of 32 bits (Karatsuba). */
function polynomialSumDoublewords(fn: FunctionBuilder, a: V128, b: V128): V128 {
  const [highA, highB, lowA, lowB] = [evenWordsLow(a), evenWordsLow(b), oddWordsLow(a), oddWordsLow(b)];
  const sum = (products: V128) => element64(products, 0).xor(element64(products, 1));
  const high = sum(carrylessLanes(fn, highA, highB, multiplyLowWords));
  const low = sum(carrylessLanes(fn, lowA, lowB, multiplyLowWords));
  const both = sum(carrylessLanes(fn, highA.xor(lowA), highB.xor(lowB), multiplyLowWords));
  const middle = both.xor(high).xor(low);
  return fn.v128From64(high.xor(middle.shrU(32)), low.xor(middle.shl(32)));
}

export const vmxCrypto = {
  vcipher: aesFunction('vcipher', (fn, runtime, state, key) =>
    mixColumns(fn, rows(substitute(fn, runtime, subBytes, state), shiftedRows)).xor(key),
  ),
  vcipherlast: aesFunction('vcipherlast', (fn, runtime, state, key) =>
    rows(substitute(fn, runtime, subBytes, state), shiftedRows).xor(key),
  ),
  // The key is added before InvMixColumns.
  vncipher: aesFunction('vncipher', (fn, runtime, state, key) =>
    inverseMixColumns(fn, substitute(fn, runtime, inverseSubBytes, rows(state, inverseShiftedRows)).xor(key)),
  ),
  vncipherlast: aesFunction('vncipherlast', (fn, runtime, state, key) =>
    substitute(fn, runtime, inverseSubBytes, rows(state, inverseShiftedRows)).xor(key),
  ),
  vsbox: (s) => s.setVr('vrt', s.fn.call('v128', s.runtime(subBytes), [s.vr('vra')])),
  vshasigmaw: shaSigma(4),
  vshasigmad: shaSigma(8),
  vpmsumb: polynomialSum('vpmsumb', 1),
  vpmsumh: polynomialSum('vpmsumh', 2),
  vpmsumw: polynomialFunction('vpmsumw', polynomialSumWords),
  vpmsumd: polynomialFunction('vpmsumd', polynomialSumDoublewords),
} satisfies SemanticsMap;
