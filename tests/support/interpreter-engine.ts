// The CPU core as an engine under test, with and without the region compiler, in 64-bit little-endian problem state.

import { RegionCache } from '../../src/cpu/compiler/cache.ts';
import { CpuCore, type CpuCoreOptions, type Vcpu } from '../../src/cpu/interpreter/core.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';
import { stateBytes, stateOffset } from '../../src/cpu/state/layout.ts';
import { STATE_BASE } from '../../src/cpu/state/memory-map.ts';
import { MSR, VECTOR } from '../../src/cpu/state/msr.ts';
import {
  type CpuOutcome,
  type CpuState,
  type CpuUnderTest,
  codeEa,
  type EngineUnderTest,
  trapWord,
  type UserModeCpu,
  windowBytes,
  windowEa,
} from './cpu-under-test.ts';
import { eagerRegionOptions } from './eager-regions.ts';
import { wordBytes } from './words.ts';

/** Problem state comes with IR and DR; the identity tree below makes effective addresses RAM offsets. */
const USER_MSR =
  MSR.SF |
  MSR.LE |
  MSR.PR |
  MSR.EE |
  MSR.ME |
  MSR.RI |
  MSR.IR |
  MSR.DR |
  MSR.FP |
  MSR.VEC |
  MSR.VSX |
  MSR.FE0 |
  MSR.FE1;
const FSCR_TAR_SCV = (1n << 8n) | (1n << 12n);
const CAUSE_MASK = 0x783f_0000n;

/** Vectors stand here; the program's address 0 is this real address. */
const USER_BASE = 0x20000;
/** `sc 1` in every vector leaves the core before anything else happens to SRR0 and SRR1. */
const SC_1 = 0x4400_0022;
const SCV_VECTOR = 0x17000;

type RegionsOption = CpuCoreOptions['regions'];

/** A core whose user addresses 0 to `memoryBytes` are RAM from the start, mapped by 64 KiB pages. */
function userCore(memoryBytes: number, regions: RegionsOption): { core: CpuCore; vcpu: Vcpu } {
  const tableAt = USER_BASE + memoryBytes;
  const pages = memoryBytes / 0x10000;
  const leafTables = Math.ceil(pages / 32);
  const ramBytes = tableAt + 0x10000 * (4 + Math.ceil((leafTables * 256) / 0x10000));
  const core = new CpuCore({ semantics, ramBytes, cpus: 1, regions });
  const { memory } = core;
  const valid = 1n << 63n;
  const leaf = 1n << 62n;
  const rootAt = tableAt + 0x10000;
  const level1At = rootAt + 0x10000;
  const level2At = level1At + 0x1000;
  const leavesAt = level1At + 0x10000;
  // RTS 52 bits, root of 13 bits.
  const processEntry = (2n << 61n) | (5n << 5n) | BigInt(rootAt) | 13n;
  memory.storeU64BE(tableAt + 16, processEntry);
  memory.storeU64BE(rootAt, valid | BigInt(level1At) | 9n);
  for (let gib = 0; gib * 2 ** 30 < memoryBytes; gib++) {
    memory.storeU64BE(level1At + gib * 8, valid | BigInt(level2At + gib * 0x1000) | 9n);
  }
  for (let table = 0; table < leafTables; table++) {
    const at = leavesAt + table * 256;
    memory.storeU64BE(level2At + table * 8, valid | BigInt(at) | 5n);
    for (let page = 0; page < 32 && table * 32 + page < pages; page++) {
      memory.storeU64BE(at + page * 8, valid | leaf | BigInt((table * 32 + page) * 0x10000 + USER_BASE) | 0x187n);
    }
  }
  core.setShared('processTable', BigInt(tableAt));
  core.setShared('processTableBytes', 32n);
  memory.write(0, wordBytes(Array.from({ length: 0x2000 / 4 }, () => SC_1)));
  memory.write(SCV_VECTOR, wordBytes(Array.from({ length: 0x1000 / 4 }, () => SC_1)));
  const vcpu = core.vcpus[0];
  vcpu.set32('interruptLittleEndian', 1);
  vcpu.set64('pidr', 1n);
  vcpu.set64('fscr', FSCR_TAR_SCV);
  vcpu.set64('msr', USER_MSR);
  vcpu.set64('decExpiry', 1n << 62n);
  return { core, vcpu };
}

