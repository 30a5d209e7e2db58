// Hypercalls as data: token, name, how many registers go in and come out, and what to do. A layer that reflects calls on
// behalf of a secure guest reads the register counts here to know what to scrub.

import type { AccessOrigin, HostView } from '../memory/host-view.ts';
import { assert } from '../util/errors.ts';
import type { VcpuPort } from './vcpu-port.ts';

/** One call being served. */
export interface Hcall {
  readonly vcpu: VcpuPort;
  /** To be named in every access to guest memory made on behalf of this call. */
  readonly origin: AccessOrigin;
  /** Where an RTAS call that an ultravisor passes on has its block and buffers. */
  readonly carried?: HostView | undefined;
  /** Argument `n` from 0, that is r4+n, as an unsigned 64-bit value. */
  arg(n: number): bigint;
  /** Sets output `n` from 0, that is r4+n; `value` is taken modulo 2^64. */
  result(n: number, value: bigint): void;
}

export interface HcallDefinition {
  readonly token: number;
  readonly name: string;
  /** Argument registers read, from r4 up; 0 to 9. */
  readonly inputs: number;
  /** Result registers written, from r4 up; 0 to 9. */
  readonly outputs: number;
  /** The string in `ibm,hypertas-functions` that tells the guest of this call, if there is one to advertise. */
  readonly functionSet?: string;
  /** The code for r3, or undefined when the handler has settled r3 itself. */
  readonly handler: (call: Hcall) => number | undefined;
  readonly ref: string;
}

export interface HcallEntry {
  readonly definition: HcallDefinition;
  readonly origin: AccessOrigin;
}

/** Numbers between a hypervisor and its own firmware stubs need not be multiples of 4. */
function isPrivate(token: number): boolean {
  return token >= 0xf000 && token <= 0xf00f;
}

/** Tokens are unique; registering one twice is a bug of ours and stops the machine at construction. */
export class HcallTable {
  private readonly entries = new Map<number, HcallEntry>();

  add(definition: HcallDefinition): void {
    const hex = `0x${definition.token.toString(16)}`;
    const taken = this.entries.get(definition.token);
    assert(!taken, `hypercall token ${hex} registered twice: ${taken?.definition.name} and ${definition.name}`);
    const architected = definition.token > 0 && definition.token % 4 === 0;
    assert(architected || isPrivate(definition.token), `hypercall token ${hex} is neither architected nor private`);
    this.entries.set(definition.token, { definition, origin: { kind: 'hcall', name: definition.name } });
  }

  /** `token` as found in r3, all 64 bits significant. */
  find(token: bigint): HcallEntry | undefined {
    return token <= 0xffff_ffffn ? this.entries.get(Number(token)) : undefined;
  }

  /** All definitions by ascending token. */
  definitions(): HcallDefinition[] {
    return [...this.entries.values()].map((entry) => entry.definition).sort((a, b) => a.token - b.token);
  }
}
