// Compiled regions of a CPU core: makes them for slots that have become hot, puts them into the slots of their entries,
// and frees what stores, remapping or the cap have cut off.
//
// A region belongs to a decoded page. Its entries' slots hold the number of its function instead of a handler's, and
// `covered` marks its words, so that a store to one of them clears all slots of the page (mmu/code-pages.ts). So a
// region lives as long as one of its slots names it.

import { NO_RETURN } from '../../mmu/tlb.ts';
import type { FunctionRef } from '../../wasm/ir.ts';
import { ModuleBuilder } from '../../wasm/module.ts';
import { runtimeExport } from '../interpreter/generate.ts';
import { FETCH_MODE_USUAL } from '../interpreter/handlers.ts';
import type { RegionHost, RegionService } from '../interpreter/region-service.ts';
import { type StateField, stateOffset } from '../state/layout.ts';
import { DECODED_HEAT_BYTES, DECODED_PAGE_STRIDE, decodedPageInfo, RAM_BASE, STATE_BASE } from '../state/memory-map.ts';
import { type Arrival, discoverRegion, type RegionLimits } from './discover.ts';
import type { MadeRegion } from './dump.ts';
import { USER_DATA_TLB } from './emitter.ts';
import { generateRegion, type InterpreterImports } from './generate.ts';
import { decodedPageAt, RegionPages } from './pages.ts';
import type { RegionGraph } from './region.ts';
import { structureRegion } from './structure.ts';

export interface RegionOptions {
  /** Arrivals by branches that make an address hot; at least 1. */
  readonly threshold: number;
  /** So many regions are made of code only that has become hot twice: the compiler itself is slow until the engine knows it. */
  readonly reluctant: number;
  /** Instructions of a region. */
  readonly maxInstructions: number;
  /** Whether regions leave out blocks of which nothing has been executed. */
  readonly executedOnly: boolean;
  /** Bytes of WebAssembly code that are kept; above it everything is dropped. */
  readonly maxBytes: number;
  /** Whether regions count their entries, exits and instructions. */
  readonly counts: boolean;
  /** A page whose regions have been dropped more often than this for changes of its code is left to the interpreter. */
  readonly patience: number;
  /** Milliseconds now, for the report. */
  readonly now?: () => number;
  /** Called with each region made. */
  readonly onRegion?: (region: MadeRegion) => void;
}

export const defaultRegionOptions: RegionOptions = {
  threshold: 6000,
  reluctant: 50,
  maxInstructions: 400,
  executedOnly: true,
  // An engine holds some sixteen times as much for them: 60 to 80 KiB for a region of 4 KiB (docs/performance.md).
  maxBytes: 64 * 2 ** 20,
  counts: true,
  patience: 64,
};

/** What the compiler has done. */
export interface RegionStatistics {
  readonly regions: number;
  readonly liveRegions: number;
  readonly instructions: number;
  readonly declined: number;
  readonly bytes: number;
  readonly milliseconds: number;
  readonly flushes: number;
}

interface Region {
  readonly number: number;
  readonly page: number;
  /** Memory offsets of the entries' slots. */
  readonly slots: readonly number[];
  readonly entries: readonly number[];
  /** Distances of its instructions, those in other pages as well. */
  readonly offsets: ReadonlySet<number>;
  readonly bytes: number;
  /** How often it was made anew with one more entry. */
  readonly rebuilt: number;
}

/** Where calls by CTR go: at most so many functions are told apart, at most so far away, in bytes. */
const MAX_CALLED = 4;
const MAX_CALL_DISTANCE = 2 ** 31;

/** A region that waits for a call, the distance of what it has called, and the address of its page. */
interface Caller {
  readonly region: Region;
  readonly called: number;
  readonly ea: bigint;
}

/** How often a region takes in one more entry; afterwards the entry gets a region of its own. */
const MAX_REBUILDS = 6;
const MAX_ENTRIES = 32;
/** In 2^20 ticks of the timebase: 4 seconds, or 2 thousand million instructions by the virtual clock. */
const HEAT_WINDOW = 2048;
const INLINE = { maxInlined: 40, maxInlineDepth: 2 };

