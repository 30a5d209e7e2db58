// Moves to and from special registers, CR and MSR (ISA 3.0B I 3.3.17, III 4.4.4).

import type { I32, I64 } from '../../wasm/ir.ts';
import { EXIT, FACILITY, MSR, PROGRAM } from '../state/msr.ts';
import { type Spr, sprs } from '../state/spr.ts';
import type { Emitter, SemanticsMap } from './emitter.ts';

/** XER bits that have fields of their own. */
const XER = { so: 31, ov: 30, ca: 29, ov32: 19, ca32: 18 } as const;
/** Of an mtxer, the low 18 bits read back besides the flags. */
const XER_REST = 0x3_ffffn;

function readXer(s: Emitter): I64 {
  let value = s.state64('xerRest');
  for (const name of ['so', 'ov', 'ca', 'ov32', 'ca32'] as const) {
    value = value.or(s.state32(name).extendU().shl(XER[name]));
  }
  return value;
}

function writeXer(s: Emitter, value: I64): void {
  for (const name of ['so', 'ov', 'ca', 'ov32', 'ca32'] as const) {
    s.setState32(name, value.wrap().shrU(XER[name]).and(1));
  }
  s.setState64('xerRest', value.and(XER_REST));
}

function read(s: Emitter, spr: Spr): I64 {
  switch (spr.special) {
    case 'xer':
      return readXer(s);
    case 'timebase':
    case 'virtualTime':
      return s.timebase();
    case 'timebaseUpper':
      return s.timebase().shrU(32);
    case 'decrementer':
      return s.state64('decExpiry').sub(s.timebase());
    case 'zero':
      return s.fn.i64(0n);
    default:
      return s.state64(spr.field!, spr.index);
  }
}

/** May end the instruction. */
function write(s: Emitter, spr: Spr, raw: I64): void {
  const value = spr.mask === undefined ? raw : raw.and(spr.mask);
  switch (spr.special) {
    case 'xer':
      writeXer(s, value);
      return;
    case 'decrementer':
      // 56 bits, sign-extended (LPCR[LD] = 1). The next event moves: the run loop has to look.
      s.setState64('decExpiry', s.timebase().add(value.shl(8).shrS(8)));
      s.exit(EXIT.timer);
      return;
    case 'context':
      s.setState64(spr.field!, value);
      s.contextChanged();
      return;
    case 'iamr':
      s.setState64(spr.field!, value);
      s.invalidateAll();
      return;
    default:
      if (spr.field) s.setState64(spr.field, value, spr.index);
  }
}

/** Problem state may not use what its facility, if any, does not let it; PMU: MMCR0[PMCC] gives nothing away here. */
function checkFacility(s: Emitter, spr: Spr): void {
  const { facility } = spr;
  if (facility === undefined) return;
  const enabled =
    facility === FACILITY.pmu
      ? s.fn.i32(0)
      : s
          .state64('fscr')
          .and(1n << BigInt(facility))
          .ne(0n);
  // DSCR's alias, TAR and EBB are denied to supervisors as well when FSCR says so, PMU aliases only to users.
  const asks = facility === FACILITY.pmu ? s.problemState() : s.fn.i32(1);
  s.fn.if(asks.and(enabled.eqz()), () => s.facilityUnavailable(facility));
}

/** Runs the part for the SPR that the field names; `other` for numbers that the machine does not have. */
function bySpr(s: Emitter, candidates: readonly Spr[], part: (spr: Spr) => void, other: (number: I32) => void): void {
  const number = s.field('spr');
  const { fn } = s;
  // A binary search; `sprs` is in ascending order.
  const list = candidates;
  const lookup = (lo: number, hi: number): void => {
    if (hi - lo === 1) {
      const spr = list[lo];
      fn.if(
        number.eq(spr.number),
        () => part(spr),
        () => other(number),
      );
      return;
    }
    const middle = (lo + hi) >> 1;
    fn.if(
      number.ltU(list[middle].number),
      () => lookup(lo, middle),
      () => lookup(middle, hi),
    );
  };
  lookup(0, list.length);
}

/** An SPR number with this bit belongs to the system: problem state gets the privileged interrupt for it. */
const PRIVILEGED_NUMBER = 0x10;

/** What an access to an SPR that the machine lacks does (III 4.4.4); falls through when it does nothing. */
function undefinedSpr(s: Emitter, number: I32, illegalInSupervisor: readonly number[]): void {
  const { fn } = s;
  fn.if(
    s.problemState(),
    () =>
      fn.if(
        number.and(PRIVILEGED_NUMBER),
        () => s.programInterrupt(PROGRAM.privileged),
        () => s.programInterrupt(PROGRAM.illegal),
      ),
    () => {
      for (const bad of illegalInSupervisor) fn.if(number.eq(bad), () => s.programInterrupt(PROGRAM.illegal));
    },
  );
}

