// Vector multiplication (ISA 3.0B I 6.9.1: multiply, multiply-add, multiply-sum, multiply by ten).
//
// Even and odd elements are the ISA's: the even one of a pair is its more significant half.

import type { FunctionBuilder, I64, V128 } from '../../wasm/ir.ts';
import type { Emitter, Semantics, SemanticsMap } from './emitter.ts';
import { runtimeFunction } from './runtime.ts';
import { constantLanes, element64, saturated, shape, vmxBinary, vmxTernary } from './vector-elements.ts';
import { addQuadword, addUnsignedWords, sumHalfwords } from './vmx-integer.ts';

type Sign = 's' | 'u';

/** The upper half of each element of `width` bytes, extended. */
function upperHalves(v: V128, width: 2 | 4, sign: Sign): V128 {
  return v.shift(`${shape[width]}.shr_${sign}`, 4 * width);
}
function lowerHalves(fn: FunctionBuilder, v: V128, width: 2 | 4, sign: Sign): V128 {
  const lanes = shape[width];
  const bits = 4 * width;
  if (sign === 'u') return v.and(constantLanes(fn, width, (1 << bits) - 1));
  return v.shift(`${lanes}.shl`, bits).shift(`${lanes}.shr_s`, bits);
}
/** Products of the even and of the odd halves of elements of `width` bytes. */
function evenProducts(a: V128, b: V128, width: 2 | 4, signA: Sign, signB: Sign): V128 {
  return upperHalves(a, width, signA).bin(`${shape[width]}.mul`, upperHalves(b, width, signB));
}
function oddProducts(fn: FunctionBuilder, a: V128, b: V128, width: 2 | 4, signA: Sign, signB: Sign): V128 {
  return lowerHalves(fn, a, width, signA).bin(`${shape[width]}.mul`, lowerHalves(fn, b, width, signB));
}
function multiplyEven(width: 2 | 4, sign: Sign): Semantics {
  return vmxBinary((a, b) => evenProducts(a, b, width, sign, sign));
}
function multiplyOdd(width: 2 | 4, sign: Sign): Semantics {
  return vmxBinary((a, b, s) => oddProducts(s.fn, a, b, width, sign, sign));
}

