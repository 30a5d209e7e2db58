// Which pages of RAM hold decoded instructions, and what a store to such a page does.
//
// Linux on POWER9 issues one `icbi` for any range it has changed, so `icbi` says nothing about what changed: stores do.
// A page gets a decoded page (memory-map.ts) when it is first executed; from then on no TLB entry lets a store to it
// pass unseen. Such a store clears the slots of the words it touches, which makes them be decoded anew; a page that is
// mostly stored to gives its decoded page back.

import { get32, get64, getShared32, getShared64, runtimeFunction, setShared32 } from '../cpu/semantics/runtime.ts';
import {
  DATA_TLB_BASE,
  DATA_TLB_BYTES,
  DATA_TLB_ENTRY_BYTES,
  DECODED_BASE,
  DECODED_COVERED_BYTES,
  DECODED_END,
  DECODED_HEAT_BYTES,
  DECODED_PAGE_STRIDE,
  DECODED_PAGES,
  dataTlbEntry,
  decodedPageInfo,
  FETCH_TLB_BASE,
  FETCH_TLB_BYTES,
  FETCH_TLB_ENTRY_BYTES,
  fetchTlbEntry,
  PAGE_INFO_BASE,
  PAGE_INFO_INDEX_MASK,
  pageInfoFlag,
  RAM_BASE,
  TLB_MODE_COUNT,
} from '../cpu/state/memory-map.ts';
import type { FunctionBuilder, I32 } from '../wasm/ir.ts';
import { dataEntryOffset, endCodeEpoch, flushFetch } from './tlb.ts';

/** Stores that a decoded page puts up with between two entries from another page before it is given back. */
const STORE_PATIENCE = 512;

/** Memory offset of the page info word of the RAM page that holds memory offset `host`. */
export function pageInfoAddress(host: I32): I32 {
  return host.sub(RAM_BASE).shrU(12).shl(2).add(PAGE_INFO_BASE);
}

/** Memory offset of the decoded page with a number. */
function decodedPage(index: I32): I32 {
  return index.mul(DECODED_PAGE_STRIDE).add(DECODED_BASE);
}

/** Takes the write tag of the data TLB entry at `at` if it is for the RAM page at memory offset `page`. */
function revokeEntry(fn: FunctionBuilder, at: I32, page: I32): void {
  const tag = fn.load64(at, dataTlbEntry.writeTag);
  const host = tag.wrap().and(-4096).add(fn.load32(at, dataTlbEntry.addend));
  fn.if(host.eq(page), () => fn.store64(at, 0n, dataTlbEntry.writeTag));
}

/**
 * Takes the write tags of all data TLB entries for the RAM page at memory offset `page`, whose page info is `info`. Most
 * pages of code have been written by way of the linear mapping only: 1 entry to look at in each mode, not 4,096.
 */
const revokeStores = runtimeFunction('revokeStores', ['i32', 'i32'], undefined, (fn) => {
  const page = fn.param32(0);
  fn.if(fn.param32(1).and(pageInfoFlag.scattered).eqz(), () => {
    const own = dataEntryOffset(page.sub(RAM_BASE).extendU());
    for (let mode = 0; mode < TLB_MODE_COUNT; mode++) {
      revokeEntry(fn, own.add(DATA_TLB_BASE + mode * DATA_TLB_BYTES), page);
    }
    fn.return();
  });
  const entry = fn.variable('i32', fn.i32(DATA_TLB_BASE));
  fn.loop((again) => {
    const at = entry.get();
    revokeEntry(fn, at, page);
    const next = at.add(DATA_TLB_ENTRY_BYTES);
    entry.set(next);
    fn.brIf(again, next.ne(DATA_TLB_BASE + TLB_MODE_COUNT * DATA_TLB_BYTES));
  });
});

