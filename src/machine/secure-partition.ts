// The ultravisor's side of a machine, wired: page ownership, the view of memory that checks it, the ultravisor itself, and
// the vCPUs as the hypervisor may see them.

import type { PageCipherFactory } from '../backends/page-cipher.ts';
import type { CpuCore } from '../cpu/interpreter/core.ts';
import { MSR } from '../cpu/state/msr.ts';
import type { Hypervisor } from '../hypervisor/hypervisor.ts';
import type { VcpuPort } from '../hypervisor/vcpu-port.ts';
import { chainText } from '../memory/access-cause.ts';
import { CheckedHostView, type ViolationPolicy } from '../memory/checked-host-view.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { type OwnedPageBytes, PageOwnership } from '../memory/ownership.ts';
import { type Violation, ViolationLog } from '../memory/violations.ts';
import { busAddressText } from '../pci/bus-address.ts';
import type { DeviceOrigin } from '../pci/dma-space.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { LPID, UV } from '../ultravisor/calls.ts';
import type { Sealing } from '../ultravisor/esm/verify.ts';
import type { Residency } from '../ultravisor/ports.ts';
import { type SvmEvent, Ultravisor, type UltravisorReport } from '../ultravisor/ultravisor.ts';
import type { GuestReader } from './call-chain.ts';
import { coreResidency } from './core-residency.ts';
import { GuardedVcpu, type SecurableVcpu } from './guarded-vcpu.ts';
import { type SharingReport, Witness } from './witness.ts';

export interface SecurePartitionOptions {
  readonly memory: GuestMemory;
  /** Undefined: `vcpus` are on no core, and reports cannot say where the guest was. */
  readonly core?: CpuCore;
  /** Of the guest's kernel, for reports. */
  readonly symbols?: (reader: GuestReader) => SymbolTable | undefined;
  readonly vcpus: readonly SecurableVcpu[];
  /** Instructions retired by all vCPUs. */
  readonly instructions: () => bigint;
  readonly hypervisor: () => Hypervisor;
  /** False: the partition can never turn secure. */
  readonly ultravisor: boolean;
  /** In which pages guests count and share; undefined: as each tells. */
  readonly pageBytes: OwnedPageBytes | undefined;
  /** Secure memory; undefined: enough for all of the guest's. */
  readonly secureBytes?: number | undefined;
  readonly policy: ViolationPolicy;
  /** How sealed images are verified; without it blobs are ignored. */
  readonly sealing?: Sealing;
  readonly pageCipher: PageCipherFactory;
  readonly random: () => bigint;
  readonly setProcessTable: (baseGra: number, sizeLog2: number) => void;
  readonly event: (event: SvmEvent) => void;
  readonly violation: (violation: Violation) => void;
  /** Ends the machine. */
  readonly halt: (message: string) => void;
}

/** The part of a machine's report that is about secure memory. */
export interface SecureReport {
  /** Undefined in a machine without an ultravisor. */
  readonly svm: UltravisorReport | undefined;
  readonly violations: {
    /** Accesses. */
    readonly count: number;
    /** Accesses of which there is no record because there are too many different ones. */
    readonly unrecorded: number;
    readonly policy: ViolationPolicy;
    readonly records: readonly Violation[];
  };
  readonly sharing: SharingReport;
}

export class SecurePartition {
  readonly view: CheckedHostView;
  readonly ports: readonly VcpuPort[];
  private readonly options: SecurePartitionOptions;
  private readonly ownership: PageOwnership;
  private readonly log = new ViolationLog();
  private readonly ultravisor: Ultravisor | undefined;
  private readonly witness: Witness;
  private restarting = false;

  /** To be made before the hypervisor, which gets `view`, `ports` and `hypervisorSide`. */
  constructor(options: SecurePartitionOptions) {
    this.options = options;
    const { memory, vcpus, instructions, policy, random, event } = options;
    const ownership = new PageOwnership(memory.sizeBytes, options.pageBytes);
    this.ownership = ownership;
    this.log.onNew = (violation) => options.violation(forReport(violation));
    this.witness = new Witness(options.core, ownership, instructions, options.symbols ?? (() => undefined));
    this.view = new CheckedHostView({
      memory,
      ownership,
      violations: this.log,
      policy,
      instructions,
      stop: () => options.halt(`${describe(this.log.all().at(-1))}`),
      observe: (gra, lenBytes, direction, origin) => this.witness.observe(gra, lenBytes, direction, origin),
      told: (origin) => this.witness.told(origin),
      causeOf: (origin) => this.witness.causeOf(origin),
    });
    this.ultravisor = !options.ultravisor
      ? undefined
      : new Ultravisor({
          memory,
          ownership,
          cpus: vcpus,
          hypervisor: {
            hcall: (token, args) => this.hcall(token, args),
            reflect: (id, carried) => options.hypervisor().hcall(this.ports[id], carried),
            hostPage: (ra) => options.hypervisor().secureGuest?.hostPages.at(ra),
          },
          partition: { setProcessTable: options.setProcessTable },
          residency: options.core ? coreResidency(options.core) : NO_CORE,
          secureBytes: options.secureBytes,
          pageBytes: options.pageBytes,
          hostView: this.view,
          ...(options.sealing && { sealing: options.sealing }),
          pageCipher: options.pageCipher,
          random,
          instructions,
          event,
          halt: (message) => {
            if (!this.restarting) options.halt(message);
          },
        });
    const { ultravisor } = this;
    this.ports = !ultravisor
      ? vcpus
      : vcpus.map(
          (vcpu) =>
            new GuardedVcpu(vcpu, {
              windowOf: (id) => ultravisor.windowOf(id),
              secure: () => ultravisor.state === 'secure',
              startOf: (id, r3) => ultravisor.startOf(id, r3),
              refused: (what) => options.halt(`the ultravisor refuses the ${what}`),
            }),
        );
  }

