// Vector instructions on the interpreter against the BigInt model: results, sticky bits, and the two ways giving the same.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eagerRegionOptions } from '../../../../tests/support/eager-regions.ts';
import { execute } from '../../../../tests/support/execute-one.ts';
import { floatOperands } from '../../../../tests/support/float-operands.ts';
import { randomWords } from '../../../../tests/support/random.ts';
import { fusesMultiplyAdd, pretendFusing } from '../../../wasm/fused.ts';
import { RegionCache } from '../../compiler/cache.ts';
import { CpuCore } from '../../interpreter/core.ts';
import { encodeFields } from '../../isa/decode.ts';
import { instruction } from '../../isa/table.ts';
import { MSR } from '../../state/msr.ts';
import { semantics } from '../index.ts';
import * as big from './big-float.ts';
import { EXCEPTIONS, FPSCR, VX_ALL } from './fpscr.ts';

const rounds = Number(process.env.FPU_ROUNDS ?? 500);
/** Who executes: the interpreter, regions without the engine's own multiply-add, and with it where there is one. */
const ways = fusesMultiplyAdd()
  ? (['interpreted', 'compiled', 'compiled and fused'] as const)
  : (['interpreted', 'compiled'] as const);
const machine = { semantics, ramBytes: 1 << 16, cpus: 1 };
const eager = {
  ...eagerRegionOptions,
  patience: Number.POSITIVE_INFINITY,
  maxInstructions: 1,
};
const coreOf = (way: (typeof ways)[number]) =>
  new CpuCore(way === 'interpreted' ? machine : { ...machine, regions: (host) => new RegionCache(host, eager) });
let core = coreOf('interpreted');
let vcpu = core.vcpus[0];
const CODE = 0x1000;
const [T, A, B] = [40, 41, 42];

function load(op: string): void {
  const fields: Record<string, number> = { xt: T, xa: A, xb: B };
  for (const name of Object.keys(fields)) if (!instruction(op).fields.has(name)) delete fields[name];
  // A branch to the instruction, so that it is arrived at.
  const code = new DataView(new ArrayBuffer(8));
  code.setUint32(0, encodeFields(instruction('b'), { li: 1 }), true);
  code.setUint32(4, encodeFields(instruction(op), fields), true);
  core.memory.write(CODE, new Uint8Array(code.buffer));
  vcpu.set64('msr', MSR.SF | MSR.LE | MSR.VSX);
}
function set(register: number, value: bigint): void {
  vcpu.setVsr(register, 0, value >> 64n);
  vcpu.setVsr(register, 1, BigInt.asUintN(64, value));
}
function run(t: bigint, a: bigint, b: bigint, fpscr: number): { value: bigint; fpscr: number } {
  set(T, t);
  set(A, a);
  set(B, b);
  vcpu.set64('fpscr', BigInt(fpscr >>> 0));
  vcpu.set64('nia', BigInt(CODE));
  core.run(0, 2, 0n);
  return { value: (vcpu.vsr(T, 0) << 64n) | vcpu.vsr(T, 1), fpscr: Number(vcpu.get64('fpscr')) };
}

type Model = (f: big.BinaryFormat, env: big.Environment, a: bigint, b: bigint, t: bigint) => bigint;
const models: Readonly<Record<string, Model>> = {
  xvadd: (f, env, a, b) => big.add(f, env, a, b),
  xvsub: (f, env, a, b) => big.add(f, env, a, b, true),
  xvmul: (f, env, a, b) => big.multiply(f, env, a, b),
  xvdiv: (f, env, a, b) => big.divide(f, env, a, b),
  xvsqrt: (f, env, _a, b) => big.squareRoot(f, env, b),
  xvmadda: (f, env, a, b, t) => big.multiplyAdd(f, env, a, b, t),
  xvmsuba: (f, env, a, b, t) => big.multiplyAdd(f, env, a, b, t, true),
  xvnmaddm: (f, env, a, b, t) => big.multiplyAdd(f, env, a, t, b, false, true),
  xvnmsubm: (f, env, a, b, t) => big.multiplyAdd(f, env, a, t, b, true, true),
};

function elements(value: bigint, bits: bigint): bigint[] {
  return Array.from({ length: Number(128n / bits) }, (_, i) =>
    BigInt.asUintN(Number(bits), value >> (128n - bits * BigInt(i + 1))),
  );
}
const hex = (value: bigint) => value.toString(16).padStart(32, '0');

