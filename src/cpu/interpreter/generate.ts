// The interpreter: one WebAssembly function per instruction, whose operand fields are taken from the instruction word at
// run time, and the loop that calls them.
//
// A page of guest code is decoded into slots of (handler index, instruction word), filled when first executed
// (memory-map.ts, mmu/code-pages.ts). A handler is called with the memory offset of its slot (`ip`) and the word, and
// returns the offset of the slot to go on with, or 0: then `nia` says where, unless `exitReason` says that `run` is to
// return. Slots of a page follow each other, so going straight on is `ip + 8`; the slot behind the last word goes on to
// the next page.
//
// Every instruction has code for the usual mode (64-bit, little-endian); those whose meaning depends on the mode have a
// second handler that looks at the MSR. Which set a page is decoded for is part of its key.

import { decodedPageFor, dropRegions } from '../../mmu/code-pages.ts';
import { FAULT_EXIT, forgetMarked, requirePresent } from '../../mmu/presence.ts';
import { ACCESS, translate } from '../../mmu/radix.ts';
import {
  CONTEXT_LOCKED,
  contextChanged,
  contextFor,
  fetchEntry,
  fetchEntryOffset,
  flushAll,
  pageOf,
} from '../../mmu/tlb.ts';
import { assert } from '../../util/errors.ts';
import type { FunctionBuilder, FunctionRef, I32, I64 } from '../../wasm/ir.ts';
import { ModuleBuilder } from '../../wasm/module.ts';
import { enterInterrupt, takePending } from '../control/interrupts.ts';
import type { Instruction } from '../isa/table.ts';
import type { Semantics, SemanticsMap } from '../semantics/emitter.ts';
import { settleStatus } from '../semantics/fpu/scalar.ts';
import type { HostCall } from '../semantics/hostcall.ts';
import {
  byteSwap32,
  get32,
  get64,
  getShared32,
  getShared64,
  Runtime,
  runtimeFunction,
  set32,
  set64,
  setShared32,
  setShared64,
} from '../semantics/runtime.ts';
import { DECODED_PAGE_STRIDE, decodedPageInfo, fetchTlbEntry, memoryPages, RAM_BASE } from '../state/memory-map.ts';
import { EXIT, MSR, PROGRAM, VECTOR } from '../state/msr.ts';
import { InterpreterEmitter } from './emitter.ts';
import { type HandlerNumbers, handlerVariants, STATIC_FIELDS, type StaticFlags } from './handlers.ts';
import { addressOf, CALL_RETURNED, type InterpreterParts, pageOfSlot } from './parts.ts';

/** Handler of an empty slot: decodes the word and carries on with what it is. */
export const HANDLER_DECODE = 0;
/** Handler of the slot behind a page. */
export const HANDLER_END = 1;

/** Calls that regions wait for, one within the other; what calls deeper leaves its region. */
const MAX_CALL_DEPTH = 64;

/** Name under which the interpreter's module exports a runtime function. */
export function runtimeExport(name: string): string {
  return `rt ${name}`;
}

export interface GeneratedInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly handlers: HandlerNumbers;
  /** Handler that ends the turn of a vCPU: for hints that it waits for another one. */
  readonly yieldHandler: number;
  /** Host functions by the number that `hostCall` passes. */
  readonly hostCalls: readonly HostCall[];
}

