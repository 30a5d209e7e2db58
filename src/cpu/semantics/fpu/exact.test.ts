import { describe, expect, it } from 'vitest';
import { floatOperands } from '../../../../tests/support/float-operands.ts';
import { ModuleBuilder } from '../../../wasm/module.ts';
import { stateOffset } from '../../state/layout.ts';
import { STATE_BASE } from '../../state/memory-map.ts';
import { Runtime, type RuntimeFunction } from '../runtime.ts';
import * as big from './big-float.ts';
import {
  exactAdd,
  exactDivide,
  exactFromInteger,
  exactMultiply,
  exactMultiplyAdd,
  exactRound,
  exactRoundHalf,
  exactSquareRoot,
  exactToInteger,
  TO_INTEGER,
} from './exact.ts';
import { FPSCR } from './fpscr.ts';
import { CONTROL } from './round.ts';

const functions = {
  add: exactAdd,
  multiply: exactMultiply,
  divide: exactDivide,
  squareRoot: exactSquareRoot,
  multiplyAdd: exactMultiplyAdd,
  round: exactRound,
  roundHalf: exactRoundHalf,
  fromInteger: exactFromInteger,
  toInteger: exactToInteger,
} satisfies Record<string, RuntimeFunction>;

function instantiate() {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1);
  const runtime = new Runtime(module, module.importFunction('env', 'host', ['i32']));
  for (const [name, f] of Object.entries(functions)) module.exportFunction(name, runtime.ref(f));
  runtime.defineAll();
  const memory = new WebAssembly.Memory({ initial: 1 });
  const compiled = new WebAssembly.Module(module.encode());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory, host: () => {} } });
  const raised = new DataView(memory.buffer);
  const at = STATE_BASE + stateOffset('scratch', 7);
  return (name: keyof typeof functions, ...args: (bigint | number)[]) => {
    raised.setInt32(at, 0, true);
    const bits = BigInt.asUintN(64, (exports[name] as (...args: unknown[]) => bigint)(...args));
    return { bits, raised: raised.getInt32(at, true) };
  };
}
const call = instantiate();

const rounds = Number(process.env.FPU_ROUNDS ?? 500);
const FPSCR_ENABLES = [0, FPSCR.OE, FPSCR.UE, FPSCR.OE | FPSCR.UE];

function environment(control: number): big.Environment {
  return {
    mode: control & 3,
    overflowEnabled: (control & FPSCR.OE) !== 0,
    underflowEnabled: (control & FPSCR.UE) !== 0,
    raised: 0,
  };
}

/** The model's result rounded to single and kept as a double: done by rounding the operands' exact result once. */
type Model = (f: big.BinaryFormat, env: big.Environment, a: bigint, b: bigint, c: bigint, control: number) => bigint;

const models: { name: keyof typeof functions; operands: 1 | 2 | 3; flags: number[]; model: Model }[] = [
  {
    name: 'add',
    operands: 2,
    flags: [0, CONTROL.SUBTRACT],
    model: (f, env, a, b, _, c) => big.add(f, env, a, b, (c & CONTROL.SUBTRACT) !== 0),
  },
  { name: 'multiply', operands: 2, flags: [0], model: big.multiply },
  { name: 'divide', operands: 2, flags: [0], model: big.divide },
  { name: 'squareRoot', operands: 1, flags: [0], model: big.squareRoot },
  { name: 'round', operands: 1, flags: [0], model: (f, env, b) => big.convert(f, f, env, b) },
  {
    name: 'multiplyAdd',
    operands: 3,
    flags: [0, CONTROL.SUBTRACT, CONTROL.NEGATE, CONTROL.SUBTRACT | CONTROL.NEGATE],
    model: (f, env, a, b, c, control) =>
      big.multiplyAdd(f, env, a, b, c, (control & CONTROL.SUBTRACT) !== 0, (control & CONTROL.NEGATE) !== 0),
  },
];

const hex = (bits: bigint) => bits.toString(16).padStart(16, '0');

