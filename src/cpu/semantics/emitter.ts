// What the meaning of an instruction is written against. Two generators fill it: the interpreter, whose operand fields
// are run-time values taken from the instruction word, and the region compiler, whose operand fields are constants.
//
// Rules for semantics:
// - Facility and privilege checks come from the instruction table; semantics start behind them.
// - A memory access can leave the instruction (storage interrupt, MMIO). Do all accesses before changing any register.
// - `return`-like methods (jump, trap, interrupt, ...) may stand at the end or inside `fn.if`.
// - Values are computed once and never change; registers are read where they are read.
// - What is too large to repeat in each instruction is a runtime function (runtime.ts).

import type { FunctionBuilder, FunctionRef, I32, I64, V128 } from '../../wasm/ir.ts';
import type { StateField } from '../state/layout.ts';
import type { DeferredStatus } from './fpu/deferred.ts';
import type { HostCall } from './hostcall.ts';
import type { RuntimeFunction } from './runtime.ts';

/** Fields that both generators know when they emit: each value has its own code. */
export type StaticField = 'rc' | 'oe' | 'aa' | 'lk';

/** Which kind of access a translation is for. */
export type Access = 'load' | 'store';

export interface Emitter {
  readonly fn: FunctionBuilder;
  /**
   * Whether `relaxed_madd` may be used, since it rounds once. Not in code that is made on one host for all of them, nor in
   * runtime functions, which are part of that.
   */
  readonly fuses: boolean;

  /** A one-bit field that is known while generating. False if the instruction has no such field. */
  flag(name: StaticField): boolean;
  /** An operand field: unsigned, or sign-extended where the table says so. */
  field(name: string): I32;
  /** The same as a 64-bit value. */
  field64(name: string): I64;

  /** General purpose register named by a field. */
  gpr(field: string): I64;
  /** `(RA|0)`: 0 when the field is 0. */
  gprOr0(field: string): I64;
  setGpr(field: string, value: I64): void;
  /** Register by number 0..31; for pairs and multiples. */
  gprAt(index: I32): I64;
  setGprAt(index: I32, value: I64): void;

  /** Floating-point register as bits. */
  fpr(field: string): I64;
  /** Sets doubleword 0 of the VSR and clears doubleword 1. */
  setFpr(field: string, bits: I64): void;
  fprAt(index: I32): I64;
  setFprAt(index: I32, bits: I64): void;

  /** VMX register (field value 0..31 names VSR 32..63). Lane 0 of the value is the ISA's rightmost element. */
  vr(field: string): V128;
  setVr(field: string, value: V128): void;
  /** VSX register by its 6-bit field. */
  vsr(field: string): V128;
  setVsr(field: string, value: V128): void;
  /** Sets doubleword 0 of a VSX register and clears doubleword 1. */
  setVsrScalar(field: string, bits: I64): void;
  /** Doubleword 0 or 1 of a VSX register. */
  vsrDoubleword(field: string, index: 0 | 1): I64;

  /** CR field 0..7 as a 4-bit number LT GT EQ SO. */
  crField(index: I32 | number): I32;
  setCrField(index: I32 | number, value: I32): void;
  /** CR bit 0..31 as 0 or 1. */
  crBit(index: I32): I32;
  setCrBit(index: I32, value: I32): void;
  /** CR0 := compare of `value` with zero, and SO. Does nothing unless the record bit is set. */
  record(value: I64): void;
  /** CR6 or another field of a vector compare, FP record forms and the like are `setCrField`. */

  /** Any field of the register block by name; `index` for arrays. */
  state32(name: StateField, index?: number): I32;
  setState32(name: StateField, value: I32, index?: number): void;
  state64(name: StateField, index?: number): I64;
  setState64(name: StateField, value: I64, index?: number): void;

  /** Address of this instruction, and of the one after it. */
  cia(): I64;
  nia(): I64;

  /** Zero-extended load of 1, 2, 4 or 8 bytes in the current byte order. */
  load(ea: I64, bytes: 1 | 2 | 4 | 8): I64;
  /** Stores the low `bytes` bytes in the current byte order. */
  store(ea: I64, bytes: 1 | 2 | 4 | 8, value: I64): void;
  /** 16 bytes as one number in the current byte order: on LE the plain register image. */
  loadVector(ea: I64): V128;
  storeVector(ea: I64, value: V128): void;
  /** True (1) if accesses are little-endian; known in generated code for the usual mode. */
  littleEndian(): I32;
  /** True (1) in 64-bit mode; known in generated code for the usual mode. */
  wide(): I32;
  /** Effective address arithmetic: in 32-bit mode the upper half is dropped. */
  ea(value: I64): I64;
  /**
   * Memory offset at which `bytes` bytes at `ea` stand, after all checks for the access; they must be naturally
   * aligned, else an alignment interrupt is taken. Memory that is not RAM takes an alignment interrupt too.
   */
  hostAddress(ea: I64, bytes: number, access: Access): I32;

  /** Continues at `target`; low two bits dropped. Ends the instruction. */
  jump(target: I64): void;
  /** Continues at this instruction's address plus `displacement`. Ends the instruction. */
  jumpRelative(displacement: I64): void;

  /** Takes an interrupt with SRR0 = this instruction. `srr1` holds the cause bits only. Ends the instruction. */
  interrupt(vector: number, srr1?: number): void;
  /** Program interrupt. `PROGRAM.trap`, `.illegal`, `.privileged`, `.fpEnabled`. Ends the instruction. */
  programInterrupt(cause: number): void;
  /** Alignment interrupt with DAR = `ea`. Ends the instruction. */
  alignmentInterrupt(ea: I64): void;
  /** Facility unavailable interrupt with the facility number in FSCR[0:7]. Ends the instruction. */
  facilityUnavailable(facility: number): void;
  /** Takes an interrupt with SRR0 = the next instruction: `sc`. Ends the instruction. */
  interruptAfter(vector: number): void;
  /** Sets MSR (bits that the machine lacks are dropped), takes what that enables, goes on at `nia`. Ends the instruction. */
  setMsr(msr: I64, nia: I64): void;
  /** PIDR, AMR or IAMR has been written: what is translated from now on follows it. */
  contextChanged(): void;
  /** Forgets translations: all of them, those of a process ID, or those of `[ea, ea + bytes)` in every context. */
  invalidateAll(): void;
  invalidatePid(pid: I64): void;
  invalidateRange(ea: I64, bytes: I64): void;
  /** The timebase as of this instruction. */
  timebase(): I64;
  /** Absent where FPSCR follows each instruction at once. Present, `state64('fpscr')` settles what is owed. */
  readonly status?: DeferredStatus;
  /** FPSCR of which FPRF, FR and FI may not be up to date: for who looks at the rest only. */
  fpscrControls(): I64;
  /** Last step of FP instructions: the FP enabled interrupt if FPSCR[FEX] and MSR[FE0|FE1]. */
  takeFpEnabled(): void;
  /** 1 if MSR[PR]. */
  problemState(): I32;

  /** A runtime function, for `fn.call`. */
  runtime(f: RuntimeFunction): FunctionRef;
  /** Runs a function of the host on the `scratch` registers of the block: for rare, long work only. */
  hostCall(call: HostCall): void;
  /** Leaves `run` behind this instruction with an exit reason. Ends the instruction. */
  exit(reason: number, detail?: I32): void;
}

/** The meaning of one instruction. */
export type Semantics = (s: Emitter) => void;

/** Meanings keyed by mnemonic. */
export type SemanticsMap = Readonly<Record<string, Semantics>>;