export function generateInterpreter(semantics: SemanticsMap): GeneratedInterpreter {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', memoryPages(0));
  const decodeImport = module.importFunction('env', 'decode', ['i32', 'i32'], 'i32');
  const hotImport = module.importFunction('env', 'hot', ['i32']);
  const hostCallImport = module.importFunction('env', 'hostCall', ['i32']);
  const runtime = new Runtime(module, hostCallImport);
  const handlerType = module.signature(['i32', 'i32'], 'i32');
  const pageEa = module.global('pageEa', 'i64');
  const hostCalls: HostCall[] = [];
  const parts: InterpreterParts = {
    runtime,
    handlerType,
    pageEa,
    goTo: module.declare('goTo', ['i64'], 'i32'),
    follow: module.declare('follow', ['i64'], 'i32'),
    followAt: module.declare('followAt', ['i32'], 'i32'),
    callTo: module.declare('callTo', ['i64', 'i32'], 'i32'),
    arrive: module.declare('arrive', ['i32'], 'i32'),
    enter: module.declare('enter', ['i64'], 'i32'),
    leave: module.declare('leave', ['i32'], 'i32'),
    raise: module.declare('raise', ['i32', 'i32', 'i32', 'i32'], 'i32'),
    resume: module.declare('resume', [], 'i32'),
    hostCallNumber: (call) => {
      const known = hostCalls.indexOf(call);
      return known >= 0 ? known : hostCalls.push(call) - 1;
    },
  };

  const decodeHandler = module.declare('decode', ['i32', 'i32'], 'i32');
  const endHandler = module.declare('pageEnd', ['i32', 'i32'], 'i32');
  assert(module.addToTable(decodeHandler) === HANDLER_DECODE, 'the decode handler is the zero of a fresh slot');
  assert(module.addToTable(endHandler) === HANDLER_END, 'the end handler has its fixed place');

  defineControl(module, parts, runtime, hotImport);
  defineSlots(module, parts, decodeHandler, endHandler, decodeImport);
  defineCalls(module, parts);
  const run = defineRun(module, parts, decodeImport);

  const usual: number[] = [];
  const anyMode: number[] = [];
  const illegal = defineIllegal(module, parts);
  const yieldHandler = defineYield(module, parts);
  for (const { instruction, flags } of handlerVariants()) {
    // What has no meaning still answers to privilege and facility before it is illegal.
    const meaning = semantics[instruction.op] ?? ((s) => s.programInterrupt(PROGRAM.illegal));
    const first = defineHandler(module, parts, instruction, meaning, flags, false);
    const number = module.addToTable(first.ref);
    usual.push(number);
    anyMode.push(
      first.modeDependent
        ? module.addToTable(defineHandler(module, parts, instruction, meaning, flags, true).ref)
        : number,
    );
  }
  defineLinks(module, parts, module.tableLength);
  module.exportFunction('run', run);
  module.exportFunction('contextChanged', runtime.ref(contextChanged));

  module.exportFunction('flushAll', runtime.ref(flushAll));
  module.exportFunction('forgetMarked', runtime.ref(forgetMarked));
  module.exportFunction('enterInterrupt', runtime.ref(enterInterrupt));
  // For compiled regions, which are modules of their own.
  module.exportTable('table');
  module.exportGlobal('pageEa', pageEa);
  for (const name of ['goTo', 'follow', 'followAt', 'callTo', 'leave', 'raise'] as const)
    module.exportFunction(name, parts[name]);
  module.exportFunction('dropRegions', runtime.ref(dropRegions));
  runtime.ref(settleStatus);
  runtime.defineAll();
  for (const [name, ref] of runtime.all()) module.exportFunction(runtimeExport(name), ref);

  return { bytes: module.encode(), handlers: { usual, anyMode, illegal }, yieldHandler, hostCalls };
}

function handlerName(instruction: Instruction, flags: StaticFlags): string {
  return `${instruction.op}${STATIC_FIELDS.map((name) => (flags[name] ? `:${name}` : '')).join('')}`;
}

function defineHandler(
  module: ModuleBuilder,
  parts: InterpreterParts,
  instruction: Instruction,
  meaning: Semantics,
  flags: StaticFlags,
  anyMode: boolean,
): { ref: FunctionRef; modeDependent: boolean } {
  let modeDependent = false;
  const name = `${handlerName(instruction, flags)}${anyMode ? '@' : ''}`;
  const ref = module.function(name, ['i32', 'i32'], 'i32', (fn) => {
    const emitter = new InterpreterEmitter(fn, parts, instruction, flags, anyMode);
    emitter.prologue();
    meaning(emitter);
    emitter.finish();
    modeDependent = emitter.modeDependent;
  });
  return { ref, modeDependent };
}

function defineIllegal(module: ModuleBuilder, parts: InterpreterParts): number {
  const ref = module.function('illegal', ['i32', 'i32'], 'i32', (fn) => {
    fn.return(fn.call('i32', parts.raise, [fn.param32(0), fn.i32(VECTOR.program), fn.i32(PROGRAM.illegal), fn.i32(0)]));
  });
  return module.addToTable(ref);
}

function defineYield(module: ModuleBuilder, parts: InterpreterParts): number {
  const ref = module.function('yield', ['i32', 'i32'], 'i32', (fn) => {
    set64(fn, 'nia', addressOf(fn, parts.pageEa, fn.param32(0)).add(4));
    set32(fn, 'exitReason', EXIT.yield);
    fn.return(fn.i32(0));
  });
  return module.addToTable(ref);
}

