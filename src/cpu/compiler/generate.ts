// From a structured region to a WebAssembly function of the interpreter's handler type, (ip, word) -> ip: it stands in the
// decoded slots of the region's entries and executes as much as it can.
//
//   local budget := instructions left; a block subtracts its length when it starts
//   at an entry and at each block that closes a cycle: the longest way to the next such block must fit, else leave
//   registers are read at the start, and those that may have changed are written where the region is left
//
// So time stays exact: an instruction is counted if and only if it is executed, and what does not fit any more is done by
// the interpreter, instruction by instruction.

import { fetchEntry } from '../../mmu/tlb.ts';
import { assert } from '../../util/errors.ts';
import {
  FunctionBuilder,
  type FunctionRef,
  type GlobalRef,
  type I64,
  type Label,
  type Statement,
  type Variable,
} from '../../wasm/ir.ts';
import { CALL_RETURNED } from '../interpreter/parts.ts';
import type { SemanticsMap } from '../semantics/emitter.ts';
import { get32, getShared32, getShared64, type RuntimeFunction, set32, setShared64 } from '../semantics/runtime.ts';
import { DECODED_PAGE_STRIDE, DECODED_SLOT_BYTES, decodedPageInfo, fetchTlbEntry } from '../state/memory-map.ts';
import { CellSet } from './cells.ts';
import { pageIndex } from './discover.ts';
import { Declined, type DirtyState, RegionEmitter, USER_DATA_TLB, WAY_OUT } from './emitter.ts';
import type { ForeignPage } from './pages.ts';
import {
  type Edge,
  type GuestInstruction,
  type RegionGraph,
  type StructuredNode,
  type StructuredRegion,
  successors,
  waitsForCallee,
} from './region.ts';
import { vectorRegisters } from './vector-registers.ts';

/** What regions use of the interpreter's module; a region module imports what it names. */
export interface InterpreterImports {
  readonly pageEa: GlobalRef;
  control(name: 'goTo' | 'follow' | 'followAt' | 'callTo' | 'leave' | 'raise'): FunctionRef;
  /** Drops the regions of a decoded page. */
  dropRegions(): FunctionRef;
  runtime(f: RuntimeFunction): FunctionRef;
  /** The handler of one instruction word. */
  handler(word: number): FunctionRef;
}

export interface BuiltRegion {
  readonly fn: FunctionBuilder;
  /** Instructions that the interpreter's handlers execute within the region. */
  readonly declined: number;
}

/** Operations that were declined once; they always are. */
const declinedOps = new Set<string>();

export function generateRegion(
  name: string,
  graph: RegionGraph,
  tree: StructuredRegion,
  semantics: SemanticsMap,
  imports: InterpreterImports,
  counts: boolean,
  user: boolean,
  foreign: (index: number) => ForeignPage | undefined,
): BuiltRegion {
  return new RegionGenerator(name, graph, tree, semantics, imports, counts, user, foreign).build();
}

type Counter =
  | 'regionEntries'
  | 'regionExitsCall'
  | 'regionExitsKnown'
  | 'regionExitsRegister'
  | 'regionExitsLeave'
  | 'regionExitsFault'
  | 'regionExitsInterrupt'
  | 'regionExitsHandler'
  | 'regionExitsBudget';

type Pending =
  | { readonly kind: 'write'; readonly place: Statement[]; readonly dirty: DirtyState }
  | { readonly kind: 'read'; readonly place: Statement[] };

class RegionGenerator {
  private readonly fn: FunctionBuilder;
  private readonly graph: RegionGraph;
  private readonly tree: StructuredRegion;
  private readonly semantics: SemanticsMap;
  private readonly imports: InterpreterImports;
  private readonly emitter: RegionEmitter;
  private readonly labels = new Map<number, Label>();
  private readonly selectors: Variable<'i32'>[];
  private readonly pending: Pending[] = [];
  /** Blocks at which the budget is looked at, and how much they want. */
  private readonly checked: ReadonlySet<number>;
  private readonly needs: readonly number[];
  /** What each block has written when it ends; none if only a condition leads there that cannot hold. */
  private readonly outcome: (DirtyState | undefined)[] = [];
  private readonly counts: boolean;
  /** Made for problem state with relocation on, and not run in any other. */
  private readonly user: boolean;
  /** How many ways lead to each block; an entry has one more. */
  private readonly ways: readonly number[];
  /** The block that comes next in the function if nothing else leads to it: what is known holds there. */
  private goesOn = -1;
  private declined = 0;

