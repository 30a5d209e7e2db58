// Vector rotates and shifts (ISA 3.0B I 6.8.6, 6.9).
//
// WebAssembly shifts all lanes by one amount. Words and doublewords are taken apart; bytes and halfwords are shifted by
// 1, 2, 4 and 8 in turn, each lane keeping the step its amount has a bit for.

import type { FunctionBuilder, I32, I64, V128 } from '../../wasm/ir.ts';
import type { Semantics, SemanticsMap } from './emitter.ts';
import { type RuntimeFunction, runtimeFunction } from './runtime.ts';
import { bitMask, constantLanes, element64, lanesFrom, shape, vmxBinary, type Width } from './vector-elements.ts';

type ShiftOp = 'rotl' | 'shl' | 'shr_u' | 'shr_s';

function stepwise(fn: FunctionBuilder, width: 1 | 2, op: ShiftOp, value: V128, amounts: V128): V128 {
  const lanes = shape[width];
  const bits = 8 * width;
  let result = value;
  for (let bit = 0; 1 << bit < bits; bit++) {
    const step = 1 << bit;
    const moved =
      op === 'rotl'
        ? result.shift(`${lanes}.shl`, step).or(result.shift(`${lanes}.shr_u`, bits - step))
        : result.shift(`${lanes}.${op}`, step);
    result = moved.bitselect(result, bitMask(fn, amounts, width, bit));
  }
  return result;
}

function apply32(op: ShiftOp, a: I32, n: I32): I32 {
  return op === 'rotl' ? a.rotl(n) : op === 'shl' ? a.shl(n) : op === 'shr_u' ? a.shrU(n) : a.shrS(n);
}
function apply64(op: ShiftOp, a: I64, n: I64): I64 {
  return op === 'rotl' ? a.rotl(n) : op === 'shl' ? a.shl(n) : op === 'shr_u' ? a.shrU(n) : a.shrS(n);
}

/** Each element of `a` shifted by the low bits of the same element of `n`. */
function shiftLanes(fn: FunctionBuilder, width: Width, op: ShiftOp, a: V128, n: V128): V128 {
  if (width === 4) return mapWords(a, n, (x, y) => apply32(op, x, y));
  if (width === 8) return mapDoublewords(fn, a, n, (x, y) => apply64(op, x, y));
  return stepwise(fn, width, op, a, n);
}
function mapWords(a: V128, b: V128, f: (x: I32, y: I32, lane: number) => I32): V128 {
  return [0, 1, 2, 3].reduce((all, lane) => all.replace32(lane, f(a.extract32(lane), b.extract32(lane), lane)), a);
}
function mapDoublewords(fn: FunctionBuilder, a: V128, b: V128, f: (x: I64, y: I64, index: 0 | 1) => I64): V128 {
  return fn.v128From64(f(element64(a, 0), element64(b, 0), 0), f(element64(a, 1), element64(b, 1), 1));
}

function shifts(width: Width, op: ShiftOp): Semantics {
  return vmxBinary((a, b, s) => shiftLanes(s.fn, width, op, a, b));
}

/** MASK(begin, end) of a word: ones from bit `begin` to bit `end`, wrapping around. */
const maskWord: RuntimeFunction = runtimeFunction('vectorMaskWord', ['i32', 'i32'], 'i32', (fn) => {
  const begin = fn.param32(0);
  const end = fn.param32(1);
  const from = fn.i32(-1).shrU(begin);
  const to = fn.i32(-1).shl(end.xor(31));
  fn.return(from.or(to).selectIf(begin.gtU(end), from.and(to)));
});
const maskDoubleword: RuntimeFunction = runtimeFunction('vectorMaskDoubleword', ['i64', 'i64'], 'i64', (fn) => {
  const begin = fn.param64(0);
  const end = fn.param64(1);
  const from = fn.i64(-1).shrU(begin);
  const to = fn.i64(-1).shl(end.xor(63));
  fn.return(from.or(to).selectIf(begin.gtU(end), from.and(to)));
});

