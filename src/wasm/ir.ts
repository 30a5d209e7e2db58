// Functions as values and statements: the form in which instruction semantics are written, before WebAssembly bytes.
//
// Calling `a.add(b)` makes a value that is computed once, however often it is used afterwards; using it is free of
// ordering worries, because a value never changes. Reads of memory and variables happen where they are written.
// Constants fold as they are made, which is how one text of semantics serves a generator whose operand fields are
// run-time values and one whose fields are known.
//
// Pure values with one use are emitted at that use; all others get a WebAssembly local.

import { assert } from '../util/errors.ts';
import type { ValueType } from './opcodes.ts';

export type ValueKind = 'const' | 'param' | 'pure' | 'effect';

/** Something a function computes. Made only by `FunctionBuilder` and by the methods of its subclasses. */
export abstract class Value {
  abstract readonly type: ValueType;
  // Declared only: V8's initializers of instance fields took a quarter of the region compiler's time.
  declare readonly fn: FunctionBuilder;
  declare readonly kind: ValueKind;
  /** A WebAssembly instruction name, or `const`, `param`, `get`, `call`, `call_indirect`. */
  declare readonly op: string;
  declare readonly args: readonly Value[];
  declare readonly imm: Immediate;
  declare readonly loopDepth: number;
  declare uses: number;
  /** Set when a use lies in a loop that the value was made outside of: recomputing it there would cost every round. */
  declare usedInInnerLoop: boolean;
  /** WebAssembly local that holds the value once computed; -1 while none does. */
  declare local: number;

  constructor(fn: FunctionBuilder, kind: ValueKind, op: string, args: readonly Value[], imm: Immediate) {
    this.fn = fn;
    this.kind = kind;
    this.op = op;
    this.args = args;
    this.imm = imm;
    this.loopDepth = fn.loopDepth;
    this.uses = 0;
    this.usedInInnerLoop = false;
    this.local = -1;
    for (let i = 0; i < args.length; i++) fn.use(args[i]);
  }
}

interface MemoryOperand {
  readonly operand: Operand;
  readonly lane: number | undefined;
}

/** What is added to an address that an instruction carries, in bytes; a known place may still move before encoding. */
export interface Operand {
  readonly offset: number;
}

/** What an operation carries besides its operands. */
export type Immediate =
  | undefined
  | number
  | bigint
  | Uint8Array
  | MemoryOperand
  | FunctionRef
  | VariableSlot
  | GlobalRef
  | SignatureRef;

export interface Signature {
  readonly params: readonly ValueType[];
  readonly result: ValueType | undefined;
}
export class SignatureRef {
  readonly signature: Signature;
  readonly index: number;
  constructor(signature: Signature, index: number) {
    this.signature = signature;
    this.index = index;
  }
}
/** A function that can be called: imported, defined, or declared for later definition. */
export class FunctionRef {
  readonly name: string;
  readonly signature: SignatureRef;
  readonly index: number;
  constructor(name: string, signature: SignatureRef, index: number) {
    this.name = name;
    this.signature = signature;
    this.index = index;
  }
}
export class GlobalRef {
  readonly name: string;
  readonly type: ValueType;
  readonly index: number;
  constructor(name: string, type: ValueType, index: number) {
    this.name = name;
    this.type = type;
    this.index = index;
  }
}
export class VariableSlot {
  readonly type: ValueType;
  /** Read once, right after it has been set: its WebAssembly local is free afterwards. */
  readonly once: boolean;
  local = -1;
  constructor(type: ValueType, once = false) {
    this.type = type;
    this.once = once;
  }
}

export class Label {
  readonly kind: 'block' | 'loop' | 'if';
  constructor(kind: Label['kind']) {
    this.kind = kind;
  }
}

/** A register's place in memory and the variable that stands for it meanwhile. */
export interface KeptSlot {
  readonly slot: VariableSlot;
  /** Byte offset in memory. */
  readonly address: number;
}

/** A value that stands in a list of statements is computed there. */
export type Statement =
  | Value
  /** Variables to memory, or the other way round. */
  | { readonly kind: 'saveSlots' | 'loadSlots'; readonly slots: readonly KeptSlot[] }
  | {
      readonly kind: 'store';
      readonly op: string;
      readonly address: Value;
      readonly value: Value;
      readonly operand: Operand;
    }
  | { readonly kind: 'set'; readonly slot: VariableSlot; readonly value: Value }
  | { readonly kind: 'setGlobal'; readonly global: GlobalRef; readonly value: Value }
  | { readonly kind: 'call'; readonly target: FunctionRef; readonly args: readonly Value[] }
  | { readonly kind: 'bulk'; readonly op: 'memory.fill' | 'memory.copy'; readonly args: readonly Value[] }
  | {
      readonly kind: 'if';
      readonly label: Label;
      readonly condition: Value;
      readonly yes: Statement[];
      readonly no: Statement[];
      /** Whether `yes` is what usually happens, if that is known. */
      readonly likely?: boolean;
    }
  | { readonly kind: 'block' | 'loop'; readonly label: Label; readonly body: Statement[] }
  | { readonly kind: 'list'; readonly body: Statement[] }
  | { readonly kind: 'br'; readonly label: Label; readonly condition?: Value }
  | { readonly kind: 'switch'; readonly index: Value; readonly cases: readonly Label[]; readonly otherwise: Label }
  | { readonly kind: 'return'; readonly value?: Value }
  /** Calls in the place of this function: `target`, or with a signature the entry of table 0 that the last argument says. */
  | { readonly kind: 'returnCall'; readonly target: FunctionRef | SignatureRef; readonly args: readonly Value[] }
  | { readonly kind: 'unreachable' };

type Int32 = I32 | number;
type Int64 = I64 | bigint | number;

