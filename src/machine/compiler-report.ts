// The region compiler's account of itself, as part of a machine's report.

import type { RegionCache, WorkshopStatistics } from '../cpu/compiler/cache.ts';
import type { CpuCore } from '../cpu/interpreter/core.ts';

export interface CompilerReport {
  /** Regions made, and those that code can still come to. */
  readonly regions: number;
  readonly liveRegions: number;
  /** Guest instructions translated, and how many of them the interpreter's handlers execute inside of regions. */
  readonly translated: number;
  readonly interpretedInside: number;
  /**
   * WebAssembly bytes made, and the host milliseconds that the vCPUs' thread spent on it: on all of it without a workshop,
   * and with one on planning, ordering and linking.
   */
  readonly bytes: number;
  readonly milliseconds: number;
  /** The thread beside the vCPUs that made the regions, if there was one. */
  readonly workshop: WorkshopStatistics | undefined;
  /** Decoded pages whose regions a change of their code dropped; times the full cache was emptied. */
  readonly dropped: number;
  readonly flushes: number;
  /** Instructions executed in regions, and as a share of all. */
  readonly instructions: number;
  readonly share: number;
  readonly entries: number;
  readonly instructionsPerEntry: number;
  /**
   * How regions were left: for a known address, for one in a register, for a call that did not come back to where the
   * region waited, for an instruction that ends them; at a fault or MMIO, a program interrupt, an instruction that the
   * interpreter's handler executed, or because the budget was short or a store changed the region. Calls that come back
   * are neither a way out nor another entry.
   */
  readonly exits: Readonly<
    Record<'known' | 'register' | 'call' | 'leave' | 'fault' | 'interrupt' | 'handler' | 'budget', number>
  >;
}

export function compilerReport(compiler: RegionCache, core: CpuCore): CompilerReport {
  const made = compiler.statistics();
  const count = (name: Parameters<CpuCore['shared']>[0]) => Number(core.shared(name));
  const instructions = core.instructionsInRegions();
  const entries = count('regionEntries');
  const retired = core.vcpus.reduce((sum, vcpu) => sum + Number(vcpu.retired), 0);
  return {
    regions: made.regions,
    liveRegions: made.liveRegions,
    translated: made.instructions,
    interpretedInside: made.declined,
    bytes: made.bytes,
    milliseconds: Math.round(made.milliseconds),
    workshop: made.workshop && {
      ...made.workshop,
      milliseconds: Math.round(made.workshop.milliseconds),
      meanWaitMilliseconds: Math.round(made.workshop.meanWaitMilliseconds * 10) / 10,
    },
    dropped: count('regionDrops'),
    flushes: made.flushes,
    instructions,
    share: retired === 0 ? 0 : instructions / retired,
    entries,
    instructionsPerEntry: entries === 0 ? 0 : instructions / entries,
    exits: {
      known: count('regionExitsKnown'),
      register: count('regionExitsRegister'),
      call: count('regionExitsCall'),
      leave: count('regionExitsLeave'),
      fault: count('regionExitsFault'),
      interrupt: count('regionExitsInterrupt'),
      handler: count('regionExitsHandler'),
      budget: count('regionExitsBudget'),
    },
  };
}
