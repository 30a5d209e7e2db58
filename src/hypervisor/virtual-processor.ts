// What the hypervisor keeps for each virtual CPU: whether it was prodded, the areas it registered (VPA, dispatch trace
// log, SLB shadow) and the dispatch accounting that those areas carry. LoPAR, Shared Processor LPAR Option.
//
// The dispatch count is even while the vCPU has a processor and odd while it waits for one. Guest memory only gets a copy.

import type { AccessOrigin, HostView } from '../memory/host-view.ts';
import type { VcpuPort } from './vcpu-port.ts';

/** Offsets in the per virtual processor area (LoPAR, Per Virtual Processor Area); all fields are big-endian. */
export const VPA = {
  size: 0x04,
  status: 0x09,
  traceLogMask: 0xb8,
  dispatchCount: 0x100,
  dispersion: 0x104,
  waitForProcessor: 0x158,
  waitForCapacity: 0x160,
  waitForReady: 0x168,
  traceLogIndex: 0x218,
  minBytes: 640,
} as const;

/** VPA status bit: the processors of this partition are shared. */
export const VPA_STATUS_SHARED = 0x02;

export const TRACE_ENTRY_BYTES = 48;

/** Why a vCPU goes on (dispatch trace log, byte 0). */
export const DISPATCHED = { external: 0, prod: 2, decrementer: 3, systemReset: 4, conferred: 6, timeSlice: 7 } as const;
export type DispatchReason = (typeof DISPATCHED)[keyof typeof DISPATCHED];

/** Why it stopped (dispatch trace log, byte 1), and the bit of the enable mask (VPA 0xb8) that asks for such entries. */
const WAITED = {
  ceded: { code: 2, mask: 0x01, voluntary: true },
  conferred: { code: 3, mask: 0x01, voluntary: true },
  preempted: { code: 4, mask: 0x02, voluntary: false },
} as const;
type WaitReason = keyof typeof WAITED;

const DISPATCH: AccessOrigin = { kind: 'hcall', name: 'virtual processor dispatch' };

/** An area of RAM the guest registered. */
export interface RegisteredArea {
  readonly gra: number;
  readonly sizeBytes: number;
}

export class VirtualProcessor {
  readonly port: VcpuPort;
  /** H_PROD arrived while the vCPU was running. */
  prodded = false;
  /** Waits in H_JOIN. */
  joined = false;
  vpa: RegisteredArea | undefined;
  traceLog: RegisteredArea | undefined;
  slbShadow: RegisteredArea | undefined;

  private readonly view: HostView;
  private readonly timebase: () => bigint;
  private dispatches = 0;
  private waitReason: WaitReason = 'preempted';
  private waitSince = 0n;
  private waitForProcessor = 0n;
  private waitForReady = 0n;
  private traceIndex = 0n;

  constructor(port: VcpuPort, view: HostView, timebase: () => bigint) {
    this.port = port;
    this.view = view;
    this.timebase = timebase;
  }

  get id(): number {
    return this.port.id;
  }
  /** Even: has a processor. 32-bit unsigned. */
  get dispatchCount(): number {
    return this.dispatches;
  }
  get waiting(): boolean {
    return this.port.state === 'ceded' || this.port.state === 'conferred';
  }

  registerVpa(area: RegisteredArea, shared: boolean, origin: AccessOrigin): void {
    this.vpa = area;
    if (shared) {
      const status = this.view.loadU8(area.gra + VPA.status, origin);
      this.view.storeU8(area.gra + VPA.status, status | VPA_STATUS_SHARED, origin);
    }
    this.view.storeU32BE(area.gra + VPA.dispersion, 0, origin);
    this.view.storeU64BE(area.gra + VPA.waitForCapacity, 0n, origin);
    this.view.storeU64BE(area.gra + VPA.traceLogIndex, 0n, origin);
    this.publish(origin);
  }

  registerTraceLog(area: RegisteredArea, origin: AccessOrigin): void {
    this.traceLog = area;
    this.traceIndex = 0n;
    if (this.vpa) this.view.storeU64BE(this.vpa.gra + VPA.traceLogIndex, 0n, origin);
  }

  /** Sleeps until an interrupt or H_PROD. */
  cede(reason: 'ceded' | 'conferred' = 'ceded'): void {
    this.port.cede();
    this.leave(reason);
  }

  /** Sleeps until H_PROD or a system reset. */
  confer(): void {
    this.port.confer();
    this.leave('conferred');
  }

  /** The scheduler takes the processor away although the vCPU could go on. */
  preempt(): void {
    if (this.port.state === 'running') this.leave('preempted');
  }

  /** Ends a wait. The dispatch consumes nothing: a prod that ended it was never latched. */
  wake(reason: DispatchReason): void {
    if (this.waiting) this.port.wake();
    this.joined = false;
    this.dispatch(reason);
  }

