// Radix tree translation of a guest (ISA 3.0B III 5.7.10), process-scoped only: guest real addresses are RAM offsets.
//
// Departures that a guest cannot see: no page walk cache; one partition, so LPIDR and the partition table do not exist.

import {
  byteSwap64,
  get64,
  getShared64,
  runtimeFunction,
  set32,
  set64,
  setShared32,
  setShared64,
} from '../cpu/semantics/runtime.ts';
import { RAM_BASE } from '../cpu/state/memory-map.ts';
import { MSR, VECTOR } from '../cpu/state/msr.ts';
import type { I64 } from '../wasm/ir.ts';
import { requirePresent } from './presence.ts';
import { AMR_NO_LOAD, AMR_NO_STORE, IAMR_NO_EXECUTE } from './tlb.ts';

/** What a translation is for; the numbers are parameters of runtime functions. */
export const ACCESS = { load: 0, store: 1, fetch: 2 } as const;

/** DSISR and SRR1 causes of storage interrupts (ISA 3.0B III 6.5.3, 6.5.5). */
export const STORAGE = {
  noTranslation: 0x4000_0000,
  protection: 0x0800_0000,
  noExecute: 0x1000_0000,
  badTree: 0x0008_0000,
  store: 0x0200_0000,
} as const;

/** Radix tree entries (ISA 3.0B III 5.7.10.2), in register byte order. */
export const ENTRY = {
  valid: 1n << 63n,
  leaf: 1n << 62n,
  realPage: 0x01ff_ffff_ffff_f000n,
  nextLevel: 0x0fff_ffff_ffff_ff00n,
  levelSize: 0x1fn,
  referenced: 0x100n,
  changed: 0x80n,
  attributes: 0x30n,
  nonIdempotent: 0x20n,
  privileged: 0x8n,
  read: 0x4n,
  write: 0x2n,
  execute: 0x1n,
} as const;

/** A leaf that allows everything: what real mode translates with. */
const REAL_MODE_ENTRY =
  ENTRY.valid | ENTRY.leaf | ENTRY.referenced | ENTRY.changed | ENTRY.read | ENTRY.write | ENTRY.execute;
/** Bits 4:63 of an effective address are the real address in real mode. */
export const REAL_MODE_MASK = 0x0fff_ffff_ffff_ffffn;
const EA_OFFSET = 0x000f_ffff_ffff_ffffn;

/**
 * Real address for an effective address, after all checks for the access, with R and C updated. On a fault: -1, with
 * `fault`, `faultSrr1` and, for data accesses, DAR and DSISR set; `fault` is FAULT_EXIT if a table is in an absent page.
 * Leaves the leaf entry and its page size in `walkEntry` and `walkShift`.
 */
