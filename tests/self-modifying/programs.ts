// Small programs with an address space of their own, for tests of code that changes: privileged, 64-bit little-endian,
// translation on, identity mapped by 64 KiB pages but for one page that the program moves about.

import { RegionCache } from '../../src/cpu/compiler/cache.ts';
import { CpuCore } from '../../src/cpu/interpreter/core.ts';
import type { RegionHost } from '../../src/cpu/interpreter/region-service.ts';
import { assemble } from '../../src/cpu/isa/assemble.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';
import { EXIT, MSR } from '../../src/cpu/state/msr.ts';
import type { Engine, Subject } from '../lockstep/lockstep.ts';
import { eagerRegionOptions } from '../support/eager-regions.ts';

export const RAM_BYTES = 0x40_0000;
/** Where programs start, in a page of their own. */
export const MAIN = 0x10_0000;
/** Two pages of code, and the effective page that is mapped to one of them. */
export const FIRST = 0x11_0000;
export const SECOND = 0x12_0000;
export const WINDOW = 0x20_0000;
/** Data. */
export const DATA = 0x13_0000;
/** The leaf entry of the window, big-endian, as an address of the identity mapping. */
const TABLE = 0x30_0000;
const LEAVES = TABLE + 0x3000;
export const WINDOW_ENTRY = LEAVES + ((WINDOW >> 16) & 31) * 8 + 256 * (WINDOW >> 21);

const VALID = 1n << 63n;
const LEAF = 1n << 62n;
/** Referenced, changed; privileged; read, write, execute. */
const RIGHTS = 0x180n | 0x8n | 0x7n;

/** A leaf entry that leads to `gra`. */
export const leafFor = (gra: number): bigint => VALID | LEAF | BigInt(gra) | RIGHTS;

/** Words at an address; a line is one instruction, `label:` names the next one, `@label` in a branch is the way there. */
export function assembleAt(lines: readonly string[]): number[] {
  const labels = new Map<string, number>();
  const code: string[] = [];
  for (const line of lines) {
    if (line.endsWith(':')) labels.set(line.slice(0, -1), code.length * 4);
    else code.push(line);
  }
  return code.map((line, index) =>
    assemble(
      line.replace(/@(\w+)/, (_, name: string) => {
        const distance = (labels.get(name) ?? Number.NaN) - index * 4;
        return distance < 0 ? `.${distance}` : `.+${distance}`;
      }),
    ),
  );
}

/** Instructions that put a 32-bit number into a GPR. */
export const loadNumber = (register: number, value: number): string[] => [
  `addis ${register},0,${value >> 16}`,
  `ori ${register},${register},${value & 0xffff}`,
];

export interface Program {
  /** Code by address. */
  readonly code: Readonly<Record<number, readonly string[]>>;
  /** Done by the host each time so many instructions have been executed. */
  readonly host?: { readonly every: number; readonly change: (core: CpuCore, time: number) => void };
}

/** The program on a core; it ends with `sc 1`. */
export function programSubject(engine: Engine, { code, host }: Program): Subject {
  const regions = (to: RegionHost) => new RegionCache(to, { ...eagerRegionOptions, threshold: 2 });
  const core = new CpuCore({
    semantics,
    ramBytes: RAM_BYTES,
    cpus: 1,
    regions: engine === 'tested' ? regions : undefined,
  });
  const { memory } = core;
  // Process table entry 1: 52 bits, 13 + 9 + 9 + 5 levels.
  memory.storeU64BE(TABLE + 16, (2n << 61n) | (5n << 5n) | BigInt(TABLE + 0x10000) | 13n);
  memory.storeU64BE(TABLE + 0x10000, VALID | BigInt(TABLE + 0x1000) | 9n);
  memory.storeU64BE(TABLE + 0x1000, VALID | BigInt(TABLE + 0x2000) | 9n);
  for (let at = 0; at * 32 * 0x10000 < RAM_BYTES; at++) {
    memory.storeU64BE(TABLE + 0x2000 + at * 8, VALID | BigInt(LEAVES + at * 256) | 5n);
    for (let page = 0; page < 32; page++) {
      memory.storeU64BE(LEAVES + at * 256 + page * 8, leafFor((at * 32 + page) * 0x10000));
    }
  }
  memory.storeU64BE(WINDOW_ENTRY, leafFor(FIRST));
  core.setShared('processTable', BigInt(TABLE));
  core.setShared('processTableBytes', 32n);
  for (const [address, lines] of Object.entries(code)) {
    const words = assembleAt(lines);
    const bytes = new Uint8Array(words.length * 4);
    const view = new DataView(bytes.buffer);
    words.forEach((word, index) => {
      view.setUint32(index * 4, word, true);
    });
    memory.write(Number(address), bytes);
  }
  const vcpu = core.vcpus[0];
  vcpu.set64('pidr', 1n);
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.IR | MSR.DR);
  vcpu.set64('nia', BigInt(MAIN));
  vcpu.set64('decExpiry', 1n << 62n);
  let timebase = 0n;
  let running = true;
  let changes = 0;
  const nextChange = () => (host === undefined ? Number.MAX_SAFE_INTEGER : host.every * (changes + 1));
  return {
    core,
    advance: async (instructions) => {
      const until = timebase + BigInt(instructions);
      while (running && timebase < until) {
        const budget = Math.min(Number(until - timebase), nextChange() - Number(timebase));
        const { reason, executed } = core.run(0, budget, timebase);
        timebase += BigInt(executed);
        running = reason === EXIT.budget;
        if (Number(timebase) >= nextChange()) host?.change(core, ++changes);
      }
      return running;
    },
    result: () => ({
      instructions: timebase.toString(),
      sum: vcpu.get64('gpr', 31).toString(16),
      nia: vcpu.get64('nia').toString(16),
    }),
    share: () => core.instructionsInRegions() / Number(vcpu.retired),
  };
}
