// Finds the blocks of a region from its entries: follows branches as far as the code can be fetched and the limits allow,
// and takes copies of small functions into the place of calls to them (then `blr` is a comparison of LR, not a way out).
//
// Pure: what it knows of the guest is what `fetch` says.

import { assert } from '../../util/errors.ts';
import { decode, fieldValue } from '../isa/decode.ts';
import type { Instruction } from '../isa/table.ts';
import { sprs } from '../state/spr.ts';
import type { BranchCondition, Edge, GuestInstruction, RegionBlock, RegionGraph, Terminator } from './region.ts';
import { successors } from './region.ts';

export interface RegionLimits {
  /** Instructions of the whole region, copies counted; at least 1. */
  readonly maxInstructions: number;
  /** Largest function that is copied to where it is called; 0: none is. */
  readonly maxInlined: number;
  /** How deep copies may stand in copies. */
  readonly maxInlineDepth: number;
  /**
   * Whether control has been at this distance: where not, functions are not copied, and the region does not wait for calls
   * that return there. Absent: functions are copied, and no call is waited for.
   */
  readonly reached?: (offset: number) => boolean;
  /**
   * Whether the instruction at this distance has been executed: blocks that have not are left out, and control leaves for
   * them. Absent: all are taken in.
   */
  readonly executed?: ((offset: number) => boolean) | undefined;
  /**
   * Places near this one, of a branch to CTR or TAR, that such branches may go to. Those from which control comes back to
   * the region's code become its blocks. Absent: there are none.
   */
  readonly arrivals?: (offset: number) => readonly Arrival[];
  /**
   * Distances of functions that the call at this distance, by CTR, is known to have gone to. Those that are small enough are
   * copied in, and the call goes to the copy if the register holds the function's address. Absent: none are known.
   */
  readonly called?: (offset: number) => readonly number[];
  /** Words that end a region although they look ordinary: hints that end a turn. */
  readonly leaves?: (word: number) => boolean;
}

/** A place that control comes to by branches; `jumped`: by one to CTR. */
export interface Arrival {
  readonly offset: number;
  readonly jumped: boolean;
}

/** The word at a distance from the region's base, unsigned; undefined where the region may not reach. */
export type FetchWord = (offset: number) => number | undefined;

/** Number of an SPR to whether writing it is no more than storing a value. */
const plainSprs: ReadonlySet<number> = new Set(
  sprs.filter(({ special }) => special === undefined || special === 'xer').map(({ number }) => number),
);

/** Whether the interpreter must execute `instruction` because what follows may be elsewhere or mean something else. */
export function leavesRegion(instruction: Instruction, word: number): boolean {
  const { op } = instruction;
  if (op === 'isync') return false;
  if (op === 'mtspr') return !plainSprs.has(operand(instruction, word, 'spr'));
  return instruction.ends === 'block' || instruction.class === 'mmu' || instruction.class === 'mmu-slb';
}

function operand(instruction: Instruction, word: number, name: string): number {
  const field = instruction.fields.get(name);
  if (!field) assert(false, `${instruction.op} has no field ${name}`);
  return fieldValue(word, field);
}

/** A branch without knowledge of which blocks there are; addresses are distances. */
type Branch =
  | { readonly kind: 'jump'; readonly target: number }
  | {
      readonly kind: 'conditional';
      readonly condition: BranchCondition;
      readonly link: boolean;
      readonly target: number;
    }
  | { readonly kind: 'call'; readonly target: number }
  | { readonly kind: 'return'; readonly condition: BranchCondition | undefined }
  | {
      readonly kind: 'indirect';
      readonly register: 'lr' | 'ctr' | 'tar';
      readonly link: boolean;
      readonly condition: BranchCondition | undefined;
    }
  | { readonly kind: 'leave' };

/** What ends a block at this instruction; undefined for one that goes on behind itself. */
function branchOf(at: GuestInstruction, limits: RegionLimits): Branch | undefined {
  const { instruction, word, offset } = at;
  if (!instruction) return { kind: 'leave' };
  const { op } = instruction;
  const field = (name: string) => operand(instruction, word, name);
  if (op === 'b') {
    if (field('aa')) return { kind: 'leave' };
    const target = offset + field('li') * 4;
    return { kind: field('lk') ? 'call' : 'jump', target };
  }
  if (op === 'bc') {
    if (field('aa')) return { kind: 'leave' };
    const target = offset + field('bd') * 4;
    const condition = conditionOf(field('bo'), field('bi'));
    if (condition) return { kind: 'conditional', condition, link: field('lk') === 1, target };
    return { kind: field('lk') ? 'call' : 'jump', target };
  }
  if (op === 'bclr' || op === 'bcctr' || op === 'bctar') {
    const link = field('lk') === 1;
    const condition = conditionOf(field('bo'), field('bi'));
    if (op === 'bclr' && !link) return { kind: 'return', condition };
    return { kind: 'indirect', register: op === 'bclr' ? 'lr' : op === 'bcctr' ? 'ctr' : 'tar', link, condition };
  }
  return leavesRegion(instruction, word) || limits.leaves?.(word) ? { kind: 'leave' } : undefined;
}

