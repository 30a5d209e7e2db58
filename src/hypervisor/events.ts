// What the hypervisor tells those who watch it. A member that is absent costs one property test per occasion: the event
// object is only built when somebody listens.

export interface HcallEvent {
  readonly vcpu: number;
  readonly token: bigint;
  readonly name: string;
  /** r4 and up as the guest passed them, as many as the call has. */
  readonly args: readonly bigint[];
  /** The code in r3, or undefined when the call left the register to a system reset. */
  readonly status: number | undefined;
}

export interface RtasEvent {
  readonly vcpu: number;
  readonly token: number;
  readonly name: string;
  readonly args: readonly number[];
  /** Undefined for a service that does not return. */
  readonly status: number | undefined;
}

export interface ConsoleEvent {
  readonly unit: number;
  readonly direction: 'from-guest' | 'to-guest';
  readonly bytes: Uint8Array;
}

export interface InterruptEvent {
  /** 'present': the line of the server rises; 'accept': H_XIRR took it; 'end': H_EOI. */
  readonly action: 'present' | 'accept' | 'end';
  readonly server: number;
  readonly irq: number;
  readonly priority: number;
}

/** One character for the operator panel (RTAS display-character). */
export interface PanelEvent {
  readonly vcpu: number;
  readonly character: number;
}

/** Assign or clear members at any time. */
export interface HypervisorEvents {
  hcall?: ((event: HcallEvent) => void) | undefined;
  rtas?: ((event: RtasEvent) => void) | undefined;
  console?: ((event: ConsoleEvent) => void) | undefined;
  interrupt?: ((event: InterruptEvent) => void) | undefined;
  panel?: ((event: PanelEvent) => void) | undefined;
}
