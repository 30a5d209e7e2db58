// What the interpreter's handlers share: functions and globals of its module, and how a slot's place tells addresses.

import {
  type FunctionBuilder,
  type FunctionRef,
  GlobalRef,
  type I32,
  type I64,
  type SignatureRef,
} from '../../wasm/ir.ts';
import type { HostCall } from '../semantics/hostcall.ts';
import type { Runtime } from '../semantics/runtime.ts';
import { DECODED_PAGE_STRIDE } from '../state/memory-map.ts';

/** What handlers share. */
export interface InterpreterParts {
  readonly runtime: Runtime;
  readonly handlerType: SignatureRef;
  /** Effective address of the page that `ip` is in. */
  readonly pageEa: GlobalRef;
  /** Continues at an effective address: (ea) -> ip. */
  readonly goTo: FunctionRef;
  /**
   * Calls the function at an effective address for a region, which has counted its first instruction off the budget: (ea,
   * slot to return to) -> `CALL_RETURNED` or ip.
   */
  readonly callTo: FunctionRef;
  /**
   * What regions leave by: as `goTo` and `arrive`, but if there is a region and the budget has its first instruction, the
   * region is run. To be called in the place of what is left.
   */
  readonly follow: FunctionRef;
  readonly followAt: FunctionRef;
  /** Counts an arrival by a branch at a slot and returns it: (ip) -> ip. */
  readonly arrive: FunctionRef;
  /** The same past the instruction TLB, tracing or not: (ea, a multiple of 4) -> ip. */
  readonly enter: FunctionRef;
  /** (ip) -> ip: leaves an instruction whose access set `fault`. */
  readonly leave: FunctionRef;
  /** (ip, vector, cause, srr0 - cia) -> ip. */
  readonly raise: FunctionRef;
  /** () -> ip: goes on at `nia`, after taking what is pending. */
  readonly resume: FunctionRef;
  readonly hostCallNumber: (call: HostCall) => number;
}

/** What `callTo` returns if the call has come back; no slot has this place. */
export const CALL_RETURNED = 1;

/** Address of the instruction in slot `ip`; the slot behind a page stands for the first word of the next one. */
export function addressOf(fn: FunctionBuilder, pageEa: GlobalRef | I64, ip: I32): I64 {
  const offset = ip.and(DECODED_PAGE_STRIDE - 1).shrU(1);
  const page = pageEa instanceof GlobalRef ? (fn.getGlobal(pageEa) as I64) : pageEa;
  return page.add(offset.extendU());
}

/** Decoded page that slot `ip` is in. */
export function pageOfSlot(ip: I32): I32 {
  return ip.and(-DECODED_PAGE_STRIDE);
}
