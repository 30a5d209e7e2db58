// Work for the host: rare instructions whose arithmetic is long and whose speed nobody waits for (quad precision,
// decimal). They are written with BigInt, take their operands from the `scratch` vector registers of the register block
// and leave results there. FPSCR, CR and the like are reached through the block as well.

import { assert } from '../../util/errors.ts';

/** The register block as a host function sees it. Vectors are 128-bit numbers, element 0 in the upper bits. */
export interface HostCallState {
  scratch(index: number): bigint;
  setScratch(index: number, value: bigint): void;
  /** FPSCR as a 64-bit number. */
  fpscr: bigint;
  /** CR field as a 4-bit number. */
  crField(index: number): number;
  setCrField(index: number, value: number): void;
}

export interface HostCall {
  readonly name: string;
  readonly run: (state: HostCallState) => void;
}

const named = new Map<string, HostCall>();

/** Defines a host call; no two have the same name. */
export function hostCall(name: string, run: (state: HostCallState) => void): HostCall {
  assert(!named.has(name), `two host calls are called ${name}`);
  const call = { name, run };
  named.set(name, call);
  return call;
}

/** The host call of that name, if what defines it has been imported. */
export function hostCallNamed(name: string): HostCall | undefined {
  return named.get(name);
}
