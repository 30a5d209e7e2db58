// Runs one instruction on the interpreter, for unit tests of semantics: registers in, registers out.

import { CpuCore, type Vcpu } from '../../src/cpu/interpreter/core.ts';
import { encodeFields } from '../../src/cpu/isa/decode.ts';
import { instruction } from '../../src/cpu/isa/table.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';
import { MSR } from '../../src/cpu/state/msr.ts';
import { randomWords } from './random.ts';

/** Size of memory, from address 0; it is zero where the setup says nothing else. */
export const RAM_BYTES = 0x2_0000;
const CODE = 0x100;

let core: CpuCore | undefined;

export interface Setup {
  readonly gpr?: Readonly<Record<number, bigint>>;
  /** VSX registers 0 to 63 as 128-bit numbers; VMX register n is 32 + n. */
  readonly vsr?: Readonly<Record<number, bigint>>;
  readonly cr?: number;
  readonly vscrSat?: number;
  readonly vscrNj?: number;
  readonly fpscr?: bigint;
  readonly bigEndian?: boolean;
  /** Bytes in memory by address. */
  readonly memory?: Readonly<Record<number, readonly number[]>>;
}

export interface Result {
  readonly vcpu: Vcpu;
  vsr(index: number): bigint;
  gpr(index: number): bigint;
  memory(address: number, lenBytes: number): number[];
}

/** Executes `op` with its `fields` once; throws if it was not completed. */
export function execute(op: string, fields: Readonly<Record<string, number>>, setup: Setup = {}): Result {
  core ??= new CpuCore({ semantics, ramBytes: RAM_BYTES, cpus: 1 });
  const vcpu = core.vcpus[0];
  vcpu.clear();
  const order = setup.bigEndian ? 0n : MSR.LE;
  vcpu.set64('msr', MSR.SF | MSR.FP | MSR.VEC | MSR.VSX | order);
  // The byte order of instructions may have changed.
  core.flushTranslations();
  const code = new DataView(new ArrayBuffer(4));
  code.setUint32(0, encodeFields(instruction(op), fields), !setup.bigEndian);
  core.memory.write(0x1000, new Uint8Array(RAM_BYTES - 0x1000));
  core.memory.write(CODE, new Uint8Array(code.buffer));
  for (const [address, bytes] of Object.entries(setup.memory ?? {}))
    core.memory.write(Number(address), Uint8Array.from(bytes));
  for (const [index, value] of Object.entries(setup.gpr ?? {})) vcpu.set64('gpr', value, Number(index));
  for (const [index, value] of Object.entries(setup.vsr ?? {})) {
    vcpu.setVsr(Number(index), 0, BigInt.asUintN(64, value >> 64n));
    vcpu.setVsr(Number(index), 1, BigInt.asUintN(64, value));
  }
  vcpu.cr = setup.cr ?? 0;
  vcpu.set32('vscrSat', setup.vscrSat ?? 0);
  vcpu.set32('vscrNj', setup.vscrNj ?? 0);
  vcpu.set64('fpscr', setup.fpscr ?? 0n);
  vcpu.set64('nia', BigInt(CODE));
  const { reason, executed } = core.run(0, 1, 0n);
  const nia = vcpu.get64('nia');
  if (executed !== 1 || nia !== BigInt(CODE + 4))
    throw new Error(`${op} was not completed: exit ${reason}, next instruction at 0x${nia.toString(16)}`);
  const ram = core.ramBytesView();
  return {
    vcpu,
    vsr: (index) => (vcpu.vsr(index, 0) << 64n) | vcpu.vsr(index, 1),
    gpr: (index) => vcpu.get64('gpr', index),
    memory: (address, lenBytes) => [...ram.subarray(address, address + lenBytes)],
  };
}

/** Those of `fields` that the instruction has, for calls of several instructions with different operands. */
export function operandsOf(op: string, fields: Readonly<Record<string, number>>): Record<string, number> {
  const known = instruction(op).fields;
  return Object.fromEntries(Object.entries(fields).filter(([name]) => known.has(name)));
}

/** Elements of a vector, `bits` wide, in the ISA's order. */
export function elements(vector: bigint, bits: number): bigint[] {
  const out: bigint[] = [];
  for (let at = 128 - bits; at >= 0; at -= bits) out.push(BigInt.asUintN(bits, vector >> BigInt(at)));
  return out;
}
/** The vector of the elements, taken modulo their width. */
export function fromElements(list: readonly bigint[], bits: number): bigint {
  return list.reduce((all, element) => (all << BigInt(bits)) | BigInt.asUintN(bits, element), 0n);
}
/** The vector of 16 bytes in the ISA's order. */
export function fromBytes(bytes: readonly number[]): bigint {
  return fromElements(bytes.map(BigInt), 8);
}

/** Endless 128-bit vectors whose elements of 8 to 64 bits often lie at an edge of their range; the same seed, the same ones. */
export function randomVectors(seed: number): () => bigint {
  const next = randomWords(seed);
  const edges = [0n, 1n, 2n, -1n, -2n];
  return () => {
    const bits = 8 << (next() % 4);
    const top = 1n << BigInt(bits - 1);
    const list = Array.from({ length: 128 / bits }, () => {
      const random = (BigInt(next()) << 32n) | BigInt(next());
      const kind = next() % 16;
      if (kind < 5) return edges[kind];
      return kind === 5 ? top : kind === 6 ? top - 1n : kind === 7 ? BigInt(next() % 32) : random;
    });
    return fromElements(list, bits);
  };
}