/** A 32-bit integer; signedness belongs to the operation. */
export class I32 extends Value {
  declare readonly type: 'i32';
  private bin(op: string, other: Int32): I32 {
    return this.fn.pure32(op, [this, this.fn.toI32(other)]);
  }
  private un(op: string): I32 {
    return this.fn.pure32(op, [this]);
  }
  /** The value if it is known while generating. */
  get known(): number | undefined {
    return this.kind === 'const' ? (this.imm as number) : undefined;
  }
  add(other: Int32): I32 {
    return this.bin('i32.add', other);
  }
  sub(other: Int32): I32 {
    return this.bin('i32.sub', other);
  }
  mul(other: Int32): I32 {
    return this.bin('i32.mul', other);
  }
  and(other: Int32): I32 {
    return this.bin('i32.and', other);
  }
  or(other: Int32): I32 {
    return this.bin('i32.or', other);
  }
  xor(other: Int32): I32 {
    return this.bin('i32.xor', other);
  }
  shl(other: Int32): I32 {
    return this.bin('i32.shl', other);
  }
  shrU(other: Int32): I32 {
    return this.bin('i32.shr_u', other);
  }
  shrS(other: Int32): I32 {
    return this.bin('i32.shr_s', other);
  }
  rotl(other: Int32): I32 {
    return this.bin('i32.rotl', other);
  }
  rotr(other: Int32): I32 {
    return this.bin('i32.rotr', other);
  }
  eq(other: Int32): I32 {
    return this.bin('i32.eq', other);
  }
  ne(other: Int32): I32 {
    return this.bin('i32.ne', other);
  }
  ltS(other: Int32): I32 {
    return this.bin('i32.lt_s', other);
  }
  ltU(other: Int32): I32 {
    return this.bin('i32.lt_u', other);
  }
  gtS(other: Int32): I32 {
    return this.bin('i32.gt_s', other);
  }
  gtU(other: Int32): I32 {
    return this.bin('i32.gt_u', other);
  }
  leS(other: Int32): I32 {
    return this.bin('i32.le_s', other);
  }
  leU(other: Int32): I32 {
    return this.bin('i32.le_u', other);
  }
  geS(other: Int32): I32 {
    return this.bin('i32.ge_s', other);
  }
  geU(other: Int32): I32 {
    return this.bin('i32.ge_u', other);
  }
  eqz(): I32 {
    return this.un('i32.eqz');
  }
  clz(): I32 {
    return this.un('i32.clz');
  }
  ctz(): I32 {
    return this.un('i32.ctz');
  }
  popcnt(): I32 {
    return this.un('i32.popcnt');
  }
  extend8S(): I32 {
    return this.un('i32.extend8_s');
  }
  extend16S(): I32 {
    return this.un('i32.extend16_s');
  }
  not(): I32 {
    return this.xor(-1);
  }
  neg(): I32 {
    return this.fn.i32(0).sub(this);
  }
  /** 64-bit value with zeros above. */
  extendU(): I64 {
    return this.fn.pure64('i64.extend_i32_u', [this]);
  }
  /** 64-bit value with copies of the sign bit above. */
  extendS(): I64 {
    return this.fn.pure64('i64.extend_i32_s', [this]);
  }
  reinterpretF32(): F32 {
    return this.fn.pureF32('f32.reinterpret_i32', [this]);
  }
  convertToF64S(): F64 {
    return this.fn.pureF64('f64.convert_i32_s', [this]);
  }
  convertToF64U(): F64 {
    return this.fn.pureF64('f64.convert_i32_u', [this]);
  }
  /** `this` if `condition` is not zero, else `other`. Both are computed. */
  selectIf(condition: I32, other: Int32): I32 {
    return this.fn.select(condition, this, this.fn.toI32(other));
  }
}