export class RegionCache implements RegionService {
  private readonly host: RegionHost;
  private readonly options: RegionOptions;
  private readonly view: DataView;
  private readonly limits: RegionLimits;
  private readonly byPage = new Map<number, Region[]>();
  /** Distances in decoded pages that a branch to CTR has gone to when they became hot, other than calls of functions. */
  private readonly jumpTargets = new Map<number, Set<number>>();
  /** Functions that calls by CTR have gone to when they became hot: distances from the call, by the memory offset of its slot. */
  private readonly called = new Map<number, Set<number>>();
  /** The latest region that waits for the call in a slot, and the distance of the call. */
  private readonly waiting = new Map<number, { readonly region: Region; readonly offset: number }>();
  private readonly freeNumbers: number[] = [];
  /** Memory offsets of slots that have become hot once, while the compiler is reluctant. */
  private readonly hotOnce = new Set<number>();
  private live = 0;
  private liveBytes = 0;
  private sweepAt = 256;
  private made = 0;
  private madeInstructions = 0;
  private madeDeclined = 0;
  private madeBytes = 0;
  private spent = 0;
  private flushes = 0;

  constructor(host: RegionHost, options: RegionOptions) {
    this.host = host;
    this.options = options;
    this.view = new DataView(host.memory.buffer);
    this.limits = { maxInstructions: options.maxInstructions, ...INLINE, leaves: host.endsTurn };
    host.setShared('hotThreshold', BigInt(options.threshold));
  }

  statistics(): RegionStatistics {
    return {
      regions: this.made,
      liveRegions: this.live,
      instructions: this.madeInstructions,
      declined: this.madeDeclined,
      bytes: this.madeBytes,
      milliseconds: this.spent,
      flushes: this.flushes,
    };
  }

  hot(ip: number): void {
    const page = ip & -DECODED_PAGE_STRIDE;
    const offset = (ip - page) / 2;
    const { view } = this;
    if (offset >= 4096 || this.isEntry(page, ip)) return;
    if (view.getUint32(page + decodedPageInfo.mode, true) !== FETCH_MODE_USUAL) return;
    if (view.getUint32(page + decodedPageInfo.drops, true) > this.options.patience) return;
    if (this.tookLong(page) || this.isEarly(page, ip)) return;
    const begun = this.options.now?.() ?? 0;
    this.compile(page, offset);
    this.spent += (this.options.now?.() ?? 0) - begun;
  }

  /**
   * Whether the counts of a page are older than `HEAT_WINDOW`: code that a long time has made hot is not worth a region, and
   * in the end everything would have one. The counts are halved then, and what is hot indeed comes again soon.
   */
  private tookLong(page: number): boolean {
    const { view } = this;
    const ticks =
      view.getBigUint64(STATE_BASE + stateOffset('tbEnd'), true) -
      BigInt(view.getInt32(STATE_BASE + stateOffset('budget'), true));
    const now = Number(BigInt.asUintN(32, ticks >> 20n));
    if ((now - view.getUint32(page + decodedPageInfo.since, true)) >>> 0 <= HEAT_WINDOW) return false;
    view.setUint32(page + decodedPageInfo.since, now, true);
    const heat = page + decodedPageInfo.heat;
    for (let at = heat; at < heat + DECODED_HEAT_BYTES; at += 2)
      view.setUint16(at, view.getUint16(at, true) >> 1, true);
    return true;
  }

  /** Whether the slot is to become hot once more before it has a region: its count starts anew. */
  private isEarly(page: number, ip: number): boolean {
    if (this.made >= this.options.reluctant) {
      this.hotOnce.clear();
      return false;
    }
    if (this.hotOnce.delete(ip)) return false;
    this.hotOnce.add(ip);
    this.view.setUint16(page + decodedPageInfo.heat + (ip - page) / 4, 0, true);
    return true;
  }

  private compile(page: number, offset: number): void {
    const ea = (this.host.exports.pageEa as WebAssembly.Global).value as bigint;
    const caller = this.noteCall(page, offset, ea);
    if (caller === 'again') {
      if (this.made < this.options.reluctant) this.hotOnce.add(page + offset * 2);
      return;
    }
    if (caller && this.joinCaller(caller)) {
      this.view.setUint16(page + decodedPageInfo.heat + offset / 2, 0, true);
      return;
    }
    this.noteJump(page, offset, ea);
    this.compileAt(page, offset, ea);
  }