/** What left problem state; undefined while the vCPU is in it. */
function interruptOf(vcpu: Vcpu): { interrupt: number; srr1: bigint } | undefined {
  if ((vcpu.get64('msr') & MSR.PR) !== 0n) return undefined;
  // The `sc 1` in the vector has been executed if the budget allowed it.
  const vector = Number(vcpu.get64('nia')) & ~31;
  return { interrupt: vector, srr1: vcpu.get64('srr1') & CAUSE_MASK };
}

class CoreCpu implements CpuUnderTest {
  readonly name: string;
  private readonly core: CpuCore;
  private readonly vcpu: Vcpu;
  private readonly ram: Uint8Array;
  private readonly gpr: BigUint64Array;
  private readonly vsr: Uint32Array;

  constructor(name: string, regions: RegionsOption) {
    this.name = name;
    const { core, vcpu } = userCore(0x0220_0000, regions);
    this.core = core;
    this.vcpu = vcpu;
    this.ram = core.ramBytesView();
    this.gpr = new BigUint64Array(this.ram.buffer, STATE_BASE + stateOffset('gpr'), 32);
    this.vsr = new Uint32Array(this.ram.buffer, STATE_BASE + stateOffset('vsr'), 256);
  }

  get memory(): Uint8Array {
    return this.ram.subarray(USER_BASE + windowEa, USER_BASE + windowEa + windowBytes);
  }

  load(state: CpuState): void {
    const { vcpu } = this;
    this.gpr.set(state.gpr);
    swapDoublewords(words(state.vsr), this.vsr);
    vcpu.cr = state.cr;
    vcpu.xer = state.xer;
    vcpu.set64('lr', state.lr);
    vcpu.set64('ctr', state.ctr);
    vcpu.set64('fpscr', state.fpscr);
    vcpu.set32('vscrNj', (state.vscr >>> 16) & 1);
    vcpu.set32('vscrSat', state.vscr & 1);
    vcpu.set64('tar', state.tar);
    vcpu.set32('reserveAddress', 0);
    this.enterUserMode();
  }

  /** Goes on where another CPU is: its registers, and memory around the window. */
  takeOver(other: CoreCpu): void {
    const from = USER_BASE + windowEa - 0x1_0000;
    this.ram.set(other.ram.subarray(from, from + 0x3_0000), from);
    new Uint8Array(this.ram.buffer, STATE_BASE, stateBytes).set(
      new Uint8Array(other.ram.buffer, STATE_BASE, stateBytes),
    );
    this.core.flushTranslations();
  }

  private enterUserMode(): void {
    this.vcpu.set64('msr', USER_MSR);
    this.vcpu.set64('fscr', FSCR_TAR_SCV);
  }

  store(into: CpuState): void {
    const { vcpu } = this;
    into.gpr.set(this.gpr);
    swapDoublewords(this.vsr, words(into.vsr));
    into.cr = vcpu.cr;
    into.xer = vcpu.xer;
    into.lr = vcpu.get64('lr');
    into.ctr = vcpu.get64('ctr');
    into.fpscr = vcpu.get64('fpscr');
    into.vscr = (vcpu.get32('vscrNj') << 16) | vcpu.get32('vscrSat');
    into.tar = vcpu.get64('tar');
    into.nia = interruptOf(vcpu) ? vcpu.get64('srr0') : vcpu.get64('nia');
  }

  /** Puts words where programs stand, unless they are there already. */
  private place(words: readonly number[]): void {
    const bytes = wordBytes(words);
    const at = USER_BASE + codeEa;
    if (bytes.some((byte, index) => this.ram[at + index] !== byte)) this.core.memory.write(at, bytes);
  }

  step(word: number): CpuOutcome {
    this.place([word]);
    this.vcpu.set64('nia', BigInt(codeEa));
    this.core.run(0, 1, 0n);
    return interruptOf(this.vcpu) ?? 'ok';
  }

  run(words: Uint32Array, maxInstructions: number): CpuOutcome {
    this.place([...words, trapWord]);
    const { vcpu } = this;
    vcpu.set64('nia', BigInt(codeEa));
    // One more for the trap, one more for the `sc 1` in its vector.
    this.core.run(0, maxInstructions + 2, 0n);
    const interrupt = interruptOf(vcpu);
    if (interrupt === undefined) return { interrupt: 0, srr1: 0n };
    const reachedEnd =
      interrupt.interrupt === VECTOR.program && vcpu.get64('srr0') === BigInt(codeEa + 4 * words.length);
    return reachedEnd ? 'ok' : interrupt;
  }
}