/** BO of a branch that is always taken and leaves CTR alone needs no condition (ISA 3.0B I 2.4). */
function conditionOf(bo: number, bi: number): BranchCondition | undefined {
  return (bo & 0b10100) === 0b10100 ? undefined : { bo, bi };
}

/** The code of one function, or of a copy of it in another one. */
interface Frame {
  readonly instructions: Map<number, GuestInstruction>;
  readonly branches: Map<number, Branch>;
  readonly leaders: Set<number>;
  /** Calls that the region waits for, by distance. */
  readonly waiting: Set<number>;
  /** What branches to CTR and TAR may go to. */
  readonly targets: Set<number>;
  /** Copies by the distance of the call: one for a call of a known function, any number for one by a register. */
  readonly callees: Map<number, readonly Callee[]>;
  readonly parent: Frame | undefined;
  readonly start: number;
  /** Instructions of this frame and of the copies in it. */
  size: number;
}

interface Callee {
  readonly frame: Frame;
  readonly returnTo: number;
}

/**
 * The region that is entered at `entries` (distances, multiples of 4, the first one fetchable). Entries that cannot be
 * fetched or lie beyond the limits are left out.
 */
export function discoverRegion(entries: readonly number[], fetch: FetchWord, limits: RegionLimits): RegionGraph {
  const frame = explore(entries, undefined, fetch, limits, limits.maxInstructions, 0);
  assert(frame, 'only a copy is given up');
  assert(frame.instructions.has(entries[0]), 'the first entry can be fetched and is within the limits');
  return buildGraph(frame, [...new Set(entries)]);
}

/** Code reachable from `starts`; undefined if it is a copy that turned out larger than `budget`. */
function explore(
  starts: readonly number[],
  parent: Frame | undefined,
  fetch: FetchWord,
  limits: RegionLimits,
  budget: number,
  depth: number,
): Frame | undefined {
  const frame: Frame = {
    instructions: new Map(),
    branches: new Map(),
    leaders: new Set(),
    waiting: new Set(),
    targets: new Set(),
    callees: new Map(),
    parent,
    start: starts[0],
    size: 0,
  };
  const waiting = [...starts];
  for (let next = 0; ; next++) {
    if (next === waiting.length && !parent) waiting.push(...dispatched(frame, fetch, limits));
    if (next === waiting.length) return frame;
    let offset = waiting[next];
    frame.leaders.add(offset);
    if (next >= starts.length && limits.executed?.(offset) === false) continue;
    while (!frame.instructions.has(offset)) {
      const word = fetch(offset);
      if (word === undefined) break;
      if (frame.size >= budget) {
        if (parent) return undefined;
        break;
      }
      const at = { offset, word, instruction: decode(word) };
      frame.instructions.set(offset, at);
      frame.size++;
      const branch = branchOf(at, limits);
      if (branch) {
        frame.branches.set(offset, branch);
        waiting.push(...followed(frame, branch, offset, fetch, limits, budget, depth));
        break;
      }
      offset += 4;
      if (startsPage(offset)) {
        // Each page has blocks of its own, for what it is mapped to is looked up on the way.
        waiting.push(offset);
        break;
      }
    }
  }
}

/** How far from a branch's target control must come back to the region's code, in instructions. */
const MAX_WAY_BACK = 64;
/**
 * Branches to CTR are compared with so many places at most. Where there are more, each would have a region with many of the
 * others in it: with 48 Python had 2.5 times as much compiled code, and went from region to region nearly as often.
 */
const MAX_TARGETS = 24;