/** A 64-bit integer; signedness belongs to the operation. */
export class I64 extends Value {
  declare readonly type: 'i64';
  private bin(op: string, other: Int64): I64 {
    return this.fn.pure64(op, [this, this.fn.toI64(other)]);
  }
  private cmp(op: string, other: Int64): I32 {
    return this.fn.pure32(op, [this, this.fn.toI64(other)]);
  }
  private un(op: string): I64 {
    return this.fn.pure64(op, [this]);
  }
  /** The value, as a signed number, if it is known while generating. */
  get known(): bigint | undefined {
    return this.kind === 'const' ? (this.imm as bigint) : undefined;
  }
  add(other: Int64): I64 {
    return this.bin('i64.add', other);
  }
  sub(other: Int64): I64 {
    return this.bin('i64.sub', other);
  }
  mul(other: Int64): I64 {
    return this.bin('i64.mul', other);
  }
  and(other: Int64): I64 {
    return this.bin('i64.and', other);
  }
  or(other: Int64): I64 {
    return this.bin('i64.or', other);
  }
  xor(other: Int64): I64 {
    return this.bin('i64.xor', other);
  }
  /** Shift amounts are taken modulo 64, as in WebAssembly. */
  shl(other: Int64): I64 {
    return this.bin('i64.shl', other);
  }
  shrU(other: Int64): I64 {
    return this.bin('i64.shr_u', other);
  }
  shrS(other: Int64): I64 {
    return this.bin('i64.shr_s', other);
  }
  rotl(other: Int64): I64 {
    return this.bin('i64.rotl', other);
  }
  rotr(other: Int64): I64 {
    return this.bin('i64.rotr', other);
  }
  eq(other: Int64): I32 {
    return this.cmp('i64.eq', other);
  }
  ne(other: Int64): I32 {
    return this.cmp('i64.ne', other);
  }
  ltS(other: Int64): I32 {
    return this.cmp('i64.lt_s', other);
  }
  ltU(other: Int64): I32 {
    return this.cmp('i64.lt_u', other);
  }
  gtS(other: Int64): I32 {
    return this.cmp('i64.gt_s', other);
  }
  gtU(other: Int64): I32 {
    return this.cmp('i64.gt_u', other);
  }
  leS(other: Int64): I32 {
    return this.cmp('i64.le_s', other);
  }
  leU(other: Int64): I32 {
    return this.cmp('i64.le_u', other);
  }
  geS(other: Int64): I32 {
    return this.cmp('i64.ge_s', other);
  }
  geU(other: Int64): I32 {
    return this.cmp('i64.ge_u', other);
  }
  eqz(): I32 {
    return this.fn.pure32('i64.eqz', [this]);
  }
  clz(): I64 {
    return this.un('i64.clz');
  }
  ctz(): I64 {
    return this.un('i64.ctz');
  }
  popcnt(): I64 {
    return this.un('i64.popcnt');
  }
  extend8S(): I64 {
    return this.un('i64.extend8_s');
  }
  extend16S(): I64 {
    return this.un('i64.extend16_s');
  }
  extend32S(): I64 {
    return this.un('i64.extend32_s');
  }
  not(): I64 {
    return this.xor(-1n);
  }
  neg(): I64 {
    return this.fn.i64(0n).sub(this);
  }
  /** The low 32 bits. */
  wrap(): I32 {
    return this.fn.pure32('i32.wrap_i64', [this]);
  }
  /** Zero-extends the low 32 bits. */
  low32(): I64 {
    return this.and(0xffff_ffffn);
  }
  /** Division traps on a zero divisor and on overflow: guard it, and compute it only where the guard holds. */
  divS(other: Int64): I64 {
    return this.fn.effect('i64.div_s', 'i64', [this, this.fn.toI64(other)], undefined) as I64;
  }
  divU(other: Int64): I64 {
    return this.fn.effect('i64.div_u', 'i64', [this, this.fn.toI64(other)], undefined) as I64;
  }
  remS(other: Int64): I64 {
    return this.fn.effect('i64.rem_s', 'i64', [this, this.fn.toI64(other)], undefined) as I64;
  }
  remU(other: Int64): I64 {
    return this.fn.effect('i64.rem_u', 'i64', [this, this.fn.toI64(other)], undefined) as I64;
  }
  reinterpretF64(): F64 {
    if (this.op === 'i64.reinterpret_f64') return this.args[0] as F64;
    if (this.op === 'i64x2.extract_lane') return this.fn.pureF64('f64x2.extract_lane', this.args, this.imm);
    return this.fn.pureF64('f64.reinterpret_i64', [this]);
  }
  /** Rounds to nearest even. */
  convertToF64S(): F64 {
    return this.fn.pureF64('f64.convert_i64_s', [this]);
  }
  convertToF64U(): F64 {
    return this.fn.pureF64('f64.convert_i64_u', [this]);
  }
  convertToF32S(): F32 {
    return this.fn.pureF32('f32.convert_i64_s', [this]);
  }
  convertToF32U(): F32 {
    return this.fn.pureF32('f32.convert_i64_u', [this]);
  }
  selectIf(condition: I32, other: Int64): I64 {
    return this.fn.select(condition, this, this.fn.toI64(other));
  }
}

/** An IEEE binary32 number under WebAssembly's rules: round to nearest even, no flags, unspecified NaN payloads. */
export class F32 extends Value {
  declare readonly type: 'f32';
  private bin(op: string, other: F32): F32 {
    return this.fn.pureF32(op, [this, other]);
  }
  private cmp(op: string, other: F32): I32 {
    return this.fn.pure32(op, [this, other]);
  }
  private un(op: string): F32 {
    return this.fn.pureF32(op, [this]);
  }
  add(other: F32): F32 {
    return this.bin('f32.add', other);
  }
  sub(other: F32): F32 {
    return this.bin('f32.sub', other);
  }
  mul(other: F32): F32 {
    return this.bin('f32.mul', other);
  }
  div(other: F32): F32 {
    return this.bin('f32.div', other);
  }
  sqrt(): F32 {
    return this.un('f32.sqrt');
  }
  abs(): F32 {
    return this.un('f32.abs');
  }
  neg(): F32 {
    return this.un('f32.neg');
  }
  eq(other: F32): I32 {
    return this.cmp('f32.eq', other);
  }
  ne(other: F32): I32 {
    return this.cmp('f32.ne', other);
  }
  lt(other: F32): I32 {
    return this.cmp('f32.lt', other);
  }
  gt(other: F32): I32 {
    return this.cmp('f32.gt', other);
  }
  le(other: F32): I32 {
    return this.cmp('f32.le', other);
  }
  ge(other: F32): I32 {
    return this.cmp('f32.ge', other);
  }
  reinterpretI32(): I32 {
    return this.fn.pure32('i32.reinterpret_f32', [this]);
  }
  promote(): F64 {
    return this.fn.pureF64('f64.promote_f32', [this]);
  }
}