  /**
   * Makes the region for `offset` in the decoded page `page`, which is executed at `ea`; with `wanted` only if it has that
   * distance in it. Whether it was made.
   */
  private compileAt(page: number, offset: number, ea: bigint, wanted?: number): boolean {
    const { view, options } = this;
    const pages = new RegionPages(view, page, ea, options.patience);
    const regions = (this.byPage.get(page) ?? []).filter((region) => this.isLive(region));
    const known = regions.find(
      (region) => region.offsets.has(offset) && region.rebuilt < MAX_REBUILDS && region.entries.length < MAX_ENTRIES,
    );
    // Entries that control does not come to any more stay with the old region.
    const enough = Math.max(1, this.options.threshold >> 3);
    const kept = known?.entries.filter((entry) => entry !== offset && this.heat(page, entry) >= enough) ?? [];
    const reached = (at: number) => pages.reached(at);
    const executed = options.executedOnly ? (at: number) => pages.executed(at) : undefined;
    const targets = new Map<number, readonly Arrival[]>();
    const arrivals = (at: number) => {
      const index = Math.floor(at / 4096);
      const near = targets.get(index) ?? this.targetsNear(pages, index, enough);
      targets.set(index, near);
      return near;
    };
    const called = (at: number) => {
      const known = this.called.get(slotAt(pages, at));
      return known && known.size <= MAX_CALLED ? [...known].map((distance) => at + distance) : [];
    };
    const limits = { ...this.limits, reached, executed, arrivals, called };
    const graph = discoverRegion([offset, ...kept], (at) => pages.word(at), limits);
    if (wanted !== undefined && !graph.blocks.some(({ start }) => start === wanted)) return false;
    this.install(page, pages, graph, known ? known.rebuilt + 1 : 0);
    return true;
  }

  /** Control has come to a place: notes it if a jump has brought it. A call of a function has its address in r12 as well. */
  private noteJump(page: number, offset: number, pageEa: bigint): void {
    const { view } = this;
    const ea = BigInt.asUintN(64, pageEa + BigInt(offset));
    if (view.getBigUint64(STATE_BASE + stateOffset('ctr'), true) !== ea) return;
    if (view.getBigUint64(STATE_BASE + stateOffset('gpr', 12), true) === ea) return;
    const known = this.jumpTargets.get(page);
    if (known) known.add(offset);
    else this.jumpTargets.set(page, new Set([offset]));
  }

  /**
   * Control has come to a place: if a call by CTR has brought it, which has the address in r12 as well, notes where from. The
   * first time says 'again', so that others that this call goes to are known by the second time. Then the region that waits
   * for the call, if there is one, and where it is executed.
   */
  private noteCall(page: number, offset: number, pageEa: bigint): 'again' | Caller | undefined {
    const { view } = this;
    const register = (name: StateField, index = 0) => view.getBigUint64(STATE_BASE + stateOffset(name, index), true);
    const ea = BigInt.asUintN(64, pageEa + BigInt(offset));
    if (register('ctr') !== ea || register('gpr', 12) !== ea) return undefined;
    const call = register('lr') - 4n;
    const distance = Number(BigInt.asIntN(64, ea - call));
    const callPage = decodedPageAt(view, call);
    if (callPage === undefined || Math.abs(distance) > MAX_CALL_DISTANCE) return undefined;
    const slot = callPage + Number(call & 0xffcn) * 2;
    const known = this.called.get(slot) ?? new Set();
    this.called.set(slot, known);
    if (!known.has(distance)) {
      known.add(distance);
      if (known.size > MAX_CALLED) return undefined;
      const { threshold } = this.options;
      view.setUint16(page + decodedPageInfo.heat + offset / 2, threshold - Math.ceil(threshold / 4), true);
      return 'again';
    }
    const waiting = known.size > MAX_CALLED ? undefined : this.waiting.get(slot);
    if (!waiting) return undefined;
    const { region } = waiting;
    const called = waiting.offset + distance;
    if (region.offsets.has(called) || region.rebuilt >= MAX_REBUILDS) return undefined;
    if (!this.byPage.get(region.page)?.includes(region) || !this.isLive(region)) return undefined;
    const ownEa = BigInt.asUintN(64, call - BigInt(waiting.offset)) & -4096n;
    return decodedPageAt(view, ownEa) === region.page ? { region, called, ea: ownEa } : undefined;
  }