/** New targets of the frame's branches to CTR and TAR: ends of jump tables, labels whose address a program has taken. */
function dispatched(frame: Frame, fetch: FetchWord, limits: RegionLimits): number[] {
  const found: number[] = [];
  if (!limits.arrivals || frame.targets.size > MAX_TARGETS) return found;
  for (const [at, branch] of frame.branches) {
    if (!isDispatch(branch)) continue;
    for (const { offset, jumped } of limits.arrivals(at)) {
      if (frame.targets.has(offset)) continue;
      // What the region has anyway need not be a target.
      if (frame.instructions.has(offset) ? !jumped : !comesBack(offset, frame, fetch, limits)) continue;
      frame.targets.add(offset);
      found.push(offset);
    }
  }
  return frame.targets.size > MAX_TARGETS ? [] : found;
}

function isDispatch(branch: Branch): boolean {
  return branch.kind === 'indirect' && !branch.link && branch.register !== 'lr';
}

/** Whether a way from `start` leads into the frame's code, or to another branch that may go to what this one goes to. */
function comesBack(start: number, frame: Frame, fetch: FetchWord, limits: RegionLimits): boolean {
  const seen = new Set<number>();
  const waiting = [start];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (let offset = at; !seen.has(offset); offset += 4) {
      if (frame.instructions.has(offset)) return true;
      const word = fetch(offset);
      if (word === undefined || seen.size >= MAX_WAY_BACK) break;
      seen.add(offset);
      const branch = branchOf({ offset, word, instruction: decode(word) }, limits);
      if (!branch) continue;
      if (isDispatch(branch)) return true;
      if (branch.kind === 'jump' || branch.kind === 'conditional') waiting.push(branch.target);
      const passes = branch.kind === 'call' || (branch.kind === 'indirect' && branch.link);
      if (!passes && !('condition' in branch && branch.condition)) break;
    }
  }
  return false;
}

/** Addresses of the frame that `branch` at `offset` may go to; takes in a copy of a called function where that pays. */
function followed(
  frame: Frame,
  branch: Branch,
  offset: number,
  fetch: FetchWord,
  limits: RegionLimits,
  budget: number,
  depth: number,
): number[] {
  const behind = offset + 4;
  switch (branch.kind) {
    case 'jump':
      return isNear(offset, branch.target) || isEpilogue(branch.target, fetch, limits) ? [branch.target] : [];
    case 'conditional':
      return isNear(offset, branch.target) ? [behind, branch.target] : [behind];
    case 'return':
      return branch.condition ? [behind] : [];
    case 'indirect': {
      const waits = branch.link && waitFor(frame, offset, limits);
      if (waits) copyCalled(frame, branch, offset, fetch, limits, budget, depth);
      return waits || branch.condition ? [behind] : [];
    }
    case 'leave':
      return [];
    case 'call': {
      // `bcl 20,31,$+4` reads the program counter.
      if (branch.target === behind) return [branch.target];
      const callee = copyOf(branch.target, frame, fetch, limits, budget, depth);
      if (!callee) return waitFor(frame, offset, limits) ? [behind] : [];
      frame.callees.set(offset, [{ frame: callee, returnTo: behind }]);
      frame.size += callee.size;
      return [behind];
    }
  }
}

/** Takes in copies of the functions that the call by CTR at `offset` is known to go to. */
function copyCalled(
  frame: Frame,
  branch: Extract<Branch, { kind: 'indirect' }>,
  offset: number,
  fetch: FetchWord,
  limits: RegionLimits,
  budget: number,
  depth: number,
): void {
  if (branch.register !== 'ctr') return;
  const copies: Callee[] = [];
  for (const target of limits.called?.(offset) ?? []) {
    const callee = copyOf(target, frame, fetch, limits, budget, depth);
    if (!callee || !isLeaf(callee)) continue;
    copies.push({ frame: callee, returnTo: offset + 4 });
    frame.size += callee.size;
  }
  frame.callees.set(offset, copies);
}

/** Page of a distance, counted from the region's own. */
export function pageIndex(offset: number): number {
  return Math.floor(offset / 4096);
}
function startsPage(offset: number): boolean {
  return offset % 4096 === 0;
}
/** Jumps that go further leave the function. */
function isNear(from: number, to: number): boolean {
  return Math.abs(pageIndex(from) - pageIndex(to)) <= 1;
}

/** The longest end of a function that is taken in from afar, in instructions: it restores GPR 14 to 31, LR and more. */
const MAX_EPILOGUE = 32;

/**
 * Whether what stands at `start` goes straight on to a return: functions compiled for size jump to a common end that
 * restores their registers, wherever the linker has put it.
 */