  constructor(
    name: string,
    graph: RegionGraph,
    tree: StructuredRegion,
    semantics: SemanticsMap,
    imports: InterpreterImports,
    counts: boolean,
    user: boolean,
    foreign: (index: number) => ForeignPage | undefined,
  ) {
    this.counts = counts;
    this.user = user;
    this.fn = new FunctionBuilder(name, { params: ['i32', 'i32'], result: 'i32' });
    this.graph = graph;
    this.tree = tree;
    this.semantics = semantics;
    this.imports = imports;
    const { fn } = this;
    const page = fn.param32(0).and(-DECODED_PAGE_STRIDE);
    const vectors = vectorRegisters(graph, tree.root);
    const pageEa = fn.getGlobal(imports.pageEa) as I64;
    this.emitter = new RegionEmitter(fn, imports, page, pageEa, vectors, user, foreign);
    this.selectors = Array.from({ length: tree.selectors }, () => fn.variable('i32'));
    this.checked = new Set([...blocksThatCloseCycles(graph, tree.root), ...blocksBehindCalls(graph)]);
    this.needs = budgetNeeds(graph, this.checked);
    this.ways = waysTo(graph);
  }

  build(): BuiltRegion {
    const { fn, emitter, graph } = this;
    // The run loop has counted the first instruction already.
    emitter.budget.set(get32(fn, 'budget').add(1));
    const wanted = Math.max(...graph.entries.map((entry) => this.needs[entry]));
    fn.if(emitter.budget.get().ltS(wanted), () => this.interpretEntry(), undefined, false);
    if (this.user) {
      fn.if(
        get32(fn, 'dataTlb').ne(USER_DATA_TLB),
        () => {
          // The next region for this place will be one for all modes.
          fn.store32(emitter.page, 1, decodedPageInfo.mixed);
          fn.store64(fn.param32(0), 0n);
          this.interpretEntry();
        },
        undefined,
        false,
      );
    }
    this.count('regionEntries');
    this.pending.push({ kind: 'read', place: fn.later() });
    emitter.loadEnvironment();
    fn.block((out) => {
      emitter.out = out;
      this.nodes(this.tree.root);
    });
    this.commonWayOut();
    emitter.status.finish();
    this.settle();
    return { fn, declined: this.declined };
  }

  private count(name: Counter): void {
    if (this.counts) setShared64(this.fn, name, getShared64(this.fn, name).add(1n));
  }
  /** What every way out does with the budget. */
  private leave(cause?: Counter): void {
    set32(this.fn, 'budget', this.emitter.budget.get());
    if (cause) this.count(cause);
  }

  private byEntry(part: (index: number) => void): void {
    const { fn, graph } = this;
    const slot = fn.param32(0).and(DECODED_PAGE_STRIDE - 1);
    const order = graph.entries.map((_, index) => index);
    const offsetOf = (index: number) => graph.blocks[graph.entries[index]].start;
    order.sort((a, b) => offsetOf(a) - offsetOf(b));
    const choose = (lo: number, hi: number): void => {
      if (hi - lo === 1) {
        part(order[lo]);
        return;
      }
      const middle = (lo + hi) >> 1;
      fn.if(
        slot.ltU(offsetOf(order[middle]) * 2),
        () => choose(lo, middle),
        () => choose(middle, hi),
      );
    };
    choose(0, order.length);
  }

  /** There is not enough budget: one instruction. */
  private interpretEntry(): void {
    const { fn, graph } = this;
    this.byEntry((index) => {
      const [first] = graph.blocks[graph.entries[index]].instructions;
      fn.return(fn.call('i32', this.imports.handler(first.word), [fn.param32(0), fn.param32(1)]));
    });
  }