function defineControl(module: ModuleBuilder, parts: InterpreterParts, rt: Runtime, hotImport: FunctionRef): void {
  const { pageEa } = parts;
  const decodedPage = decodedPageFor(HANDLER_END);

  /** Decoded page for an effective address that the instruction TLB does not know; 0 after an interrupt. */
  const fetchSlow = runtimeFunction('fetchSlow', ['i64'], 'i32', (fn) => {
    const ea = fn.param64(0);
    const ra = fn.call('i64', rt.ref(translate), [ea, fn.i32(ACCESS.fetch)]);
    const ask = () => {
      set64(fn, 'nia', ea);
      fn.return(fn.i32(0));
    };
    fn.if(ra.ltS(0n), () => {
      fn.if(get32(fn, 'fault').eq(FAULT_EXIT), ask);
      fn.callVoid(rt.ref(enterInterrupt), [get32(fn, 'fault'), ea, get32(fn, 'faultSrr1')]);
      fn.return(fn.i32(0));
    });
    // There is nothing to fetch outside of RAM: what the machine check interrupt is for.
    fn.if(ra.geU(getShared64(fn, 'ramBytes')), () => {
      fn.callVoid(rt.ref(enterInterrupt), [fn.i32(VECTOR.machineCheck), ea, fn.i32(0)]);
      fn.return(fn.i32(0));
    });
    requirePresent(fn, rt, ra, ask);
    const msr = get64(fn, 'msr');
    const mode = msr.and(MSR.LE).wrap().or(msr.shrU(62).and(2n).wrap());
    const source = ra.wrap().and(-4096).add(RAM_BASE);
    const decoded = fn.call('i32', rt.ref(decodedPage), [source, mode]);
    const context = contextFor(ea, get64(fn, 'contextFetchKernel'), get64(fn, 'contextFetch'));
    const entry = fetchEntryOffset(ea).add(get32(fn, 'fetchTlb'));
    fn.if(context.ne(BigInt(CONTEXT_LOCKED)), () => {
      fn.store64(entry, pageOf(ea).or(context), fetchTlbEntry.tag);
      fn.store32(entry, decoded, fetchTlbEntry.page);
    });
    fn.return(decoded);
  });

  module.define(parts.arrive, (fn) => {
    const ip = fn.param32(0);
    const counter = heatCounter(ip);
    const heat = heatOf(fn, ip);
    const limit = getShared32(fn, 'hotThreshold');
    fn.if(heat.ltU(limit), () => {
      fn.store('i32.store16', counter, heat.add(1), decodedPageInfo.heat);
      // What the host does about it is in place when this slot is executed next, which is at once.
      fn.if(heat.add(1).eq(limit), () => fn.callVoid(hotImport, [ip]));
    });
    fn.return(ip);
  });

  module.define(parts.goTo, (fn) => {
    const target = fn.param64(0);
    const { entry, tag } = fetchEntry(fn, target);
    const slot = target.wrap().and(0xffc).shl(1);
    fn.if(fn.load64(entry, fetchTlbEntry.tag).eq(tag), () => {
      fn.setGlobal(pageEa, pageOf(target));
      fn.return(fn.call('i32', parts.arrive, [fn.load32(entry, fetchTlbEntry.page).add(slot)]));
    });
    set64(fn, 'nia', target.and(-4n));
    // Traced code never hits in the instruction TLB: the run loop takes its steps one by one.
    fn.if(get64(fn, 'msr').and(MSR.SE).ne(0n), () => fn.return(fn.i32(0)));
    const entered = fn.call('i32', parts.enter, [target.and(-4n)]);
    fn.if(entered.eqz(), () => fn.return(fn.i32(0)));
    fn.return(fn.call('i32', parts.arrive, [entered]));
  });

  module.define(parts.enter, (fn) => {
    const target = fn.param64(0);
    const decoded = fn.call('i32', rt.ref(fetchSlow), [target]);
    fn.if(decoded.eqz(), () => fn.return(fn.i32(0)));
    fn.setGlobal(pageEa, pageOf(target));
    fn.return(decoded.add(target.wrap().and(0xffc).shl(1)));
  });

  module.define(parts.raise, (fn) => {
    const cia = addressOf(fn, pageEa, fn.param32(0));
    fn.callVoid(rt.ref(enterInterrupt), [fn.param32(1), cia.add(fn.param32(3).extendS()), fn.param32(2)]);
    fn.return(fn.call('i32', parts.goTo, [get64(fn, 'nia')]));
  });

  module.define(parts.leave, (fn) => {
    const ip = fn.param32(0);
    const fault = get32(fn, 'fault');
    fn.if(fault.eq(FAULT_EXIT), () => {
      // The host is asked; the instruction will be executed again and is counted then.
      set64(fn, 'nia', addressOf(fn, pageEa, ip));
      set32(fn, 'budget', get32(fn, 'budget').add(1));
      fn.return(fn.i32(0));
    });
    fn.return(fn.call('i32', parts.raise, [ip, fault, get32(fn, 'faultSrr1'), fn.i32(0)]));
  });

  module.define(parts.resume, (fn) => {
    fn.callVoid(rt.ref(takePending), []);
    fn.return(fn.call('i32', parts.goTo, [get64(fn, 'nia')]));
  });
}

