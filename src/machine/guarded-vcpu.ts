// A vCPU as the hypervisor sees it in a machine with an ultravisor: itself while the guest is normal, and once it is
// secure a stand-in whose registers are those of the ultravisor's RegisterWindow (UV-API, reflected hypercalls).

import { MSR } from '../cpu/state/msr.ts';
import type { VcpuPort, VcpuState } from '../hypervisor/vcpu-port.ts';
import type { GuestCpu } from '../ultravisor/ports.ts';
import type { RegisterWindow } from '../ultravisor/register-window.ts';

/** A vCPU with all its registers, which can start in secure mode. */
export interface SecurableVcpu extends VcpuPort, GuestCpu {
  /** `secureBit` is MSR[S] for a vCPU of a secure VM. */
  start(nia: number, r3: bigint, secureBit?: bigint): void;
}

/** What the guard asks of the ultravisor. */
export interface RegisterGuard {
  windowOf(id: number): RegisterWindow | undefined;
  /** True once the VM is secure: CPUs start as the guest has asked for, with MSR[S]. */
  secure(): boolean;
  startOf(id: number, r3: bigint): { nia: bigint; r3: bigint } | undefined;
  /** The hypervisor has done what it must not do. */
  refused(what: string): void;
}

/** MSR bits that the hypervisor may see of a secure vCPU. */
const VISIBLE_MSR = MSR.SF | MSR.S | MSR.EE | MSR.PR | MSR.ME | MSR.IR | MSR.DR | MSR.RI | MSR.LE;

export class GuardedVcpu implements VcpuPort {
  readonly id: number;
  private readonly vcpu: SecurableVcpu;
  private readonly guard: RegisterGuard;

  constructor(vcpu: SecurableVcpu, guard: RegisterGuard) {
    this.id = vcpu.id;
    this.vcpu = vcpu;
    this.guard = guard;
  }

  get state(): VcpuState {
    return this.vcpu.state;
  }
  get problemState(): boolean {
    return this.vcpu.problemState;
  }
  get externalEnabled(): boolean {
    return this.vcpu.externalEnabled;
  }
  get nia(): bigint {
    return this.window?.cookie ?? this.vcpu.nia;
  }
  get msr(): bigint {
    return this.window ? this.vcpu.msr & VISIBLE_MSR : this.vcpu.msr;
  }
  gpr(n: number): bigint {
    const { window } = this;
    return window ? window.gpr(n) : this.vcpu.gpr(n);
  }
  setGpr(n: number, value: bigint): void {
    const { window } = this;
    if (window) window.setGpr(n, value);
    else this.vcpu.setGpr(n, value);
  }
  setExternalEnabled(): void {
    this.vcpu.setExternalEnabled();
  }
  setSprg0(value: bigint): void {
    this.vcpu.setSprg0(value);
  }
  setExternalInterruptLine(asserted: boolean): void {
    this.vcpu.setExternalInterruptLine(asserted);
  }
  interruptPending(): boolean {
    return this.vcpu.interruptPending();
  }
  cede(): void {
    this.vcpu.cede();
  }
  confer(): void {
    this.vcpu.confer();
  }
  wake(): void {
    this.vcpu.wake();
  }
  yieldSlice(target: number | undefined): void {
    this.vcpu.yieldSlice(target);
  }
  stop(): void {
    this.vcpu.stop();
  }
  start(nia: number, r3: bigint): void {
    if (!this.guard.secure()) {
      this.vcpu.start(nia, r3);
      return;
    }
    const wanted = this.guard.startOf(this.id, r3);
    if (wanted) this.vcpu.start(Number(wanted.nia), wanted.r3, MSR.S);
    else this.guard.refused(`start of CPU ${this.id}, which the guest has not asked for`);
  }
  systemReset(vector: number): void {
    this.vcpu.systemReset(vector);
  }

  private get window(): RegisterWindow | undefined {
    return this.guard.windowOf(this.id);
  }
}
