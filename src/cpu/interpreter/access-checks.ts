// What is checked before an instruction's meaning runs: privilege, then facility (ISA 3.0B III 6.5.9, 6.5.10, 6.7.19); and
// the conditions that emitters share.

import { assert } from '../../util/errors.ts';
import type { FunctionBuilder, I32 } from '../../wasm/ir.ts';
import type { Instruction } from '../isa/table.ts';
import type { Emitter } from '../semantics/emitter.ts';
import { get64, set64 } from '../semantics/runtime.ts';
import { FACILITY, MSR, PROGRAM, VECTOR } from '../state/msr.ts';

export function checkAccess(s: Emitter, instruction: Instruction): void {
  const { priv, needs } = instruction;
  // There is no hypervisor state in this machine: what needs it is refused like any privileged instruction.
  if (priv === 'h' || priv === 'uv') s.programInterrupt(PROGRAM.privileged);
  else if (priv) s.fn.if(s.problemState(), () => s.programInterrupt(PROGRAM.privileged));
  if (needs) requireFacility(s, instruction, needs);
}

function requireFacility(s: Emitter, instruction: Instruction, needs: NonNullable<Instruction['needs']>): void {
  const { fn } = s;
  const unless = (bit: bigint, vector: number) => fn.if(get64(fn, 'msr').and(bit).eqz(), () => s.interrupt(vector));
  const fp = () => unless(MSR.FP, VECTOR.fpUnavailable);
  const vec = () => unless(MSR.VEC, VECTOR.vecUnavailable);
  const vsx = () => unless(MSR.VSX, VECTOR.vsxUnavailable);
  const checks: Readonly<Record<typeof needs, () => void>> = {
    fp,
    vec,
    vsx,
    'vsx|vec': () => fn.if(upperVsr(s, instruction), vec, vsx),
    'fp|vec': () => fn.if(upperVsr(s, instruction), vec, fp),
    // Not offered, whatever FSCR and HFSCR say.
    tm: () => s.facilityUnavailable(FACILITY.tm),
    bhrb: () => s.facilityUnavailable(FACILITY.bhrb),
    tar: () => requireFscr(s, FACILITY.tar),
    scv: () => requireFscr(s, FACILITY.scv),
    ebb: () => requireFscr(s, FACILITY.ebb),
    msgp: () => requireFscr(s, FACILITY.msgp),
  };
  checks[needs]();
}

/** Bit n of FSCR, counted from the right, enables facility n (ISA 3.0B III 6.2.11). */
function requireFscr(s: Emitter, facility: number): void {
  const enabled = get64(s.fn, 'fscr')
    .and(1n << BigInt(facility))
    .ne(0n);
  s.fn.if(enabled.eqz(), () => s.facilityUnavailable(facility));
}

/** 1 if the instruction's VSX operand is one of VSR 32..63. */
function upperVsr(s: Emitter, instruction: Instruction): I32 {
  const name = ['xt', 'xs'].find((candidate) => instruction.fields.has(candidate));
  assert(name, `${instruction.op} has a VSX register`);
  return s.field(name).shrU(5);
}

/** 1 if MSR[PR]. */
export function inProblemState(fn: FunctionBuilder): I32 {
  return get64(fn, 'msr').and(MSR.PR).ne(0n);
}

/** 1 if FPSCR[FEX] and one of MSR[FE0 FE1]: the FP enabled interrupt is due (ISA 3.0B III 6.5.9). */
export function fpEnabledDue(fn: FunctionBuilder): I32 {
  const enabled = get64(fn, 'fpscr')
    .and(1n << 30n)
    .ne(0n);
  const mode = get64(fn, 'msr')
    .and(MSR.FE0 | MSR.FE1)
    .ne(0n);
  return enabled.and(mode);
}

/** FSCR[0:7] := the facility that is unavailable (ISA 3.0B III 6.2.11). */
export function noteFacility(fn: FunctionBuilder, facility: number): void {
  const rest = get64(fn, 'fscr').and((1n << 56n) - 1n);
  set64(fn, 'fscr', rest.or(BigInt(facility) << 56n));
}