function isEpilogue(start: number, fetch: FetchWord, limits: RegionLimits): boolean {
  for (let offset = start; offset < start + MAX_EPILOGUE * 4; offset += 4) {
    const word = fetch(offset);
    if (word === undefined) return false;
    const branch = branchOf({ offset, word, instruction: decode(word) }, limits);
    if (branch) return branch.kind === 'return' && !branch.condition;
  }
  return false;
}

/** Whether a region can wait for a call that returns to `behind`: in the page of the call, where a slot stands for it. */
function canWait(behind: number): boolean {
  return !startsPage(behind);
}

/** Has the region wait for the call at `offset`, if it is worth it. */
function waitFor(frame: Frame, offset: number, limits: RegionLimits): boolean {
  if (!limits.reached?.(offset + 4) || !canWait(offset + 4)) return false;
  frame.waiting.add(offset);
  return true;
}

/** A copy of the function at `target` to stand in `frame`; undefined if it is too large for that or does not return. */
function copyOf(
  target: number,
  frame: Frame,
  fetch: FetchWord,
  limits: RegionLimits,
  budget: number,
  depth: number,
): Frame | undefined {
  const room = Math.min(limits.maxInlined, budget - frame.size);
  if (room <= 0 || depth >= limits.maxInlineDepth || isRecursive(frame, target)) return undefined;
  if (fetch(target) === undefined || limits.reached?.(target) === false) return undefined;
  const callee = explore([target], frame, fetch, limits, room, depth + 1);
  return callee && canReturn(callee) ? callee : undefined;
}

function isRecursive(frame: Frame, target: number): boolean {
  for (let at: Frame | undefined = frame; at; at = at.parent) if (at.start === target) return true;
  return false;
}

function canReturn(frame: Frame): boolean {
  for (const branch of frame.branches.values()) if (branch.kind === 'return') return true;
  return false;
}

/**
 * Whether a copy neither calls nor jumps out of itself. What does may come to the code around it again, as the parts of an
 * interpreter call each other; returns would then be found that calls further out are waited for.
 */
function isLeaf(frame: Frame): boolean {
  for (const branch of frame.branches.values()) {
    const within = branch.kind === 'jump' && frame.instructions.has(branch.target);
    if (!within && branch.kind !== 'conditional' && branch.kind !== 'return') return false;
  }
  return true;
}

interface Builder {
  readonly blocks: RegionBlock[];
  /** Block numbers by frame and distance. */
  readonly numbers: Map<Frame, Map<number, number>>;
  count: number;
}

function buildGraph(frame: Frame, entries: readonly number[]): RegionGraph {
  const builder: Builder = { blocks: [], numbers: new Map(), count: 0 };
  numberBlocks(frame, builder);
  fillBlocks(frame, undefined, builder);
  const numbers = builder.numbers.get(frame);
  const numbered = entries.map((entry) => numbers?.get(entry)).filter((id) => id !== undefined);
  return dropUnreachable({ blocks: builder.blocks, entries: numbered });
}

function calleesOf(frame: Frame): readonly Callee[] {
  return [...frame.callees.values()].flat();
}

/** The block that a copy begins with. */
function firstBlock(callee: Callee, builder: Builder): Edge | undefined {
  const block = builder.numbers.get(callee.frame)?.get(callee.frame.start);
  return block === undefined ? undefined : { kind: 'block', block };
}

function numberBlocks(frame: Frame, builder: Builder): void {
  const numbers = new Map<number, number>();
  builder.numbers.set(frame, numbers);
  for (const leader of frame.leaders) if (frame.instructions.has(leader)) numbers.set(leader, builder.count++);
  for (const { frame: callee } of calleesOf(frame)) numberBlocks(callee, builder);
}

/** `returnEdge` is where the function of a copy returns to. */
function fillBlocks(frame: Frame, returnEdge: Edge | undefined, builder: Builder): void {
  const numbers = builder.numbers.get(frame)!;
  const edge = (offset: number): Edge => {
    const block = numbers.get(offset);
    return block === undefined ? { kind: 'exit', offset } : { kind: 'block', block };
  };
  for (const [start, id] of numbers) {
    const instructions: GuestInstruction[] = [];
    let branch: Branch | undefined;
    let offset = start;
    for (;;) {
      instructions.push(frame.instructions.get(offset)!);
      branch = frame.branches.get(offset);
      offset += 4;
      if (branch || numbers.has(offset) || !frame.instructions.has(offset)) break;
    }
    const terminator = branch
      ? terminatorOf(branch, offset, edge, frame, returnEdge, builder)
      : ({ kind: 'fallthrough', next: edge(offset) } as const);
    builder.blocks[id] = { id, start, instructions, terminator };
  }
  for (const { frame: callee, returnTo } of calleesOf(frame)) fillBlocks(callee, edge(returnTo), builder);
}