/** An IEEE binary64 number under WebAssembly's rules: round to nearest even, no flags, unspecified NaN payloads. */
export class F64 extends Value {
  declare readonly type: 'f64';
  private bin(op: string, other: F64): F64 {
    return this.fn.pureF64(op, [this, other]);
  }
  private cmp(op: string, other: F64): I32 {
    return this.fn.pure32(op, [this, other]);
  }
  private un(op: string): F64 {
    return this.fn.pureF64(op, [this]);
  }
  add(other: F64): F64 {
    return this.bin('f64.add', other);
  }
  sub(other: F64): F64 {
    return this.bin('f64.sub', other);
  }
  mul(other: F64): F64 {
    return this.bin('f64.mul', other);
  }
  div(other: F64): F64 {
    return this.bin('f64.div', other);
  }
  sqrt(): F64 {
    return this.un('f64.sqrt');
  }
  abs(): F64 {
    return this.un('f64.abs');
  }
  neg(): F64 {
    return this.un('f64.neg');
  }
  floor(): F64 {
    return this.un('f64.floor');
  }
  ceil(): F64 {
    return this.un('f64.ceil');
  }
  trunc(): F64 {
    return this.un('f64.trunc');
  }
  nearest(): F64 {
    return this.un('f64.nearest');
  }
  copysign(sign: F64): F64 {
    return this.bin('f64.copysign', sign);
  }
  eq(other: F64): I32 {
    return this.cmp('f64.eq', other);
  }
  ne(other: F64): I32 {
    return this.cmp('f64.ne', other);
  }
  lt(other: F64): I32 {
    return this.cmp('f64.lt', other);
  }
  gt(other: F64): I32 {
    return this.cmp('f64.gt', other);
  }
  le(other: F64): I32 {
    return this.cmp('f64.le', other);
  }
  ge(other: F64): I32 {
    return this.cmp('f64.ge', other);
  }
  reinterpretI64(): I64 {
    if (this.op === 'f64.reinterpret_i64') return this.args[0] as I64;
    return this.fn.pure64('i64.reinterpret_f64', [this]);
  }
  demote(): F32 {
    return this.fn.pureF32('f32.demote_f64', [this]);
  }
  truncSatToI64S(): I64 {
    return this.fn.pure64('i64.trunc_sat_f64_s', [this]);
  }
  truncSatToI64U(): I64 {
    return this.fn.pure64('i64.trunc_sat_f64_u', [this]);
  }
  truncSatToI32S(): I32 {
    return this.fn.pure32('i32.trunc_sat_f64_s', [this]);
  }
  truncSatToI32U(): I32 {
    return this.fn.pure32('i32.trunc_sat_f64_u', [this]);
  }
}

/** A 128-bit vector. WebAssembly lane 0 is the least significant one; the Power ISA's element 0 is the most significant. */
export class V128 extends Value {
  declare readonly type: 'v128';
  /** A two-operand SIMD instruction by its WebAssembly name, e.g. `i8x16.add_sat_u`. */
  bin(op: string, other: V128): V128 {
    return this.fn.pureV128(op, [this, other]);
  }
  /** A one-operand SIMD instruction with a vector result, e.g. `i16x8.neg`. */
  un(op: string): V128 {
    return this.fn.pureV128(op, [this]);
  }
  /** A lane-wise shift by one scalar amount (modulo the lane width), e.g. `i32x4.shr_u`. */
  shift(op: string, amount: Int32): V128 {
    return this.fn.pureV128(op, [this, this.fn.toI32(amount)]);
  }
  and(other: V128): V128 {
    return this.bin('v128.and', other);
  }
  or(other: V128): V128 {
    return this.bin('v128.or', other);
  }
  xor(other: V128): V128 {
    return this.bin('v128.xor', other);
  }
  /** `this & ~other`. */
  andnot(other: V128): V128 {
    return this.bin('v128.andnot', other);
  }
  not(): V128 {
    return this.un('v128.not');
  }
  /** Bits of `this` where `mask` has ones, of `other` elsewhere. */
  bitselect(other: V128, mask: V128): V128 {
    return this.fn.pureV128('v128.bitselect', [this, other, mask]);
  }
  /** `v128.any_true`, `i8x16.all_true`, `i8x16.bitmask` and their like. */
  test(op: string): I32 {
    return this.fn.pure32(op, [this]);
  }
  /** Byte i of the result is byte `index[i]` of `this`, or 0 when the index is 16 or more. */
  swizzle(index: V128): V128 {
    return this.bin('i8x16.swizzle', index);
  }
  /** Byte i of the result is byte `lanes[i]` of `this` (0..15) followed by `other` (16..31). */
  shuffle(other: V128, lanes: readonly number[]): V128 {
    assert(lanes.length === 16, 'a shuffle names 16 lanes');
    return this.fn.pureV128('i8x16.shuffle', [this, other], Uint8Array.from(lanes));
  }
  extract8U(lane: number): I32 {
    return this.fn.pure32('i8x16.extract_lane_u', [this], lane);
  }
  extract8S(lane: number): I32 {
    return this.fn.pure32('i8x16.extract_lane_s', [this], lane);
  }
  extract16U(lane: number): I32 {
    return this.fn.pure32('i16x8.extract_lane_u', [this], lane);
  }
  extract16S(lane: number): I32 {
    return this.fn.pure32('i16x8.extract_lane_s', [this], lane);
  }
  extract32(lane: number): I32 {
    return this.fn.pure32('i32x4.extract_lane', [this], lane);
  }
  extract64(lane: number): I64 {
    return this.fn.pure64('i64x2.extract_lane', [this], lane);
  }
  extractF32(lane: number): F32 {
    return this.fn.pureF32('f32x4.extract_lane', [this], lane);
  }
  extractF64(lane: number): F64 {
    return this.fn.pureF64('f64x2.extract_lane', [this], lane);
  }
  replace8(lane: number, value: I32): V128 {
    return this.fn.pureV128('i8x16.replace_lane', [this, value], lane);
  }
  replace16(lane: number, value: I32): V128 {
    return this.fn.pureV128('i16x8.replace_lane', [this, value], lane);
  }
  replace32(lane: number, value: I32): V128 {
    return this.fn.pureV128('i32x4.replace_lane', [this, value], lane);
  }
  replace64(lane: number, value: I64): V128 {
    return this.fn.pureV128('i64x2.replace_lane', [this, value], lane);
  }
  selectIf(condition: I32, other: V128): V128 {
    return this.fn.select(condition, this, other);
  }
}

