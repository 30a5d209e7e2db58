// Branches, system calls and the Condition Register (ISA 3.0B I 2.4 to 2.6).

import type { I32, I64 } from '../../wasm/ir.ts';
import { EXIT, MSR, VECTOR } from '../state/msr.ts';
import type { Emitter, SemanticsMap } from './emitter.ts';

/**
 * Whether BO and BI let a branch be taken; counts CTR down if BO asks for it. BO, from the left: ignore the condition,
 * wanted condition, leave CTR alone, wanted zero test of CTR, hint.
 */
function taken(s: Emitter, countsCtr: boolean): I32 {
  const { fn } = s;
  const bo = s.field('bo');
  const wanted = bo.shrU(3).and(1);
  const ignores = bo.shrU(4);
  const condition = ignores.known === 1 ? fn.i32(1) : ignores.or(s.crBit(s.field('bi')).eq(wanted)).and(1);
  if (!countsCtr) return condition;
  const ctrOk = fn.choose(
    bo.and(4),
    () => fn.i32(1),
    () => {
      const ctr = s.state64('ctr').sub(1);
      s.setState64('ctr', ctr);
      return s.ea(ctr).eqz().eq(bo.shrU(1).and(1));
    },
  );
  return condition.and(ctrOk);
}

function link(s: Emitter): void {
  if (s.flag('lk')) s.setState64('lr', s.nia());
}

function branchTo(s: Emitter, displacement: I64): void {
  if (s.flag('aa')) s.jump(displacement);
  else s.jumpRelative(displacement);
}

/** Branch to a register, which is read before the link register is written. */
function branchToRegister(register: 'lr' | 'ctr' | 'tar', countsCtr: boolean) {
  return (s: Emitter) => {
    const target = s.state64(register);
    const go = taken(s, countsCtr);
    link(s);
    s.fn.if(go, () => s.jump(target));
  };
}

const crLogical = (combine: (a: I32, b: I32) => I32) => (s: Emitter) =>
  s.setCrBit(s.field('bt'), combine(s.crBit(s.field('ba')), s.crBit(s.field('bb'))).and(1));

export const branch = {
  b: (s) => {
    link(s);
    branchTo(s, s.field64('li').shl(2));
  },
  bc: (s) => {
    const go = taken(s, true);
    link(s);
    s.fn.if(go, () => branchTo(s, s.field64('bd').shl(2)));
  },
  bclr: branchToRegister('lr', true),
  bcctr: branchToRegister('ctr', false),
  bctar: branchToRegister('tar', true),

  crand: crLogical((a, b) => a.and(b)),
  cror: crLogical((a, b) => a.or(b)),
  crxor: crLogical((a, b) => a.xor(b)),
  crnand: crLogical((a, b) => a.and(b).not()),
  crnor: crLogical((a, b) => a.or(b).not()),
  creqv: crLogical((a, b) => a.xor(b).not()),
  crandc: crLogical((a, b) => a.and(b.not())),
  crorc: crLogical((a, b) => a.or(b.not())),
  mcrf: (s) => s.setCrField(s.field('bf'), s.crField(s.field('bfa'))),

  sc: (s) => {
    const lev = s.field('lev').and(3);
    s.fn.if(lev.eqz(), () => s.interruptAfter(VECTOR.systemCall));
    s.fn.if(lev.eq(1), () => s.exit(EXIT.hcall));
    s.fn.if(lev.eq(2), () => s.exit(EXIT.ucall));
    s.interruptAfter(VECTOR.systemCall);
  },
  scv: (s) => {
    // No SRRs: LR and CTR keep what rfscv needs; EE and RI stay as they are (III 3.3.1).
    const old = s.state64('msr');
    s.setState64('lr', s.nia());
    s.setState64('ctr', old.and(~0x783f_0000n));
    const relocation = MSR.IR | MSR.DR;
    const relocated = old.and(relocation).eq(relocation).and(s.state32('interruptLocation').eq(3));
    const kept = old
      .and(MSR.EE | MSR.RI | MSR.ME | MSR.S)
      .or(MSR.SF)
      .or(s.state32('interruptLittleEndian').extendU());
    const base = s.fn.i64(0xc000_0000_0000_3000n).selectIf(relocated, 0x17000n);
    s.setMsr(kept.or(s.fn.i64(relocation).selectIf(relocated, 0n)), base.add(s.field64('lev').shl(5)));
  },
} satisfies SemanticsMap;