  /** Makes a region anew with copies of what its call goes to. Whether the function that is called is among them. */
  private joinCaller({ region, called, ea }: Caller): boolean {
    if (!this.compileAt(region.page, region.entries[0], ea, called)) return false;
    // Who waits in the old region is to find the new one.
    this.host.setShared('codeEpoch', (this.host.shared('codeEpoch') + 1n) & 0xffff_ffffn);
    this.host.setShared('returnAddress', NO_RETURN);
    return true;
  }

  /** What a branch to CTR in page `index` may go to: if jumps are known to arrive near by, all that is arrived at. */
  private targetsNear(pages: RegionPages, index: number, enough: number): Arrival[] {
    const found = new Map<number, boolean>();
    const around = [index - 1, index, index + 1];
    for (const at of around) {
      const known = this.jumpTargets.get(pages.decodedAt(at * 4096) ?? -1) ?? [];
      for (const offset of known) found.set(at * 4096 + offset, true);
    }
    if (found.size === 0) return [];
    for (const at of around) {
      for (const offset of pages.arrivals(at, enough)) if (!found.has(offset)) found.set(offset, false);
    }
    return [...found].map(([offset, jumped]) => ({ offset, jumped }));
  }

  /** Whether only a process executes in the page, as it does now. */
  private isUser(page: number): boolean {
    const { view } = this;
    const now = view.getUint32(STATE_BASE + stateOffset('dataTlb'), true) === USER_DATA_TLB;
    return now && view.getUint32(page + decodedPageInfo.mixed, true) === 0;
  }

  private heat(page: number, offset: number): number {
    return this.view.getUint16(page + decodedPageInfo.heat + offset / 2, true);
  }

