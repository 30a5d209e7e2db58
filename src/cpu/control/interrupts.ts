// Entering interrupts, and which are waiting (ISA 3.0B III 6).

import { contextChanged, flushFetch } from '../../mmu/tlb.ts';
import type { FunctionBuilder, I32, I64 } from '../../wasm/ir.ts';
import { get32, get64, runtimeFunction, set32, set64 } from '../semantics/runtime.ts';
import { MMIO, MSR, VECTOR } from '../state/msr.ts';

/** SRR1 bits that an interrupt replaces by its cause: 33:36 and 42:47. */
export const SRR1_CAUSE_MASK = 0x783f_0000n;
/** Effective address of vector 0 when LPCR[AIL] is 3. */
const RELOCATED_VECTORS = 0xc000_0000_0000_4000n;

/** The timebase as of the instruction being executed. */
export function timebaseNow(fn: FunctionBuilder): I64 {
  return get64(fn, 'tbEnd').sub(get32(fn, 'budget').extendS());
}

/** MSR right after an interrupt, before relocation is decided. */
export function interruptMsr(fn: FunctionBuilder, old: I64): I64 {
  const kept = old.and(MSR.ME | MSR.S).or(MSR.SF);
  return kept.or(get32(fn, 'interruptLittleEndian').extendU());
}

/** Takes the interrupt `vector` with the given SRR0 and SRR1 cause bits; `nia` is its first instruction afterwards. */
export const enterInterrupt = runtimeFunction('enterInterrupt', ['i32', 'i64', 'i32'], undefined, (fn, rt) => {
  const vector = fn.param32(0);
  const old = get64(fn, 'msr');
  // Whatever the host has answered is not for the handler. The access is done anew afterwards.
  set32(fn, 'mmioState', MMIO.idle);
  set64(fn, 'srr0', fn.param64(1));
  set64(fn, 'srr1', old.and(~SRR1_CAUSE_MASK).or(fn.param32(2).extendU()));
  const relocated = relocates(fn, old).and(vector.gtU(VECTOR.machineCheck));
  const location = fn.i64(MSR.IR | MSR.DR).selectIf(relocated, 0n);
  const next = interruptMsr(fn, old).or(location);
  set64(fn, 'msr', next);
  fn.if(
    old
      .xor(next)
      .and(MSR.SF | MSR.LE)
      .ne(0n),
    () => fn.callVoid(rt.ref(flushFetch), []),
  );
  set64(fn, 'nia', fn.i64(RELOCATED_VECTORS).selectIf(relocated, 0n).add(vector.extendU()));
  fn.callVoid(rt.ref(contextChanged), []);
});

/** 1 if interrupts taken with this MSR keep relocation on (AIL = 3 with IR and DR both set). */
export function relocates(fn: FunctionBuilder, msr: I64): I32 {
  const on = MSR.IR | MSR.DR;
  return msr.and(on).eq(on).and(get32(fn, 'interruptLocation').eq(3));
}

/** The vector of the interrupt that waits for MSR[EE], or 0. External before decrementer (6.9.2). */
export const pendingInterrupt = runtimeFunction('pendingInterrupt', [], 'i32', (fn) => {
  fn.if(get32(fn, 'externalLine'), () => fn.return(fn.i32(VECTOR.external)));
  fn.return(fn.i32(VECTOR.decrementer).selectIf(timebaseNow(fn).gtS(get64(fn, 'decExpiry')), 0));
});

/**
 * Takes the interrupt that is waiting, if MSR[EE] lets it; SRR0 is `nia`. An instruction whose access to a device the host
 * has done comes to its end first.
 */
export const takePending = runtimeFunction('takePending', [], undefined, (fn, rt) => {
  fn.if(get32(fn, 'mmioState').ne(MMIO.idle), () => fn.return());
  fn.if(get64(fn, 'msr').and(MSR.EE).eqz(), () => fn.return());
  const vector = fn.call('i32', rt.ref(pendingInterrupt), []);
  fn.if(vector, () => fn.callVoid(rt.ref(enterInterrupt), [vector, get64(fn, 'nia'), fn.i32(0)]));
});
