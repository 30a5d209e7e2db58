// Making regions beside the vCPUs: what a machine asks of a workshop on another thread, and what the workshop does there.
//
// The plan of a region is made where the guest's memory is, from what stands there at that moment; it is right as long as the
// pages that it has code of keep their generation, which whoever installs the region looks up (cache.ts).

import { decode } from '../isa/decode.ts';
import type { SemanticsMap } from '../semantics/emitter.ts';
import type { ForeignPage } from './pages.ts';
import type { Terminator } from './region.ts';
import { makeUnit, type RegionPlan } from './unit.ts';

/** A plan as plain data, to be sent to another thread. */
export interface RegionOrder {
  /** Tells orders apart. */
  readonly id: number;
  readonly entries: readonly number[];
  readonly user: boolean;
  readonly foreign: readonly (readonly [number, ForeignPage])[];
  readonly blocks: readonly {
    readonly start: number;
    /** Offset and word of each instruction in turn. */
    readonly code: readonly number[];
    readonly terminator: Terminator;
  }[];
}

export function orderOf(id: number, { graph, user, foreign }: RegionPlan): RegionOrder {
  const blocks = graph.blocks.map(({ start, instructions, terminator }) => ({
    start,
    code: instructions.flatMap(({ offset, word }) => [offset, word]),
    terminator,
  }));
  return { id, entries: graph.entries, user, foreign: [...foreign], blocks };
}

export function planOf({ entries, user, foreign, blocks }: RegionOrder): RegionPlan {
  const graph = {
    entries,
    blocks: blocks.map(({ start, code, terminator }, id) => {
      const instructions = Array.from({ length: code.length / 2 }, (_, at) => {
        const word = code[2 * at + 1];
        return { offset: code[2 * at], word, instruction: decode(word) };
      });
      return { id, start, instructions, terminator };
    }),
  };
  return { graph, user, foreign: new Map(foreign) };
}

/** One module and what it has. */
export interface RegionDelivery {
  readonly module: WebAssembly.Module;
  readonly imports: readonly string[];
  /** In the order of the module's exports: the order each is for, and instructions left to the interpreter's handlers. */
  readonly regions: readonly { readonly id: number; readonly declined: number }[];
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Where a machine orders regions. */
export interface RegionWorkshop {
  order(order: RegionOrder): void;
  /** The next delivery that has come. */
  delivery(): RegionDelivery | undefined;
  /** Why nothing will be delivered any more. */
  readonly failure: string | undefined;
  close(): Promise<void>;
}

/** One delivery for `orders`. `now`: milliseconds. */
export function deliver(
  orders: readonly RegionOrder[],
  semantics: SemanticsMap,
  counts: boolean,
  now: () => number,
): RegionDelivery {
  const begun = now();
  const { bytes, imports, regions } = makeUnit(orders.map(planOf), semantics, counts);
  return {
    module: new WebAssembly.Module(bytes),
    imports,
    regions: regions.map(({ declined }, index) => ({ id: orders[index].id, declined })),
    bytes: bytes.length,
    milliseconds: now() - begun,
  };
}
