import { describe, expect, it } from 'vitest';
import type { FunctionBuilder } from './ir.ts';
import { ModuleBuilder } from './module.ts';
import type { ValueType } from './opcodes.ts';

function compile(params: readonly ValueType[], result: ValueType, build: (fn: FunctionBuilder) => void) {
  const module = new ModuleBuilder();
  const memory = new WebAssembly.Memory({ initial: 1 });
  module.importMemory('env', 'memory', 1);
  module.exportFunction('f', module.function('f', params, result, build));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  return { f: instance.exports.f as (...args: unknown[]) => unknown, memory };
}

describe('function builder', () => {
  it('computes expressions, constants and wide literals', () => {
    const { f } = compile(['i64'], 'i64', (fn) => {
      const a = fn.param64(0);
      fn.return(a.add(0x7fff_ffff_ffff_fff0n).xor(a).rotl(4).sub(-12345678901n));
    });
    const model = (a: bigint) => {
      const x = BigInt.asUintN(64, (a + 0x7fff_ffff_ffff_fff0n) ^ a);
      return BigInt.asIntN(64, ((x << 4n) | (x >> 60n)) + 12345678901n);
    };
    for (const a of [0n, 1n, -1n, 0x1234_5678_9abc_def0n]) expect(f(a)).toBe(model(BigInt.asIntN(64, a)));
  });

  it('computes a shared value once and keeps a value read before a store', () => {
    const { f, memory } = compile(['i32'], 'i32', (fn) => {
      const before = fn.load32(fn.param32(0));
      fn.store32(fn.param32(0), before.add(1));
      const sum = before.add(fn.load32(fn.param32(0)));
      fn.return(sum.mul(sum));
    });
    new DataView(memory.buffer).setInt32(16, 20, true);
    expect(f(16)).toBe(41 * 41);
  });

  it('loops with variables, and does not move outer values into the loop', () => {
    const { f } = compile(['i32'], 'i64', (fn) => {
      const i = fn.variable('i32', fn.param32(0));
      const total = fn.variable('i64', fn.i64(0));
      const step = fn.param32(0).extendU().add(1);
      fn.loop((again) => {
        total.set(total.get().add(step));
        const next = i.get().sub(1);
        i.set(next);
        fn.brIf(again, next);
      });
      fn.return(total.get());
    });
    expect(f(10)).toBe(110n);
  });

  it('chooses, switches and leaves blocks', () => {
    const { f } = compile(['i32'], 'i32', (fn) => {
      const x = fn.param32(0);
      const out = fn.variable('i32', fn.i32(-1));
      fn.switch(x, [() => out.set(fn.i32(100)), () => out.set(fn.i32(200))], () => out.set(x));
      fn.block((done) => {
        fn.brIf(done, x.eq(7));
        out.set(out.get().add(1));
      });
      fn.return(
        fn.choose(
          x.gtS(50),
          () => fn.i32(0),
          () => out.get(),
        ),
      );
    });
    expect([0, 1, 5, 7, 51].map((x) => f(x))).toEqual([101, 201, 6, 7, 0]);
  });

  it('folds what is known, down to the untaken side of a condition', () => {
    const { f } = compile([], 'i32', (fn) => {
      fn.if(fn.i32(3).sub(3), () => fn.unreachable());
      fn.return(fn.i32(0x8000_0000).shrU(31).add(fn.i64(-1n).shrU(60).wrap()));
    });
    expect(f()).toBe(16);
  });

  it('goes on in other functions by tail calls, which take no place on the stack', () => {
    const module = new ModuleBuilder();
    const down = module.declare('down', ['i32', 'i32'], 'i32');
    const odd = module.function('odd', ['i32', 'i32'], 'i32', (fn) => {
      fn.returnCall(down, [fn.param32(0), fn.param32(1).add(1)]);
    });
    const slot = module.addToTable(odd);
    module.define(down, (fn) => {
      const [left, odds] = [fn.param32(0), fn.param32(1)];
      fn.if(left.eqz(), () => fn.return(odds));
      fn.if(left.and(1), () =>
        fn.returnCallIndirect(module.signature(['i32', 'i32'], 'i32'), fn.i32(slot), [left.sub(1), odds]),
      );
      fn.returnCall(down, [left.sub(1), odds]);
    });
    module.exportFunction('down', down);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
    expect((instance.exports.down as CallableFunction)(1_000_000, 0)).toBe(500_000);
  });

  it('handles vectors', () => {
    const { f } = compile(['i64', 'i64'], 'i64', (fn) => {
      const v = fn.v128From64(fn.param64(0), fn.param64(1));
      const r = v.shuffle(v, [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]).bin('i8x16.add', fn.v128(0x01n));
      fn.return(r.extract64(0));
    });
    expect(BigInt.asUintN(64, f(0x0102030405060708n, 0n) as bigint)).toBe(0x0807060504030202n);
  });
});
