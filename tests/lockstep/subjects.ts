// Guests for lock-step runs: a whole machine, and a program in problem state.

import { nodeMachineHost } from '../../src/backends/node/machine-host.ts';
import { RegionCache } from '../../src/cpu/compiler/cache.ts';
import {
  deliver,
  type RegionDelivery,
  type RegionOrder,
  type RegionWorkshop,
} from '../../src/cpu/compiler/workshop.ts';
import { CpuCore } from '../../src/cpu/interpreter/core.ts';
import type { RegionHost } from '../../src/cpu/interpreter/region-service.ts';
import type { SemanticsMap } from '../../src/cpu/semantics/emitter.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';
import { EXIT, MSR } from '../../src/cpu/state/msr.ts';
import type { MachineConfiguration } from '../../src/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { eagerRegionOptions } from '../support/eager-regions.ts';
import type { Engine, Subject } from './lockstep.ts';

/** Typed when the text before it has appeared: at the instruction that wrote its last character, in every run. */
export type Script = readonly (readonly [prompt: string, input: string])[];

export interface MachineSubjectOptions {
  readonly script?: Script;
  /** Arrivals by branches that make an address hot; 1: it is compiled at once. */
  readonly threshold: number;
  /** Regions come at odd moments after they have been wanted, as from another thread. */
  readonly late?: boolean;
}

/** A workshop that has something ready after it has been asked some number of times. */
class LateWorkshop implements RegionWorkshop {
  readonly failure = undefined;
  private readonly counts: boolean;
  private orders: RegionOrder[] = [];
  private patience = 3;
  private seed = 1;

  constructor(counts: boolean) {
    this.counts = counts;
  }

  order(order: RegionOrder): void {
    this.orders.push(structuredClone(order));
  }

  delivery(): RegionDelivery | undefined {
    if (this.orders.length === 0 || --this.patience > 0) return undefined;
    this.seed = (Math.imul(this.seed, 1103515245) + 12345) & 0x7fffffff;
    this.patience = 1 + ((this.seed >> 8) % 40);
    return deliver(this.orders.splice(0, 1 + ((this.seed >> 16) % 4)), semantics, this.counts, () => 0);
  }

  async close(): Promise<void> {}
}

/** A machine with the virtual clock, interpreted or compiled; ends when the guest does. */
export async function machineSubject(
  engine: Engine,
  configuration: MachineConfiguration,
  { script = [], threshold, late = false }: MachineSubjectOptions,
): Promise<Subject> {
  const host = late
    ? { ...nodeMachineHost, openRegionWorkshop: (counts: boolean) => new LateWorkshop(counts) }
    : nodeMachineHost;
  const engines: Partial<MachineConfiguration> =
    engine === 'tested' ? { compile: late ? 'beside' : 'inline' } : { compiler: false };
  const machine = await Machine.create({ ...configuration, clock: 'virtual', seed: 1, ...engines }, host);
  // Lock-step looks into the machine: nobody else has a reason to.
  const { core } = machine as unknown as { core: CpuCore };
  if (engine === 'tested') core.setShared('hotThreshold', BigInt(threshold));
  const waiting = [...script];
  let output = '';
  let read = 0;
  machine.onConsole((bytes) => {
    output += Buffer.from(bytes).toString('latin1');
    const next = waiting[0];
    const at = next === undefined ? -1 : output.indexOf(next[0], read);
    if (next === undefined || at < 0) return;
    read = output.length;
    waiting.shift();
    machine.console.write(new TextEncoder().encode(next[1]));
    if (waiting.length === 0) machine.closeInput();
  });
  if (script.length === 0) machine.closeInput();
  let outcome: unknown;
  return {
    core,
    advance: async (instructions) => {
      const result = await machine.run({ instructions });
      outcome = result;
      return result.reason === 'stopped';
    },
    result: () => ({ outcome, output, guestSeconds: machine.report().guestSeconds }),
    share: () => machine.report().compiler?.share ?? 0,
  };
}

const PROGRAM_GRA = 0x10000;

export interface BareProgram {
  readonly semantics: SemanticsMap;
  /** Instruction words, executed in real mode from PROGRAM_GRA on; the first `sc 1` ends the program. */
  readonly words: readonly number[];
  readonly compiled: boolean;
}

/** A core with nothing around it: what it executes is the program alone. */
export function bareSubject({ semantics, words, compiled }: BareProgram): Subject {
  const regions = (host: RegionHost) => new RegionCache(host, eagerRegionOptions);
  const core = new CpuCore({ semantics, ramBytes: 0x100000, cpus: 1, regions: compiled ? regions : undefined });
  const code = new Uint8Array(words.length * 4);
  const view = new DataView(code.buffer);
  words.forEach((word, index) => {
    view.setUint32(index * 4, word, true);
  });
  core.memory.write(PROGRAM_GRA, code);
  const vcpu = core.vcpus[0];
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.FP | MSR.VEC | MSR.VSX);
  vcpu.set64('nia', BigInt(PROGRAM_GRA));
  vcpu.set64('decExpiry', 1n << 62n);
  vcpu.set64('gpr', BigInt(PROGRAM_GRA), 12);
  let timebase = 0n;
  let running = true;
  return {
    core,
    advance: async (instructions) => {
      if (!running) return false;
      const { reason, executed } = core.run(0, instructions, timebase);
      timebase += BigInt(executed);
      running = reason === EXIT.budget;
      return running;
    },
    result: () => ({ timebase: timebase.toString() }),
    share: () => core.instructionsInRegions() / Number(vcpu.retired),
  };
}