function privilegedOnly(s: Emitter, access: 'user' | 'supervisor' | 'none'): void {
  if (access === 'supervisor') s.fn.if(s.problemState(), () => s.programInterrupt(PROGRAM.privileged));
}

/** FXM names CR fields from the left. */
function crMaskBit(fxm: I32, field: number): I32 {
  return fxm.shrU(7 - field).and(1);
}

const CR_SHIFT = (field: number) => 28 - 4 * field;

export const spr = {
  mfspr: (s) =>
    bySpr(
      s,
      sprs.filter((each) => each.read !== 'none'),
      (each) => {
        privilegedOnly(s, each.read);
        checkFacility(s, each);
        s.setGpr('rt', read(s, each));
      },
      (number) => undefinedSpr(s, number, [0, 4, 5, 6]),
    ),
  mtspr: (s) =>
    bySpr(
      s,
      sprs.filter((each) => each.write !== 'none'),
      (each) => {
        privilegedOnly(s, each.write);
        checkFacility(s, each);
        write(s, each, s.gpr('rs'));
      },
      (number) => undefinedSpr(s, number, [0]),
    ),
  mftb: (s) => {
    const upper = s.field('tbr').eq(269);
    s.setGpr('rt', s.timebase().shrU(32).selectIf(upper, s.timebase()));
  },
  mtcrf: (s) => {
    const value = s.gpr('rs').wrap();
    const fxm = s.field('fxm');
    for (let field = 0; field < 8; field++) {
      const part = value.shrU(CR_SHIFT(field)).and(15);
      s.setCrField(field, part.selectIf(crMaskBit(fxm, field), s.crField(field)));
    }
  },
  mtocrf: (s) => {
    const field = oneField(s);
    s.setCrField(field, s.gpr('rs').wrap().shrU(s.fn.i32(7).sub(field).shl(2)).and(15));
  },
  mfcr: (s) => {
    let value = s.fn.i32(0);
    for (let field = 0; field < 8; field++) value = value.or(s.crField(field).shl(CR_SHIFT(field)));
    s.setGpr('rt', value.extendU());
  },
  mfocrf: (s) => {
    const field = oneField(s);
    s.setGpr('rt', s.crField(field).shl(s.fn.i32(7).sub(field).shl(2)).extendU());
  },
  mcrxrx: (s) => {
    const bits = s.state32('ov').shl(3).or(s.state32('ov32').shl(2)).or(s.state32('ca').shl(1)).or(s.state32('ca32'));
    s.setCrField(s.field('bf'), bits);
  },
  mfmsr: (s) => s.setGpr('rt', s.state64('msr')),
  mtmsrd: (s) => moveToMsr(s, -1n),
  mtmsr: (s) => moveToMsr(s, 0xffff_ffffn),
} satisfies SemanticsMap;

/** The CR field that a one-field move names: the leftmost of several, 7 for none. */
function oneField(s: Emitter): I32 {
  const fxm = s.field('fxm');
  return s.fn.i32(7).selectIf(fxm.eqz(), fxm.clz().sub(24));
}

/** MSR from RS, of which `width` are looked at: with L = 1 EE and RI only, else all but HV, S, ME and LE (III 4.4.4). */
function moveToMsr(s: Emitter, width: bigint): void {
  const { fn } = s;
  const source = s.gpr('rs');
  const old = s.state64('msr');
  fn.if(
    s.field('l'),
    () => {
      const bits = MSR.EE | MSR.RI;
      const next = old.and(~bits).or(source.and(bits));
      // Only newly enabled interrupts need a look; the context stays as it is.
      fn.if(
        next.and(MSR.EE).eqz().or(old.and(MSR.EE).ne(0n)),
        () => s.setState64('msr', next),
        () => s.setMsr(next, s.nia()),
      );
    },
    () => {
      const kept = MSR.HV | MSR.S | MSR.ME | MSR.LE | ~BigInt.asIntN(64, width);
      const next = old.and(kept).or(source.and(~kept));
      s.setMsr(problemStateRules(s, next), s.nia());
    },
  );
}

/** PR = 1 comes with EE, IR and DR. */
export function problemStateRules(s: Emitter, msr: I64): I64 {
  return msr.or(s.fn.i64(MSR.EE | MSR.IR | MSR.DR).selectIf(msr.and(MSR.PR).ne(0n), 0n));
}