  /** What the hypervisor gets to reach the ultravisor; undefined without one. */
  hypervisorSide(transition: (phase: 'normal' | 'started' | 'secure') => void) {
    const { ultravisor } = this;
    if (!ultravisor) return undefined;
    return {
      ultravisor: {
        ultracall: (token: number, args: readonly number[]) => ultravisor.hypervisorCall(token, args.map(BigInt)),
      },
      pageOrder: () => Math.log2(this.ownership.pageBytes),
      transition,
    };
  }

  /** The `sc 1` of a vCPU. */
  guestHcall(vcpu: SecurableVcpu): void {
    this.witness.during(vcpu.id, 'hcall', () => {
      if (this.ultravisor && (vcpu.msr & MSR.S) !== 0n) this.ultravisor.guestHcall(vcpu);
      else this.options.hypervisor().hcall(vcpu);
    });
  }

  /** An access of a vCPU to registers of a device, which `serve` answers. */
  guestMmio(vcpu: SecurableVcpu, serve: () => void): void {
    this.witness.during(vcpu.id, 'mmio', serve);
  }

  /** A vCPU needs the page at `gra`, which is out. */
  guestPageFault(gra: number): void {
    this.ultravisor?.guestPageFault(gra);
  }

  /** The `sc 2` of a vCPU. `no-ultravisor`: it was UV_ESM, and nobody is there to serve it. */
  guestUcall(vcpu: SecurableVcpu): 'served' | 'no-ultravisor' {
    const { ultravisor } = this;
    if (ultravisor) {
      this.witness.during(vcpu.id, 'ucall', () => ultravisor.guestCall(vcpu));
      return 'served';
    }
    const wantsSecurity = vcpu.gpr(3) === BigInt(UV.ESM) && !vcpu.problemState;
    // H_FUNCTION, as an hypervisor answers to which ultracalls are redirected.
    vcpu.setGpr(3, BigInt.asUintN(64, -2n));
    return wantsSecurity ? 'no-ultravisor' : 'served';
  }

  /** While a sealed image is being verified: nothing may happen to the machine until this is settled. */
  get verification(): Promise<void> | undefined {
    return this.ultravisor?.verification;
  }

  /** The hypervisor registers a process table, which is the ultravisor's to enter; `sizeLog2` 0 for none. */
  registerProcessTable(baseGra: number, sizeLog2: number): void {
    if (!this.ultravisor) {
      this.options.setProcessTable(baseGra, sizeLog2);
      return;
    }
    const dw1 = sizeLog2 === 0 ? 0n : BigInt(baseGra) | BigInt(sizeLog2 - 12);
    this.ultravisor.hypervisorCall(UV.WRITE_PATE, [BigInt(LPID), 0n, dw1]);
  }

  /** The machine starts anew: `reset` resets the hypervisor, which gives the secure VM up. */
  restart(reset: () => void): void {
    this.restarting = true;
    reset();
    this.ultravisor?.reset();
    this.witness.restart();
    this.restarting = false;
  }

  report(): SecureReport {
    return {
      svm: this.ultravisor?.report(),
      violations: {
        count: this.log.count,
        unrecorded: this.log.unrecorded,
        policy: this.options.policy,
        records: this.log.all().map(forReport),
      },
      sharing: this.witness.report(),
    };
  }

  /** A hypercall of the ultravisor's own. */
  private hcall(token: number, args: readonly number[]): number {
    const frame = new CallFrame(this.options.vcpus[0], token, args);
    this.options.hypervisor().hcall(frame);
    return Number(BigInt.asIntN(64, frame.gpr(3)));
  }
}

/** With the address that a device used as text, `address`: it is a bus address, folded (pci/bus-address.ts). */
function forReport(violation: Violation): Violation {
  const { busAddress, ...origin } = violation.origin as Partial<DeviceOrigin>;
  if (busAddress === undefined) return violation;
  return { ...violation, origin: { ...origin, address: busAddressText(busAddress) } as unknown as DeviceOrigin };
}

/** Without a core nobody uses a page, and nobody misses one. */
const NO_CORE: Residency = { remove: () => {}, restore: () => {}, watch: () => {}, untouched: () => true };

/** One line about a breach. */
export function describe(violation: Violation | undefined): string {
  if (!violation) return 'secure memory was touched';
  const { origin, direction, lenBytes, gra, pageState, madeBy, cause } = violation;
  const what = `${origin.name} (${origin.kind}) ${direction} of ${lenBytes} bytes at 0x${gra.toString(16)}`;
  const calls = cause && cause.chain.length > 0 ? `; ${chainText(cause.chain.slice(0, 4))}` : '';
  return `${what}: the page is ${pageState} since ${madeBy}${calls}`;
}

/** The registers of a hypercall that the ultravisor makes: its own, and nothing of the guest's. */
class CallFrame extends GuardedVcpu {
  private readonly registers = new BigUint64Array(32);

  constructor(vcpu: SecurableVcpu, token: number, args: readonly number[]) {
    const nothing = () => undefined;
    super(vcpu, { windowOf: nothing, secure: () => true, startOf: nothing, refused: nothing });
    this.registers[3] = BigInt(token);
    args.forEach((value, i) => {
      this.registers[4 + i] = BigInt(value);
    });
  }
  override get problemState(): boolean {
    return false;
  }
  override get msr(): bigint {
    return MSR.SF | MSR.S;
  }
  override get nia(): bigint {
    return 0n;
  }
  override gpr(n: number): bigint {
    return this.registers[n];
  }
  override setGpr(n: number, value: bigint): void {
    this.registers[n] = value;
  }
}