describe('exact arithmetic against the BigInt model', () => {
  for (const { name, operands: count, flags, model } of models) {
    for (const isSingle of [false, true]) {
      it(`${name}${isSingle ? ', single' : ''}`, () => {
        const next = floatOperands(BigInt(name.length * 977 + Number(isSingle) + 1));
        for (let i = 0; i < rounds; i++) {
          const args = [next(), next(), next()].slice(0, count);
          for (let mode = 0; mode < 4; mode++) {
            const control =
              mode | FPSCR_ENABLES[i & 3] | flags[(i >> 2) % flags.length] | (isSingle ? CONTROL.SINGLE : 0);
            const env = environment(control);
            const wanted = isSingle
              ? singleResult(model, env, args, control)
              : model(big.BINARY64, env, args[0], args[1], args[2], control);
            if (wanted === undefined) continue;
            const got = call(name, ...args, control);
            if (got.bits !== wanted || got.raised !== env.raised) {
              expect.fail(
                `${name}(${args.map(hex).join(', ')}) control ${control.toString(16)}: ` +
                  `${hex(got.bits)} ${got.raised.toString(16)}, wanted ${hex(wanted)} ${env.raised.toString(16)}`,
              );
            }
          }
        }
      });
    }
  }

  it('rounds to half precision', () => {
    const next = floatOperands(77n);
    const format = { exponentBits: 5, fractionBits: 10 };
    for (let i = 0; i < rounds; i++) {
      const b = next();
      for (let mode = 0; mode < 4; mode++) {
        const env = environment(mode);
        const wanted = big.convert(big.BINARY64, format, env, b);
        expect([call('roundHalf', b, mode), hex(b)]).toEqual([{ bits: wanted, raised: env.raised }, hex(b)]);
      }
    }
  });

  it('converts from and to integers', () => {
    const next = floatOperands(5n);
    for (let i = 0; i < rounds; i++) {
      const b = next();
      for (let mode = 0; mode < 4; mode++) {
        for (const kind of [0, TO_INTEGER.UNSIGNED, TO_INTEGER.WORD, TO_INTEGER.UNSIGNED | TO_INTEGER.WORD]) {
          const width = kind & TO_INTEGER.WORD ? 32n : 64n;
          const unsigned = (kind & TO_INTEGER.UNSIGNED) !== 0;
          const least = unsigned ? 0n : -(1n << (width - 1n));
          const greatest = (1n << (unsigned ? width : width - 1n)) - 1n;
          const env = environment(mode);
          const wanted = BigInt.asUintN(64, big.toInteger(big.BINARY64, env, b, least, greatest));
          expect([call('toInteger', b, mode | kind), hex(b)]).toEqual([{ bits: wanted, raised: env.raised }, hex(b)]);
        }
        const env = environment(mode);
        const wanted = big.fromInteger(big.BINARY64, env, b);
        expect(call('fromInteger', b, 0, mode)).toEqual({ bits: wanted, raised: env.raised });
      }
    }
  });
});

/**
 * Single precision in double format: the model works in a format with a double's range and a single's precision for
 * normal results; denormal and overflowing ones are made by rounding the exact value to binary32 proper.
 */
function singleResult(model: Model, env: big.Environment, args: bigint[], control: number): bigint | undefined {
  const wide: big.BinaryFormat = { exponentBits: 24, fractionBits: 160 };
  const exactEnv: big.Environment = { mode: big.MODE.odd, overflowEnabled: false, underflowEnabled: false, raised: 0 };
  const widened = args.map((bits) =>
    big.unpack(big.BINARY64, bits).kind === 'nan'
      ? widenNaN(wide, bits)
      : big.convert(big.BINARY64, wide, exactEnv, bits),
  );
  exactEnv.raised = 0;
  const signed = { ...exactEnv, mode: env.mode };
  const negate = control & CONTROL.NEGATE;
  // An exact zero's sign depends on the mode, everything else is taken to odd first.
  const odd = model(wide, exactEnv, widened[0], widened[1], widened[2], control & ~CONTROL.NEGATE);
  const zeroMode = model(wide, signed, widened[0], widened[1], widened[2], control & ~CONTROL.NEGATE);
  env.raised = exactEnv.raised & ~(FPSCR.XX | FPSCR.FI | FPSCR.FR);
  const value = big.unpack(wide, odd);
  const turn = (bits: bigint) => (negate ? bits ^ (1n << 63n) : bits);
  const quiet: big.Environment = { mode: 0, overflowEnabled: false, underflowEnabled: false, raised: 0 };
  if (value.kind === 'nan') {
    const sign = value.sign ? 1n << 63n : 0n;
    return sign | (0x7ffn << 52n) | (((odd >> 137n) & 0x7f_ffffn) << 29n);
  }
  if (value.kind === 'zero') return turn(big.convert(wide, big.BINARY64, quiet, zeroMode));
  if (value.kind === 'infinity') return turn(big.convert(wide, big.BINARY64, quiet, odd));
  const narrow: big.Environment = { ...env, raised: 0 };
  const bits = big.roundPack(big.BINARY32, narrow, value.sign, value.significand, value.exponent, false);
  env.raised |= narrow.raised;
  const adjusted =
    (narrow.raised & FPSCR.OX && env.overflowEnabled) || (narrow.raised & FPSCR.UX && env.underflowEnabled);
  if (adjusted) {
    // Beyond the range of a single the adjusted result is kept in double format; past that it is undefined.
    const shifted = value.exponent + (narrow.raised & FPSCR.OX ? -192 : 192);
    const top = shifted + value.significand.toString(2).length - 1;
    if (top < -1022 || top > 1022) return undefined;
    const free: big.Environment = { mode: env.mode, overflowEnabled: false, underflowEnabled: false, raised: 0 };
    return turn(big.roundPack(big.BINARY64, free, value.sign, value.significand, shifted, false, 23));
  }
  return turn(big.convert(big.BINARY32, big.BINARY64, quiet, bits));
}

function widenNaN(wide: big.BinaryFormat, bits: bigint): bigint {
  return big.infinityOf(wide, bits >> 63n === 1n) | ((bits & ((1n << 52n) - 1n)) << BigInt(wide.fractionBits - 52));
}