  private commonWayOut(): void {
    const { fn, emitter } = this;
    emitter.writeBack(emitter.everWritten);
    emitter.status.settle();
    this.leave();
    const ip = emitter.outSlot.get();
    const way = emitter.wayOut.get();
    fn.if(way.eq(WAY_OUT.fault), () => {
      this.count('regionExitsFault');
      fn.return(fn.call('i32', this.imports.control('leave'), [ip]));
    });
    fn.if(way.eq(WAY_OUT.raise), () => {
      this.count('regionExitsInterrupt');
      const { vector, cause } = emitter;
      fn.return(fn.call('i32', this.imports.control('raise'), [ip, vector.get(), cause.get(), fn.i32(0)]));
    });
    this.count('regionExitsBudget');
    fn.return(ip);
  }

  /** Fills in reads and writes of registers, now that it is known which ones there are. */
  private settle(): void {
    const { fn, emitter, graph } = this;
    emitter.settleGroups();
    const incoming = graph.blocks.map(() => new CellSet());
    for (let again = true; again; ) {
      again = false;
      for (const block of graph.blocks) {
        const outcome = this.outcome[block.id];
        if (!outcome) continue;
        const leaving = outcome.written.copy();
        if (!outcome.fresh) leaving.addAll(incoming[block.id]);
        for (const edge of successors(block.terminator)) {
          if (edge.kind === 'block' && incoming[edge.block].addAll(leaving)) again = true;
        }
      }
    }
    for (const item of this.pending) {
      fn.fillPlace(item.place, () => {
        if (item.kind === 'read') {
          emitter.readIn(emitter.used);
          return;
        }
        const { dirty } = item;
        const set = dirty.written.copy();
        if (!dirty.fresh) set.addAll(incoming[dirty.block]);
        emitter.writeBack(set);
      });
    }
  }

  private writeDirty(): void {
    this.pending.push({ kind: 'write', place: this.fn.later(), dirty: this.emitter.dirty() });
    this.emitter.status.settle();
  }

  /** The ways on from a block's end. */
  private next(list: readonly StructuredNode[]): void {
    let [first] = list;
    while (first?.kind === 'block') [first] = first.body;
    this.goesOn = first?.kind === 'code' && this.ways[first.block] === 1 ? first.block : -1;
    this.nodes(list);
    this.goesOn = -1;
  }

  private nodes(list: readonly StructuredNode[]): void {
    for (const node of list) this.node(node);
  }

  private label(number: number): Label {
    const label = this.labels.get(number);
    assert(label, 'a branch goes to an enclosing label');
    return label;
  }

  private node(node: StructuredNode): void {
    const { fn } = this;
    switch (node.kind) {
      case 'block':
      case 'loop':
        fn[node.kind]((label) => {
          this.labels.set(node.label, label);
          this.nodes(node.body);
        });
        return;
      case 'br':
        fn.br(this.label(node.label));
        return;
      case 'exit':
        this.exit(node.offset);
        return;
      case 'select':
        this.selectors[node.variable].set(fn.i32(node.value));
        return;
      case 'dispatch': {
        const value = this.selectors[node.variable].get();
        const choose = (lo: number, hi: number): void => {
          if (hi - lo === 1) {
            this.nodes(node.next[lo]);
            return;
          }
          const middle = (lo + hi) >> 1;
          fn.if(
            value.ltU(middle),
            () => choose(lo, middle),
            () => choose(middle, hi),
          );
        };
        choose(0, node.next.length);
        return;
      }
      case 'entry':
        this.byEntry((index) => this.nodes(node.next[index]));
        return;
      case 'code':
        this.code(node.block, node.next);
    }
  }

  /** Leaves for a known address. */
  private exit(offset: number): void {
    const { fn, emitter } = this;
    this.writeDirty();
    this.leave('regionExitsKnown');
    const behind = emitter.position + 4;
    if (pageIndex(offset) === pageIndex(emitter.position)) {
      fn.returnCall(this.imports.control('followAt'), [emitter.slotOf(offset)]);
    } else if (offset === behind) {
      // Going straight on: as in the interpreter the next page is fetched when its first instruction is due, so that a
      // turn can end in front of it.
      fn.return(emitter.slotOf(behind));
    } else {
      fn.returnCall(this.imports.control('follow'), [emitter.pageEa.add(BigInt(offset))]);
    }
  }

