// What the guest did that made the hypervisor or a device reach for memory: the part of a breach report that leads a
// reader to the line of the guest's code. The machine, which sees the vCPUs, fills it in.

export type FrameKind =
  /** Where the vCPU was. */
  | 'here'
  /** In the link register: the caller, if the function has not saved it (yet). */
  | 'link'
  | 'return'
  /** Where an interrupt or system call found the kernel, or the process. */
  | 'interrupted'
  | 'process';

export interface CallFrame {
  /** Effective address of an instruction. */
  readonly address: bigint;
  readonly kind: FrameKind;
  /** False for a link register of which nobody knows whether it still holds the caller. */
  readonly certain: boolean;
  /** `name+0x10/0x80`, where the address has a name. */
  readonly symbol?: string;
}

export interface CauseDescription {
  /** The vCPU that did it. */
  readonly vcpu: number;
  /** Instructions that this vCPU had retired. */
  readonly instructions: bigint;
  /** How it left the guest: an access to a device's registers, a hypercall, an ultracall. */
  readonly by: 'mmio' | 'hcall' | 'ucall';
  /** Innermost first. */
  readonly chain: readonly CallFrame[];
}

/**
 * A token that an access carries. It says nothing: what it stands for is with the machine, and the hypervisor and the
 * devices, through whose hands it goes, must not learn where a secure guest was.
 */
export interface AccessCause {
  /** Tokens of a machine are numbered. */
  readonly number: number;
}

/** The chain in one line, for comparing and for logs. */
export function chainText(chain: readonly CallFrame[]): string {
  return chain.map(frameText).join(' < ');
}

/** `name+0x10/0x80`, or the address; with a question mark if it may be none of the chain. */
export function frameText({ address, kind, certain, symbol }: CallFrame): string {
  const place = symbol ?? `0x${address.toString(16)}`;
  const how = kind === 'interrupted' ? ' (interrupted)' : kind === 'process' ? ' (process)' : '';
  return `${place}${how}${certain ? '' : '?'}`;
}