/** The words of one kind, in the two low lanes. */
export function evenWordsLow(v: V128): V128 {
  return v.shuffle(v, [4, 5, 6, 7, 12, 13, 14, 15, 4, 5, 6, 7, 12, 13, 14, 15]);
}
export function oddWordsLow(v: V128): V128 {
  return v.shuffle(v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
}
function multiplyWords(pick: (v: V128) => V128, sign: Sign): Semantics {
  return vmxBinary((a, b) => pick(a).bin(`i64x2.extmul_low_i32x4_${sign}`, pick(b)));
}

/** Each halfword: ((a * b + rounding) >> 15) + c, saturated. */
function multiplyHighAdd(rounding: number): Semantics {
  return vmxTernary((a, b, c, s) => {
    const { fn } = s;
    const half = (part: 'low' | 'high') => {
      const product = a.bin(`i32x4.extmul_${part}_i16x8_s`, b);
      const rounded = rounding ? product.bin('i32x4.add', constantLanes(fn, 4, rounding)) : product;
      return rounded.shift('i32x4.shr_s', 15).bin('i32x4.add', c.un(`i32x4.extend_${part}_i16x8_s`));
    };
    const low = half('low');
    const high = half('high');
    const result = low.bin('i16x8.narrow_i32x4_s', high);
    const lostLow = result.un('i32x4.extend_low_i16x8_s').xor(low);
    const lostHigh = result.un('i32x4.extend_high_i16x8_s').xor(high);
    saturated(s, lostLow.or(lostHigh).test('v128.any_true'));
    return result;
  });
}

/** Each word: the four products of its bytes (VRB's unsigned) and c. */
function multiplySumBytes(sign: Sign): Semantics {
  return vmxTernary((a, b, c, s) => {
    const even = sumHalfwords(evenProducts(a, b, 2, sign, 'u'), sign);
    const odd = sumHalfwords(oddProducts(s.fn, a, b, 2, sign, 'u'), sign);
    return even.bin('i32x4.add', odd).bin('i32x4.add', c);
  });
}

/** a + b + c, all unsigned words, saturated. */
function sumUnsignedSaturated(s: Emitter, a: V128, b: V128, c: V128): V128 {
  const first = addUnsignedWords(a, b);
  const second = addUnsignedWords(first.result, c);
  saturated(s, first.any.or(second.any));
  return second.result;
}

/**
 * dot + c saturated, `dot` being the sum of two products of halfwords: it lies between -2^31 + 2^16 and 2^31, and a
 * 2^31 shows as the most negative number, which therefore counts as positive.
 */
function addDotSaturated(s: Emitter, dot: V128, c: V128): V128 {
  const { fn } = s;
  const sign = dot.andnot(dot.bin('i32x4.eq', constantLanes(fn, 4, 0x8000_0000))).shift('i32x4.shr_s', 31);
  const sum = dot.bin('i32x4.add', c);
  const over = sign.xor(sum).andnot(sign.xor(c)).shift('i32x4.shr_s', 31);
  saturated(s, over.test('v128.any_true'));
  return sign.xor(constantLanes(fn, 4, 0x7fff_ffff)).bitselect(sum, over);
}

/** The upper 64 bits of an unsigned 128-bit product. */
const multiplyHighUnsigned = runtimeFunction('vectorMultiplyHigh', ['i64', 'i64'], 'i64', (fn) => {
  const a = fn.param64(0);
  const b = fn.param64(1);
  const [a1, a0] = [a.shrU(32), a.low32()];
  const [b1, b0] = [b.shrU(32), b.low32()];
  const middle = a1.mul(b0).add(a0.mul(b0).shrU(32));
  const carry = a0.mul(b1).add(middle.low32()).shrU(32);
  fn.return(a1.mul(b1).add(middle.shrU(32)).add(carry));
});
function fullProduct(s: Emitter, a: I64, b: I64): V128 {
  return s.fn.v128From64(s.fn.call('i64', s.runtime(multiplyHighUnsigned), [a, b]), a.mul(b));
}

/** VRA * 10, plus the last digit of VRB in the extended forms: the low 128 bits, or what is above them. */
function multiplyByTen(kind: 'product' | 'carry', extended: boolean): Semantics {
  return (s) => {
    const { fn } = s;
    const a = s.vr('vra');
    const digit = extended ? element64(s.vr('vrb'), 1).and(15) : fn.i64(0);
    const timesTen = (x: I64, carry: I64) => {
      const low = x.low32().mul(10).add(carry);
      const high = x.shrU(32).mul(10).add(low.shrU(32));
      return { low: high.shl(32).or(low.low32()), carry: high.shrU(32) };
    };
    const low = timesTen(element64(a, 1), digit);
    const high = timesTen(element64(a, 0), low.carry);
    s.setVr('vrt', kind === 'product' ? fn.v128From64(high.low, low.low) : fn.v128From64(fn.i64(0), high.carry));
  };
}

export const vmxMultiply = {
  vmuleub: multiplyEven(2, 'u'),
  vmulesb: multiplyEven(2, 's'),
  vmuloub: multiplyOdd(2, 'u'),
  vmulosb: multiplyOdd(2, 's'),
  vmuleuh: multiplyEven(4, 'u'),
  vmulesh: multiplyEven(4, 's'),
  vmulouh: multiplyOdd(4, 'u'),
  vmulosh: multiplyOdd(4, 's'),
  vmuleuw: multiplyWords(evenWordsLow, 'u'),
  vmulesw: multiplyWords(evenWordsLow, 's'),
  vmulouw: multiplyWords(oddWordsLow, 'u'),
  vmulosw: multiplyWords(oddWordsLow, 's'),
  vmuluwm: vmxBinary((a, b) => a.bin('i32x4.mul', b)),

  vmhaddshs: multiplyHighAdd(0),
  vmhraddshs: multiplyHighAdd(0x4000),
  vmladduhm: vmxTernary((a, b, c) => a.bin('i16x8.mul', b).bin('i16x8.add', c)),

  vmsumubm: multiplySumBytes('u'),
  vmsummbm: multiplySumBytes('s'),
  vmsumuhm: vmxTernary((a, b, c, s) => {
    const products = evenProducts(a, b, 4, 'u', 'u').bin('i32x4.add', oddProducts(s.fn, a, b, 4, 'u', 'u'));
    return products.bin('i32x4.add', c);
  }),
  vmsumuhs: vmxTernary((a, b, c, s) =>
    sumUnsignedSaturated(s, evenProducts(a, b, 4, 'u', 'u'), oddProducts(s.fn, a, b, 4, 'u', 'u'), c),
  ),
  vmsumshm: vmxTernary((a, b, c) => a.bin('i32x4.dot_i16x8_s', b).bin('i32x4.add', c)),
  vmsumshs: vmxTernary((a, b, c, s) => addDotSaturated(s, a.bin('i32x4.dot_i16x8_s', b), c)),
  vmsumudm: vmxTernary((a, b, c, s) => {
    const first = addQuadword(s.fn, fullProduct(s, element64(a, 0), element64(b, 0)), c, undefined).sum;
    return addQuadword(s.fn, fullProduct(s, element64(a, 1), element64(b, 1)), first, undefined).sum;
  }),

  vmul10uq: multiplyByTen('product', false),
  vmul10cuq: multiplyByTen('carry', false),
  vmul10euq: multiplyByTen('product', true),
  vmul10ecuq: multiplyByTen('carry', true),
} satisfies SemanticsMap;