/** Where arrivals at a slot are counted, less `decodedPageInfo.heat`. */
function heatCounter(ip: I32): I32 {
  return pageOfSlot(ip).add(ip.and(DECODED_PAGE_STRIDE - 1).shrU(2));
}
function heatOf(fn: FunctionBuilder, ip: I32): I32 {
  return fn.load('i32', 'i32.load16_u', heatCounter(ip), decodedPageInfo.heat);
}

/** Calls the handler that a slot names; the caller has counted the instruction off the budget. */
function dispatch(fn: FunctionBuilder, parts: InterpreterParts, slot: I32): I32 {
  return fn.callIndirect('i32', parts.handlerType, fn.load32(slot), [slot, fn.load32(slot, 4)]);
}

/**
 * Calls that compiled regions make: what is called runs in a loop of its own, until control comes to the instruction
 * behind the call. The region then goes on, provided that nothing has happened since that its addresses depend on.
 *
 * Nothing of the guest is kept on the stack of WebAssembly: a region that is gone on with reads its registers anew, so
 * it makes no difference which of the guest's calls it is that comes back (recursion, longjmp, another task).
 */
function defineCalls(module: ModuleBuilder, parts: InterpreterParts): void {
  const { pageEa } = parts;

  module.define(parts.callTo, (fn) => {
    const [target, returnSlot] = [fn.param64(0), fn.param32(1)];
    const returnPage = fn.getGlobal(pageEa) as I64;
    const epoch = getShared32(fn, 'codeEpoch');
    const depth = getShared32(fn, 'callDepth');
    const ip = fn.variable('i32');
    // The region has counted the first instruction of what it calls.
    const budget = get32(fn, 'budget');
    const callee = fetchEntry(fn, target);
    const known = fn.load64(callee.entry, fetchTlbEntry.tag).eq(callee.tag);
    fn.if(
      known.and(budget.geS(0)).and(depth.ltU(MAX_CALL_DEPTH)),
      () => {
        fn.setGlobal(pageEa, pageOf(target));
        ip.set(fn.load32(callee.entry, fetchTlbEntry.page).add(target.wrap().and(0xffc).shl(1)));
        const colder = heatOf(fn, ip.get()).ltU(getShared32(fn, 'hotThreshold'));
        fn.if(colder, () => ip.set(fn.call('i32', parts.arrive, [ip.get()])), undefined, false);
      },
      () => {
        set32(fn, 'budget', budget.add(1));
        const found = fn.call('i32', parts.goTo, [target]);
        fn.if(depth.geU(MAX_CALL_DEPTH).or(found.eqz()), () => fn.return(found));
        const left = get32(fn, 'budget').sub(1);
        fn.if(left.ltS(0), () => fn.return(found));
        set32(fn, 'budget', left);
        ip.set(found);
      },
      true,
    );
    fn.if(
      epoch.ne(getShared32(fn, 'codeEpoch')),
      () => {
        set32(fn, 'budget', get32(fn, 'budget').add(1));
        fn.return(ip.get());
      },
      undefined,
      false,
    );
    const outerAddress = getShared64(fn, 'returnAddress');
    const outerSlot = getShared32(fn, 'returnSlot');
    const returnAddress = addressOf(fn, returnPage, returnSlot);
    setShared64(fn, 'returnAddress', returnAddress);
    setShared32(fn, 'returnSlot', returnSlot);
    setShared32(fn, 'callDepth', depth.add(1));
    const dispatched = fn.variable('i64', fn.i64(1n));
    fn.block((done) => {
      fn.loop((again) => {
        const next = dispatch(fn, parts, ip.get());
        ip.set(next);
        fn.brIf(done, next.eq(returnSlot));
        fn.brIf(done, next.eqz());
        // This call is lost, it has come back within a region: what waits for the call around it goes on.
        fn.brIf(done, next.eq(outerSlot));
        fn.brIf(done, epoch.ne(getShared32(fn, 'codeEpoch')));
        const left = get32(fn, 'budget').sub(1);
        fn.brIf(done, left.ltS(0));
        set32(fn, 'budget', left);
        dispatched.set(dispatched.get().add(1));
        fn.br(again);
      });
    });
    setShared32(fn, 'callDepth', depth);
    setShared64(fn, 'dispatches', getShared64(fn, 'dispatches').add(dispatched.get()));
    setShared32(fn, 'returnSlot', outerSlot);
    fn.if(epoch.ne(getShared32(fn, 'codeEpoch')), () => fn.return(ip.get()));
    setShared64(fn, 'returnAddress', outerAddress);
    const here = ip
      .get()
      .eq(returnSlot)
      .and((fn.getGlobal(pageEa) as I64).eq(returnPage));
    fn.if(here.eqz(), () => fn.return(ip.get()));
    // The interpreter would have looked the page up on the way back: what the instruction TLB holds stays the same.
    const { entry, tag } = fetchEntry(fn, returnPage);
    fn.if(fn.load64(entry, fetchTlbEntry.tag).eq(tag), () => fn.return(fn.i32(CALL_RETURNED)));
    const found = fn.call('i32', parts.goTo, [returnAddress]);
    const same = found.eq(returnSlot).and(epoch.eq(getShared32(fn, 'codeEpoch')));
    fn.return(fn.i32(CALL_RETURNED).selectIf(same, found));
  });
}

