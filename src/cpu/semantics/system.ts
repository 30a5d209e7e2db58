// Returns from interrupts, translation management, ordering and cache instructions (ISA 3.0B II 4, III 3.3, 5.9, 11.2).

import type { I64 } from '../../wasm/ir.ts';
import { MSR } from '../state/msr.ts';
import type { Emitter, SemanticsMap } from './emitter.ts';
import { problemStateRules } from './spr.ts';

const nothing = () => {};
const indexed = (s: Emitter) => s.gprOr0('ra').add(s.gpr('rb'));

/** A load that only checks: dcbst, dcbf and icbi fault like loads. */
const touch = (s: Emitter) => {
  s.load(indexed(s).and(-1n), 1);
};

/** MSR for a return by way of SRR1 or CTR: bits 33:36 and 42:47 are not restored, HV, S and ME stay. */
function returnMsr(s: Emitter, saved: I64): I64 {
  const old = s.state64('msr');
  const kept = MSR.HV | MSR.S | MSR.ME;
  const restored = saved.and(~(0x783f_0000n | kept));
  return problemStateRules(s, restored.or(old.and(kept)));
}

/** Radix `tlbie` and `tlbiel` (III 5.9.3.3): RB and RS say what goes. */
function invalidate(s: Emitter): void {
  const { fn } = s;
  const rb = s.gpr('rb');
  const pid = s.gpr('rs').shrU(32);
  const selector = rb.shrU(10).and(3).wrap();
  // RIC 1 means the page walk cache alone, which this machine does without.
  fn.if(s.field('ric').ne(1), () =>
    fn.switch(
      selector,
      [
        () => {
          // One page; AP tells its size: 4 KiB, 2 MiB, 1 GiB, 64 KiB.
          const ap = rb.shrU(5).and(7).wrap();
          const page = rb.and(-4096n);
          const range = (bytes: bigint) => s.invalidateRange(page.and(-bytes), fn.i64(bytes));
          fn.if(
            ap.eqz(),
            () => range(0x1000n),
            () =>
              fn.if(
                ap.eq(5),
                () => range(0x1_0000n),
                () =>
                  fn.if(
                    ap.eq(1),
                    () => range(0x20_0000n),
                    () => s.invalidateAll(),
                  ),
              ),
          );
        },
        // `tlbiel` visits a PID's congruence classes one by one: the first visit does it all.
        () => fn.if(rb.and(0xfff000n).eqz(), () => s.invalidatePid(pid)),
      ],
      () => fn.if(rb.and(0xfff000n).eqz(), () => s.invalidateAll()),
    ),
  );
}

export const system = {
  rfid: (s) => s.setMsr(returnMsr(s, s.state64('srr1')), s.state64('srr0')),
  rfscv: (s) => s.setMsr(returnMsr(s, s.state64('ctr')), s.state64('lr')),
  // Hypervisor and ultravisor only: the privilege column refuses them before these run.
  hrfid: nothing,
  urfid: nothing,
  stop: nothing,
  rmieg: nothing,
  msgsnd: nothing,
  msgclr: nothing,
  msgsync: nothing,
  msgsndu: nothing,
  msgclru: nothing,

  tlbie: invalidate,
  tlbiel: invalidate,
  tlbsync: nothing,
  // There is no SLB with the radix MMU; what ERATs would hold is in the TLB.
  slbia: nothing,
  slbie: nothing,
  slbieg: nothing,
  slbiag: nothing,
  slbsync: nothing,

  // vCPUs run one at a time and in order: barriers have nothing to wait for.
  sync: nothing,
  eieio: nothing,
  isync: nothing,
  wait: nothing,
  dcbt: nothing,
  dcbtst: nothing,
  icbt: nothing,
  dst: nothing,
  dstt: nothing,
  dstst: nothing,
  dststt: nothing,
  dss: nothing,
  dssall: nothing,
  dcbst: touch,
  dcbf: touch,
  icbi: touch,
  dcbz: (s) => {
    const host = s.hostAddress(indexed(s).and(-128n), 128, 'store');
    s.fn.fill(host, 0, 128);
  },
  // There is no accelerator to paste to: the copy is dropped, the paste fails (II 4.4).
  copy: touch,
  'paste.': (s) => s.setCrField(0, s.state32('so')),
  cpabort: nothing,
} satisfies SemanticsMap;
