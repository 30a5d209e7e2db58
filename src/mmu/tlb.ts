// The software TLBs of the CPU core, and what invalidates them.
//
// A data TLB entry serves one 4 KiB piece of a mapping: `readTag` and `writeTag` are the effective page address plus the
// number of the context the translation was made for, and `addend` turns the low 32 bits of the effective address into
// a memory offset. The three modes (real, kernel, user) have entries of their own.
//
// A context number stands for a process ID. Forgetting all translations of a PID means giving it a new number; when the
// numbers run out, everything is cleared. That makes `tlbie` of a PID and writing PIDR cheap: Linux does the one 49,000
// times in a boot (6.1), the other 194,000 times (7.2).
//
// A write tag is withheld on clean pages and on pages that hold decoded instructions, so that the first store finds its
// way to the slow path.

import {
  get32,
  get64,
  getShared32,
  runtimeFunction,
  set32,
  set64,
  setShared32,
  setShared64,
} from '../cpu/semantics/runtime.ts';
import {
  DATA_TLB_BASE,
  DATA_TLB_BYTES,
  DATA_TLB_ENTRIES,
  DATA_TLB_ENTRY_BYTES,
  FETCH_TLB_BASE,
  FETCH_TLB_BYTES,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_ENTRY_BYTES,
  PID_BITS,
  PID_CONTEXTS_BASE,
  PID_CONTEXTS_BYTES,
  TLB_MODE_COUNT,
  TLB_MODES,
} from '../cpu/state/memory-map.ts';
import { MSR } from '../cpu/state/msr.ts';
import type { FunctionBuilder, I32, I64 } from '../wasm/ir.ts';

/** Context of real-mode entries: they never go stale. */
export const CONTEXT_REAL = 1;
const CONTEXT_FIRST = 2;
/** A context that no entry ever carries: every access takes the slow path, where the keys are looked at. */
export const CONTEXT_LOCKED = 0xfff;
const CONTEXT_LAST = 0xffe;

/** AMR and IAMR: key 0 is the two leftmost bits (ISA 3.0B III 5.7.13). */
export const AMR_NO_STORE = 1n << 63n;
export const AMR_NO_LOAD = 1n << 62n;
export const IAMR_NO_EXECUTE = 1n << 62n;

/** Byte offset of the data TLB entry for an effective address within a mode's table. */
export function dataEntryOffset(ea: I64): I32 {
  return ea
    .wrap()
    .shrU(7)
    .and((DATA_TLB_ENTRIES - 1) * DATA_TLB_ENTRY_BYTES);
}

export function fetchEntryOffset(ea: I64): I32 {
  return ea
    .wrap()
    .shrU(8)
    .and((FETCH_TLB_ENTRIES - 1) * FETCH_TLB_ENTRY_BYTES);
}

/** In `returnAddress`: no call is waited for. Instructions have addresses that are multiples of 4. */
export const NO_RETURN = 1n;

/**
 * To be done with everything after which an instruction address may lead elsewhere, or to other code: a compiled region
 * that waits for a call to return then does not go on, but looks its way up again.
 */
export function endCodeEpoch(fn: FunctionBuilder): void {
  setShared32(fn, 'codeEpoch', getShared32(fn, 'codeEpoch').add(1));
  setShared64(fn, 'returnAddress', fn.i64(NO_RETURN));
}

/** Forgets every translation. */
export const flushAll = runtimeFunction('flushAllTranslations', [], undefined, (fn) => {
  fn.fill(DATA_TLB_BASE, 0, DATA_TLB_BYTES * TLB_MODE_COUNT);
  fn.fill(FETCH_TLB_BASE, 0, FETCH_TLB_BYTES * TLB_MODE_COUNT);
  fn.fill(PID_CONTEXTS_BASE, 0, PID_CONTEXTS_BYTES);
  setShared32(fn, 'nextContext', CONTEXT_FIRST);
  endCodeEpoch(fn);
  setShared32(fn, 'translationFlushes', getShared32(fn, 'translationFlushes').add(1));
});

/** Forgets what the instruction TLBs hold. */
export const flushFetch = runtimeFunction('flushFetchTranslations', [], undefined, (fn) => {
  fn.fill(FETCH_TLB_BASE, 0, FETCH_TLB_BYTES * TLB_MODE_COUNT);
  endCodeEpoch(fn);
});

function pidSlot(pid: I64): I32 {
  return pid
    .wrap()
    .and((1 << PID_BITS) - 1)
    .shl(1)
    .add(PID_CONTEXTS_BASE);
}

