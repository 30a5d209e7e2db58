// What the region compiler works on: a control-flow graph of guest code, and the same graph as a tree of structured
// control flow. discover.ts finds the graph, structure.ts makes the tree, the generator walks it.
//
// Addresses are byte distances from the region's base, the effective address of the page that it was found in: `pageEa`
// at run time. A distance may be negative or lie behind the page. So a physical page that is mapped in several places
// has one region.

import type { Instruction } from '../isa/table.ts';

/** One guest instruction; `word` is unsigned. `instruction` is undefined if the word is illegal. */
export interface GuestInstruction {
  readonly offset: number;
  readonly word: number;
  readonly instruction: Instruction | undefined;
}

/** Where control goes: to a block of the region, or out of it to a known address. */
export type Edge =
  | { readonly kind: 'block'; readonly block: number }
  | { readonly kind: 'exit'; readonly offset: number };

/** Conditional part of a branch: BO and BI as in the word. */
export interface BranchCondition {
  readonly bo: number;
  readonly bi: number;
}

/**
 * How a block ends. Except for `fallthrough`, the block's last instruction is the one that decides. With `link`, LR
 * becomes the distance `offset + 4` of that instruction (plus `pageEa`), whether or not the branch is taken.
 */
export type Terminator =
  /** Goes on behind the last instruction: the next one starts another block, or is not part of the region. */
  | { readonly kind: 'fallthrough'; readonly next: Edge }
  /** `b`, `bc` that is always taken and leaves CTR alone, without a link. */
  | { readonly kind: 'jump'; readonly target: Edge }
  /** `bc` that may be taken or not. */
  | {
      readonly kind: 'conditional';
      readonly condition: BranchCondition;
      readonly link: boolean;
      readonly taken: Edge;
      readonly notTaken: Edge;
    }
  /**
   * `bl`, `bcl` that is always taken. `returnTo` is where the callee returns to if it does as expected. If `target` is an
   * exit and `returnTo` a block, the callee runs outside and the region waits for it.
   */
  | { readonly kind: 'call'; readonly target: Edge; readonly returnTo: Edge }
  /**
   * `bclr` without a link. If it is taken (`condition` absent: always), LR says where to go: probably one of `returns`,
   * which are blocks of the region; LR is compared with each block's address before going there, and anything else leaves.
   */
  | {
      readonly kind: 'return';
      readonly condition: BranchCondition | undefined;
      readonly returns: readonly Edge[];
      readonly notTaken: Edge | undefined;
    }
  /**
   * `bcctr`, `bctar`, `bclrl`: if taken (`condition` absent: always), goes to the one of the blocks `targets` whose address
   * the register holds, else leaves the region; or, with a block as `returnTo`, calls what the register says and waits for
   * it. The targets of a call begin copies of functions that return to `returnTo`.
   */
  | {
      readonly kind: 'indirect';
      readonly register: 'lr' | 'ctr' | 'tar';
      readonly link: boolean;
      readonly condition: BranchCondition | undefined;
      readonly returnTo: Edge | undefined;
      readonly targets: readonly Edge[];
      readonly notTaken: Edge | undefined;
    }
  /**
   * The last instruction says itself where to go on (sc, rfid, mtmsr, illegal words, absolute branches): the interpreter
   * executes it. `next` is the address behind it, which is where most of them go on.
   */
  | { readonly kind: 'leave'; readonly next: Edge };

/** Instructions that are executed one after the other. `id` is the index in the graph; `instructions` is never empty. */
export interface RegionBlock {
  readonly id: number;
  readonly start: number;
  readonly instructions: readonly GuestInstruction[];
  readonly terminator: Terminator;
}

/** `entries` are the blocks at which control may come in, without repetition; the first is the one asked for. */
export interface RegionGraph {
  readonly blocks: readonly RegionBlock[];
  readonly entries: readonly number[];
}

/** Whether a call runs its callee outside of the region, which goes on when it comes back. */
export function waitsForCallee({ target, returnTo }: Extract<Terminator, { kind: 'call' }>): boolean {
  return target.kind === 'exit' && returnTo.kind === 'block';
}

/**
 * The ways out of a block, in a fixed order: `fallthrough` next; `jump` target; `conditional` taken, notTaken; `call` target, or
 * returnTo if the region waits for the callee; `return` its `returns`, then notTaken if there is one; `indirect` returnTo,
 * its `targets`, then notTaken, as far as there are such; `leave` none.
 */
export function successors(terminator: Terminator): readonly Edge[] {
  switch (terminator.kind) {
    case 'fallthrough':
      return [terminator.next];
    case 'jump':
      return [terminator.target];
    case 'call':
      return [waitsForCallee(terminator) ? terminator.returnTo : terminator.target];
    case 'conditional':
      return [terminator.taken, terminator.notTaken];
    case 'return':
      return terminator.notTaken ? [...terminator.returns, terminator.notTaken] : terminator.returns;
    case 'indirect': {
      const { returnTo, targets, notTaken } = terminator;
      return [returnTo, ...targets, notTaken].filter((edge) => edge !== undefined);
    }
    case 'leave':
      return [];
  }
}

/**
 * Structured control flow. A list of nodes is executed in order; control only reaches the end of a list where it says so:
 * each list ends with a node that goes elsewhere, except the body of a `block`, behind which the next node stands.
 */
export type StructuredNode =
  /** WebAssembly `block`: a `br` to `label` goes behind it. */
  | { readonly kind: 'block'; readonly label: number; readonly body: readonly StructuredNode[] }
  /** WebAssembly `loop`: a `br` to `label` goes to its start. `header` is the block there; -1 for a dispatch. */
  | {
      readonly kind: 'loop';
      readonly label: number;
      readonly header: number;
      readonly body: readonly StructuredNode[];
    }
  /** The instructions of a block with its terminator. `next[i]` is what follows on way out i of `successors`. */
  | { readonly kind: 'code'; readonly block: number; readonly next: readonly (readonly StructuredNode[])[] }
  /**
   * Goes to an enclosing `block` or `loop`. `target` is the guest block that is reached by it, or -1: a dispatch that goes to
   * what `select` chose. `back` if the label is a loop's.
   */
  | { readonly kind: 'br'; readonly label: number; readonly target: number; readonly back: boolean }
  /** Leaves the region for a known address. */
  | { readonly kind: 'exit'; readonly offset: number }
  /** Only at the top of the tree: goes on with `next[i]` if control came in at entry i of the graph. */
  | { readonly kind: 'entry'; readonly next: readonly (readonly StructuredNode[])[] }
  /** Sets the i32 local number `variable`, which a `dispatch` further on reads. */
  | { readonly kind: 'select'; readonly variable: number; readonly value: number }
  /** Goes on with `next[v]`, v the value of the local. Only made for loops with several ways in (irreducible flow). */
  | {
      readonly kind: 'dispatch';
      readonly variable: number;
      readonly next: readonly (readonly StructuredNode[])[];
    };

/** A structured region: `root` is the list to execute; `selectors` locals are needed for dispatches, 0 in reducible code. */
export interface StructuredRegion {
  readonly root: readonly StructuredNode[];
  readonly selectors: number;
}
