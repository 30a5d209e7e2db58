// Pages of RAM whose contents are elsewhere, as secure memory that was paged out is: an access to one leaves `run` with
// EXIT.absentPage, and the instruction is executed again once the host has brought the contents back. Only accesses that
// no TLB settles look; so a page's translations are forgotten when it is marked.

import { type Runtime, runtimeFunction, set32, set64 } from '../cpu/semantics/runtime.ts';
import {
  DATA_TLB_BASE,
  DATA_TLB_BYTES,
  DATA_TLB_ENTRY_BYTES,
  dataTlbEntry,
  decodedPageInfo,
  FETCH_TLB_BASE,
  FETCH_TLB_BYTES,
  FETCH_TLB_ENTRY_BYTES,
  fetchTlbEntry,
  PRESENCE_BASE,
  presence,
  RAM_BASE,
  TLB_MODE_COUNT,
} from '../cpu/state/memory-map.ts';
import { EXIT } from '../cpu/state/msr.ts';
import type { FunctionBuilder, I32, I64 } from '../wasm/ir.ts';

/** In `fault`: the access needs the host; `exitReason` and the `mmio` fields say what for. */
export const FAULT_EXIT = 1;

/** Settles an access to a page whose presence byte, at `mark`, is not 0. Returns 0 if the host is to be asked. */
const touchMarked = runtimeFunction('touchMarked', ['i64', 'i32'], 'i32', (fn) => {
  const ra = fn.param64(0);
  const mark = fn.param32(1);
  fn.if(fn.load('i32', 'i32.load8_u', mark).eq(presence.absent), () => {
    set64(fn, 'mmioAddress', ra);
    set32(fn, 'exitReason', EXIT.absentPage);
    set32(fn, 'fault', FAULT_EXIT);
    fn.return(fn.i32(0));
  });
  fn.store('i32.store8', mark, fn.i32(0));
  fn.return(fn.i32(1));
});

/** Runs `absent`, which must return, if real address `ra`, in RAM, is in a page to ask the host for. */
export function requirePresent(fn: FunctionBuilder, rt: Runtime, ra: I64, absent: () => void): void {
  const mark = ra.shrU(12).wrap().add(PRESENCE_BASE);
  fn.if(fn.load('i32', 'i32.load8_u', mark), () =>
    fn.if(fn.call('i32', rt.ref(touchMarked), [ra, mark]).eqz(), absent),
  );
}

/** Forgets the translations to pages whose presence byte is not 0, in all modes and contexts. */
export const forgetMarked = runtimeFunction('forgetMarked', [], undefined, (fn) => {
  const marked = (host: I32): I32 => fn.load('i32', 'i32.load8_u', host.sub(RAM_BASE).shrU(12).add(PRESENCE_BASE));
  const data = fn.variable('i32', fn.i32(DATA_TLB_BASE));
  fn.loop((again) => {
    const at = data.get();
    const tag = fn.load64(at, dataTlbEntry.readTag).or(fn.load64(at, dataTlbEntry.writeTag));
    fn.if(tag.ne(0n), () =>
      fn.if(marked(tag.wrap().and(-4096).add(fn.load32(at, dataTlbEntry.addend))), () => {
        fn.store64(at, 0n, dataTlbEntry.readTag);
        fn.store64(at, 0n, dataTlbEntry.writeTag);
      }),
    );
    const next = at.add(DATA_TLB_ENTRY_BYTES);
    data.set(next);
    fn.brIf(again, next.ne(DATA_TLB_BASE + TLB_MODE_COUNT * DATA_TLB_BYTES));
  });
  const fetch = fn.variable('i32', fn.i32(FETCH_TLB_BASE));
  fn.loop((again) => {
    const at = fetch.get();
    fn.if(fn.load64(at, fetchTlbEntry.tag).ne(0n), () =>
      fn.if(marked(fn.load32(fn.load32(at, fetchTlbEntry.page), decodedPageInfo.source)), () =>
        fn.store64(at, 0n, fetchTlbEntry.tag),
      ),
    );
    const next = at.add(FETCH_TLB_ENTRY_BYTES);
    fetch.set(next);
    fn.brIf(again, next.ne(FETCH_TLB_BASE + TLB_MODE_COUNT * FETCH_TLB_BYTES));
  });
});
