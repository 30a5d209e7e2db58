// Functions of the CPU core that instructions share: arithmetic too long to repeat, translation, interrupts. They are
// WebAssembly, like the instructions, and a module contains those that are used in it.

import { assert } from '../../util/errors.ts';
import type { FunctionBuilder, FunctionRef, I32, I64, V128 } from '../../wasm/ir.ts';
import type { ModuleBuilder } from '../../wasm/module.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { type SharedField, type StateField, sharedLayout, stateOffset } from '../state/layout.ts';
import { SHARED_BASE, STATE_BASE } from '../state/memory-map.ts';

export interface RuntimeFunction {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result: ValueType | undefined;
  readonly build: (fn: FunctionBuilder, runtime: Runtime) => void;
  /** What it does to FPSCR in the register block: adds exceptions, or replaces FPRF, FR and FI besides. */
  readonly fpscr?: 'adds' | 'replaces';
}

/** Defines a function; it enters a module when something there asks for it. */
export function runtimeFunction(
  name: string,
  params: readonly ValueType[],
  result: ValueType | undefined,
  build: (fn: FunctionBuilder, runtime: Runtime) => void,
): RuntimeFunction {
  return { name, params, result, build };
}

/** The runtime functions of one module. */
export class Runtime {
  readonly module: ModuleBuilder;
  /** Imported: runs the numbered host function on the scratch registers. */
  readonly hostCall: FunctionRef;
  private readonly refs = new Map<RuntimeFunction, FunctionRef>();
  private readonly waiting: RuntimeFunction[] = [];

  constructor(module: ModuleBuilder, hostCall: FunctionRef) {
    this.module = module;
    this.hostCall = hostCall;
  }

  ref(f: RuntimeFunction): FunctionRef {
    let ref = this.refs.get(f);
    if (!ref) {
      ref = this.module.declare(f.name, f.params, f.result);
      this.refs.set(f, ref);
      this.waiting.push(f);
    }
    return ref;
  }

  /** All functions asked for so far, by name. */
  all(): ReadonlyMap<string, FunctionRef> {
    const named = new Map<string, FunctionRef>();
    for (const [f, ref] of this.refs) {
      assert(!named.has(f.name), `two runtime functions are called ${f.name}`);
      named.set(f.name, ref);
    }
    return named;
  }

  /** Gives bodies to all functions asked for so far, and to those that they ask for. */
  defineAll(): void {
    for (let f = this.waiting.pop(); f; f = this.waiting.pop()) {
      const { build } = f;
      this.module.define(this.refs.get(f)!, (fn) => build(fn, this));
    }
  }
}

/** Registers in memory, for runtime functions. */
export function get32(fn: FunctionBuilder, name: StateField, index = 0): I32 {
  return fn.load32(STATE_BASE, stateOffset(name, index));
}
export function set32(fn: FunctionBuilder, name: StateField, value: I32 | number, index = 0): void {
  fn.store32(STATE_BASE, value, stateOffset(name, index));
}
export function get64(fn: FunctionBuilder, name: StateField, index = 0): I64 {
  return fn.load64(STATE_BASE, stateOffset(name, index));
}
export function set64(fn: FunctionBuilder, name: StateField, value: I64 | bigint, index = 0): void {
  fn.store64(STATE_BASE, value, stateOffset(name, index));
}
export function getVector(fn: FunctionBuilder, name: StateField, index = 0): V128 {
  return fn.loadV128(STATE_BASE, stateOffset(name, index));
}
export function setVector(fn: FunctionBuilder, name: StateField, value: V128, index = 0): void {
  fn.storeV128(STATE_BASE, value, stateOffset(name, index));
}

/** What the vCPUs share. */
export function getShared32(fn: FunctionBuilder, name: SharedField): I32 {
  return fn.load32(SHARED_BASE, sharedLayout[name].offset);
}
export function setShared32(fn: FunctionBuilder, name: SharedField, value: I32 | number): void {
  fn.store32(SHARED_BASE, value, sharedLayout[name].offset);
}
export function getShared64(fn: FunctionBuilder, name: SharedField): I64 {
  return fn.load64(SHARED_BASE, sharedLayout[name].offset);
}
export function setShared64(fn: FunctionBuilder, name: SharedField, value: I64 | bigint): void {
  fn.store64(SHARED_BASE, value, sharedLayout[name].offset);
}

/** Reverses the bytes of 64 bits. */
export function byteSwap64(value: I64): I64 {
  const pairs = value.and(0x00ff_00ff_00ff_00ffn).rotl(8).or(value.rotr(8).and(0x00ff_00ff_00ff_00ffn));
  const words = pairs.and(0x0000_ffff_0000_ffffn).rotl(16).or(pairs.rotr(16).and(0x0000_ffff_0000_ffffn));
  return words.rotl(32);
}

/** Reverses the bytes of 32 bits. */
export function byteSwap32(value: I32): I32 {
  return value
    .rotl(8)
    .and(0x00ff_00ff)
    .or(value.rotr(8).and(0xff00_ff00 | 0));
}