describe('vector instructions against the BigInt model', () => {
  for (const [stem, model] of Object.entries(models)) {
    for (const [suffix, format, bits] of [
      ['dp', big.BINARY64, 64n],
      ['sp', big.BINARY32, 32n],
    ] as const) {
      const op = stem + suffix;
      it(op, () => {
        load(op);
        const next = floatOperands(BigInt(op.length * 41 + op.charCodeAt(2)));
        const narrow = (x: bigint) =>
          big.convert(big.BINARY64, format, { mode: 1, overflowEnabled: false, underflowEnabled: false, raised: 0 }, x);
        const vector = () => {
          let value = 0n;
          for (let i = 0n; i < 128n; i += bits) value = (value << bits) | narrow(next());
          return value;
        };
        for (let i = 0; i < rounds; i++) {
          const [t, a, b] = [vector(), vector(), vector()];
          const mode = i & 4 ? (i >> 3) & 3 : 0;
          const before = mode | (i & 1 ? FPSCR.FX | FPSCR.XX : 0) | 0x0006_5000;
          const env: big.Environment = { mode, overflowEnabled: false, underflowEnabled: false, raised: 0 };
          const [ts, as, bs] = [t, a, b].map((v) => elements(v, bits));
          const value = ts.reduce((all, x, j) => (all << bits) | model(format, env, as[j], bs[j], x), 0n);
          const raised = env.raised & EXCEPTIONS;
          const low = before | raised | (raised & ~before ? FPSCR.FX : 0) | (raised & VX_ALL ? FPSCR.VX : 0);
          const got = run(t, a, b, before);
          if (got.value !== value || got.fpscr !== low >>> 0) {
            expect.fail(
              `${op}(t ${hex(t)}, a ${hex(a)}, b ${hex(b)}; FPSCR ${(before >>> 0).toString(16)}): ` +
                `${hex(got.value)} ${got.fpscr.toString(16)}, wanted ${hex(value)} ${(low >>> 0).toString(16)}`,
            );
          }
        }
      });
    }
  }

  it('writes no element when one meets an enabled exception', () => {
    load('xvdivdp');
    const old = 0x1234n;
    const ones = (0x3ffn << 116n) | (0x3ffn << 52n);
    const { value, fpscr } = run(old, ones, 0x3ffn << 116n, FPSCR.ZE);
    expect(value).toBe(old);
    expect(fpscr).toBe((FPSCR.FX | FPSCR.FEX | FPSCR.ZX | FPSCR.ZE) >>> 0);
  });

  it('records compares in CR6, NaNs being unordered', () => {
    load('xvcmpgtsp');
    const { vsr, vcpu: after } = execute(
      'xvcmpgtsp',
      { xt: T, xa: A, xb: B, rc: 1 },
      { vsr: { [A]: 0x40000000_40000000_40000000_7fc00000n, [B]: 0x3f800000_3f800000_3f800000_3f800000n } },
    );
    expect(vsr(T)).toBe(0xffffffff_ffffffff_ffffffff_00000000n);
    expect(after.get32('cr', 6)).toBe(0);
    expect(after.get64('fpscr')).toBe(BigInt((FPSCR.FX | FPSCR.VX | FPSCR.VXVC) >>> 0));
  });
});

/** Numbers at which something changes: zeros, denormals, the ends of the normal range, what cancels, halves, NaNs. */
const boundaries = {
  32: [0x0, 0x1, 0x7fffff, 0x800000, 0x800001, 0xffffff, 0x1000000, 0x1f800000, 0x20000000, 0x33800000, 0x3f000000]
    .concat([0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fc00000, 0x4b000001, 0x4b800000, 0x4b800001, 0x5f800000])
    .concat([0x7effffff, 0x7f7fffff, 0x7f800000, 0x7fc00001, 0x7f800002])
    .map(BigInt),
  64: [0x0n, 0x1n, 0xfffffffffffffn, 0x10000000000000n, 0x10000000000001n, 0x20000000000000n, 0x1ff8000000000000n]
    .concat([0x3ca0000000000000n, 0x3fe0000000000000n, 0x3fefffffffffffffn, 0x3ff0000000000000n, 0x3ff0000000000001n])
    .concat([0x3ff8000000000000n, 0x4340000000000000n, 0x4340000000000001n, 0x4341000008000000n, 0x5ff0000000000000n])
    .concat([0x7fdfffffffffffffn, 0x7fefffffffffffffn, 0x7ff0000000000000n, 0x7ff8000000000001n, 0x7ff0000000000002n]),
};