/**
 * Ways from region to region, which need not lead through the loop that has called the first of them. `firstRegion`: lowest
 * number of a region's function.
 */
function defineLinks(module: ModuleBuilder, parts: InterpreterParts, firstRegion: number): void {
  const { pageEa } = parts;

  module.define(parts.followAt, (fn) => {
    const ip = fn.param32(0);
    fn.if(
      heatOf(fn, ip).ltU(getShared32(fn, 'hotThreshold')),
      () => fn.call('i32', parts.arrive, [ip]),
      undefined,
      false,
    );
    const handler = fn.load32(ip);
    const left = get32(fn, 'budget').sub(1);
    fn.if(handler.ltU(firstRegion).or(left.ltS(0)), () => fn.return(ip));
    set32(fn, 'budget', left);
    setShared64(fn, 'dispatches', getShared64(fn, 'dispatches').add(1n));
    fn.returnCallIndirect(parts.handlerType, handler, [ip, fn.load32(ip, 4)]);
  });

  module.define(parts.follow, (fn) => {
    const target = fn.param64(0);
    const { entry, tag } = fetchEntry(fn, target);
    const slot = target.wrap().and(0xffc).shl(1);
    fn.if(fn.load64(entry, fetchTlbEntry.tag).ne(tag), () => fn.returnCall(parts.goTo, [target]), undefined, false);
    fn.setGlobal(pageEa, pageOf(target));
    fn.returnCall(parts.followAt, [fn.load32(entry, fetchTlbEntry.page).add(slot)]);
  });
}

/** The instruction word that a slot is for, as it stands in RAM now. */
function wordOfSlot(fn: FunctionBuilder, ip: I32): I32 {
  const page = pageOfSlot(ip);
  const mode = fn.load32(page, decodedPageInfo.mode);
  const raw = fn.load32(fn.load32(page, decodedPageInfo.source).add(ip.sub(page).shrU(1)));
  return raw.selectIf(mode.and(1), byteSwap32(raw));
}