for (const [kind, type] of [
  [I32, 'i32'],
  [I64, 'i64'],
  [F32, 'f32'],
  [F64, 'f64'],
  [V128, 'v128'],
] as const) {
  Object.defineProperty(kind.prototype, 'type', { value: type });
}

export interface ValueOf {
  i32: I32;
  i64: I64;
  f32: F32;
  f64: F64;
  v128: V128;
}

/** A place that can be assigned, for what loops and branches carry. */
export class Variable<T extends ValueType> {
  readonly fn: FunctionBuilder;
  readonly slot: VariableSlot;
  constructor(fn: FunctionBuilder, type: T, once = false) {
    this.fn = fn;
    this.slot = new VariableSlot(type, once);
  }
  get(): ValueOf[T] {
    return this.fn.effect('get', this.slot.type, NO_ARGS, this.slot) as ValueOf[T];
  }
  /** The value for one use, before the next assignment. */
  peek(): ValueOf[T] {
    return this.fn.variableValue(this.slot) as ValueOf[T];
  }
  set(value: ValueOf[T]): void {
    this.fn.use(value);
    this.fn.emit({ kind: 'set', slot: this.slot, value });
  }
}

const fold32: Readonly<Record<string, (a: number, b: number) => number>> = {
  'i32.add': (a, b) => (a + b) | 0,
  'i32.sub': (a, b) => (a - b) | 0,
  'i32.mul': (a, b) => Math.imul(a, b),
  'i32.and': (a, b) => a & b,
  'i32.or': (a, b) => a | b,
  'i32.xor': (a, b) => a ^ b,
  'i32.shl': (a, b) => a << (b & 31),
  'i32.shr_u': (a, b) => (a >>> (b & 31)) | 0,
  'i32.shr_s': (a, b) => a >> (b & 31),
  'i32.eq': (a, b) => Number(a === b),
  'i32.ne': (a, b) => Number(a !== b),
  'i32.lt_s': (a, b) => Number(a < b),
  'i32.lt_u': (a, b) => Number(a >>> 0 < b >>> 0),
  'i32.gt_s': (a, b) => Number(a > b),
  'i32.gt_u': (a, b) => Number(a >>> 0 > b >>> 0),
  'i32.le_u': (a, b) => Number(a >>> 0 <= b >>> 0),
  'i32.ge_u': (a, b) => Number(a >>> 0 >= b >>> 0),
  'i32.ge_s': (a, b) => Number(a >= b),
  'i32.le_s': (a, b) => Number(a <= b),
};

const fold64: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  'i64.add': (a, b) => a + b,
  'i64.sub': (a, b) => a - b,
  'i64.mul': (a, b) => a * b,
  'i64.and': (a, b) => a & b,
  'i64.or': (a, b) => a | b,
  'i64.xor': (a, b) => a ^ b,
  'i64.shl': (a, b) => a << (b & 63n),
  'i64.shr_u': (a, b) => BigInt.asUintN(64, a) >> (b & 63n),
  'i64.shr_s': (a, b) => a >> (b & 63n),
  'i64.rotl': (a, b) => (a << (b & 63n)) | (BigInt.asUintN(64, a) >> (-b & 63n)),
};

const unsigned = (value: bigint) => BigInt.asUintN(64, value);
const compare64: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  'i64.eq': (a, b) => a === b,
  'i64.ne': (a, b) => a !== b,
  'i64.lt_s': (a, b) => a < b,
  'i64.le_s': (a, b) => a <= b,
  'i64.gt_s': (a, b) => a > b,
  'i64.ge_s': (a, b) => a >= b,
  'i64.lt_u': (a, b) => unsigned(a) < unsigned(b),
  'i64.le_u': (a, b) => unsigned(a) <= unsigned(b),
  'i64.gt_u': (a, b) => unsigned(a) > unsigned(b),
  'i64.ge_u': (a, b) => unsigned(a) >= unsigned(b),
};

/** `op(x, identity)` is `x`. */
const rightIdentity32: Readonly<Record<string, number>> = {
  'i32.add': 0,
  'i32.sub': 0,
  'i32.or': 0,
  'i32.xor': 0,
  'i32.shl': 0,
  'i32.shr_u': 0,
  'i32.shr_s': 0,
  'i32.and': -1,
  'i32.mul': 1,
};
const rightIdentity64: Readonly<Record<string, bigint>> = {
  'i64.add': 0n,
  'i64.sub': 0n,
  'i64.or': 0n,
  'i64.xor': 0n,
  'i64.shl': 0n,
  'i64.shr_u': 0n,
  'i64.shr_s': 0n,
  'i64.rotl': 0n,
  'i64.and': -1n,
  'i64.mul': 1n,
};

const NO_ARGS: readonly Value[] = [];
/** How many constants a function remembers, by their low bits; a power of two. */
const REMEMBERED = 64;

const commutative: ReadonlySet<string> = new Set(
  ['add', 'mul', 'and', 'or', 'xor', 'eq', 'ne'].flatMap((op) => [`i32.${op}`, `i64.${op}`]),
);

/** Comparisons of integers, by the ones that hold where they do not. */
const opposite = new Map<string, string>();
for (const type of ['i32', 'i64']) {
  for (const [one, other] of [
    ['eq', 'ne'],
    ['lt_s', 'ge_s'],
    ['lt_u', 'ge_u'],
    ['gt_s', 'le_s'],
    ['gt_u', 'le_u'],
  ]) {
    opposite.set(`${type}.${one}`, `${type}.${other}`).set(`${type}.${other}`, `${type}.${one}`);
  }
}
/** Whether a value is visibly 0 or 1. */
function isTruth({ op, args }: Value): boolean {
  return opposite.has(op) || op === 'i32.eqz' || op === 'i64.eqz' || (op === 'i32.and' && args[1].imm === 1);
}