/** The amount is in the low byte of each element of VRB, the last bit of the mask in the next, its first in the third. */
function rotateAndMask(width: 4 | 8, insert: boolean): Semantics {
  return (s) => {
    const { fn } = s;
    const a = s.vr('vra');
    const b = s.vr('vrb');
    const old = insert ? s.vr('vrt') : fn.v128(0n);
    if (width === 4) {
      const word = s.runtime(maskWord);
      const result = mapWords(a, b, (value, control, lane) => {
        const mask = fn.call('i32', word, [control.shrU(16).and(31), control.shrU(8).and(31)]);
        const kept = value.rotl(control).and(mask);
        return insert ? kept.or(old.extract32(lane).and(mask.not())) : kept;
      });
      s.setVr('vrt', result);
      return;
    }
    const doubleword = s.runtime(maskDoubleword);
    const result = mapDoublewords(fn, a, b, (value, control, index) => {
      const mask = fn.call('i64', doubleword, [control.shrU(16).and(63), control.shrU(8).and(63)]);
      const kept = value.rotl(control).and(mask);
      return insert ? kept.or(element64(old, index).and(mask.not())) : kept;
    });
    s.setVr('vrt', result);
  };
}

/** The whole register by 0 to 7 bits; the ISA leaves the result undefined if the bytes of VRB disagree: the last one counts. */
function shiftBits(direction: 'left' | 'right'): Semantics {
  return vmxBinary((a, b, s) => {
    const n = element64(b, 1).and(7);
    const rest = n.xor(63);
    const high = element64(a, 0);
    const low = element64(a, 1);
    return direction === 'left'
      ? s.fn.v128From64(high.shl(n).or(low.shrU(1).shrU(rest)), low.shl(n))
      : s.fn.v128From64(high.shrU(n), low.shrU(n).or(high.shl(1).shl(rest)));
  });
}

/** The whole register by VRB[121:124] bytes. */
function shiftOctets(direction: 'left' | 'right'): Semantics {
  return vmxBinary((a, b, s) => {
    const n = b.extract8U(0).shrU(3).and(15);
    return lanesFrom(s.fn, a, direction === 'left' ? n.neg() : n);
  });
}

/** Each byte by its own amount, its neighbour's bits moving in. */
function shiftVariable(direction: 'left' | 'right'): Semantics {
  return vmxBinary((a, b, s) => {
    const { fn } = s;
    const zero = fn.v128(0n);
    const amount = b.and(constantLanes(fn, 1, 7));
    const rest = amount.xor(constantLanes(fn, 1, 7));
    if (direction === 'left') {
      const next = zero.shuffle(a, [15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
      const moved = stepwise(fn, 1, 'shr_u', next.shift('i8x16.shr_u', 1), rest);
      return stepwise(fn, 1, 'shl', a, amount).or(moved);
    }
    const previous = a.shuffle(zero, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    const moved = stepwise(fn, 1, 'shl', previous.shift('i8x16.shl', 1), rest);
    return stepwise(fn, 1, 'shr_u', a, amount).or(moved);
  });
}

export const vmxShift = {
  vrlb: shifts(1, 'rotl'),
  vrlh: shifts(2, 'rotl'),
  vrlw: shifts(4, 'rotl'),
  vrld: shifts(8, 'rotl'),
  vslb: shifts(1, 'shl'),
  vslh: shifts(2, 'shl'),
  vslw: shifts(4, 'shl'),
  vsld: shifts(8, 'shl'),
  vsrb: shifts(1, 'shr_u'),
  vsrh: shifts(2, 'shr_u'),
  vsrw: shifts(4, 'shr_u'),
  vsrd: shifts(8, 'shr_u'),
  vsrab: shifts(1, 'shr_s'),
  vsrah: shifts(2, 'shr_s'),
  vsraw: shifts(4, 'shr_s'),
  vsrad: shifts(8, 'shr_s'),
  vrlwnm: rotateAndMask(4, false),
  vrlwmi: rotateAndMask(4, true),
  vrldnm: rotateAndMask(8, false),
  vrldmi: rotateAndMask(8, true),
  vsl: shiftBits('left'),
  vsr: shiftBits('right'),
  vslo: shiftOctets('left'),
  vsro: shiftOctets('right'),
  vslv: shiftVariable('left'),
  vsrv: shiftVariable('right'),
} satisfies SemanticsMap;