function defineSlots(
  module: ModuleBuilder,
  parts: InterpreterParts,
  decodeHandler: FunctionRef,
  endHandler: FunctionRef,
  decodeImport: FunctionRef,
): void {
  module.define(decodeHandler, (fn) => {
    const ip = fn.param32(0);
    const mode = fn.load32(pageOfSlot(ip), decodedPageInfo.mode);
    const word = wordOfSlot(fn, ip);
    const handler = fn.call('i32', decodeImport, [word, mode]);
    fn.store32(ip, handler);
    fn.store32(ip, word, 4);
    fn.return(fn.callIndirect('i32', parts.handlerType, handler, [ip, word]));
  });

  module.define(endHandler, (fn) => {
    const next = (fn.getGlobal(parts.pageEa) as I64).add(4096);
    const ip = fn.call('i32', parts.goTo, [next]);
    fn.if(ip.eqz(), () => {
      // Nothing was executed, and nothing has happened to the guest either.
      fn.if(get32(fn, 'exitReason').eq(EXIT.absentPage), () => set32(fn, 'budget', get32(fn, 'budget').add(1)));
      fn.return(fn.i32(0));
    });
    fn.return(dispatch(fn, parts, ip));
  });
}

/** `run()`: executes until the budget is used up or an exit is due; returns the exit reason. */
function defineRun(module: ModuleBuilder, parts: InterpreterParts, decodeImport: FunctionRef): FunctionRef {
  return module.function('run', [], 'i32', (fn) => {
    set32(fn, 'exitReason', EXIT.budget);
    setShared32(fn, 'callDepth', 0);
    setShared32(fn, 'returnSlot', 0);
    fn.callVoid(parts.runtime.ref(contextChanged), []);
    const ip = fn.variable('i32', fn.call('i32', parts.resume, []));
    const dispatched = fn.variable('i64', fn.i64(0n));
    const leave = (reason: I32): void => {
      setShared64(fn, 'dispatches', getShared64(fn, 'dispatches').add(dispatched.get()));
      fn.return(reason);
    };
    fn.loop((again) => {
      const slot = ip.get();
      fn.if(
        slot,
        () => {
          // Compiled regions count in memory as well.
          const left = get32(fn, 'budget').sub(1);
          fn.if(left.ltS(0), () => {
            set64(fn, 'nia', addressOf(fn, parts.pageEa, slot));
            leave(fn.i32(EXIT.budget));
          });
          set32(fn, 'budget', left);
          dispatched.set(dispatched.get().add(1));
          ip.set(dispatch(fn, parts, slot));
        },
        () => {
          const reason = get32(fn, 'exitReason');
          fn.if(reason, () => leave(reason));
          // An interrupt whose first instruction could not be fetched: it counts, so that no guest can stop the host.
          const left = get32(fn, 'budget').sub(1);
          fn.if(left.ltS(0), () => leave(fn.i32(EXIT.budget)));
          set32(fn, 'budget', left);
          dispatched.set(dispatched.get().add(1));
          fn.if(
            get64(fn, 'msr').and(MSR.SE).ne(0n),
            () => ip.set(traceStep(fn, parts, decodeImport)),
            () => ip.set(fn.call('i32', parts.goTo, [get64(fn, 'nia')])),
          );
        },
      );
      fn.br(again);
    });
  });
}

/**
 * One instruction with MSR[SE] set, then the trace interrupt if it completed (ISA 3.0B III 6.5.15). Returns 0: `nia`
 * says where to go on. Branch tracing (MSR[BE]) is not done, and SRR1 does not tell loads from stores.
 */
function traceStep(fn: FunctionBuilder, parts: InterpreterParts, decodeImport: FunctionRef): I32 {
  const { runtime } = parts;
  const slot = fn.call('i32', parts.enter, [get64(fn, 'nia')]);
  fn.if(slot, () => {
    // The slot may stand for a compiled region: what it holds is one instruction all the same.
    const word = wordOfSlot(fn, slot);
    const handler = fn.call('i32', decodeImport, [word, fn.load32(pageOfSlot(slot), decodedPageInfo.mode)]);
    const next = fn.callIndirect('i32', parts.handlerType, handler, [slot, word]);
    fn.if(next, () => set64(fn, 'nia', addressOf(fn, parts.pageEa, next)));
    const completed = get64(fn, 'msr').and(MSR.SE).ne(0n).and(get32(fn, 'exitReason').eqz());
    fn.if(completed, () =>
      fn.callVoid(runtime.ref(enterInterrupt), [fn.i32(VECTOR.trace), get64(fn, 'nia'), fn.i32(0)]),
    );
  });
  return fn.i32(0);
}
