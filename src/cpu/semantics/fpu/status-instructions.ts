// Instructions that read and write FPSCR (ISA 3.0B I 4.6.10).

import type { I64 } from '../../../wasm/ir.ts';
import type { Emitter, SemanticsMap } from '../emitter.ts';
import { DRN, ENABLES, EXCEPTIONS, FPSCR, FPSCR_IMPLEMENTED, withSummary } from './fpscr.ts';
import { recordStatus } from './scalar.ts';

/** What mffscrn and its like show: DRN, enables, NI and RN. */
const CONTROLS = DRN | BigInt(ENABLES | FPSCR.NI | FPSCR.RN);
/** What mffsl shows besides: FR, FI, FPRF. */
const LIGHT = CONTROLS | BigInt(FPSCR.FR | FPSCR.FI | FPSCR.FPRF);
/** Bits that moves to FPSCR cannot set: what follows from others. */
const SUMMARY = BigInt(FPSCR.FEX | FPSCR.VX);
const WRITABLE = FPSCR_IMPLEMENTED & ~SUMMARY;

/** FPSCR := old with the bits of `mask` from `value`. */
function merge(s: Emitter, value: I64, mask: I64): void {
  const written = mask.and(WRITABLE);
  const old = s.state64('fpscr');
  s.setState64('fpscr', withSummary(old.and(written.not()).or(value.and(written))));
  recordStatus(s);
  s.takeFpEnabled();
}

/** FRT := the controls; then some of them change. */
function exchange(s: Emitter, value: (s: Emitter) => I64, mask: bigint): void {
  const old = s.state64('fpscr');
  const next = value(s);
  s.setFpr('frt', old.and(CONTROLS));
  s.setState64('fpscr', old.and(~mask).or(next.and(mask)));
}

/** Each bit of an 8-bit mask as four bits. */
function widen(mask: I64): I64 {
  const bytes = mask.or(mask.shl(12)).and(0x000f_000fn);
  const pairs = bytes.or(bytes.shl(6)).and(0x0303_0303n);
  return pairs.or(pairs.shl(3)).and(0x1111_1111n).mul(15);
}

export const statusInstructions = {
  mffs: (s) => {
    s.setFpr('frt', s.state64('fpscr'));
    recordStatus(s);
  },
  mffsce: (s) => {
    const old = s.state64('fpscr');
    s.setFpr('frt', old);
    s.setState64('fpscr', withSummary(old.and(~BigInt(ENABLES))));
  },
  mffscdrn: (s) => exchange(s, () => s.fpr('frb'), DRN),
  mffscdrni: (s) => exchange(s, () => s.field64('drm').shl(32), DRN),
  mffscrn: (s) => exchange(s, () => s.fpr('frb'), BigInt(FPSCR.RN)),
  mffscrni: (s) => exchange(s, () => s.field64('rm'), BigInt(FPSCR.RN)),
  mffsl: (s) => s.setFpr('frt', s.state64('fpscr').and(LIGHT)),

  mcrfs: (s) => {
    const old = s.state64('fpscr');
    const place = s.fn.i32(7).sub(s.field('bfa')).shl(2).extendU();
    s.setCrField(s.field('bf'), old.shrU(place).wrap().and(15));
    const cleared = s.fn
      .i64(15)
      .shl(place)
      .and(BigInt(EXCEPTIONS) | BigInt(FPSCR.FX));
    s.setState64('fpscr', withSummary(old.and(cleared.not())));
    s.takeFpEnabled();
  },
  mtfsfi: (s) => {
    // W = 0 names the fields of the low word.
    const place = s.fn.i32(15).sub(s.field('bf')).sub(s.field('w').xor(1).shl(3)).shl(2).extendU();
    merge(s, s.field64('u').shl(place), s.fn.i64(15).shl(place));
  },
  mtfsf: (s) => {
    const fields = widen(s.field64('flm')).shl(s.field64('w').shl(5));
    merge(s, s.fpr('frb'), s.fn.i64(-1n).selectIf(s.field('l'), fields));
  },
  mtfsb0: (s) => merge(s, s.fn.i64(0), s.fn.i64(0x8000_0000n).shrU(s.field64('bt'))),
  mtfsb1: (s) => {
    const bit = s.fn.i64(0x8000_0000n).shrU(s.field64('bt'));
    const news = bit.and(s.state64('fpscr').not()).and(BigInt(EXCEPTIONS)).ne(0n);
    const all = bit.or(news.extendU().shl(31));
    merge(s, all, all);
  },
} satisfies SemanticsMap;
