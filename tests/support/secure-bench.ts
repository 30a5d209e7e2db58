// A partition with ultravisor and hypervisor over vCPUs that are plain registers: what the guest, the ultravisor and the
// hypervisor say to each other, without a CPU core.

import { nodePageCipher } from '../../src/backends/node/page-cipher.ts';
import { MSR } from '../../src/cpu/state/msr.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { SecurePartition, type SecurePartitionOptions } from '../../src/machine/secure-partition.ts';
import { GuestMemory } from '../../src/memory/guest-memory.ts';
import type { HostView } from '../../src/memory/host-view.ts';
import type { SvmEvent } from '../../src/ultravisor/ultravisor.ts';
import { FakePartition, FakeVcpu, TEST_CONFIG } from './hypervisor-fakes.ts';
import { FdtBuilder } from './tiny-fdt.ts';

export const KERNEL = 0x40000;
export const TREE = 0x20000;
export const RTAS_BLOCK = 0x8000;
const GUEST_MSR = MSR.SF | MSR.ME | MSR.LE;

export class SecurableFake extends FakeVcpu {
  override msr = GUEST_MSR;
  processId = 1n;
  get active(): boolean {
    return this.state !== 'stopped';
  }
  redirect(nia: bigint, msr: bigint): void {
    this.nia = nia;
    this.msr = msr;
  }
  override start(nia: number, r3: bigint, secureBit = 0n): void {
    super.start(nia, r3);
    this.msr = MSR.SF | MSR.ME | secureBit;
  }
}

export class SecureBench {
  readonly memory: GuestMemory;
  readonly view: HostView;
  readonly vcpus: SecurableFake[];
  readonly partition = new FakePartition();
  readonly secure: SecurePartition;
  readonly hypervisor: Hypervisor;
  readonly events: SvmEvent[] = [];
  readonly halts: string[] = [];
  readonly phases: string[] = [];
  processTable: readonly [number, number] | undefined;
  console = '';

  constructor(cpus = 1, options: Partial<SecurePartitionOptions> = {}) {
    this.memory = new GuestMemory(new WebAssembly.Memory({ initial: 32 }), 0, 32 * 65536, { ramWritten: () => {} });
    this.vcpus = Array.from({ length: cpus }, (_, id) => new SecurableFake(id, id === 0 ? 'running' : 'stopped'));
    this.secure = new SecurePartition({
      memory: this.memory,
      vcpus: this.vcpus,
      instructions: () => 42n,
      hypervisor: () => this.hypervisor,
      ultravisor: true,
      pageBytes: undefined,
      policy: 'block',
      pageCipher: nodePageCipher,
      random: () => this.partition.random(),
      setProcessTable: (base, sizeLog2) => {
        this.processTable = [base, sizeLog2];
      },
      event: (event) => this.events.push(event),
      violation: () => {},
      halt: (message) => this.halts.push(message),
      ...options,
    });
    this.view = this.secure.view;
    const port = {
      ...methodsOf(this.partition),
      registerProcessTable: (base: number, size: number) => this.secure.registerProcessTable(base, size),
      deregisterProcessTable: () => this.secure.registerProcessTable(0, 0),
    };
    this.hypervisor = new Hypervisor({
      view: this.view,
      vcpus: this.secure.ports,
      partition: port,
      config: TEST_CONFIG,
      terminals: [
        {
          unit: 0x71000000,
          irq: 0x1100,
          output: {
            write: (bytes) => {
              this.console += String.fromCharCode(...bytes);
            },
          },
        },
      ],
      svm: this.secure.hypervisorSide((phase) => this.phases.push(phase)),
    });
    this.writeTree();
  }

  /** A device tree with /rtas as the hypervisor serves it; without `leaveOut`; laid out as by a Linux with such pages. */
  writeTree(leaveOut = '', bootCpu = 0, makersPageBytes?: number): void {
    const services = this.hypervisor.rtas.services().filter(({ name }) => name !== leaveOut);
    const tree = new FdtBuilder(bootCpu);
    tree.node('rtas', new Map(services.map(({ name, token }) => [name, token])));
    this.memory.write(TREE, tree.bytes(makersPageBytes));
  }

  get report() {
    return this.secure.report();
  }
  get cpu(): SecurableFake {
    return this.vcpus[0];
  }

  /** `sc 2` of the guest; the code in r3. */
  ucall(token: number, args: readonly (number | bigint)[] = [], cpu = this.cpu): number {
    load(cpu, token, args);
    this.secure.guestUcall(cpu);
    return code(cpu);
  }
  /** `sc 1` of the guest; the code in r3. */
  hcall(token: number, args: readonly (number | bigint)[] = [], cpu = this.cpu): number {
    load(cpu, token, args);
    this.secure.guestHcall(cpu);
    return code(cpu);
  }
  /** `sc 2` of the hypervisor. */
  uv(token: number, ...args: number[]): number {
    return this.secure.hypervisorSide(() => {})!.ultravisor.ultracall(token, args);
  }
  /** RTAS by way of the guest's block; the outputs. */
  rtas(name: string, args: readonly number[], nret = 1, cpu = this.cpu): number[] {
    [this.hypervisor.rtas.token(name), args.length, nret, ...args, ...Array(nret).fill(0x5a5a5a5a)].forEach(
      (cell, i) => {
        this.memory.storeU32BE(RTAS_BLOCK + 4 * i, cell);
      },
    );
    this.hcall(0xf000, [RTAS_BLOCK], cpu);
    return Array.from({ length: nret }, (_, i) => this.memory.loadU32BE(RTAS_BLOCK + 12 + 4 * (args.length + i)) | 0);
  }
  /** UV_ESM, which must succeed. */
  enterSecureMode(): void {
    this.ucall(0xf110, [KERNEL, TREE]);
    if (this.report.svm?.state !== 'secure') throw new Error(JSON.stringify(this.events, (_, v) => `${v}`));
  }
}

function load(cpu: SecurableFake, token: number, args: readonly (number | bigint)[]): void {
  cpu.setGpr(3, BigInt(token));
  args.forEach((value, i) => {
    cpu.setGpr(4 + i, BigInt.asUintN(64, BigInt(value)));
  });
}
function code(cpu: SecurableFake): number {
  return Number(BigInt.asIntN(64, cpu.gpr(3)));
}

/** The partition as plain functions, so that some can be replaced. */
function methodsOf(partition: FakePartition) {
  return {
    setInterruptEndian: partition.setInterruptEndian.bind(partition),
    setInterruptLocation: partition.setInterruptLocation.bind(partition),
    timebase: partition.timebase.bind(partition),
    setTimer: partition.setTimer.bind(partition),
    wallClockMs: partition.wallClockMs.bind(partition),
    random: partition.random.bind(partition),
    powerOff: partition.powerOff.bind(partition),
    reboot: partition.reboot.bind(partition),
    guestPanic: partition.guestPanic.bind(partition),
  };
}
