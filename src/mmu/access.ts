// Memory accesses that the inline TLB probe did not settle: refills, members of a group that was looked up in vain,
// page-crossing accesses, stores to clean pages and to code, and everything that is not RAM.
//
// On a fault these functions leave the vector in `fault` and return 0; the caller must look.

import { get32, get64, getShared64, type Runtime, runtimeFunction, set32, set64 } from '../cpu/semantics/runtime.ts';
import { dataTlbEntry, PAGE_INFO_INDEX_MASK, pageInfoFlag, RAM_BASE } from '../cpu/state/memory-map.ts';
import { EXIT, MMIO, VECTOR } from '../cpu/state/msr.ts';
import type { FunctionBuilder, I32, I64 } from '../wasm/ir.ts';
import { pageInfoAddress, ramChanged } from './code-pages.ts';
import { FAULT_EXIT, requirePresent } from './presence.ts';
import { ACCESS, ENTRY, translate } from './radix.ts';
import { CONTEXT_LOCKED, contextFor, dataEntryOffset, pageOf } from './tlb.ts';

/** Returned by `locate` for an address outside of RAM; its real address is in `mmioAddress`. */
const NOT_RAM = -1;

/** Memory offset for an access within one page, after filling the TLB; 0 on a fault, -1 if the address is not RAM. */
const locate = runtimeFunction('locate', ['i64', 'i32'], 'i32', (fn, rt) => {
  const ea = fn.param64(0);
  const access = fn.param32(1);
  const ra = fn.call('i64', rt.ref(translate), [ea, access]);
  fn.if(ra.ltS(0n), () => fn.return(fn.i32(0)));
  fn.if(ra.geU(getShared64(fn, 'ramBytes')), () => {
    set64(fn, 'mmioAddress', ra);
    fn.return(fn.i32(NOT_RAM));
  });
  requirePresent(fn, rt, ra, () => fn.return(fn.i32(0)));
  const host = ra.wrap().add(RAM_BASE);
  const entry = dataEntryOffset(ea).add(get32(fn, 'dataTlb'));
  const page = pageOf(ea);
  const leaf = getShared64(fn, 'walkEntry');
  const contextKernel = get64(fn, 'contextKernel');
  const tagFor = (context: I64, allowed: I32) =>
    page.or(context).selectIf(allowed.and(context.ne(BigInt(CONTEXT_LOCKED))), 0n);
  const readable = leaf.and(ENTRY.read | ENTRY.write).ne(0n);
  const info = fn.load32(pageInfoAddress(host));
  const storable = leaf
    .and(ENTRY.write | ENTRY.changed)
    .eq(ENTRY.write | ENTRY.changed)
    .and(info.and(PAGE_INFO_INDEX_MASK).eqz());
  fn.store64(entry, tagFor(contextFor(ea, contextKernel, get64(fn, 'contextRead')), readable), dataTlbEntry.readTag);
  const writeTag = tagFor(contextFor(ea, contextKernel, get64(fn, 'contextWrite')), storable);
  fn.store64(entry, writeTag, dataTlbEntry.writeTag);
  fn.store32(entry, host.sub(ea.wrap()), dataTlbEntry.addend);
  const elsewhere = dataEntryOffset(ea).ne(dataEntryOffset(ra));
  const flags = fn.i32(pageInfoFlag.writable | pageInfoFlag.scattered).selectIf(elsewhere, pageInfoFlag.writable);
  fn.if(writeTag.ne(0n).and(info.and(flags).ne(flags)), () => fn.store32(pageInfoAddress(host), info.or(flags)));
  fn.return(host);
});

/** As `locate`, for an access whose page the TLB may hold: one of several that found nothing together. */
const find = runtimeFunction('find', ['i64', 'i32'], 'i32', (fn, rt) => {
  const ea = fn.param64(0);
  const access = fn.param32(1);
  const isStore = access.eq(ACCESS.store);
  const entry = dataEntryOffset(ea).add(get32(fn, 'dataTlb'));
  const user = get64(fn, 'contextWrite').selectIf(isStore, get64(fn, 'contextRead'));
  const tag = fn.load64(entry, dataTlbEntry.writeTag).selectIf(isStore, fn.load64(entry, dataTlbEntry.readTag));
  fn.if(tag.eq(pageOf(ea).or(contextFor(ea, get64(fn, 'contextKernel'), user))), () =>
    fn.return(ea.wrap().add(fn.load32(entry, dataTlbEntry.addend))),
  );
  fn.return(fn.call('i32', rt.ref(locate), [ea, access]));
});

