// For tests: the order in which instructions are executed, once from the words themselves, once from a region. Conditions
// are decided by a list; LR is followed, other registers are not.

import type { Edge, RegionGraph, StructuredNode, StructuredRegion } from '../../src/cpu/compiler/region.ts';
import { decode, fieldValue } from '../../src/cpu/isa/decode.ts';

export interface Walk {
  /** Distances of the executed instructions. */
  readonly trace: number[];
  /** Where control goes next; undefined where that is not known (CTR, TAR, an unknown LR, `sc`) or the list is at its end. */
  readonly next: number | undefined;
}

/** The first `steps` instructions from `entry`. A choice is consumed by each branch that depends on a condition. */
export function walkCode(
  entry: number,
  fetch: (offset: number) => number | undefined,
  choices: readonly boolean[],
  steps: number,
): Walk {
  const trace: number[] = [];
  let choice = 0;
  let lr: number | undefined;
  let at: number | undefined = entry;
  while (at !== undefined && trace.length < steps) {
    const word = fetch(at);
    if (word === undefined) break;
    trace.push(at);
    const instruction = decode(word);
    const op = instruction?.op;
    const field = (name: string) => fieldValue(word, instruction!.fields.get(name)!);
    const here: number = at;
    at = here + 4;
    if (op === undefined || op === 'sc') at = undefined;
    if (op !== 'b' && op !== 'bc' && op !== 'bclr' && op !== 'bcctr') continue;
    const conditional = op !== 'b' && (field('bo') & 0b10100) !== 0b10100;
    const taken = !conditional || choices[choice++];
    const target: number | undefined =
      op === 'b' ? here + 4 * field('li') : op === 'bc' ? here + 4 * field('bd') : op === 'bclr' ? lr : undefined;
    if (field('lk')) lr = here + 4;
    if (taken) at = target;
  }
  return { trace, next: at };
}

/** Executes the graph until it leaves the region or `choices` are used up. */
export function walkRegion(graph: RegionGraph, choices: readonly boolean[], limit = 2000): Walk {
  const trace: number[] = [];
  let choice = 0;
  let lr: number | undefined;
  let block = graph.entries[0];
  for (;;) {
    const { instructions, terminator } = graph.blocks[block];
    for (const { offset } of instructions) trace.push(offset);
    if (trace.length >= limit) return { trace, next: undefined };
    const behind = instructions[instructions.length - 1].offset + 4;
    const conditional = 'condition' in terminator && terminator.condition !== undefined;
    if (conditional && choice === choices.length) return { trace, next: undefined };
    const taken = !conditional || choices[choice++];
    if (terminator.kind === 'call' || ('link' in terminator && terminator.link)) lr = behind;
    let way: Edge | undefined;
    switch (terminator.kind) {
      case 'fallthrough':
        way = terminator.next;
        break;
      case 'jump':
      case 'call':
        way = terminator.target;
        break;
      case 'conditional':
        way = taken ? terminator.taken : terminator.notTaken;
        break;
      case 'return': {
        const known = terminator.returns.find((edge) => edge.kind === 'block' && graph.blocks[edge.block].start === lr);
        if (taken && !known) return { trace, next: lr };
        way = taken ? known : terminator.notTaken;
        break;
      }
      case 'indirect':
        way = taken ? undefined : terminator.notTaken;
        break;
      case 'leave':
        way = undefined;
    }
    if (way === undefined) return { trace, next: undefined };
    if (way.kind === 'exit') return { trace, next: way.offset };
    block = way.block;
  }
}

/** What `structureRegion` made of a region, counted. */
export function countNodes({ root }: StructuredRegion): { loops: number; blocks: number; dispatches: number } {
  const counts = { loops: 0, blocks: 0, dispatches: 0 };
  const waiting: (readonly StructuredNode[])[] = [root];
  for (let list = waiting.pop(); list; list = waiting.pop()) {
    for (const node of list) {
      if (node.kind === 'loop') counts.loops++;
      if (node.kind === 'block') counts.blocks++;
      if (node.kind === 'dispatch') counts.dispatches++;
      if (node.kind === 'block' || node.kind === 'loop') waiting.push(node.body);
      else if ('next' in node) waiting.push(...node.next);
    }
  }
  return counts;
}
