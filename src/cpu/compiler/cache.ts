// Compiled regions of a CPU core: makes them for slots that have become hot, puts them into the slots of their entries,
// and frees what stores, remapping or the cap have cut off.
//
// A region belongs to a decoded page. Its entries' slots hold the number of its function instead of a handler's, and
// `covered` marks its words, so that a store to one of them clears all slots of the page (mmu/code-pages.ts). So a
// region lives as long as one of its slots names it.
//
// Between the plan of a region and the region itself time may pass, if a workshop on another thread makes it. The words are
// marked when it is planned: if one of them has changed since, the page's generation has.

import { NO_RETURN } from '../../mmu/tlb.ts';
import { assert } from '../../util/errors.ts';
import { FETCH_MODE_USUAL } from '../interpreter/handlers.ts';
import type { RegionHost, RegionService } from '../interpreter/region-service.ts';
import { type StateField, stateOffset } from '../state/layout.ts';
import {
  DECODED_BASE,
  DECODED_HEAT_BYTES,
  DECODED_PAGE_STRIDE,
  decodedPageInfo,
  PAGE_INFO_BASE,
  PAGE_INFO_INDEX_MASK,
  RAM_BASE,
  STATE_BASE,
} from '../state/memory-map.ts';
import { type Arrival, discoverRegion, pageIndex, type RegionLimits } from './discover.ts';
import type { MadeRegion } from './dump.ts';
import { USER_DATA_TLB } from './emitter.ts';
import { isAround, nestAtEntry } from './loops.ts';
import { decodedPageAt, type ForeignPage, RegionPages } from './pages.ts';
import { handlerWord, makeUnit, type RegionPlan, regionExport } from './unit.ts';
import { orderOf, type RegionDelivery, type RegionWorkshop } from './workshop.ts';

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
  /**
   * Opens a workshop on another thread; without one, or when it is `undefined`, regions are made where they are wanted,
   * while the vCPU waits. It changes speed and nothing else.
   */
  readonly workshop?: ((counts: boolean) => RegionWorkshop | undefined) | undefined;
  /** Arrivals that make an address hot while there is a workshop; at least 1. */
  readonly workshopThreshold: number;
  /** Told once, why regions are not made beside the vCPUs any more. */
  readonly onWorkshopFailure?: (reason: string) => void;
  /** Milliseconds now, for the report. */
  readonly now?: () => number;
  /** Called with each region made. */
  readonly onRegion?: (region: MadeRegion) => void;
}

export const defaultRegionOptions: RegionOptions = {
  threshold: 6000,
  reluctant: 50,
  workshopThreshold: 3000,
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
  /** Spent by the vCPUs' thread: on making regions itself, or on planning, ordering, linking and installing them. */
  readonly milliseconds: number;
  readonly flushes: number;
  /** What a workshop did; absent without one. */
  readonly workshop: WorkshopStatistics | undefined;
}

export interface WorkshopStatistics {
  readonly orders: number;
  readonly deliveries: number;
  /** Regions whose code had changed before they came. */
  readonly stale: number;
  /** Spent on another thread. */
  readonly milliseconds: number;
  /** From order to delivery, the mean over all regions that came. */
  readonly meanWaitMilliseconds: number;
  readonly failure: string | undefined;
}

/** A region that is to be made for a decoded page. */
interface Plan extends RegionPlan {
  /** Memory offset of the decoded page, and its generation. */
  readonly page: number;
  readonly generation: number;
  /** Memory offset of the page in RAM. */
  readonly source: number;
  /** Distances of its instructions, those in other pages as well. */
  readonly offsets: ReadonlySet<number>;
  readonly rebuilt: number;
  /** It takes the place of one that waits for a call: who waits there is to find the new one. */
  readonly replacesCaller: boolean;
}

interface PlanOptions {
  /** Code that is left out, at distances. */
  readonly without?: (offset: number) => boolean;
  /** It takes the place of a region that waits for a call. */
  readonly replacesCaller?: boolean;
}

interface OrderedPlan extends Plan {
  readonly since: number;
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

/**
 * A function or a loop is where a region begins instead of at a loop in it, if control has come there once while it came some
 * hundred times to the loop.
 */
const MIN_ROOT_TURNS = 1 / 128;
/** How often a region takes in one more entry; afterwards the entry gets a region of its own. */
const MAX_REBUILDS = 6;
const MAX_ENTRIES = 32;
/** In 2^20 ticks of the timebase: 4 seconds, or 2 thousand million instructions by the virtual clock. */
const HEAT_WINDOW = 2048;
/** Orders that may wait; what becomes hot beyond that has to become hot again. */
const MAX_ORDERED = 64;
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
  /** Memory offsets of slots for which a region was made that begins elsewhere. */
  private readonly leftToOthers = new Set<number>();
  private live = 0;
  private liveBytes = 0;
  private sweepAt = 256;
  private made = 0;
  private madeInstructions = 0;
  private madeDeclined = 0;
  private madeBytes = 0;
  private spent = 0;
  private flushes = 0;

