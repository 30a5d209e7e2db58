// What the CPU core offers to a compiler of regions, and what it asks of it. The interpreter runs without one.

import type { SemanticsMap } from '../semantics/emitter.ts';
import type { SharedField } from '../state/layout.ts';

/** The parts of a CPU core that compiled regions are linked to. */
export interface RegionHost {
  readonly memory: WebAssembly.Memory;
  readonly semantics: SemanticsMap;
  /** Handlers by number; regions are added behind them. */
  readonly table: WebAssembly.Table;
  /** Exports of the interpreter's module. */
  readonly exports: Readonly<Record<string, unknown>>;
  /** Number of the interpreter's handler of an instruction word in the usual mode. */
  handlerOf(word: number): number;
  /** Whether the word ends the turn of a vCPU. */
  endsTurn(word: number): boolean;
  shared(name: SharedField): bigint;
  setShared(name: SharedField, value: bigint): void;
}

export interface RegionService {
  /** Control has come to slot `ip` by branches as often as the `hotThreshold` says. Called while a vCPU runs. */
  hot(ip: number): void;
  /** Takes in what was compiled elsewhere. Called often, while no vCPU runs; absent where nothing is. */
  readonly collect?: (() => void) | undefined;
}