  /** Leaves for an address that a register says. */
  private exitTo(target: I64): void {
    const { fn } = this;
    this.writeDirty();
    this.leave('regionExitsRegister');
    fn.returnCall(this.imports.control('follow'), [target]);
  }

  /**
   * On the way to a block of the region that is in another page than the current instruction: looks up whether that page is
   * still what it was when the region was made, and leaves if not.
   */
  private cross(target: number): void {
    const { fn, emitter } = this;
    const index = pageIndex(target);
    if (index === pageIndex(emitter.position)) return;
    const ea = emitter.pageEa.add(BigInt(index * 4096));
    const decoded = emitter.decodedPage(index);
    const { entry, tag } = fetchEntry(fn, ea);
    const mapped = fn.load64(entry, fetchTlbEntry.tag).eq(tag).and(fn.load32(entry, fetchTlbEntry.page).eq(decoded));
    const foreign = emitter.foreign(index);
    const unchanged = foreign
      ? fn.load32(decoded, decodedPageInfo.generation).eq(foreign.generation)
      : emitter.isCovered(target);
    fn.if(
      mapped.and(unchanged).eqz(),
      () => {
        // Code that this region has copied has changed: it is made anew when it is hot again.
        if (foreign) fn.if(mapped, () => this.dropOwn());
        this.exit(target);
      },
      undefined,
      false,
    );
    fn.setGlobal(this.imports.pageEa, ea);
  }

  /** Drops the regions of this page, which is not to blame. */
  private dropOwn(): void {
    const { fn, emitter } = this;
    const drops = fn.load32(emitter.page, decodedPageInfo.drops);
    fn.callVoid(this.imports.dropRegions(), [emitter.page]);
    fn.store32(emitter.page, drops, decodedPageInfo.drops);
  }

  /** Leaves for where LR says: probably to what waits for this function in another region. */
  private returnTo(target: I64): void {
    const { fn } = this;
    this.writeDirty();
    this.leave('regionExitsRegister');
    fn.if(
      target.eq(getShared64(fn, 'returnAddress')),
      () => {
        fn.setGlobal(this.imports.pageEa, target.and(-4096n));
        fn.return(getShared32(fn, 'returnSlot'));
      },
      undefined,
      true,
    );
    fn.return(fn.call('i32', this.imports.control('goTo'), [target]));
  }

  /** Calls what is outside of the region; control is behind the call afterwards, with all registers in memory. */
  private callOut(target: I64): void {
    const { fn, emitter } = this;
    this.writeDirty();
    // With the first instruction of what is called.
    set32(fn, 'budget', emitter.budget.get().sub(1));
    const returnSlot = emitter.slotOf(emitter.position + 4);
    const next = fn.call('i32', this.imports.control('callTo'), [target, returnSlot]);
    fn.if(
      next.ne(CALL_RETURNED),
      () => {
        this.count('regionExitsCall');
        fn.return(next);
      },
      undefined,
      false,
    );
    emitter.budget.set(get32(fn, 'budget'));
    this.pending.push({ kind: 'read', place: fn.later() });
    emitter.refreshed();
    emitter.loadEnvironment();
  }