describe.each(ways)('vector instructions at the boundaries, %s', (way) => {
  beforeAll(() => {
    pretendFusing(way === 'compiled and fused');
    core = coreOf(way);
    vcpu = core.vcpus[0];
  });
  afterAll(() => {
    if (way !== 'interpreted') expect(core.instructionsInRegions()).toBeGreaterThan(rounds);
    pretendFusing(undefined);
    core = coreOf('interpreted');
    vcpu = core.vcpus[0];
  });
  for (const [stem, model] of Object.entries(models)) {
    for (const [suffix, format, bits] of [
      ['dp', big.BINARY64, 64],
      ['sp', big.BINARY32, 32],
    ] as const) {
      const op = stem + suffix;
      it(op, () => {
        load(op);
        const random = randomWords(op.length * 17 + op.charCodeAt(3) + bits);
        const list = boundaries[bits];
        const width = BigInt(bits);
        // One element at a boundary or all, the others being small whole numbers: what others do must not hide it.
        const vector = (all: boolean) => {
          const special = random() % (128 / bits);
          let value = 0n;
          for (let i = 0; i < 128 / bits; i++) {
            const sign = BigInt(random() & 1) << (width - 1n);
            const plain = bits === 64 ? (0x3ffn + BigInt(random() % 8)) << 52n : BigInt(0x7f + (random() % 8)) << 23n;
            value = (value << width) | sign | (all || i === special ? list[random() % list.length] : plain);
          }
          return value;
        };
        for (let i = 0; i < rounds; i++) {
          const all = i % 3 === 0;
          const [t, a, b] = [vector(all), vector(all), vector(all)];
          const enables = i % 4 === 1 ? (random() & 0x1f) << 3 : 0;
          const before = ((i & 2 ? FPSCR.FX | FPSCR.XX : 0) | 0x0006_5000 | enables) >>> 0;
          const enabled = (bit: number) => (enables & bit) !== 0;
          const env: big.Environment = {
            mode: 0,
            overflowEnabled: enabled(FPSCR.OE),
            underflowEnabled: enabled(FPSCR.UE),
            raised: 0,
          };
          const [ts, as, bs] = [t, a, b].map((v) => elements(v, width));
          const computed = ts.reduce((sum, x, j) => (sum << width) | model(format, env, as[j], bs[j], x), 0n);
          const raised = env.raised & EXCEPTIONS;
          const kinds = (word: number) => word | (word & VX_ALL ? FPSCR.VX : 0);
          const due = (word: number) => ((kinds(word) >>> 22) & enables & 0xf8) !== 0;
          let low = kinds(before | raised) | (raised & ~before ? FPSCR.FX : 0);
          if (due(low)) low |= FPSCR.FEX;
          const value = due(raised) ? t : computed;
          const got = run(t, a, b, before);
          if (got.value !== value || got.fpscr !== low >>> 0) {
            expect.fail(
              `${op}(t ${hex(t)}, a ${hex(a)}, b ${hex(b)}; FPSCR ${before.toString(16)}): ` +
                `${hex(got.value)} ${got.fpscr.toString(16)}, wanted ${hex(value)} ${(low >>> 0).toString(16)}`,
            );
          }
        }
      });
    }
  }
});

describe('VMX single precision', () => {
  const fields = { vrt: 8, vra: 9, vrb: 10 };
  const words = (a: number, b: number, c: number, d: number) =>
    (BigInt(a) << 96n) | (BigInt(b) << 64n) | (BigInt(c) << 32n) | BigInt(d);

  it('keeps denormals, and flushes them with NJ', () => {
    const vsr = { 41: words(0x00400000, 0x80000001, 0x00800000, 0x3f800000), 42: words(0, 0, 0x80000001, 0x3f800000) };
    expect(execute('vaddfp', fields, { vsr }).vsr(40)).toBe(words(0x00400000, 0x80000001, 0x007fffff, 0x40000000));
    expect(execute('vaddfp', fields, { vsr, vscrNj: 1 }).vsr(40)).toBe(words(0, 0, 0x00800000, 0x40000000));
  });

  it('takes the first NaN, made quiet, or makes one', () => {
    const vsr = {
      41: words(0x7f800001, 0x3f800000, 0x7f800000, 0xffc00002),
      42: words(0x7fc00003, 0xff800004, 0xff800000, 0x7f800005),
    };
    expect(execute('vaddfp', fields, { vsr }).vsr(40)).toBe(words(0x7fc00001, 0xffc00004, 0x7fc00000, 0xffc00002));
  });

  it('saturates fixed-point results and says so, but not for NaNs', () => {
    const convert = (...b: [number, number, number, number]) => {
      const { vsr, vcpu: after } = execute('vctuxs', { vrt: 8, vrb: 10, uim: 1 }, { vsr: { 42: words(...b) } });
      return [vsr(40), after.get32('vscrSat')];
    };
    expect(convert(0x3fc00000, 0x7fc00000, 0xbe800000, 0)).toEqual([words(3, 0, 0, 0), 0]);
    expect(convert(0x4f000000, 0, 0, 0)).toEqual([words(0xffffffff, 0, 0, 0), 1]);
    expect(convert(0xbf000000, 0, 0, 0)).toEqual([0n, 1]);
  });

  it('estimates powers and logarithms to the last place', () => {
    const toWord = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0];
    const toNumber = (v: bigint, i: number) =>
      new Float32Array(Uint32Array.of(Number((v >> BigInt(96 - 32 * i)) & 0xffff_ffffn)).buffer)[0];
    const ulp = 2 ** -23;
    for (let i = 0; i < 200; i++) {
      const numbers = [i / 7 - 14, -i * 0.7, i * 0.61, (i + 1) ** 3 / 97].map(Math.fround);
      const b = words(...(numbers.map(toWord) as [number, number, number, number]));
      const power = execute('vexptefp', { vrt: 8, vrb: 10 }, { vsr: { 42: b } }).vsr(40);
      const logarithm = execute('vlogefp', { vrt: 8, vrb: 10 }, { vsr: { 42: b } }).vsr(40);
      numbers.forEach((x, lane) => {
        const [p, l] = [toNumber(power, lane), toNumber(logarithm, lane)];
        const wanted = Math.fround(2 ** x);
        if (Number.isFinite(wanted))
          expect(Math.abs(p - wanted)).toBeLessThanOrEqual(Math.max(wanted * ulp, 2 ** -149));
        else expect(p).toBe(Number.POSITIVE_INFINITY);
        if (x > 0) expect(Math.abs(l - Math.log2(x))).toBeLessThanOrEqual(Math.abs(Math.log2(x)) * ulp);
        else expect(x === 0 ? l === Number.NEGATIVE_INFINITY : Number.isNaN(l)).toBe(true);
      });
    }
  });
});