/** `behind` is the distance of the instruction behind the branch. */
function terminatorOf(
  branch: Branch,
  behind: number,
  edge: (offset: number) => Edge,
  frame: Frame,
  returnEdge: Edge | undefined,
  builder: Builder,
): Terminator {
  switch (branch.kind) {
    case 'jump':
      return { kind: 'jump', target: edge(branch.target) };
    case 'conditional': {
      const { condition, link, target } = branch;
      return { kind: 'conditional', condition, link, taken: edge(target), notTaken: edge(behind) };
    }
    case 'call': {
      if (frame.waiting.has(behind - 4)) {
        return { kind: 'call', target: { kind: 'exit', offset: branch.target }, returnTo: edge(behind) };
      }
      const callee = frame.callees.get(behind - 4)?.[0];
      const target = (callee && firstBlock(callee, builder)) ?? edge(branch.target);
      return { kind: 'call', target, returnTo: canWait(behind) ? edge(behind) : { kind: 'exit', offset: behind } };
    }
    case 'return': {
      const returns = returnEdge?.kind === 'block' ? [returnEdge] : [];
      return { kind: 'return', condition: branch.condition, returns, notTaken: branch.condition && edge(behind) };
    }
    case 'indirect': {
      const { register, link, condition } = branch;
      const back = frame.waiting.has(behind - 4) ? edge(behind) : undefined;
      const returnTo = back?.kind === 'block' ? back : undefined;
      const known = isDispatch(branch) && frame.targets.size <= MAX_TARGETS ? [...frame.targets] : [];
      const targets = known.map(edge).filter(({ kind }) => kind === 'block');
      for (const callee of frame.callees.get(behind - 4) ?? []) {
        const copy = returnTo && firstBlock(callee, builder);
        if (copy) targets.push(copy);
      }
      return { kind: 'indirect', register, link, condition, returnTo, targets, notTaken: condition && edge(behind) };
    }
    case 'leave':
      return { kind: 'leave', next: edge(behind) };
  }
}

/** Blocks that no entry reaches (what a function that is called outside happens to share) are taken out. */
function dropUnreachable({ blocks, entries }: RegionGraph): RegionGraph {
  const order: number[] = [];
  const renumbered = new Map<number, number>();
  const visit = (id: number) => {
    if (renumbered.has(id)) return;
    renumbered.set(id, order.length);
    order.push(id);
  };
  for (const entry of entries) visit(entry);
  for (let next = 0; next < order.length; next++) {
    for (const way of successors(blocks[order[next]].terminator)) if (way.kind === 'block') visit(way.block);
  }
  const moved = (way: Edge): Edge => {
    if (way.kind === 'exit') return way;
    const block = renumbered.get(way.block);
    return block === undefined ? { kind: 'exit', offset: blocks[way.block].start } : { kind: 'block', block };
  };
  return {
    blocks: order.map((old, id) => ({ ...blocks[old], id, terminator: mapEdges(blocks[old].terminator, moved) })),
    entries: entries
      .map((entry) => moved({ kind: 'block', block: entry }))
      .map((way) => {
        assert(way.kind === 'block', 'an entry reaches itself');
        return way.block;
      }),
  };
}

function mapEdges(terminator: Terminator, moved: (way: Edge) => Edge): Terminator {
  switch (terminator.kind) {
    case 'fallthrough':
    case 'leave':
      return { ...terminator, next: moved(terminator.next) };
    case 'jump':
      return { ...terminator, target: moved(terminator.target) };
    case 'conditional':
      return { ...terminator, taken: moved(terminator.taken), notTaken: moved(terminator.notTaken) };
    case 'call':
      return { ...terminator, target: moved(terminator.target), returnTo: moved(terminator.returnTo) };
    case 'return':
      return {
        ...terminator,
        returns: terminator.returns.map(moved),
        notTaken: terminator.notTaken && moved(terminator.notTaken),
      };
    case 'indirect':
      return {
        ...terminator,
        returnTo: terminator.returnTo && moved(terminator.returnTo),
        targets: terminator.targets.map(moved),
        notTaken: terminator.notTaken && moved(terminator.notTaken),
      };
  }
}