  private code(number: number, next: readonly (readonly StructuredNode[])[]): void {
    const { fn, emitter, graph } = this;
    const block = graph.blocks[number];
    const { instructions, terminator } = block;
    const count = instructions.length;
    emitter.beginBlock(number, this.goesOn === number);
    this.goesOn = -1;
    if (this.checked.has(number)) {
      emitter.setPosition(block.start, 0);
      const short = emitter.budget.get().ltS(this.needs[number]);
      fn.if(short, () => emitter.leave(WAY_OUT.go, block.start), undefined, false);
    }
    emitter.budget.set(emitter.budget.get().sub(count));
    const last = instructions[count - 1];
    const ordinary = terminator.kind === 'fallthrough' ? count : count - 1;
    for (let i = 0; i < ordinary; i++) this.instruction(instructions[i], count - 1 - i);
    emitter.setPosition(last.offset, 0);
    if (terminator.kind === 'leave') {
      this.outcome[number] = emitter.dirty();
      this.writeDirty();
      this.leave('regionExitsLeave');
      const ip = emitter.slotOf(last.offset);
      fn.return(fn.call('i32', this.imports.handler(last.word), [ip, fn.i32(last.word)]));
      return;
    }
    const ways = successors(terminator);
    const go = (index: number) => {
      const way = ways[index];
      if (way.kind === 'block') this.cross(graph.blocks[way.block].start);
      this.next(next[index]);
    };
    if (terminator.kind === 'fallthrough' || terminator.kind === 'jump') {
      this.outcome[number] = emitter.dirty();
      go(0);
      return;
    }
    // The branch itself writes CTR or LR before it goes anywhere; what is written by then holds for all ways.
    const follow = (index: number) => {
      const dirty = emitter.dirty();
      const known = emitter.knowledge();
      this.outcome[number] = dirty;
      go(index);
      emitter.resume(dirty);
      emitter.recall(known);
      emitter.setPosition(last.offset, 0);
    };
    emitter.onRelativeJump = () => {
      if (terminator.kind === 'call' && waitsForCallee(terminator)) {
        const { target } = terminator;
        assert(target.kind === 'exit', 'what is called is outside');
        this.callOut(emitter.pageEa.add(BigInt(target.offset)));
      }
      follow(0);
    };
    emitter.onJump = (target) => {
      if (terminator.kind === 'indirect' && terminator.returnTo) {
        this.chooseTarget(terminator.targets, target, (index) => follow(index + 1));
        const before = emitter.dirty();
        this.callOut(target);
        follow(0);
        emitter.resume(before);
        // Copies find the registers as they were; behind the call nothing is lost if more is taken to be written than is.
        if (terminator.targets.length > 0) this.outcome[number] = before;
        return;
      }
      if (terminator.kind === 'return') {
        terminator.returns.forEach((edge, index) => {
          assert(edge.kind === 'block', 'a return goes to a block or leaves');
          const address = emitter.pageEa.add(BigInt(graph.blocks[edge.block].start));
          fn.if(target.eq(address), () => follow(index));
        });
      }
      if (terminator.kind === 'indirect') this.chooseTarget(terminator.targets, target, follow);
      this.outcome[number] = emitter.dirty();
      if (terminator.kind === 'return') this.returnTo(target);
      else this.exitTo(target);
    };
    assert(last.instruction, 'a branch is an instruction');
    const meaning = this.semantics[last.instruction.op];
    emitter.emit(last.instruction, last.word, last.offset, 0, meaning);
    if (terminator.kind === 'conditional') follow(1);
    else if ('notTaken' in terminator && terminator.notTaken) follow(next.length - 1);
  }

  /** Follows the way to the one of `targets` that has the address `target`; goes on behind if there is none. */
  private chooseTarget(targets: readonly Edge[], target: I64, follow: (index: number) => void): void {
    if (targets.length === 0) return;
    const { fn, emitter, graph } = this;
    const distance = target.sub(emitter.pageEa);
    const starts = targets.map((edge, index) => {
      assert(edge.kind === 'block', 'a target is a block of the region');
      return { index, start: graph.blocks[edge.block].start };
    });
    starts.sort((a, b) => a.start - b.start);
    const choose = (lo: number, hi: number): void => {
      if (hi - lo === 1) {
        fn.if(distance.eq(BigInt(starts[lo].start)), () => follow(starts[lo].index));
        return;
      }
      const middle = (lo + hi) >> 1;
      fn.if(
        distance.ltS(BigInt(starts[middle].start)),
        () => choose(lo, middle),
        () => choose(middle, hi),
      );
    };
    choose(0, starts.length);
  }