/** Gives back the decoded page at memory offset `decoded`; whoever executes in it may run to the next branch. */
const dropDecodedPage = runtimeFunction('dropDecodedPage', ['i32'], undefined, (fn) => {
  const decoded = fn.param32(0);
  endCodeEpoch(fn);
  const info = pageInfoAddress(fn.load32(decoded, decodedPageInfo.source));
  fn.store32(info, fn.load32(info).and(~PAGE_INFO_INDEX_MASK));
  const entry = fn.variable('i32', fn.i32(FETCH_TLB_BASE));
  fn.loop((again) => {
    const at = entry.get();
    fn.if(fn.load32(at, fetchTlbEntry.page).eq(decoded), () => fn.store64(at, 0n, fetchTlbEntry.tag));
    const next = at.add(FETCH_TLB_ENTRY_BYTES);
    entry.set(next);
    fn.brIf(again, next.ne(FETCH_TLB_BASE + TLB_MODE_COUNT * FETCH_TLB_BYTES));
  });
  fn.store32(decoded, getShared32(fn, 'freeDecodedPage'), decodedPageInfo.mode);
  setShared32(fn, 'freeDecodedPage', decoded);
});

/** Drops all decoded pages; the caller is about to leave the one it runs in. */
const dropAllDecodedPages = runtimeFunction('dropAllDecodedPages', [], undefined, (fn, rt) => {
  fn.fill(PAGE_INFO_BASE, 0, getShared64(fn, 'ramBytes').shrU(10).wrap());
  // The writable flags are gone with the indices, so no entry may keep the right to store unseen.
  const entry = fn.variable('i32', fn.i32(DATA_TLB_BASE));
  fn.loop((again) => {
    const at = entry.get();
    fn.store64(at, 0n, dataTlbEntry.writeTag);
    const next = at.add(DATA_TLB_ENTRY_BYTES);
    entry.set(next);
    fn.brIf(again, next.ne(DATA_TLB_BASE + TLB_MODE_COUNT * DATA_TLB_BYTES));
  });
  fn.callVoid(rt.ref(flushFetch), []);
  setShared32(fn, 'nextDecodedPage', 0);
  setShared32(fn, 'freeDecodedPage', 0);
  setShared32(fn, 'decodedPageResets', getShared32(fn, 'decodedPageResets').add(1));
});

/** Makes all void that regions have taken of a decoded page, whose counts are zero and begin anew. */
function renew(fn: FunctionBuilder, decoded: I32): void {
  const generation = getShared32(fn, 'generations').add(1);
  setShared32(fn, 'generations', generation);
  fn.store32(decoded, generation, decodedPageInfo.generation);
  const now = get64(fn, 'tbEnd').sub(get32(fn, 'budget').extendS());
  fn.store32(decoded, now.shrU(20).wrap(), decodedPageInfo.since);
}

/** Drops the compiled regions of the decoded page at memory offset `decoded`, and what was counted for them. */
export const dropRegions = runtimeFunction('dropRegions', ['i32'], undefined, (fn) => {
  const decoded = fn.param32(0);
  fn.fill(decoded, 0, DECODED_END);
  fn.fill(decoded.add(decodedPageInfo.covered), 0, DECODED_COVERED_BYTES + DECODED_HEAT_BYTES);
  fn.store32(decoded, 0, decodedPageInfo.regions);
  fn.store32(decoded, fn.load32(decoded, decodedPageInfo.drops).add(1), decodedPageInfo.drops);
  renew(fn, decoded);
  setShared32(fn, 'regionDrops', getShared32(fn, 'regionDrops').add(1));
  endCodeEpoch(fn);
});

/**
 * Tells that `bytes` bytes of RAM at memory offset `host`, within one page, have changed. `running` is the decoded page
 * that is being executed (0: none), which is never given back under its feet.
 */