describe('quad precision', () => {
  const QUAD = big.BINARY128;
  const one = 0x3fffn << 112n;
  const three = (0x4000n << 112n) | (1n << 111n);
  const quad = (op: string, a: bigint, b: bigint, fpscr = 0n) => {
    const result = execute(op, { vrt: 8, vra: 9, vrb: 10 }, { vsr: { 41: a, 42: b }, fpscr });
    return { value: result.vsr(40), fpscr: result.vcpu.get64('fpscr') };
  };

  it('divides, in each rounding mode and to odd', () => {
    const third = 0x3ffd_5555_5555_5555_5555_5555_5555_5555n;
    expect(quad('xsdivqp', one, three).value).toBe(third);
    expect(quad('xsdivqp', one, three, 2n).value).toBe(third + 1n);
    expect(quad('xsdivqp', one, three, 3n).value).toBe(third);
    expect(quad('xsdivqpo', one, three).value).toBe(third);
    expect(quad('xsdivqp', one, three).fpscr).toBe(0x8202_4000n);
    expect(quad('xsdivqp', one, 0n).value).toBe(big.infinityOf(QUAD));
  });

  it('takes the square root of 2 to 113 bits', () => {
    const result = execute('xssqrtqp', { vrt: 8, vrb: 10 }, { vsr: { 42: 0x4000n << 112n } });
    expect(result.vsr(40)).toBe(0x3fff_6a09_e667_f3bc_c908_b2fb_1366_ea95n);
  });

  it('converts to and from integers and doubles', () => {
    const convert = (op: string, b: bigint) => execute(op, { vrt: 8, vrb: 10 }, { vsr: { 42: b } });
    const minus7 = BigInt.asUintN(64, -7n) << 64n;
    const quadMinus7 = 0xc001_c000n << 96n;
    expect(convert('xscvsdqp', minus7).vsr(40)).toBe(quadMinus7);
    expect(convert('xscvqpsdz', quadMinus7).vsr(40)).toBe(minus7);
    expect(convert('xscvqpudz', quadMinus7).vsr(40)).toBe(0n);
    expect(convert('xscvqpudz', quadMinus7).vcpu.get64('fpscr')).toBe(0xa000_0100n);
    expect(convert('xscvqpdp', quadMinus7).vsr(40)).toBe(0xc01cn << 112n);
    expect(convert('xscvdpqp', 0xc01cn << 112n).vsr(40)).toBe(quadMinus7);
  });

  it('compares, and rounds to integral values', () => {
    const compared = execute('xscmpuqp', { bf: 2, vra: 9, vrb: 10 }, { vsr: { 41: one, 42: three } });
    expect(compared.vcpu.get32('cr', 2)).toBe(8);
    const half = 0x3ffen << 112n;
    const rounded = (r: number, rmc: number) =>
      execute('xsrqpi', { vrt: 8, r, vrb: 10, rmc }, { vsr: { 42: one | (1n << 111n) } }).vsr(40);
    expect([rounded(0, 0), rounded(1, 0), rounded(1, 1)]).toEqual([0x4000n << 112n, 0x4000n << 112n, one]);
    expect(execute('xsrqpi', { vrt: 8, r: 1, vrb: 10, rmc: 0 }, { vsr: { 42: half } }).vsr(40)).toBe(0n);
  });
});
