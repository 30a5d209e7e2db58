// Which loops a place is in. Code becomes hot at the heads of inner loops first; a region that begins there has the loops around
// it inside out, and the engine takes the inner loop for the rarest part of it.
//
// Told by addresses, not by dominance: a loop is what lies between the target of a branch back and that branch, as compilers lay
// loops out. They may be entered in the middle, and from the inner loop's head nothing dominates the outer one's.

import type { RegionGraph } from './region.ts';
import { successors } from './region.ts';

/** Distances of the first and the last instruction. */
export interface Loop {
  readonly head: number;
  readonly end: number;
}

/** Two loops, one in the other. */
export interface Nest {
  readonly inner: Loop;
  readonly outer: Loop;
}

/** The loop that begins at the graph's first entry in the outermost one whose head `isHead` takes; undefined without both. */
export function nestAtEntry({ blocks, entries }: RegionGraph, isHead: (offset: number) => boolean): Nest | undefined {
  const ends = new Map<number, number>();
  for (const { instructions, terminator } of blocks) {
    if (terminator.kind !== 'jump' && terminator.kind !== 'conditional') continue;
    const end = instructions[instructions.length - 1].offset;
    for (const edge of successors(terminator)) {
      if (edge.kind !== 'block') continue;
      const { start } = blocks[edge.block];
      if (start <= end) ends.set(start, Math.max(end, ends.get(start) ?? end));
    }
  }
  const head = blocks[entries[0]].start;
  const end = ends.get(head);
  if (end === undefined) return undefined;
  let outer: Loop | undefined;
  for (const [start, last] of ends) {
    if (start >= head || last < end || !isHead(start)) continue;
    if (!outer || last - start > outer.end - outer.head) outer = { head: start, end: last };
  }
  return outer && { inner: { head, end }, outer };
}

/** Whether a distance is of the outer loop and not of the inner one. */
export function isAround({ inner, outer }: Nest, offset: number): boolean {
  const isIn = ({ head, end }: Loop) => offset >= head && offset <= end;
  return isIn(outer) && !isIn(inner);
}