export const ramChanged = runtimeFunction('ramChanged', ['i32', 'i32', 'i32'], undefined, (fn, rt) => {
  const host = fn.param32(0);
  const bytes = fn.param32(1);
  const index = fn.load32(pageInfoAddress(host)).and(PAGE_INFO_INDEX_MASK);
  fn.if(index.eqz(), () => fn.return());
  const decoded = decodedPage(index.sub(1));
  const offset = host.and(0xfff);
  const first = offset.and(-4);
  const end = offset.add(bytes).add(3).and(-4);
  fn.fill(decoded.add(first.shl(1)), 0, end.sub(first).shl(1));
  fn.if(fn.load32(decoded, decodedPageInfo.regions), () => {
    const word = fn.variable('i32', decoded.add(first.shrU(2)));
    const last = decoded.add(end.shrU(2));
    fn.block((done) => {
      fn.loop((again) => {
        const at = word.get();
        fn.if(fn.load('i32', 'i32.load8_u', at, decodedPageInfo.covered), () => {
          fn.callVoid(rt.ref(dropRegions), [decoded]);
          fn.br(done);
        });
        word.set(at.add(1));
        fn.brIf(again, word.get().ltU(last));
      });
    });
  });
  const seen = fn.load32(decoded, decodedPageInfo.stores).add(1);
  fn.store32(decoded, seen, decodedPageInfo.stores);
  fn.if(seen.gtU(STORE_PATIENCE).and(decoded.ne(fn.param32(2))), () => fn.callVoid(rt.ref(dropDecodedPage), [decoded]));
});

/**
 * Memory offset of the decoded page for the RAM page at memory offset `source`, decoded for `mode` (byte order and
 * width of the fetching context). `endHandler` is the handler of the slot behind the last word.
 */
export function decodedPageFor(endHandler: number) {
  return runtimeFunction('decodedPageFor', ['i32', 'i32'], 'i32', (fn, rt) => {
    const source = fn.param32(0);
    const mode = fn.param32(1);
    const infoAddress = pageInfoAddress(source);
    const index = fn.load32(infoAddress).and(PAGE_INFO_INDEX_MASK);
    fn.if(index, () => {
      const decoded = decodedPage(index.sub(1));
      fn.if(fn.load32(decoded, decodedPageInfo.mode).ne(mode), () => {
        fn.fill(decoded, 0, DECODED_END);
        fn.fill(decoded.add(decodedPageInfo.regions), 0, DECODED_PAGE_STRIDE - decodedPageInfo.regions);
        fn.store32(decoded, mode, decodedPageInfo.mode);
        renew(fn, decoded);
        endCodeEpoch(fn);
      });
      fn.store32(decoded, 0, decodedPageInfo.stores);
      fn.return(decoded);
    });
    const chosen = fn.variable('i32', getShared32(fn, 'freeDecodedPage'));
    fn.if(
      chosen.get(),
      () => setShared32(fn, 'freeDecodedPage', fn.load32(chosen.get(), decodedPageInfo.mode)),
      () => {
        fn.if(getShared32(fn, 'nextDecodedPage').geU(DECODED_PAGES), () =>
          fn.callVoid(rt.ref(dropAllDecodedPages), []),
        );
        const next = getShared32(fn, 'nextDecodedPage');
        setShared32(fn, 'nextDecodedPage', next.add(1));
        chosen.set(decodedPage(next));
      },
    );
    const decoded = chosen.get();
    fn.fill(decoded, 0, DECODED_PAGE_STRIDE);
    fn.store32(decoded, endHandler, DECODED_END);
    fn.store32(decoded, source, decodedPageInfo.source);
    fn.store32(decoded, mode, decodedPageInfo.mode);
    fn.store32(decoded, 0, decodedPageInfo.stores);
    renew(fn, decoded);
    const info = fn.load32(infoAddress);
    fn.if(info.and(pageInfoFlag.writable), () => fn.callVoid(rt.ref(revokeStores), [source, info]));
    fn.store32(infoAddress, decoded.sub(DECODED_BASE).shrU(14).add(1));
    fn.return(decoded);
  });
}
