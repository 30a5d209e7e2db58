// What the hypervisor needs of the virtual CPUs, of the partition as a whole and of the host; the machine implements
// these. The hypervisor drives nothing else: it sees memory as a HostView and interrupts a vCPU through one line.
//
// How the scheduler and the hypervisor share the work:
//  - A vCPU whose `state` is not 'running' gets no processor time.
//  - The scheduler calls Hypervisor.beginSlice(id) before it lets a vCPU run (true: it may; a ceded vCPU with a pending
//    interrupt is woken by this call) and Hypervisor.endSlice(id) when it takes the processor away from it.
//  - An `sc 1` exit is handed to Hypervisor.hcall(vcpu) with the next instruction address already past the `sc`.

/**
 * 'ceded': asleep until an interrupt or H_PROD. 'conferred': asleep until H_PROD or a system reset, interrupts do not
 * wake it. 'stopped': the RTAS stopped state, left only by start-cpu.
 */
export type VcpuState = 'running' | 'ceded' | 'conferred' | 'stopped';

/** One virtual CPU. A layer between guest and hypervisor may pass a stand-in with scrubbed registers and the same id. */
export interface VcpuPort {
  /** Interrupt server number, the value of `ibm,ppc-interrupt-server#s`. */
  readonly id: number;
  readonly state: VcpuState;
  /** MSR[PR]. */
  readonly problemState: boolean;
  /** MSR[EE]. */
  readonly externalEnabled: boolean;
  /** Next instruction address and MSR, for the dispatch trace log only. */
  readonly nia: bigint;
  readonly msr: bigint;

  /** General register `n` as an unsigned 64-bit value. */
  gpr(n: number): bigint;
  setGpr(n: number, value: bigint): void;
  /** Sets MSR[EE] (H_CEDE). */
  setExternalEnabled(): void;
  setSprg0(value: bigint): void;

  /** The level of the external interrupt input. */
  setExternalInterruptLine(asserted: boolean): void;
  /** True if an external or decrementer interrupt is pending that a vCPU with MSR[EE]=1 would take. */
  interruptPending(): boolean;

  /** running -> 'ceded'. */
  cede(): void;
  /** running -> 'conferred'. */
  confer(): void;
  /** 'ceded' or 'conferred' -> running, going on with the next instruction. */
  wake(): void;
  /** Ends the running slice early; `target`, if given, is the vCPU the scheduler should prefer next. */
  yieldSlice(target: number | undefined): void;
  /** running -> 'stopped'. */
  stop(): void;
  /**
   * 'stopped' -> running at real address `nia` with r3 as given, r1 = r4 = 0, MSR = SF|ME (big-endian, real mode), the
   * partition-wide interrupt mode and process table in force, decrementer running (LoPAR start-cpu).
   */
  start(nia: number, r3: bigint): void;
  /** Takes a system reset interrupt at real address `vector`, whatever MSR[EE] is. The vCPU is 'running'. */
  systemReset(vector: number): void;
}

/** What acts on all vCPUs, or on the machine. */
export interface PartitionPort {
  /** LPCR[ILE] of every vCPU, stopped ones included. */
  setInterruptEndian(endian: 'big' | 'little'): void;
  /** LPCR[AIL] of every vCPU. */
  setInterruptLocation(ail: 0 | 2 | 3): void;
  /** LPCR[HR]=LPCR[UPRT]=1 and LPCR[GTSE] on every vCPU; all cached translations are dropped. Size is 2^sizeLog2 bytes. */
  registerProcessTable(baseGra: number, sizeLog2: number, gtse: boolean): void;
  deregisterProcessTable(): void;
  /** The timebase, equal on all vCPUs, in ticks of PartitionConfig.timebaseHz. */
  timebase(): bigint;
  /** Asks for one call of Hypervisor.timerExpired() once the timebase reaches `deadline`; undefined cancels. */
  setTimer(deadline: bigint | undefined): void;
  /** The host's clock, UTC milliseconds since 1970; it may carry a fraction. */
  wallClockMs(): number;
  /** 64 random bits. */
  random(): bigint;
  powerOff(): void;
  reboot(): void;
  /** The guest says that it is broken (ibm,os-term), or no vCPU is left to run. */
  guestPanic(message: string): void;
}

/** Guest real addresses that are not RAM. Values are as a big-endian load or store of `sizeBytes` sees them. */
export interface MmioPort {
  /** Undefined if nothing answers there. `sizeBytes` is 1, 2, 4 or 8; the address is aligned to it. */
  load(gra: number, sizeBytes: number): bigint | undefined;
  /** False if nothing answers there. */
  store(gra: number, sizeBytes: number, value: bigint): boolean;
}

export interface HypervisorLog {
  warn(message: string): void;
}

/** What the partition's owner chose; all of it visible to the guest. */
export interface PartitionConfig {
  readonly name: string;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** Timebase ticks per second (`timebase-frequency`). */
  readonly timebaseHz: number;
  /** Say in the VPA that processors are shared: turns on paravirtual spinlocks and the ceding idle loop in Linux. */
  readonly sharedProcessors: boolean;
}