export const translate = runtimeFunction('translate', ['i64', 'i32'], 'i64', (fn, rt) => {
  const ea = fn.param64(0);
  const access = fn.param32(1);
  const isFetch = access.eq(ACCESS.fetch);
  const isStore = access.eq(ACCESS.store);
  const msr = get64(fn, 'msr');
  const relocation = fn.i64(MSR.IR).selectIf(isFetch, fn.i64(MSR.DR));
  fn.if(msr.and(relocation).eqz(), () => {
    setShared64(fn, 'walkEntry', REAL_MODE_ENTRY);
    setShared32(fn, 'walkShift', 12);
    fn.return(ea.and(REAL_MODE_MASK));
  });

  const dataFault = (dsisr: number) => {
    set64(fn, 'dar', ea);
    set64(fn, 'dsisr', fn.i64(BigInt(dsisr)).or(fn.i64(BigInt(STORAGE.store)).selectIf(isStore, 0n)));
    set32(fn, 'fault', VECTOR.dataStorage);
    set32(fn, 'faultSrr1', 0);
  };
  const fault = (cause: number, fetchCause = cause) => {
    fn.if(
      isFetch,
      () => {
        set32(fn, 'fault', VECTOR.instructionStorage);
        set32(fn, 'faultSrr1', fetchCause);
      },
      () => dataFault(cause),
    );
    fn.return(fn.i64(-1n));
  };

  // Quadrants 1 and 2, and bits 2:11 other than zero, are outside of both trees (5.7.10.1).
  const quadrant = ea.shrU(62);
  const kernelQuadrant = quadrant.eq(3n);
  fn.if(quadrant.sub(1n).ltU(2n).or(ea.shrU(52).and(0x3ffn).ne(0n)), () => {
    fn.if(
      isFetch,
      () => set32(fn, 'fault', VECTOR.instructionSegment),
      () => {
        set64(fn, 'dar', ea);
        set32(fn, 'fault', VECTOR.dataSegment);
      },
    );
    set32(fn, 'faultSrr1', 0);
    fn.return(fn.i64(-1n));
  });

  const pid = fn.i64(0n).selectIf(kernelQuadrant, get64(fn, 'pidr'));
  const tableOffset = pid.shl(4);
  fn.if(tableOffset.add(16).gtU(getShared64(fn, 'processTableBytes')), () => fault(STORAGE.noTranslation));
  const ramBytes = getShared64(fn, 'ramBytes');
  const treeEntry = (address: I64): I64 => {
    fn.if(address.geU(ramBytes), () => fault(STORAGE.badTree));
    requirePresent(fn, rt, address, () => fn.return(fn.i64(-1n)));
    return byteSwap64(fn.load64(address.wrap().add(RAM_BASE)));
  };
  const processEntry = treeEntry(getShared64(fn, 'processTable').add(tableOffset));

  // Root: 52 bits are translated (RTS), the first level by 13 of them (RPDS).
  const rts = processEntry.shrU(58).and(0x18n).or(processEntry.shrU(5).and(7n));
  fn.if(rts.ne(21n).or(processEntry.and(ENTRY.levelSize).ne(13n)), () => fault(STORAGE.badTree));
  const base = fn.variable('i64', processEntry.and(ENTRY.nextLevel));
  const size = fn.variable('i64', fn.i64(13n));
  const shift = fn.variable('i64', fn.i64(52n));
  const entry = fn.variable('i64', fn.i64(0n));
  const entryAddress = fn.variable('i64', fn.i64(0n));
  fn.loop((again) => {
    const bits = size.get();
    const level = shift.get().sub(bits);
    shift.set(level);
    const index = ea.and(EA_OFFSET).shrU(level).and(fn.i64(1n).shl(bits).sub(1n));
    const address = base.get().add(index.shl(3));
    entryAddress.set(address);
    const found = treeEntry(address);
    entry.set(found);
    fn.if(found.geS(0n), () => fault(STORAGE.noTranslation));
    fn.if(found.and(ENTRY.leaf).eqz(), () => {
      const next = found.and(ENTRY.levelSize);
      // Shapes of POWER9: 13, 9, 9, then 9 (4 KiB pages) or 5 (64 KiB pages).
      const expected = next
        .eq(9n)
        .and(level.ne(21n).or(fn.i32(1)))
        .or(next.eq(5n).and(level.eq(21n)));
      fn.if(expected.eqz().or(level.leU(12n)), () => fault(STORAGE.badTree));
      base.set(found.and(ENTRY.nextLevel));
      size.set(next);
      fn.br(again);
    });
  });
  const leaf = entry.get();
  const pageShift = shift.get();
  fn.if(pageShift.eq(39n), () => fault(STORAGE.badTree)); // a root entry is never a leaf

  // Protection (5.7.12): the page's own bits, then key 0 for privileged accesses to problem-state pages.
  const problem = msr.and(MSR.PR).ne(0n);
  const privilegedPage = leaf.and(ENTRY.privileged).ne(0n);
  const keyed = problem.eqz().and(privilegedPage.eqz());
  const keyDenies = (register: I64, bit: bigint) => keyed.and(register.and(bit).ne(0n));
  fn.if(problem.and(privilegedPage), () => fault(STORAGE.protection, STORAGE.protection));
  const amr = get64(fn, 'amr');
  fn.if(
    isFetch,
    () => {
      const refused = leaf
        .and(ENTRY.execute)
        .eqz()
        .or(leaf.and(ENTRY.attributes).eq(ENTRY.nonIdempotent))
        .or(keyDenies(get64(fn, 'iamr'), IAMR_NO_EXECUTE));
      fn.if(refused, () => fault(STORAGE.noExecute));
    },
    () =>
      fn.if(
        isStore,
        () => fn.if(leaf.and(ENTRY.write).eqz().or(keyDenies(amr, AMR_NO_STORE)), () => fault(STORAGE.protection)),
        () =>
          fn.if(
            leaf
              .and(ENTRY.read | ENTRY.write)
              .eqz()
              .or(keyDenies(amr, AMR_NO_LOAD)),
            () => fault(STORAGE.protection),
          ),
      ),
  );

  // Reference and change recording (5.7.13): in the tree, at once.
  const marked = leaf.or(ENTRY.referenced).or(fn.i64(ENTRY.changed).selectIf(isStore, 0n));
  fn.if(marked.ne(leaf), () => fn.store64(entryAddress.get().wrap().add(RAM_BASE), byteSwap64(marked)));
  setShared64(fn, 'walkEntry', marked);
  setShared32(fn, 'walkShift', pageShift.wrap());
  const offsetMask = fn.i64(1n).shl(pageShift).sub(1n);
  fn.return(leaf.and(ENTRY.realPage).and(offsetMask.not()).or(ea.and(offsetMask)));
});