/** Asks the host for `bytes` bytes at `mmioAddress`, or takes its answer if it has been asked before. */
const mmioLoad = runtimeFunction('mmioLoad', ['i32'], 'i64', (fn) => {
  fn.if(get32(fn, 'mmioState').eq(MMIO.answered), () => {
    set32(fn, 'mmioState', MMIO.idle);
    fn.return(get64(fn, 'mmioData'));
  });
  set32(fn, 'mmioSize', fn.param32(0));
  set32(fn, 'exitReason', EXIT.mmioRead);
  set32(fn, 'fault', FAULT_EXIT);
  fn.return(fn.i64(0n));
});

const mmioStore = runtimeFunction('mmioStore', ['i32', 'i64'], undefined, (fn) => {
  fn.if(get32(fn, 'mmioState').eq(MMIO.answered), () => {
    set32(fn, 'mmioState', MMIO.idle);
    fn.return();
  });
  set32(fn, 'mmioSize', fn.param32(0));
  set64(fn, 'mmioData', fn.param64(1));
  set32(fn, 'exitReason', EXIT.mmioWrite);
  set32(fn, 'fault', FAULT_EXIT);
});

function crossesPage(ea: I64, bytes: I32): I32 {
  return ea.wrap().and(0xfff).add(bytes).gtU(4096);
}

/** The `bytes` bytes (1, 2, 4, 8) at `ea` as a little-endian number. */
export const loadSlow = runtimeFunction('loadSlow', ['i64', 'i32'], 'i64', (fn, rt) => {
  const ea = fn.param64(0);
  const bytes = fn.param32(1);
  const load = fn.i32(ACCESS.load);
  set32(fn, 'fault', 0);
  const host = fn.call('i32', rt.ref(find), [ea, load]);
  fn.if(host.eqz(), () => fn.return(fn.i64(0n)));
  fn.if(crossesPage(ea, bytes), () => {
    const secondPage = pageOf(ea).add(4096);
    const second = fn.call('i32', rt.ref(find), [secondPage, load]);
    fn.if(second.eqz(), () => fn.return(fn.i64(0n)));
    refuseUnlessRam(fn, ea, host, second);
    const result = fn.variable('i64', fn.i64(0n));
    const inFirst = fn.i32(4096).sub(ea.wrap().and(0xfff));
    const i = fn.variable('i32', bytes);
    fn.loop((again) => {
      const at = i.get().sub(1);
      i.set(at);
      const address = host.add(at).selectIf(at.ltU(inFirst), second.add(at).sub(inFirst));
      result.set(
        result
          .get()
          .shl(8)
          .or(fn.load('i64', 'i64.load8_u', address)),
      );
      fn.brIf(again, at);
    });
    fn.return(result.get());
  });
  fn.if(host.eq(NOT_RAM), () => fn.return(fn.call('i64', rt.ref(mmioLoad), [bytes])));
  fn.switch(
    bytes,
    [
      () => fn.unreachable(),
      () => fn.return(fn.load('i64', 'i64.load8_u', host)),
      () => fn.return(fn.load('i64', 'i64.load16_u', host)),
      () => fn.unreachable(),
      () => fn.return(fn.load('i64', 'i64.load32_u', host)),
    ],
    () => fn.return(fn.load64(host)),
  );
});

/** An access in two parts of which one is not RAM: no device register straddles a page. */
function refuseUnlessRam(fn: FunctionBuilder, ea: I64, first: I32, second: I32): void {
  fn.if(first.eq(NOT_RAM).or(second.eq(NOT_RAM)), () => {
    set64(fn, 'dar', ea);
    set32(fn, 'fault', VECTOR.alignment);
    set32(fn, 'faultSrr1', 0);
    if (fn.signature.result === 'i64') fn.return(fn.i64(0n));
    else fn.return();
  });
}