type Offset = number | Operand | undefined;
function operandOf(offset: Offset): Operand {
  return typeof offset === 'object' ? offset : { offset: offset ?? 0 };
}

export interface BuildMark {
  readonly list: Statement[];
  readonly length: number;
  readonly nesting: number;
  readonly loopDepth: number;
}

/** Builds one function: values by their methods, statements in the order of the calls. */
export class FunctionBuilder {
  readonly name: string;
  readonly signature: Signature;
  readonly body: Statement[] = [];
  readonly params: readonly Value[];
  loopDepth = 0;
  /** How many `if`, `block`, `loop` and the like are being built around what comes next. */
  nesting = 0;
  private current: Statement[] = this.body;
  private readonly constants: (I32 | undefined)[] = new Array(REMEMBERED).fill(undefined);

  constructor(name: string, signature: Signature) {
    this.name = name;
    this.signature = signature;
    this.params = signature.params.map((type, index) => this.make(type, 'param', 'param', [], index));
  }

  /** The parameter at `index` as a 32-bit integer; likewise `param64`. */
  param32(index: number): I32 {
    return this.params[index] as I32;
  }
  param64(index: number): I64 {
    return this.params[index] as I64;
  }
  param<T extends ValueType>(_type: T, index: number): ValueOf[T] {
    return this.params[index] as ValueOf[T];
  }