function words(doublewords: BigUint64Array): Uint32Array {
  return new Uint32Array(doublewords.buffer, doublewords.byteOffset, doublewords.length * 2);
}

/** The register block keeps doubleword 1 of a VSR first; the suites keep doubleword 0 first. */
function swapDoublewords(from: Uint32Array, to: Uint32Array): void {
  for (let i = 0; i < from.length; i++) to[i ^ 2] = from[i];
}

class CoreUserMode implements UserModeCpu {
  readonly name: string;
  readonly gpr: BigUint64Array;
  private readonly core: CpuCore;
  private readonly vcpu: Vcpu;
  private readonly ram: Uint8Array;
  private readonly memoryBytes: number;

  constructor(name: string, memoryBytes: number, regions: RegionsOption) {
    this.name = name;
    const { core, vcpu } = userCore(memoryBytes, regions);
    this.core = core;
    this.vcpu = vcpu;
    this.ram = core.ramBytesView();
    this.memoryBytes = memoryBytes;
    this.gpr = new BigUint64Array(this.ram.buffer, STATE_BASE + stateOffset('gpr'), 32);
  }
  get cr(): number {
    return this.vcpu.cr;
  }
  set cr(value: number) {
    this.vcpu.cr = value;
  }
  get nia(): bigint {
    return this.vcpu.get64('nia');
  }
  set nia(value: bigint) {
    this.vcpu.set64('nia', value);
  }
  get memory(): Uint8Array {
    return this.ram.subarray(USER_BASE, USER_BASE + this.memoryBytes);
  }
  run(): 'sc' | 'scv' | { readonly interrupt: number; readonly srr1: bigint } {
    const { core, vcpu } = this;
    vcpu.set64('msr', USER_MSR);
    let interrupt: { interrupt: number; srr1: bigint } | undefined;
    while (interrupt === undefined) {
      core.run(0, 1 << 24, 0n);
      interrupt = interruptOf(vcpu);
    }
    if (interrupt.interrupt === SCV_VECTOR) {
      vcpu.set64('nia', vcpu.get64('lr'));
      return 'scv';
    }
    vcpu.set64('nia', vcpu.get64('srr0'));
    return interrupt.interrupt === VECTOR.systemCall ? 'sc' : interrupt;
  }
}

/**
 * `each` makes the compiler of a core that executes instructions one at a time, `whole` that of one that runs programs.
 */
function coreEngine(name: string, each: RegionsOption, whole: RegionsOption): EngineUnderTest {
  return {
    name,
    implementedOps: () => new Set(Object.keys(semantics)),
    createCpu: async () => new SteppedCpu(name, each, whole),
    createUserMode: async (memoryBytes) => new CoreUserMode(name, memoryBytes, whole),
  };
}

/** One core for single steps and one for programs, with the same registers and window as far as the suites can tell. */
class SteppedCpu implements CpuUnderTest {
  readonly name: string;
  private readonly stepping: CoreCpu;
  private readonly running: CoreCpu;
  private current: CoreCpu;

  constructor(name: string, each: RegionsOption, whole: RegionsOption) {
    this.name = name;
    this.stepping = new CoreCpu(name, each);
    this.running = each === whole ? this.stepping : new CoreCpu(name, whole);
    this.current = this.running;
  }
  private use(cpu: CoreCpu): CoreCpu {
    if (cpu !== this.current) {
      cpu.takeOver(this.current);
      this.current = cpu;
    }
    return cpu;
  }
  get memory(): Uint8Array {
    return this.current.memory;
  }
  load(state: CpuState): void {
    this.current.load(state);
  }
  store(into: CpuState): void {
    this.current.store(into);
  }
  step(word: number): CpuOutcome {
    return this.use(this.stepping).step(word);
  }
  run(words: Uint32Array, maxInstructions: number): CpuOutcome {
    return this.use(this.running).run(words, maxInstructions);
  }
}

export const interpreterEngine: EngineUnderTest = coreEngine('interpreter', undefined, undefined);

const eager = {
  ...eagerRegionOptions,
  patience: Number.POSITIVE_INFINITY,
};

/** Everything compiled at once, an instruction at a time for `step`: milliseconds for each new program. */
export const compilerEngine: EngineUnderTest = {
  ...coreEngine(
    'compiler',
    (host) => new RegionCache(host, { ...eager, maxInstructions: 1 }),
    (host) => new RegionCache(host, eager),
  ),
  blockStep: 8,
};