/** Stores the low `bytes` bytes (1, 2, 4, 8) of a number, little-endian. `running`: see `ramChanged`. */
export const storeSlow = runtimeFunction('storeSlow', ['i64', 'i32', 'i64', 'i32'], undefined, (fn, rt) => {
  const ea = fn.param64(0);
  const bytes = fn.param32(1);
  const value = fn.param64(2);
  const running = fn.param32(3);
  const store = fn.i32(ACCESS.store);
  set32(fn, 'fault', 0);
  const host = fn.call('i32', rt.ref(find), [ea, store]);
  fn.if(host.eqz(), () => fn.return());
  fn.if(crossesPage(ea, bytes), () => {
    const second = fn.call('i32', rt.ref(find), [pageOf(ea).add(4096), store]);
    fn.if(second.eqz(), () => fn.return());
    refuseUnlessRam(fn, ea, host, second);
    const inFirst = fn.i32(4096).sub(ea.wrap().and(0xfff));
    const i = fn.variable('i32', fn.i32(0));
    const rest = fn.variable('i64', value);
    fn.loop((again) => {
      const at = i.get();
      const address = host.add(at).selectIf(at.ltU(inFirst), second.add(at).sub(inFirst));
      fn.store('i64.store8', address, rest.get());
      rest.set(rest.get().shrU(8));
      i.set(at.add(1));
      fn.brIf(again, i.get().ltU(bytes));
    });
    fn.callVoid(rt.ref(ramChanged), [host, inFirst, running]);
    fn.callVoid(rt.ref(ramChanged), [second, bytes.sub(inFirst), running]);
    fn.return();
  });
  fn.if(host.eq(NOT_RAM), () => {
    fn.callVoid(rt.ref(mmioStore), [bytes, value]);
    fn.return();
  });
  fn.switch(
    bytes,
    [
      () => fn.unreachable(),
      () => fn.store('i64.store8', host, value),
      () => fn.store('i64.store16', host, value),
      () => fn.unreachable(),
      () => fn.store('i64.store32', host, value),
    ],
    () => fn.store64(host, value),
  );
  fn.callVoid(rt.ref(ramChanged), [host, bytes, running]);
});

/**
 * Memory offset of `bytes` naturally aligned bytes at `ea` for direct use; 0 with `fault` set otherwise. For a store,
 * decoded instructions there are dropped at once, so the caller must store before anything else runs.
 */
export const hostAddressSlow = runtimeFunction('hostAddress', ['i64', 'i32', 'i32', 'i32'], 'i32', (fn, rt) => {
  const ea = fn.param64(0);
  const bytes = fn.param32(1);
  const access = fn.param32(2);
  set32(fn, 'fault', 0);
  const refuse = () => {
    set64(fn, 'dar', ea);
    set32(fn, 'fault', VECTOR.alignment);
    set32(fn, 'faultSrr1', 0);
    fn.return(fn.i32(0));
  };
  fn.if(ea.wrap().and(bytes.sub(1)), refuse);
  const host = fn.call('i32', rt.ref(locate), [ea, access]);
  fn.if(host.eq(NOT_RAM), refuse);
  fn.if(host.and(access.eq(ACCESS.store).neg()), () => fn.callVoid(rt.ref(ramChanged), [host, bytes, fn.param32(3)]));
  fn.return(host);
});

/**
 * Checks that a load or store of 16 bytes could be done at `ea`, so that its halves can be done one after the other: only
 * in RAM, for the host answers one access an instruction. Elsewhere it is an alignment interrupt, as a processor may have
 * for caching-inhibited storage (ISA 3.0B III 6.5.8).
 */
export const probeVector = runtimeFunction('probeVector', ['i64', 'i32'], undefined, (fn, rt: Runtime) => {
  const ea = fn.param64(0);
  const access = fn.param32(1);
  set32(fn, 'fault', 0);
  const first = fn.call('i32', rt.ref(find), [ea, access]);
  fn.if(first.eqz(), () => fn.return());
  fn.if(crossesPage(ea, fn.i32(16)), () => {
    const second = fn.call('i32', rt.ref(find), [pageOf(ea).add(4096), access]);
    fn.if(second, () => refuseUnlessRam(fn, ea, first, second));
    fn.return();
  });
  refuseUnlessRam(fn, ea, first, first);
});