  /** The vCPU gets a processor. Harmless if it has one. */
  dispatch(reason: DispatchReason): void {
    if (this.dispatches % 2 === 0) return;
    this.dispatches = (this.dispatches + 1) >>> 0;
    const now = this.timebase();
    const waited = now > this.waitSince ? now - this.waitSince : 0n;
    if (WAITED[this.waitReason].voluntary) this.waitForReady += waited;
    else this.waitForProcessor += waited;
    this.publish(DISPATCH);
    this.trace(reason, now, waited);
  }

  prod(): void {
    if (this.waiting) this.wake(DISPATCHED.prod);
    else this.prodded = true;
  }

  /** True, once, if H_PROD came before the vCPU went to sleep. */
  consumeProd(): boolean {
    const was = this.prodded;
    this.prodded = false;
    return was;
  }

  /** Enters the RTAS stopped state. Registered areas stay: Linux re-uses them when the CPU comes back. */
  stop(): void {
    this.leave('preempted');
    this.port.stop();
  }

  start(nia: number, r3: bigint): void {
    this.prodded = false;
    this.joined = false;
    this.port.start(nia, r3);
    this.dispatch(DISPATCHED.systemReset);
  }

  reset(): void {
    this.prodded = false;
    this.joined = false;
    this.vpa = undefined;
    this.traceLog = undefined;
    this.slbShadow = undefined;
    this.dispatches = 0;
    this.waitReason = 'preempted';
    this.waitSince = 0n;
    this.waitForProcessor = 0n;
    this.waitForReady = 0n;
    this.traceIndex = 0n;
  }

  private leave(reason: WaitReason): void {
    if (this.dispatches % 2 !== 0) return;
    this.dispatches = (this.dispatches + 1) >>> 0;
    this.waitReason = reason;
    this.waitSince = this.timebase();
    if (this.vpa) this.view.storeU32BE(this.vpa.gra + VPA.dispatchCount, this.dispatches, DISPATCH);
  }

  private publish(origin: AccessOrigin): void {
    if (!this.vpa) return;
    const { gra } = this.vpa;
    this.view.storeU32BE(gra + VPA.dispatchCount, this.dispatches, origin);
    this.view.storeU64BE(gra + VPA.waitForProcessor, BigInt.asUintN(64, this.waitForProcessor), origin);
    this.view.storeU64BE(gra + VPA.waitForReady, BigInt.asUintN(64, this.waitForReady), origin);
  }

  /** LoPAR, Dispatch Trace Log Buffer Entry. */
  private trace(reason: DispatchReason, now: bigint, waited: bigint): void {
    if (!this.vpa || !this.traceLog) return;
    const cause = WAITED[this.waitReason];
    if ((this.view.loadU8(this.vpa.gra + VPA.traceLogMask, DISPATCH) & cause.mask) === 0) return;
    const entries = BigInt(Math.floor(this.traceLog.sizeBytes / TRACE_ENTRY_BYTES));
    const entry = new DataView(new ArrayBuffer(TRACE_ENTRY_BYTES));
    const ticks = waited > 0xffff_ffffn ? 0xffff_ffff : Number(waited);
    entry.setUint8(0x00, reason);
    entry.setUint8(0x01, cause.code);
    entry.setUint16(0x02, this.id & 0xffff);
    entry.setUint32(0x04, cause.voluntary ? 0 : ticks);
    entry.setUint32(0x0c, cause.voluntary ? ticks : 0);
    entry.setBigUint64(0x10, BigInt.asUintN(64, now));
    entry.setBigUint64(0x20, this.port.nia);
    entry.setBigUint64(0x28, this.port.msr);
    const at = this.traceLog.gra + Number(this.traceIndex % entries) * TRACE_ENTRY_BYTES;
    this.view.write(at, new Uint8Array(entry.buffer), DISPATCH);
    this.traceIndex = BigInt.asUintN(64, this.traceIndex + 1n);
    this.view.storeU64BE(this.vpa.gra + VPA.traceLogIndex, this.traceIndex, DISPATCH);
  }
}

/** The partition's vCPUs by interrupt server number. */
export class VirtualProcessors {
  readonly all: readonly VirtualProcessor[];
  private readonly byId: Map<number, VirtualProcessor>;

  constructor(all: readonly VirtualProcessor[]) {
    this.all = all;
    this.byId = new Map(all.map((processor) => [processor.id, processor]));
  }

  /** `id` as it stands in a register or cell, or undefined if the partition has no such processor. */
  find(id: bigint | number): VirtualProcessor | undefined {
    return id <= Number.MAX_SAFE_INTEGER ? this.byId.get(Number(id)) : undefined;
  }
}
