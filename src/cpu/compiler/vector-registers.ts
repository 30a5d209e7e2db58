// Which of VSR 0 to 31 a region keeps whole, as vectors in locals: those that its vector instructions name more often
// than its scalar ones. The others are kept as FPRs, with doubleword 1 in memory: as cheap as can be for scalars, and a
// load and a splat for each vector operand.

import { fieldValue } from '../isa/decode.ts';
import type { GuestInstruction, RegionGraph, StructuredNode } from './region.ts';

/** Fields that name a VSR by six bits, or an FPR. */
const fields = ['xt', 'xs', 'xa', 'xb', 'xc', 'frt', 'frs', 'fra', 'frb', 'frc'] as const;
/** How often a loop is thought to be gone through, and how deep nesting counts. */
const ROUNDS = 8;
const DEEPEST = 4;

/** What compilers use for scalars as well: a copy, and a zero. */
const neutral: ReadonlySet<string> = new Set(['xxlor', 'xxlxor']);

/**
 * Above 0 for an instruction on whole registers, below for one on doubleword 0, 0 for one that says nothing. A vector
 * operand put together from two locals costs about twice what a scalar one taken out of a vector does.
 */
function leaning(op: string): number {
  if (neutral.has(op)) return 0;
  return /^(xv|xx|lxv|stxv|mtvsrdd|mtvsrws|mfvsrld)/.test(op) ? 2 : -1;
}

export function vectorRegisters(graph: RegionGraph, root: readonly StructuredNode[]): ReadonlySet<number> {
  const balance = new Array<number>(32).fill(0);
  const count = ({ instruction, word }: GuestInstruction, weight: number): void => {
    if (!instruction) return;
    const by = leaning(instruction.op) * weight;
    for (const name of fields) {
      const field = instruction.fields.get(name);
      if (!field) continue;
      const n = fieldValue(word, field);
      if (n < 32) balance[n] += by;
    }
  };
  const visit = (list: readonly StructuredNode[], depth: number): void => {
    for (const node of list) {
      switch (node.kind) {
        case 'block':
          visit(node.body, depth);
          break;
        case 'loop':
          visit(node.body, Math.min(depth + 1, DEEPEST));
          break;
        case 'code':
          for (const at of graph.blocks[node.block].instructions) count(at, ROUNDS ** depth);
          for (const next of node.next) visit(next, depth);
          break;
        case 'entry':
        case 'dispatch':
          for (const next of node.next) visit(next, depth);
          break;
      }
    }
  };
  visit(root, 0);
  const whole = new Set<number>();
  balance.forEach((value, n) => {
    if (value > 0) whole.add(n);
  });
  return whole;
}