  i32(value: number): I32 {
    const imm = value | 0;
    const place = imm & (REMEMBERED - 1);
    const remembered = this.constants[place];
    if (remembered?.imm === imm) return remembered;
    const made = new I32(this, 'const', 'const', NO_ARGS, imm);
    this.constants[place] = made;
    return made;
  }
  i64(value: bigint | number): I64 {
    return new I64(this, 'const', 'const', NO_ARGS, BigInt.asIntN(64, BigInt(value)));
  }
  f32(value: number): F32 {
    return new F32(this, 'const', 'const', [], value);
  }
  f64(value: number): F64 {
    return new F64(this, 'const', 'const', [], value);
  }
  /** A vector constant as a 128-bit number, most significant bit of element 0 first. */
  v128(value: bigint): V128 {
    const bytes = new Uint8Array(16);
    for (let i = 0; i < 16; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return new V128(this, 'const', 'const', [], bytes);
  }
  toI32(value: Int32): I32 {
    return typeof value === 'number' ? this.i32(value) : value;
  }
  toI64(value: Int64): I64 {
    return typeof value === 'bigint' || typeof value === 'number' ? this.i64(value) : value;
  }
  splat8(value: I32): V128 {
    return this.pureV128('i8x16.splat', [value]);
  }
  splat16(value: I32): V128 {
    return this.pureV128('i16x8.splat', [value]);
  }
  splat32(value: I32): V128 {
    return this.pureV128('i32x4.splat', [value]);
  }
  splat64(value: I64): V128 {
    return this.pureV128('i64x2.splat', [value]);
  }
  /** A vector from its doublewords; `high` is the ISA's doubleword 0. */
  v128From64(high: I64, low: I64): V128 {
    return this.splat64(low).replace64(1, high);
  }

  select<V extends Value>(condition: I32, yes: V, no: V): V {
    const known = condition.known;
    if (known !== undefined) return known ? yes : no;
    return this.pure(this.make(yes.type, 'pure', 'select', [yes, no, condition], undefined)) as V;
  }

  pure32(op: string, args: readonly Value[], imm?: Immediate): I32 {
    const [a, b] = args;
    if (a.kind === 'const' && b && b.kind !== 'const' && commutative.has(op)) return this.pure32(op, [b, a], imm);
    if (a.kind === 'const' && a.type === 'i32') {
      const left = a.imm as number;
      if (op === 'i32.eqz') return this.i32(Number(left === 0));
      if (op === 'i32.clz') return this.i32(Math.clz32(left));
      if (b?.kind === 'const' && fold32[op]) return this.i32(fold32[op](left, b.imm as number));
    }
    if (a.kind === 'const' && a.type === 'i64') {
      const left = a.imm as bigint;
      if (op === 'i32.wrap_i64') return this.i32(Number(BigInt.asIntN(32, left)));
      if (op === 'i64.eqz') return this.i32(Number(left === 0n));
      if (b?.kind === 'const' && compare64[op]) return this.i32(Number(compare64[op](left, b.imm as bigint)));
    }
    if (b?.kind === 'const' && a.type === 'i32' && rightIdentity32[op] === b.imm) return a as I32;
    const truth = this.truth(op, a, b);
    if (truth) return truth;
    return this.pure(new I32(this, 'pure', op, args, imm));
  }
  /** A simpler form of what is asked about a value that is 0 or 1. */
  private truth(op: string, a: Value, b: Value | undefined): I32 | undefined {
    if (op !== 'i32.eqz' && op !== 'i32.eq' && op !== 'i32.and') return undefined;
    const asked = op === 'i32.eqz' ? 0 : b?.kind === 'const' ? b.imm : undefined;
    if (op === 'i32.and') return asked === 1 && isTruth(a) ? (a as I32) : undefined;
    if (asked === 1 && isTruth(a)) return a as I32;
    if (asked !== 0) return undefined;
    const other = opposite.get(a.op);
    if (other) return this.pure32(other, a.args);
    if (a.op === 'i64.eqz') return this.pure32('i64.ne', [a.args[0], this.i64(0n)]);
    return op === 'i32.eq' ? this.pure32('i32.eqz', [a]) : undefined;
  }
  pure64(op: string, args: readonly Value[], imm?: Immediate): I64 {
    const [a, b] = args;
    if (a.kind === 'const' && b && b.kind !== 'const' && commutative.has(op)) return this.pure64(op, [b, a], imm);
    if (a.kind === 'const' && typeof a.imm === 'bigint' && b?.kind === 'const' && fold64[op]) {
      return this.i64(fold64[op](a.imm, b.imm as bigint));
    }
    if (a.kind === 'const' && typeof a.imm === 'number' && a.type === 'i32') {
      if (op === 'i64.extend_i32_s') return this.i64(a.imm);
      if (op === 'i64.extend_i32_u') return this.i64(a.imm >>> 0);
    }
    if (b?.kind === 'const' && a.type === 'i64' && rightIdentity64[op] === b.imm) return a as I64;
    return this.pure(new I64(this, 'pure', op, args, imm));
  }
  pureF32(op: string, args: readonly Value[], imm?: Immediate): F32 {
    return this.pure(new F32(this, 'pure', op, args, imm));
  }
  pureF64(op: string, args: readonly Value[], imm?: Immediate): F64 {
    return this.pure(new F64(this, 'pure', op, args, imm));
  }
  pureV128(op: string, args: readonly Value[], imm?: Immediate): V128 {
    return this.pure(new V128(this, 'pure', op, args, imm));
  }

  private pure<V extends Value>(value: V): V {
    this.current.push(value);
    return value;
  }
  /** Notes that a statement or value being made now uses `value`. */
  use(value: Value): void {
    value.uses++;
    if (this.loopDepth > value.loopDepth) value.usedInInnerLoop = true;
  }

  /** A value whose computation must happen here: a load, a call, a variable read, a division. */
  effect(op: string, type: ValueType, args: readonly Value[], imm: Immediate): Value {
    const value = this.make(type, 'effect', op, args, imm);
    this.current.push(value);
    return value;
  }

  /** Little-endian load, e.g. `load('i64', 'i64.load32_u', address, 8)`. The address is a byte offset in memory. */
  load<T extends ValueType>(type: T, op: string, address: I32 | number, offset: Offset = 0, lane?: number): ValueOf[T] {
    return this.effect(op, type, [this.toI32(address)], { operand: operandOf(offset), lane }) as ValueOf[T];
  }
  load32(address: I32 | number, offset = 0): I32 {
    return this.load('i32', 'i32.load', address, offset);
  }
  load64(address: I32 | number, offset = 0): I64 {
    return this.load('i64', 'i64.load', address, offset);
  }
  loadV128(address: I32 | number, offset: Offset = 0): V128 {
    return this.load('v128', 'v128.load', address, offset);
  }
  store(op: string, address: I32 | number, value: Value, offset: Offset = 0): void {
    const at = this.toI32(address);
    this.use(at);
    this.use(value);
    this.emit({ kind: 'store', op, address: at, value, operand: operandOf(offset) });
  }
  store32(address: I32 | number, value: Int32, offset = 0): void {
    this.store('i32.store', address, this.toI32(value), offset);
  }
  store64(address: I32 | number, value: Int64, offset = 0): void {
    this.store('i64.store', address, this.toI64(value), offset);
  }
  storeV128(address: I32 | number, value: V128, offset: Offset = 0): void {
    this.store('v128.store', address, value, offset);
  }
  /** `memory.fill(address, byte, length)`. */
  fill(address: Int32, byte: Int32, length: Int32): void {
    this.bulk('memory.fill', [this.toI32(address), this.toI32(byte), this.toI32(length)]);
  }
  /** `memory.copy(target, source, length)`. */
  copy(target: Int32, source: Int32, length: Int32): void {
    this.bulk('memory.copy', [this.toI32(target), this.toI32(source), this.toI32(length)]);
  }
  private bulk(op: 'memory.fill' | 'memory.copy', args: readonly Value[]): void {
    for (const arg of args) this.use(arg);
    this.emit({ kind: 'bulk', op, args });
  }

  variable<T extends ValueType>(type: T, initial?: ValueOf[T]): Variable<T> {
    const variable = new Variable(this, type);
    if (initial) variable.set(initial);
    return variable;
  }

  variableValue(slot: VariableSlot): Value {
    return this.pure(this.make(slot.type, 'pure', 'get', NO_ARGS, slot));
  }

  /** Stores variables to their places in memory. */
  saveSlots(slots: readonly KeptSlot[]): void {
    if (slots.length) this.emit({ kind: 'saveSlots', slots });
  }
  /** Sets variables to what is at their places in memory. */
  loadSlots(slots: readonly KeptSlot[]): void {
    if (slots.length) this.emit({ kind: 'loadSlots', slots });
  }

  getGlobal<T extends ValueType>(global: GlobalRef): ValueOf[T] {
    return this.effect('global.get', global.type, [], global) as ValueOf[T];
  }
  setGlobal(global: GlobalRef, value: Value): void {
    this.use(value);
    this.emit({ kind: 'setGlobal', global, value });
  }

  /** Calls a function that returns a value. */
  call<T extends ValueType>(type: T, target: FunctionRef, args: readonly Value[]): ValueOf[T] {
    const { result } = target.signature.signature;
    if (result !== type) assert(false, `${target.name} returns ${result}, not ${type}`);
    this.checkArguments(target, args);
    return this.effect('call', type, args, target) as ValueOf[T];
  }
  callVoid(target: FunctionRef, args: readonly Value[]): void {
    if (target.signature.signature.result !== undefined) assert(false, `${target.name} returns a value`);
    this.checkArguments(target, args);
    for (const arg of args) this.use(arg);
    this.emit({ kind: 'call', target, args });
  }
  /** Calls entry `index` of table 0. */
  callIndirect<T extends ValueType>(type: T, signature: SignatureRef, index: I32, args: readonly Value[]): ValueOf[T] {
    return this.effect('call_indirect', type, [...args, index], signature) as ValueOf[T];
  }

  /** The parts are run at once to collect their statements; a known condition keeps only the part that happens. */
  if(condition: I32, then: () => void, otherwise?: () => void, likely?: boolean): void {
    const known = condition.known;
    if (known !== undefined) {
      if (known) then();
      else otherwise?.();
      return;
    }
    this.use(condition);
    const label = new Label('if');
    const thenBody = this.collect(then);
    const elseBody = otherwise ? this.collect(otherwise) : [];
    this.emit({ kind: 'if', label, condition, yes: thenBody, no: elseBody, likely });
  }
  /** The value of whichever part happens; only that part is computed. */
  choose<V extends Value>(condition: I32, then: () => V, otherwise: () => V, likely?: boolean): V {
    const known = condition.known;
    if (known !== undefined) return known ? then() : otherwise();
    let result: Variable<ValueType> | undefined;
    const assign = (part: () => V) => () => {
      const value = part();
      result ??= new Variable(this, value.type, true);
      (result as unknown as Variable<'i32'>).set(value as unknown as I32);
    };
    this.if(condition, assign(then), assign(otherwise), likely);
    return (result as unknown as Variable<'i32'>).get() as unknown as V;
  }
  /** `br` to the label leaves the block. */
  block(body: (label: Label) => void): void {
    const label = new Label('block');
    const statements = this.collect(() => body(label));
    this.emit({ kind: 'block', label, body: statements });
  }
  /** `br` to the label starts the next round; falling out of the end leaves the loop. */
  loop(body: (label: Label) => void): void {
    const label = new Label('loop');
    this.loopDepth++;
    const statements = this.collect(() => body(label));
    this.loopDepth--;
    this.emit({ kind: 'loop', label, body: statements });
  }
  br(label: Label): void {
    this.emit({ kind: 'br', label });
  }
  brIf(label: Label, condition: I32): void {
    this.use(condition);
    this.emit({ kind: 'br', label, condition });
  }
  /** Runs the case at `index`, or the last one when there is no such case. No fall-through. */
  switch(index: I32, cases: readonly (() => void)[], otherwise: () => void): void {
    this.use(index);
    const labels = cases.map(() => new Label('block'));
    const defaultLabel = new Label('block');
    this.block((done) => {
      let inner: Statement[] = [{ kind: 'switch', index, cases: labels, otherwise: defaultLabel }];
      cases.forEach((part, i) => {
        const body = this.collect(part);
        inner = [{ kind: 'block', label: labels[i], body: inner }, ...body, { kind: 'br', label: done }];
      });
      this.emit({ kind: 'block', label: defaultLabel, body: inner });
      otherwise();
    });
  }
  return(value?: Value): void {
    if (value) this.use(value);
    this.emit({ kind: 'return', value });
  }
  /** Returns what `target` returns, which takes this function's place on the stack: a tail call. */
  returnCall(target: FunctionRef, args: readonly Value[]): void {
    this.checkArguments(target, args);
    for (const arg of args) this.use(arg);
    this.emit({ kind: 'returnCall', target, args });
  }
  /** A tail call of entry `index` of table 0. */
  returnCallIndirect(signature: SignatureRef, index: I32, args: readonly Value[]): void {
    for (const arg of [...args, index]) this.use(arg);
    this.emit({ kind: 'returnCall', target: signature, args: [...args, index] });
  }
  unreachable(): void {
    this.emit({ kind: 'unreachable' });
  }

  emit(statement: Statement): void {
    this.current.push(statement);
  }
  private collect(part: () => void): Statement[] {
    const outer = this.current;
    const inner: Statement[] = [];
    this.current = inner;
    this.nesting++;
    part();
    this.nesting--;
    this.current = outer;
    return inner;
  }
  /** A place in the sequence whose statements are added later, with `fillPlace`, before the function is encoded. */
  later(): Statement[] {
    const body: Statement[] = [];
    this.emit({ kind: 'list', body });
    return body;
  }
  /** Where building stands, for `rollback`. */
  mark(): BuildMark {
    const { current, nesting, loopDepth } = this;
    return { list: current, length: current.length, nesting, loopDepth };
  }
  /** Takes back all statements since `mark` was made in the same list or around it. Their values must not be used. */
  rollback(mark: BuildMark): void {
    this.current = mark.list;
    this.current.length = mark.length;
    this.nesting = mark.nesting;
    this.loopDepth = mark.loopDepth;
  }
  /** Adds statements to a place made by `later`; they may only use variables, parameters and constants. */
  fillPlace(place: Statement[], part: () => void): void {
    place.push(...this.collect(part));
  }
  private checkArguments(target: FunctionRef, args: readonly Value[]): void {
    const wanted = target.signature.signature.params;
    let fits = wanted.length === args.length;
    for (let i = 0; fits && i < wanted.length; i++) fits = wanted[i] === args[i].type;
    // Made only when it is needed: calls are frequent.
    if (!fits) {
      const given = args.map((arg) => arg.type).join(', ');
      assert(false, `call of ${target.name}(${wanted.join(', ')}) with (${given})`);
    }
  }
  private make(type: ValueType, kind: ValueKind, op: string, args: readonly Value[], imm: Immediate): Value {
    switch (type) {
      case 'i32':
        return new I32(this, kind, op, args, imm);
      case 'i64':
        return new I64(this, kind, op, args, imm);
      case 'f32':
        return new F32(this, kind, op, args, imm);
      case 'f64':
        return new F64(this, kind, op, args, imm);
      case 'v128':
        return new V128(this, kind, op, args, imm);
    }
  }
}
