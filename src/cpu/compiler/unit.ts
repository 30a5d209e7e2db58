// From planned regions to one WebAssembly module for all of them, and the names of what it imports. Nothing here knows a
// machine or its memory, so the work can be done on another thread (workshop.ts); the cache links and installs the outcome.

import type { FunctionRef } from '../../wasm/ir.ts';
import { ModuleBuilder } from '../../wasm/module.ts';
import { runtimeExport } from '../interpreter/generate.ts';
import type { SemanticsMap } from '../semantics/emitter.ts';
import { generateRegion, type InterpreterImports } from './generate.ts';
import type { ForeignPage } from './pages.ts';
import type { RegionGraph, StructuredRegion } from './region.ts';
import { structureRegion } from './structure.ts';

/** What a region is made from. */
export interface RegionPlan {
  readonly graph: RegionGraph;
  /** Whether only a process executes in its page. */
  readonly user: boolean;
  /** The other pages that it has code of, by their distance from its own in pages. */
  readonly foreign: ReadonlyMap<number, ForeignPage>;
}

export interface MadeUnitRegion {
  readonly tree: StructuredRegion;
  /** Instructions that the interpreter's handlers execute within it. */
  readonly declined: number;
}

export interface Unit {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Fields of the module `env` that it imports. */
  readonly imports: readonly string[];
  /** In the order of the plans; the module exports each as `regionExport(index)`. */
  readonly regions: readonly MadeUnitRegion[];
}

export const regionExport = (index: number) => `region${index}`;

const HANDLER = 'handler ';
/** The instruction word whose handler an import is; undefined if it is something else. */
export function handlerWord(field: string): number | undefined {
  return field.startsWith(HANDLER) ? Number.parseInt(field.slice(HANDLER.length), 16) : undefined;
}

/** One module with all regions of `plans`; `counts`: they count their entries and ways out. */
export function makeUnit(plans: readonly RegionPlan[], semantics: SemanticsMap, counts: boolean): Unit {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1);
  const fields = ['memory', 'pageEa'];
  const imports = regionImports(module, fields);
  const built = plans.map(({ graph, user, foreign }) => {
    const name = `region ${graph.blocks[graph.entries[0]].start.toString(16)}`;
    const tree = structureRegion(graph);
    const { fn, declined } = generateRegion(name, graph, tree, semantics, imports, counts, user, (index) =>
      foreign.get(index),
    );
    return { name, fn, region: { tree, declined } };
  });
  const refs = built.map(({ name }) => module.declare(name, ['i32', 'i32'], 'i32'));
  built.forEach(({ fn }, index) => {
    module.defineBuilt(refs[index], fn);
    module.exportFunction(regionExport(index), refs[index]);
  });
  return { bytes: module.encode(), imports: fields, regions: built.map(({ region }) => region) };
}

/** Imports of a module of regions, each made when it is first asked for; their names go into `fields`. */
function regionImports(module: ModuleBuilder, fields: string[]): InterpreterImports {
  const refs = new Map<string, FunctionRef>();
  const get = (
    name: string,
    params: Parameters<ModuleBuilder['signature']>[0],
    result: Parameters<ModuleBuilder['signature']>[1],
  ): FunctionRef => {
    let ref = refs.get(name);
    if (!ref) {
      ref = module.importFunction('env', name, params, result);
      refs.set(name, ref);
      fields.push(name);
    }
    return ref;
  };
  const controls = {
    goTo: ['i64'],
    follow: ['i64'],
    followAt: ['i32'],
    callTo: ['i64', 'i32'],
    leave: ['i32'],
    raise: ['i32', 'i32', 'i32', 'i32'],
  } as const;
  return {
    pageEa: module.importGlobal('env', 'pageEa', 'i64'),
    control: (name) => get(name, controls[name], 'i32'),
    dropRegions: () => get('dropRegions', ['i32'], undefined),
    runtime: (f) => get(runtimeExport(f.name), f.params, f.result),
    handler: (word) => get(`${HANDLER}${(word >>> 0).toString(16)}`, ['i32', 'i32'], 'i32'),
  };
}
