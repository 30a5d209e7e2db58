// Stand-ins for the ports of the hypervisor: vCPUs that are plain registers, a partition that writes down what it was
// told, and RAM that is one array.

import { Hypervisor, type HypervisorOptions } from '../../src/hypervisor/hypervisor.ts';
import type { PartitionConfig, PartitionPort, VcpuPort, VcpuState } from '../../src/hypervisor/vcpu-port.ts';
import { GuestMemory } from '../../src/memory/guest-memory.ts';
import { NormalHostView } from '../../src/memory/host-view.ts';

/** RAM of `pages` 64 KiB pages. */
export function testMemory(pages = 32): NormalHostView {
  const memory = new WebAssembly.Memory({ initial: pages });
  return new NormalHostView(new GuestMemory(memory, 0, pages * 65536, { ramWritten: () => {} }));
}

export class FakeVcpu implements VcpuPort {
  readonly id: number;
  readonly registers = new BigUint64Array(32);
  state: VcpuState;
  problemState = false;
  externalEnabled = false;
  nia = 0x1000n;
  msr = 0x8000000000000001n;
  sprg0 = 0n;
  line = false;
  decrementerPending = false;
  yields: (number | undefined)[] = [];
  resets: number[] = [];
  started: { nia: number; r3: bigint } | undefined;

  constructor(id: number, state: VcpuState = 'running') {
    this.id = id;
    this.state = state;
  }
  gpr(n: number): bigint {
    return this.registers[n]!;
  }
  setGpr(n: number, value: bigint): void {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new Error(`r${n} set to ${value}`);
    this.registers[n] = value;
  }
  setExternalEnabled(): void {
    this.externalEnabled = true;
  }
  setSprg0(value: bigint): void {
    this.sprg0 = value;
  }
  setExternalInterruptLine(asserted: boolean): void {
    this.line = asserted;
  }
  interruptPending(): boolean {
    return this.line || this.decrementerPending;
  }
  cede(): void {
    this.expect('running');
    this.state = 'ceded';
  }
  confer(): void {
    this.expect('running');
    this.state = 'conferred';
  }
  wake(): void {
    this.expect('ceded', 'conferred');
    this.state = 'running';
  }
  yieldSlice(target: number | undefined): void {
    this.yields.push(target);
  }
  stop(): void {
    this.expect('running');
    this.state = 'stopped';
  }
  start(nia: number, r3: bigint): void {
    this.expect('stopped');
    this.state = 'running';
    this.started = { nia, r3 };
  }
  systemReset(vector: number): void {
    this.expect('running');
    this.resets.push(vector);
  }

  /** The state machine of the port is part of its contract. */
  private expect(...allowed: VcpuState[]): void {
    if (!allowed.includes(this.state)) throw new Error(`vCPU ${this.id} is ${this.state}, not ${allowed.join(' or ')}`);
  }
}

export class FakePartition implements PartitionPort {
  /** What was asked for, in order, in words. */
  readonly log: string[] = [];
  now = 1000n;
  wallClock = Date.UTC(2024, 1, 29, 23, 59, 58) + 250.5;
  timer: bigint | undefined;
  private randomState = 1n;

  setInterruptEndian(endian: string): void {
    this.log.push(`endian ${endian}`);
  }
  setInterruptLocation(ail: number): void {
    this.log.push(`ail ${ail}`);
  }
  registerProcessTable(baseGra: number, sizeLog2: number, gtse: boolean): void {
    this.log.push(`process table 0x${baseGra.toString(16)} 2^${sizeLog2} gtse ${gtse}`);
  }
  deregisterProcessTable(): void {
    this.log.push('no process table');
  }
  timebase(): bigint {
    return this.now;
  }
  setTimer(deadline: bigint | undefined): void {
    this.timer = deadline;
  }
  wallClockMs(): number {
    return this.wallClock;
  }
  random(): bigint {
    this.randomState = BigInt.asUintN(64, this.randomState * 6364136223846793005n + 1442695040888963407n);
    return this.randomState;
  }
  powerOff(): void {
    this.log.push('power off');
  }
  reboot(): void {
    this.log.push('reboot');
  }
  guestPanic(message: string): void {
    this.log.push(`panic ${message}`);
  }
}

export const TEST_CONFIG: PartitionConfig = {
  name: 'test partition',
  uuid: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  timebaseHz: 512_000_000,
  sharedProcessors: true,
};

/** A hypervisor over fakes: vCPU 0 runs, the others are stopped. The console is vty 0x71000000, source 0x1100. */
export class Bench {
  readonly view: NormalHostView;
  readonly vcpus: FakeVcpu[];
  readonly partition = new FakePartition();
  readonly warnings: string[] = [];
  readonly hypervisor: Hypervisor;
  console = '';

  constructor(vcpuCount = 1, options: Partial<HypervisorOptions> = {}) {
    this.view = testMemory();
    this.vcpus = Array.from({ length: vcpuCount }, (_, id) => new FakeVcpu(id, id === 0 ? 'running' : 'stopped'));
    const output = {
      write: (bytes: Uint8Array) => {
        this.console += String.fromCharCode(...bytes);
      },
    };
    this.hypervisor = new Hypervisor({
      view: this.view,
      vcpus: this.vcpus,
      partition: this.partition,
      config: TEST_CONFIG,
      terminals: [{ unit: 0x71000000, irq: 0x1100, output }],
      log: { warn: (message) => this.warnings.push(message) },
      ...options,
    });
  }

  vcpu(id = 0): FakeVcpu {
    return this.vcpus[id]!;
  }

  /** Issues a hypercall on `vcpu`; returns the signed code in r3. */
  hcall(token: number, args: readonly (bigint | number)[] = [], vcpu = this.vcpu()): number {
    vcpu.setGpr(3, BigInt(token));
    args.forEach((value, i) => {
      vcpu.setGpr(4 + i, BigInt.asUintN(64, BigInt(value)));
    });
    this.hypervisor.hcall(vcpu);
    return Number(BigInt.asIntN(64, vcpu.gpr(3)));
  }

  /** Calls RTAS service `name` through the private hypercall; returns status and further outputs, signed. */
  rtas(name: string, args: readonly number[] = [], nret = 1, vcpu = this.vcpu()): number[] {
    const service = this.hypervisor.rtas.services().find((candidate) => candidate.name === name);
    if (!service) throw new Error(`no RTAS service ${name}`);
    const block = 0x8000;
    [service.token, args.length, nret, ...args, ...Array(nret).fill(0x5a5a5a5a)].forEach((cell, i) => {
      this.view.storeU32BE(block + 4 * i, cell);
    });
    this.hcall(0xf000, [block], vcpu);
    return Array.from({ length: nret }, (_, i) => this.view.loadU32BE(block + 12 + 4 * (args.length + i)) | 0);
  }
}

/** Deterministic 32-bit generator (xorshift) for property tests; print the seed when one fails. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