  private install(page: number, pages: RegionPages, graph: RegionGraph, rebuilt: number): void {
    const { host, view } = this;
    const module = new ModuleBuilder();
    const values: Record<string, WebAssembly.ImportValue> = { memory: host.memory };
    module.importMemory('env', 'memory', 1);
    const imports = regionImports(module, host, values);
    const entries = graph.entries.map((id) => graph.blocks[id].start);
    const name = `region ${entries[0].toString(16)}`;
    const tree = structureRegion(graph);
    const { fn, declined } = generateRegion(
      name,
      graph,
      tree,
      host.semantics,
      imports,
      this.options.counts,
      this.isUser(page),
      (index) => pages.foreign(index),
    );
    const ref = module.declare(name, ['i32', 'i32'], 'i32');
    module.defineBuilt(ref, fn);
    module.exportFunction('region', ref);
    const bytes = module.encode();
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: values });
    const number = this.takeNumber();
    host.table.set(number, instance.exports.region);
    const offsets = new Set<number>();
    for (const { instructions } of graph.blocks) for (const at of instructions) offsets.add(at.offset);
    for (const offset of offsets) {
      const decoded = pages.decodedAt(offset)!;
      view.setUint8(decoded + decodedPageInfo.covered + (offset & 0xfff) / 4, 1);
      view.setUint32(decoded + decodedPageInfo.regions, 1, true);
      // From now on only arrivals from outside of the region count.
      if (decoded === page) view.setUint16(page + decodedPageInfo.heat + offset / 2, 0, true);
    }
    const slots = entries.map((entry) => page + entry * 2);
    const source = view.getUint32(page + decodedPageInfo.source, true);
    this.options.onRegion?.({ graph, tree, bytes, pageGra: source - RAM_BASE });
    entries.forEach((entry, index) => {
      view.setUint32(slots[index], number, true);
      view.setUint32(slots[index] + 4, view.getUint32(source + entry, true), true);
    });
    const region: Region = { number, page, slots, entries, offsets, bytes: bytes.length, rebuilt };
    this.byPage.set(page, [...this.freeDead(page), region]);
    this.live++;
    this.liveBytes += bytes.length;
    this.made++;
    this.madeInstructions += offsets.size;
    this.madeDeclined += declined;
    this.madeBytes += bytes.length;
    for (const { instructions, terminator } of graph.blocks) {
      if (terminator.kind !== 'indirect' || !terminator.returnTo) continue;
      const { offset } = instructions[instructions.length - 1];
      this.waiting.set(slotAt(pages, offset), { region, offset });
    }
  }

  private isEntry(page: number, slot: number): boolean {
    const number = this.view.getUint32(slot, true);
    return this.byPage.get(page)?.some((region) => region.number === number) ?? false;
  }

  private isLive(region: Region): boolean {
    return region.slots.some((slot) => this.view.getUint32(slot, true) === region.number);
  }

  private takeNumber(): number {
    if (this.live >= this.sweepAt) this.sweep();
    if (this.liveBytes > this.options.maxBytes) this.flush();
    const again = this.freeNumbers.pop();
    return again ?? this.host.table.grow(1);
  }

  /** Frees the regions that nothing leads to any more. */
  private sweep(): void {
    for (const page of this.byPage.keys()) {
      const alive = this.freeDead(page);
      if (alive.length) {
        this.byPage.set(page, alive);
        continue;
      }
      this.byPage.delete(page);
      this.jumpTargets.delete(page);
    }
    for (const slot of this.called.keys()) if (!this.byPage.has(slot & -DECODED_PAGE_STRIDE)) this.called.delete(slot);
    for (const [slot, { region }] of this.waiting) {
      if (!this.byPage.get(region.page)?.includes(region)) this.waiting.delete(slot);
    }
    this.sweepAt = this.live + Math.max(256, this.live >> 2);
  }

  /** Frees a page's regions that nothing leads to any more; those that are left, which the caller is to put down. */
  private freeDead(page: number): Region[] {
    const alive: Region[] = [];
    for (const region of this.byPage.get(page) ?? []) {
      if (this.isLive(region)) alive.push(region);
      else this.free(region);
    }
    return alive;
  }

  /** Drops all regions: the code cache is full. */
  private flush(): void {
    const drop = this.host.exports.dropRegions as (page: number) => void;
    for (const [page, regions] of this.byPage) {
      if (regions.some((region) => this.isLive(region))) drop(page);
      for (const region of regions) this.free(region);
    }
    this.byPage.clear();
    this.waiting.clear();
    this.flushes++;
  }

  private free(region: Region): void {
    this.host.table.set(region.number, null);
    this.freeNumbers.push(region.number);
    this.live--;
    this.liveBytes -= region.bytes;
  }
}

/** Memory offset of the slot of a distance that the region has code at. */
function slotAt(pages: RegionPages, offset: number): number {
  return (pages.decodedAt(offset) ?? 0) + (offset & 0xfff) * 2;
}

/** Imports of a region module, each made when it is first asked for; their values go into `values`. */
function regionImports(
  module: ModuleBuilder,
  host: RegionHost,
  values: Record<string, WebAssembly.ImportValue>,
): InterpreterImports {
  const refs = new Map<string, FunctionRef>();
  const { exports } = host;
  const get = (
    name: string,
    value: () => unknown,
    params: Parameters<ModuleBuilder['signature']>[0],
    result: Parameters<ModuleBuilder['signature']>[1],
  ): FunctionRef => {
    let ref = refs.get(name);
    if (!ref) {
      ref = module.importFunction('env', name, params, result);
      refs.set(name, ref);
      values[name] = value() as WebAssembly.ImportValue;
    }
    return ref;
  };
  const controls = {
    goTo: ['i64'],
    callTo: ['i64', 'i32'],
    arrive: ['i32'],
    leave: ['i32'],
    raise: ['i32', 'i32', 'i32', 'i32'],
  } as const;
  values.pageEa = exports.pageEa as WebAssembly.ImportValue;
  return {
    pageEa: module.importGlobal('env', 'pageEa', 'i64'),
    control: (name) => get(name, () => exports[name], controls[name], 'i32'),
    dropRegions: () => get('dropRegions', () => exports.dropRegions, ['i32'], undefined),
    runtime: (f) => get(runtimeExport(f.name), () => exports[runtimeExport(f.name)], f.params, f.result),
    handler: (word) => {
      const number = host.handlerOf(word);
      return get(`handler ${number}`, () => host.table.get(number), ['i32', 'i32'], 'i32');
    },
  };
}