  private instruction(at: GuestInstruction, behind: number): void {
    const { fn, emitter } = this;
    const { instruction, word, offset } = at;
    assert(instruction, 'an illegal word ends a block');
    const meaning = this.semantics[instruction.op];
    if (meaning && !declinedOps.has(instruction.op)) {
      const mark = fn.mark();
      try {
        emitter.emit(instruction, word, offset, behind, meaning);
        return;
      } catch (error) {
        if (!(error instanceof Declined)) throw error;
        declinedOps.add(instruction.op);
        fn.rollback(mark);
        emitter.forget();
      }
    }
    this.interpret(at, behind);
  }

  /** Has the interpreter's handler execute an instruction in the middle of the region. */
  private interpret(at: GuestInstruction, behind: number): void {
    const { fn, emitter } = this;
    this.declined++;
    emitter.setPosition(at.offset, behind);
    this.writeDirty();
    set32(fn, 'budget', emitter.exactBudget());
    const ip = emitter.slotOf(at.offset);
    const next = fn.call('i32', this.imports.handler(at.word), [ip, fn.i32(at.word)]);
    const covered = emitter.isCovered(at.offset);
    fn.if(next.ne(ip.add(DECODED_SLOT_BYTES)).or(covered.eqz()), () => {
      this.count('regionExitsHandler');
      fn.return(next);
    });
    this.pending.push({ kind: 'read', place: fn.later() });
    emitter.refreshed();
    emitter.loadEnvironment();
  }
}

/** Heads of loops, and blocks that dispatches lead to: every cycle goes through one of them. */
function blocksThatCloseCycles(graph: RegionGraph, root: readonly StructuredNode[]): ReadonlySet<number> {
  const found = new Set<number>(graph.entries);
  const visit = (list: readonly StructuredNode[], dispatched: boolean): void => {
    for (const node of list) {
      switch (node.kind) {
        case 'loop':
          if (node.header >= 0) found.add(node.header);
          visit(node.body, dispatched);
          break;
        case 'block':
          visit(node.body, dispatched);
          break;
        case 'br':
          if (dispatched && node.target >= 0) found.add(node.target);
          break;
        case 'code':
          if (dispatched) found.add(node.block);
          for (const next of node.next) visit(next, false);
          break;
        case 'entry':
          for (const next of node.next) visit(next, false);
          break;
        case 'dispatch':
          for (const next of node.next) visit(next, true);
          break;
      }
    }
  };
  visit(root, false);
  return found;
}

/** Where the region goes on after calls: what was called has used up budget. */
function blocksBehindCalls(graph: RegionGraph): number[] {
  return graph.blocks.flatMap(({ terminator }) => {
    if (terminator.kind === 'call' && waitsForCallee(terminator)) return blockOf(terminator.returnTo);
    return terminator.kind === 'indirect' && terminator.returnTo ? blockOf(terminator.returnTo) : [];
  });
}

function blockOf(edge: Edge): number[] {
  return edge.kind === 'block' ? [edge.block] : [];
}

/** How many edges lead to each block, and one more for an entry. */
function waysTo(graph: RegionGraph): number[] {
  const ways = new Array<number>(graph.blocks.length).fill(0);
  for (const entry of graph.entries) ways[entry]++;
  for (const block of graph.blocks) {
    for (const edge of successors(block.terminator)) if (edge.kind === 'block') ways[edge.block]++;
  }
  return ways;
}

/** For each block: instructions on the longest way from its start until a checked block or a way out. */
function budgetNeeds(graph: RegionGraph, checked: ReadonlySet<number>): number[] {
  const needs = new Array<number>(graph.blocks.length).fill(-1);
  const need = (number: number): number => {
    if (needs[number] >= 0) return needs[number];
    const block = graph.blocks[number];
    let rest = 0;
    needs[number] = 0;
    for (const edge of successors(block.terminator)) {
      if (edge.kind === 'block' && !checked.has(edge.block)) rest = Math.max(rest, need(edge.block));
    }
    needs[number] = block.instructions.length + rest;
    return needs[number];
  };
  for (const block of graph.blocks) need(block.id);
  return needs;
}