/** The context number of a process ID, given on first use. */
const contextOf = runtimeFunction('contextOf', ['i64'], 'i64', (fn, rt) => {
  const slot = pidSlot(fn.param64(0));
  const known = fn.load('i32', 'i32.load16_u', slot);
  fn.if(known, () => fn.return(known.extendU()));
  fn.if(getShared32(fn, 'nextContext').gtS(CONTEXT_LAST), () => fn.callVoid(rt.ref(flushAll), []));
  const fresh = getShared32(fn, 'nextContext');
  setShared32(fn, 'nextContext', fresh.add(1));
  fn.store('i32.store16', slot, fresh);
  fn.return(fresh.extendU());
});

/** Forgets the translations of one process ID. `contextChanged` must follow on every vCPU before it runs on. */
export const forgetPid = runtimeFunction('forgetPid', ['i64'], undefined, (fn) => {
  fn.store('i32.store16', pidSlot(fn.param64(0)), fn.i32(0));
  endCodeEpoch(fn);
});

/** Forgets the translations of `[ea, ea + bytes)` in all modes and contexts; `bytes` is a multiple of 4096. */
export const forgetRange = runtimeFunction('forgetRange', ['i64', 'i64'], undefined, (fn) => {
  endCodeEpoch(fn);
  const ea = fn.variable('i64', fn.param64(0));
  const end = fn.param64(0).add(fn.param64(1));
  fn.loop((again) => {
    const at = ea.get();
    for (let mode = 0; mode < TLB_MODE_COUNT; mode++) {
      const data = dataEntryOffset(at).add(DATA_TLB_BASE + mode * DATA_TLB_BYTES);
      fn.store64(data, 0n, 0);
      fn.store64(data, 0n, 8);
      fn.store64(fetchEntryOffset(at).add(FETCH_TLB_BASE + mode * FETCH_TLB_BYTES), 0n);
    }
    const next = at.add(4096);
    ea.set(next);
    fn.brIf(again, next.ne(end));
  });
});

/**
 * Recomputes what tags to look for, from MSR, PIDR and AMR. To be called after each change of those and after an
 * invalidation.
 */
export const contextChanged = runtimeFunction('contextChanged', [], undefined, (fn, rt) => {
  endCodeEpoch(fn);
  const msr = get64(fn, 'msr');
  const has = (bit: bigint) => msr.and(bit).ne(0n);
  const kernel = fn.call('i64', rt.ref(contextOf), [fn.i64(0n)]);
  const user = fn.call('i64', rt.ref(contextOf), [get64(fn, 'pidr')]);
  // Giving the second number may have cleared the first.
  const kernelAgain = fn.call('i64', rt.ref(contextOf), [fn.i64(0n)]);
  const problem = has(MSR.PR);
  const mode = (relocated: I32) =>
    fn.i32(TLB_MODES.user).selectIf(problem, fn.i32(TLB_MODES.kernel)).selectIf(relocated, fn.i32(TLB_MODES.real));
  const data = has(MSR.DR);
  const fetch = has(MSR.IR);
  const real = fn.i64(BigInt(CONTEXT_REAL));
  const locked = fn.i64(BigInt(CONTEXT_LOCKED));
  const amr = get64(fn, 'amr');
  const denied = (bit: bigint) => amr.and(bit).ne(0n).and(problem.eqz());
  set32(fn, 'dataTlb', mode(data).mul(DATA_TLB_BYTES).add(DATA_TLB_BASE));
  set32(fn, 'fetchTlb', mode(fetch).mul(FETCH_TLB_BYTES).add(FETCH_TLB_BASE));
  set64(fn, 'contextKernel', kernelAgain.selectIf(data, real));
  set64(fn, 'contextRead', locked.selectIf(denied(AMR_NO_LOAD), user).selectIf(data, real));
  set64(fn, 'contextWrite', locked.selectIf(denied(AMR_NO_STORE), user).selectIf(data, real));
  const traced = has(MSR.SE);
  set64(fn, 'contextFetchKernel', locked.selectIf(traced, kernelAgain.selectIf(fetch, real)));
  set64(fn, 'contextFetch', locked.selectIf(traced, user.selectIf(fetch, real)));
  // `kernel` was only asked for to make sure that PID 0 has a number before another PID takes the last one.
  fn.if(kernel.eqz(), () => fn.unreachable());
});

/** Picks the context that goes with an effective address: quadrant 3 is the kernel's whatever PIDR says. */
export function contextFor(ea: I64, kernel: I64, user: I64): I64 {
  return kernel.selectIf(ea.ltS(0n), user);
}

export function pageOf(ea: I64): I64 {
  return ea.and(-4096n);
}

/** Entry of the instruction TLB for an effective address, and the tag that it has if it serves it. */
export function fetchEntry(fn: FunctionBuilder, ea: I64): { entry: I32; tag: I64 } {
  const context = contextFor(ea, get64(fn, 'contextFetchKernel'), get64(fn, 'contextFetch'));
  return { entry: fetchEntryOffset(ea).add(get32(fn, 'fetchTlb')), tag: pageOf(ea).or(context) };
}