  private readonly workshop: RegionWorkshop | undefined;
  private threshold: number;
  private readonly ordered = new Map<number, OrderedPlan>();
  private orders = 0;
  private deliveries = 0;
  private delivered = 0;
  private stale = 0;
  private workshopMs = 0;
  private waitedMs = 0;
  private failure: string | undefined;
  readonly collect: (() => void) | undefined;

  constructor(host: RegionHost, options: RegionOptions) {
    this.host = host;
    this.options = options;
    this.view = new DataView(host.memory.buffer);
    this.limits = { maxInstructions: options.maxInstructions, ...INLINE, leaves: host.endsTurn };
    this.workshop = options.workshop?.(options.counts);
    this.threshold = this.workshop ? options.workshopThreshold : options.threshold;
    if (this.workshop) this.collect = () => this.takeDeliveries();
    host.setShared('hotThreshold', BigInt(this.threshold));
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
      workshop: this.workshop && {
        orders: this.orders,
        deliveries: this.deliveries,
        stale: this.stale,
        milliseconds: this.workshopMs,
        meanWaitMilliseconds: this.delivered === 0 ? 0 : this.waitedMs / this.delivered,
        failure: this.failure,
      },
    };
  }

  /** Ends the workshop; what is on order does not come any more. */
  async close(): Promise<void> {
    await this.workshop?.close();
  }

  private now(): number {
    return this.options.now?.() ?? 0;
  }

  hot(ip: number): void {
    this.takeDeliveries();
    const page = ip & -DECODED_PAGE_STRIDE;
    const offset = (ip - page) / 2;
    const { view } = this;
    if (offset >= 4096 || this.isEntry(page, ip)) return;
    if (view.getUint32(page + decodedPageInfo.mode, true) !== FETCH_MODE_USUAL) return;
    if (view.getUint32(page + decodedPageInfo.drops, true) > this.options.patience) return;
    if (this.tookLong(page) || this.isEarly(page, ip)) return;
    if (this.isOnOrder(page, offset) || this.ordered.size >= MAX_ORDERED) {
      this.cool(page, offset);
      return;
    }
    const begun = this.now();
    this.compile(page, offset);
    this.spent += this.now() - begun;
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
    if (this.workshop || this.made >= this.options.reluctant) {
      this.hotOnce.clear();
      return false;
    }
    if (this.hotOnce.delete(ip)) return false;
    this.hotOnce.add(ip);
    this.cool(page, (ip - page) / 2);
    return true;
  }

  /** Arrivals at the address count from 0 again. */
  private cool(page: number, offset: number): void {
    this.view.setUint16(page + decodedPageInfo.heat + offset / 2, 0, true);
  }

  /** Whether a region that has not come yet has the address, so that it need not be made for it. */
  private isOnOrder(page: number, offset: number): boolean {
    for (const plan of this.ordered.values()) {
      if (plan.page === page && plan.offsets.has(offset) && this.isCurrent(plan)) return true;
    }
    return false;
  }

  private compile(page: number, offset: number): void {
    const ea = (this.host.exports.pageEa as WebAssembly.Global).value as bigint;
    const caller = this.noteCall(page, offset, ea);
    if (caller === 'again') {
      if (this.made < this.options.reluctant) this.hotOnce.add(page + offset * 2);
      return;
    }
    if (caller && this.joinCaller(caller)) {
      this.cool(page, offset);
      return;
    }
    this.noteJump(page, offset, ea);
    this.carryOut(this.planFor(page, offset, ea));
  }

  /**
   * The region for a place that is hot. It begins where control will come from outside soon: at the function that the place is
   * in, or at a loop around it. If the place becomes hot once more all the same, it is come to from elsewhere or turns for
   * long: a loop within another has a region of its own then, and what is around it stays with the other one.
   */
  private planFor(page: number, offset: number, ea: bigint): Plan {
    const pages = new RegionPages(this.view, page, ea, this.options.patience);
    const slot = page + offset * 2;
    const again = this.leftToOthers.delete(slot);
    const from = (root: number): Plan | undefined => {
      if (this.turns(pages, root) < MIN_ROOT_TURNS || this.isEntryAt(pages, root)) return undefined;
      const base = pageIndex(root) * 4096;
      const plan = this.plan(pages.decodedAt(root)!, root - base, BigInt.asUintN(64, ea + BigInt(base)));
      if (!plan.offsets.has(offset - base)) return undefined;
      this.leftToOthers.add(slot);
      this.cool(page, offset);
      return plan;
    };
    const start = again ? undefined : this.calledLast(pages, ea);
    const ofFunction = start === undefined || start === offset ? undefined : from(start);
    if (ofFunction) return ofFunction;
    const plan = this.plan(page, offset, ea);
    const nest = nestAtEntry(plan.graph, (at) => {
      const turns = this.turns(pages, at);
      return again || (turns >= MIN_ROOT_TURNS && turns <= 1 / 2);
    });
    if (!nest) return plan;
    if (again || this.isEntryAt(pages, nest.outer.head)) {
      return this.plan(page, offset, ea, { without: (at) => isAround(nest, at) });
    }
    return from(nest.outer.head) ?? plan;
  }

  /** The distance of the function that LR returns from: in one that calls no other, its own. */
  private calledLast(pages: RegionPages, ea: bigint): number | undefined {
    const call = Number(BigInt.asIntN(64, this.view.getBigUint64(STATE_BASE + stateOffset('lr'), true) - 4n - ea));
    return Math.abs(call) < MAX_CALL_DISTANCE ? pages.calledAt(call) : undefined;
  }

  /** How often control has come to a distance, for each time that would make it hot; 0 where it cannot be told. */
  private turns(pages: RegionPages, offset: number): number {
    const page = pages.decodedAt(offset);
    return page === undefined ? 0 : this.heat(page, offset & 0xfff) / this.threshold;
  }

  private isEntryAt(pages: RegionPages, offset: number): boolean {
    const page = pages.decodedAt(offset);
    return page !== undefined && this.isEntry(page, page + (offset & 0xfff) * 2);
  }

  /** The region for `offset` in the decoded page `page`, which is executed at `ea`. */
  private plan(page: number, offset: number, ea: bigint, { without, replacesCaller = false }: PlanOptions = {}): Plan {
    const { view, options } = this;
    const pages = new RegionPages(view, page, ea, options.patience);
    const regions = (this.byPage.get(page) ?? []).filter((region) => this.isLive(region));
    const isExtended = (region: Region) =>
      region.offsets.has(offset) && region.rebuilt < MAX_REBUILDS && region.entries.length < MAX_ENTRIES;
    const known = without ? undefined : regions.find(isExtended);
    // Entries that control does not come to any more stay with the old region.
    const enough = Math.max(1, this.threshold >> 3);
    const kept = known?.entries.filter((entry) => entry !== offset && this.heat(page, entry) >= enough) ?? [];
    const reached = (at: number) => pages.reached(at);
    const executed = (at: number) => !without?.(at) && (!options.executedOnly || pages.executed(at));
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
    const offsets = new Set<number>();
    const foreign: [number, ForeignPage][] = [];
    for (const { instructions } of graph.blocks) for (const at of instructions) offsets.add(at.offset);
    for (const index of new Set([...offsets].map(pageIndex))) {
      const other = index === 0 ? undefined : pages.foreign(index);
      if (other) foreign.push([index, other]);
    }
    return {
      page,
      generation: view.getUint32(page + decodedPageInfo.generation, true),
      source: view.getUint32(page + decodedPageInfo.source, true),
      graph,
      user: this.isUser(page),
      foreign: new Map(foreign),
      offsets,
      rebuilt: known ? known.rebuilt + 1 : 0,
      replacesCaller,
    };
  }

  /** Makes a region, or orders it. */
  private carryOut(plan: Plan): void {
    this.reserve(plan);
    if (this.workshop && this.failure === undefined) this.order(this.workshop, plan);
    else this.make(plan);
  }

  /** From now on a change of the words that the region has does not pass unseen. */
  private reserve({ page, offsets, foreign }: Plan): void {
    const { view } = this;
    for (const offset of offsets) {
      const decoded = decodedAt(page, foreign, offset);
      view.setUint8(decoded + decodedPageInfo.covered + (offset & 0xfff) / 4, 1);
      view.setUint32(decoded + decodedPageInfo.regions, 1, true);
      // From now on only arrivals from outside of the region count.
      if (decoded === page) this.cool(page, offset);
    }
  }

  /** Makes the region here and now. */
  private make(plan: Plan): void {
    const { graph, source } = plan;
    const { bytes, imports, regions } = makeUnit([plan], this.host.semantics, this.options.counts);
    const [{ tree, declined }] = regions;
    const exports = this.link(new WebAssembly.Module(bytes), imports);
    this.install(plan, exports[regionExport(0)], bytes.length, declined);
    this.options.onRegion?.({ graph, tree, bytes, pageGra: source - RAM_BASE });
  }

  private order(workshop: RegionWorkshop, plan: Plan): void {
    const id = ++this.orders;
    this.ordered.set(id, { ...plan, since: this.now() });
    workshop.order(orderOf(id, plan));
  }

  private takeDeliveries(): void {
    const { workshop } = this;
    if (!workshop || this.failure !== undefined) return;
    for (let delivery = workshop.delivery(); delivery; delivery = workshop.delivery()) this.takeDelivery(delivery);
    if (workshop.failure !== undefined) this.giveUp(workshop.failure);
  }

  private takeDelivery({ module, imports, regions, bytes, milliseconds }: RegionDelivery): void {
    const begun = this.now();
    this.deliveries++;
    this.workshopMs += milliseconds;
    const exports = this.link(module, imports);
    regions.forEach(({ id, declined }, index) => {
      const plan = this.ordered.get(id);
      assert(plan, 'what is delivered has been ordered');
      this.ordered.delete(id);
      this.waitedMs += begun - plan.since;
      this.delivered++;
      if (this.isCurrent(plan)) {
        this.install(plan, exports[regionExport(index)], Math.round(bytes / regions.length), declined);
      } else this.stale++;
    });
    this.spent += this.now() - begun;
  }

  /** Whether the decoded page is still in use, and its words have not changed since the plan was made. */
  private isCurrent({ page, source, generation }: Plan): boolean {
    const { view } = this;
    if (view.getUint32(page + decodedPageInfo.generation, true) !== generation) return false;
    const info = view.getUint32(PAGE_INFO_BASE + ((source - RAM_BASE) / 4096) * 4, true);
    return (info & PAGE_INFO_INDEX_MASK) === (page - DECODED_BASE) / DECODED_PAGE_STRIDE + 1;
  }

  /** From now on regions are made here. */
  private giveUp(reason: string): void {
    this.failure = reason;
    this.ordered.clear();
    this.threshold = this.options.threshold;
    this.host.setShared('hotThreshold', BigInt(this.threshold));
    this.options.onWorkshopFailure?.(reason);
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
      const { threshold } = this;
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
    if (this.isOnOrder(region.page, called)) return true;
    const plan = this.plan(region.page, region.entries[0], ea, { replacesCaller: true });
    if (!plan.graph.blocks.some(({ start }) => start === called)) return false;
    this.carryOut(plan);
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

  private link(module: WebAssembly.Module, imports: readonly string[]): Readonly<Record<string, unknown>> {
    const { host } = this;
    const env: Record<string, WebAssembly.ImportValue> = {};
    for (const field of imports) {
      const word = handlerWord(field);
      const value =
        field === 'memory'
          ? host.memory
          : word === undefined
            ? host.exports[field]
            : host.table.get(host.handlerOf(word));
      env[field] = value as WebAssembly.ImportValue;
    }
    return new WebAssembly.Instance(module, { env }).exports;
  }

  private install(plan: Plan, code: unknown, bytes: number, declined: number): void {
    const { host, view } = this;
    const { page, source, graph, offsets, rebuilt, foreign } = plan;
    const number = this.takeNumber();
    host.table.set(number, code);
    const entries = graph.entries.map((id) => graph.blocks[id].start);
    const slots = entries.map((entry) => page + entry * 2);
    entries.forEach((entry, index) => {
      view.setUint32(slots[index], number, true);
      view.setUint32(slots[index] + 4, view.getUint32(source + entry, true), true);
    });
    const region: Region = { number, page, slots, entries, offsets, bytes, rebuilt };
    this.byPage.set(page, [...this.freeDead(page), region]);
    this.live++;
    this.liveBytes += bytes;
    this.made++;
    this.madeInstructions += offsets.size;
    this.madeDeclined += declined;
    this.madeBytes += bytes;
    for (const { instructions, terminator } of graph.blocks) {
      if (terminator.kind !== 'indirect' || !terminator.returnTo) continue;
      const { offset } = instructions[instructions.length - 1];
      this.waiting.set(decodedAt(page, foreign, offset) + (offset & 0xfff) * 2, { region, offset });
    }
    if (plan.replacesCaller) {
      // Who waits in the old region is to find the new one.
      host.setShared('codeEpoch', (host.shared('codeEpoch') + 1n) & 0xffff_ffffn);
      host.setShared('returnAddress', NO_RETURN);
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
    const isGone = (slot: number) => !this.byPage.has(slot & -DECODED_PAGE_STRIDE);
    for (const slot of this.called.keys()) if (isGone(slot)) this.called.delete(slot);
    for (const slot of this.leftToOthers) if (isGone(slot)) this.leftToOthers.delete(slot);
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

/** Memory offset of the decoded page that has the distance in a region of `page`. */
function decodedAt(page: number, foreign: ReadonlyMap<number, ForeignPage>, offset: number): number {
  const index = pageIndex(offset);
  return index === 0 ? page : foreign.get(index)!.decoded;
}
