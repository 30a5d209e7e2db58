// A vCPU of the CPU core as the hypervisor sees it.

import type { CpuCore, Vcpu } from '../cpu/interpreter/core.ts';
import { MSR, VECTOR } from '../cpu/state/msr.ts';
import type { VcpuPort, VcpuState } from '../hypervisor/vcpu-port.ts';
import type { GuestCpu } from '../ultravisor/ports.ts';

/** POWER9 DD2.3, as QEMU's model 2.0 reports it: what `PVR` reads (ISA 3.0B III 4.3.1). */
export const PVR_POWER9 = 0x004e1203n;
/** PPR after reset: medium priority. */
const PPR_MEDIUM = 0x0010_0000_0000_0000n;
const DECREMENTER_AT_START = 0x7fff_ffffn;

/** What an adapter needs of the machine around it. */
export interface VcpuHost {
  timebase(): bigint;
  /** Something may have made a waiting vCPU runnable, or a running one stop. */
  rescheduled(): void;
  preferNext(id: number): void;
}

export class VcpuAdapter implements VcpuPort, GuestCpu {
  readonly id: number;
  state: VcpuState = 'stopped';
  private readonly core: CpuCore;
  private readonly vcpu: Vcpu;
  private readonly host: VcpuHost;

  constructor(core: CpuCore, id: number, host: VcpuHost) {
    this.core = core;
    this.id = id;
    this.vcpu = core.vcpus[id];
    this.host = host;
  }

  get problemState(): boolean {
    return (this.msr & MSR.PR) !== 0n;
  }
  get externalEnabled(): boolean {
    return (this.msr & MSR.EE) !== 0n;
  }
  get nia(): bigint {
    return this.vcpu.get64('nia');
  }
  get msr(): bigint {
    return this.vcpu.get64('msr');
  }
  get processId(): bigint {
    return this.vcpu.get64('pidr');
  }
  gpr(n: number): bigint {
    return this.vcpu.get64('gpr', n);
  }
  setGpr(n: number, value: bigint): void {
    this.vcpu.set64('gpr', value, n);
  }
  get active(): boolean {
    return this.state !== 'stopped';
  }
  /** Goes on at `nia` with `msr`; for the ultravisor. */
  redirect(nia: bigint, msr: bigint): void {
    this.vcpu.set64('nia', nia);
    this.vcpu.set64('msr', msr);
    this.core.flushTranslations();
  }
  setExternalEnabled(): void {
    this.vcpu.set64('msr', this.msr | MSR.EE);
  }
  setSprg0(value: bigint): void {
    this.vcpu.set64('sprg', value, 0);
  }
  setExternalInterruptLine(asserted: boolean): void {
    this.vcpu.set32('externalLine', asserted ? 1 : 0);
    if (asserted) this.host.rescheduled();
  }
  interruptPending(): boolean {
    return this.vcpu.get32('externalLine') !== 0 || this.decrementerDelay(this.host.timebase()) <= 0n;
  }
  /** Timebase ticks until the decrementer interrupt becomes pending; 0 or less if it is. */
  decrementerDelay(now: bigint): bigint {
    return BigInt.asIntN(64, this.vcpu.get64('decExpiry') + 1n - now);
  }

  cede(): void {
    this.state = 'ceded';
  }
  confer(): void {
    this.state = 'conferred';
  }
  wake(): void {
    this.state = 'running';
    this.host.rescheduled();
  }
  yieldSlice(target: number | undefined): void {
    if (target !== undefined) this.host.preferNext(target);
    this.host.rescheduled();
  }
  stop(): void {
    this.state = 'stopped';
  }
  /** `secureBit` is MSR[S] for a vCPU of a secure VM. */
  start(nia: number, r3: bigint, secureBit = 0n): void {
    const little = this.vcpu.get32('interruptLittleEndian');
    const location = this.vcpu.get32('interruptLocation');
    const line = this.vcpu.get32('externalLine');
    this.reset();
    this.vcpu.set32('interruptLittleEndian', little);
    this.vcpu.set32('interruptLocation', location);
    this.vcpu.set32('externalLine', line);
    this.vcpu.set64('msr', MSR.SF | MSR.ME | secureBit);
    this.vcpu.set64('nia', BigInt(nia));
    this.setGpr(3, r3);
    this.wake();
  }
  systemReset(vector: number): void {
    this.core.interrupt(this.id, VECTOR.systemReset);
    this.vcpu.set64('nia', BigInt(vector));
  }

  /** Registers as after power-on, stopped. */
  reset(): void {
    this.vcpu.clear();
    this.vcpu.set64('pvr', PVR_POWER9);
    this.vcpu.set64('pir', BigInt(this.id));
    this.vcpu.set64('ppr', PPR_MEDIUM);
    this.vcpu.set64('decExpiry', this.host.timebase() + DECREMENTER_AT_START);
    this.state = 'stopped';
  }
}
