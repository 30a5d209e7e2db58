import { describe, expect, test } from 'vitest';
import { Bench, seededRandom, testMemory } from '../../tests/support/hypervisor-fakes.ts';
import type { AccessOrigin, HostView } from '../memory/host-view.ts';
import type { HcallEvent } from './events.ts';
import { H_FUNCTION, H_PRIVILEGE, H_SUCCESS } from './h-status.ts';
import { HcallTable } from './hcall-table.ts';

describe('dispatch', () => {
  test('from problem state: H_PRIVILEGE, and nothing happens', () => {
    const bench = new Bench();
    bench.vcpu().problemState = true;
    expect(bench.hcall(0x31c, [3, 3, 0, 0])).toBe(H_PRIVILEGE);
    expect(bench.partition.log).toEqual([]);
  });

  test('a known but absent call and an unknown one: H_FUNCTION, logged once each, counted by name', () => {
    const bench = new Bench();
    for (let i = 0; i < 3; i++) {
      expect(bench.hcall(0xf8)).toBe(H_FUNCTION);
      expect(bench.hcall(0x7ffc)).toBe(H_FUNCTION);
      bench.vcpu().setGpr(3, 0x1_0000_00f8n);
      bench.hypervisor.hcall(bench.vcpu());
    }
    expect(bench.hcall(0x24, [1])).toBe(H_SUCCESS);
    expect(bench.warnings).toHaveLength(3);
    expect(bench.warnings[0]).toMatch(/H_PIC is not implemented/);
    expect(bench.hypervisor.counts()).toEqual({
      H_SET_SPRG0: 1,
      'H_PIC (not implemented)': 3,
      'unknown 0x7ffc': 3,
      'unknown 0x1000000f8': 3,
    });
  });

  test('a guest that tries every token fills neither counts nor log', () => {
    const bench = new Bench();
    for (let token = 0x100000; token < 0x101000; token += 4) bench.hcall(token);
    expect(Object.keys(bench.hypervisor.counts()).length).toBe(65);
    expect(bench.hypervisor.counts()['unknown, other tokens']).toBe(1024 - 64);
    expect(bench.warnings).toHaveLength(64);
  });

  test('registers that are no outputs keep their values', () => {
    const bench = new Bench();
    for (let n = 0; n < 32; n++) bench.vcpu().setGpr(n, BigInt(0x1000 + n));
    bench.vcpu().setGpr(3, 0x54n);
    bench.vcpu().setGpr(4, 0n);
    bench.hypervisor.hcall(bench.vcpu());
    const changed = Array.from({ length: 32 }, (_, n) => n).filter((n) => bench.vcpu().gpr(n) !== BigInt(0x1000 + n));
    expect(changed).toEqual([3, 4, 5, 6]);
  });
});

describe('the table', () => {
  const definition = { token: 0x24, name: 'H_ONE', inputs: 0, outputs: 0, handler: () => 0, ref: '' };

  test('refuses a token twice, also from another layer', () => {
    const table = new HcallTable();
    table.add(definition);
    expect(() => table.add({ ...definition, name: 'H_TWO' })).toThrow(/0x24 registered twice: H_ONE and H_TWO/);
    expect(() => table.add({ ...definition, token: 0x25 })).toThrow(/neither architected nor private/);
    expect(() => new Bench().hypervisor.register(definition)).toThrow(/registered twice/);
  });

  test('takes calls of other layers, private numbers included', () => {
    const bench = new Bench();
    bench.hypervisor.register({ ...definition, token: 0xf005, name: 'OF_CLIENT', handler: () => 7 });
    bench.hypervisor.register({
      token: 0xef00,
      name: 'H_SVM_PAGE_IN',
      inputs: 2,
      outputs: 1,
      handler: (call) => {
        call.result(0, call.arg(0) + call.arg(1));
        return 0;
      },
      ref: '',
    });
    expect(bench.hcall(0xf005)).toBe(7);
    expect(bench.hcall(0xef00, [-1, 3])).toBe(0);
    expect(bench.vcpu().gpr(4)).toBe(2n);
    expect(bench.hypervisor.definition(0xef00n)).toMatchObject({ inputs: 2, outputs: 1 });
    expect(bench.hypervisor.definition(0xef04n)).toBeUndefined();
  });

  test('advertises the function sets of what it serves', () => {
    expect(new Bench().hypervisor.hypertasFunctions().sort()).toEqual([
      'hcall-copy',
      'hcall-debug',
      'hcall-interrupt',
      'hcall-join',
      'hcall-multi-tce',
      'hcall-random',
      'hcall-set-mode',
      'hcall-splpar',
      'hcall-sprg0',
      'hcall-tce',
      'hcall-term',
      'hcall-watchdog',
    ]);
  });

  test('the register counts agree with what an ultravisor lets through (both without r3)', () => {
    const { hypervisor } = new Bench();
    const counts = (token: bigint) => {
      const found = hypervisor.definition(token)!;
      return [found.inputs, found.outputs];
    };
    expect(counts(0x54n)).toEqual([1, 3]);
    expect(counts(0x58n)).toEqual([4, 0]);
    expect(counts(0x3cn)).toEqual([2, 1]);
    expect(counts(0x40n)).toEqual([3, 0]);
    expect(counts(0x64n)).toEqual([1, 0]);
    expect(counts(0x6cn)).toEqual([2, 0]);
    expect(counts(0x70n)).toEqual([1, 2]);
    expect(counts(0x74n)).toEqual([0, 1]);
    expect(counts(0xdcn)).toEqual([3, 0]);
    expect(counts(0xe4n)).toEqual([2, 0]);
    expect(counts(0x2ecn)).toEqual([2, 6]);
    expect(counts(0x31cn)).toEqual([4, 0]);
    expect(counts(0x37cn)).toEqual([4, 0]);
  });
});

test('events show arguments as passed, and the status', () => {
  const bench = new Bench();
  const seen: HcallEvent[] = [];
  bench.hypervisor.events.hcall = (event) => seen.push(event);
  bench.hcall(0x54, [0]);
  bench.hcall(0x7ffc, [1, 2]);
  expect(seen).toEqual([
    { vcpu: 0, token: 0x54n, name: 'H_GET_TERM_CHAR', args: [0n], status: 0 },
    { vcpu: 0, token: 0x7ffcn, name: 'unknown 0x7ffc', args: [], status: H_FUNCTION },
  ]);
  bench.hypervisor.events.hcall = undefined;
  bench.hcall(0x54, [0]);
  expect(seen).toHaveLength(2);
});

test('the hypercalls of a Linux boot, in their order, on two processors', () => {
  const bench = new Bench(2);
  const VPA = 0x20000;
  for (const id of [0, 1]) bench.view.storeU16BE(VPA + 1024 * id + 4, 1024);
  const ok = (token: number, args: (number | bigint)[], cpu = 0) =>
    expect(bench.hcall(token, args, bench.vcpu(cpu)), `0x${token.toString(16)}`).toBe(H_SUCCESS);

  ok(0x31c, [3, 3, 0, 0]);
  ok(0x31c, [1, 4, 0, 0]);
  ok(0x37c, [0x1d, 0x100000, 0, 8]);
  ok(0x58, [0, 1, 0x5b00000000000000n, 0]);
  ok(0x1c8, []);
  ok(0xdc, [0x2000_0000_0000n, 0, VPA]);
  ok(0x68, [0xff]);
  expect(bench.rtas('query-cpu-stopped-state', [1], 2)).toEqual([0, 0]);
  expect(bench.rtas('start-cpu', [1, 0xcee4, 1])).toEqual([0]);
  ok(0x68, [0xff], 1);
  ok(0xdc, [0x2000_0000_0000n, 1, VPA + 1024], 1);
  ok(0xe0, [], 1);
  expect(bench.hypervisor.beginSlice(1)).toBe(false);
  ok(0x6c, [1, 4]);
  expect(bench.hypervisor.beginSlice(1)).toBe(true);
  ok(0x74, [], 1);
  expect(bench.vcpu(1).gpr(4)).toBe(0xff000002n);
  ok(0x6c, [1, 0xff], 1);
  ok(0x64, [0xff000002n], 1);
  ok(0xe0, [], 1);
  // kexec: the secondary cleans up, then the boot processor.
  bench.vcpu(1).decrementerPending = true;
  expect(bench.hypervisor.beginSlice(1)).toBe(true);
  ok(0xdc, [0xe000_0000_0000n, 1, 0], 1);
  ok(0xdc, [0xa000_0000_0000n, 1, 0], 1);
  ok(0x68, [0], 1);
  ok(0x6c, [1, 0xff], 1);
  ok(0x64, [2], 1);
  ok(0x31c, [0, 3, 0, 0]);
  expect(bench.partition.log).toEqual(['ail 3', 'endian little', 'process table 0x100000 2^20 gtse true', 'ail 0']);
  expect(bench.warnings).toEqual([]);
});

test('reset returns to power-on state but for the counts', () => {
  const bench = new Bench(2);
  bench.view.storeU16BE(0x20004, 1024);
  bench.hcall(0xdc, [1n << 45n, 0, 0x20000]);
  bench.hcall(0x68, [0xff]);
  bench.hcall(0x6c, [0, 4]);
  bench.hcall(0xe8, [0]);
  bench.hypervisor.terminals.all[0]!.input(Uint8Array.of(1, 2, 3));
  bench.hypervisor.requestShutdown();
  bench.hypervisor.reset();
  expect(bench.vcpu().line).toBe(false);
  expect(bench.hypervisor.xics.presenter(0)).toMatchObject({ cppr: 0, mfrr: 0xff, xisr: 0 });
  expect(bench.hypervisor.terminals.all[0]!.pending).toBe(0);
  bench.view.storeU32BE(0x20100, 0x55);
  bench.hcall(0xe0); // the prod is forgotten, so it sleeps; the VPA is too, so nothing is written
  expect(bench.vcpu().state).toBe('ceded');
  expect(bench.view.loadU32BE(0x20100)).toBe(0x55);
  expect(bench.hypervisor.counts().H_REGISTER_VPA).toBe(1);
});

/** Fails on any access that goes outside RAM (the memory asserts that) or does not say who it is for. */
function strictView(): HostView {
  const inner = testMemory();
  return new Proxy(inner, {
    get(target, property: keyof HostView) {
      const member = target[property];
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (property !== 'contains') {
          const origin = args.at(-1) as AccessOrigin | undefined;
          if (!origin?.kind || !origin.name) throw new Error(`${property} without an origin`);
        }
        return (member as (...rest: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

describe('a hostile guest', () => {
  // Random tokens, mostly real ones, with random registers: edge values, plausible addresses, plain noise. Nothing may
  // be thrown, and the ports' own rules (states, 64-bit registers, RAM bounds, named origins) hold throughout.
  test.each([1, 2, 3, 4])('seed %i: 25,000 calls', (seed) => {
    const random = seededRandom(seed * 104729);
    const view = strictView();
    const device = {
      load: () => (random() % 2 === 0 ? undefined : 0x1234n),
      store: () => random() % 2 === 0,
    };
    const bench = new Bench(3, { view, mmio: device });
    const { hypervisor } = bench;
    hypervisor.events.hcall = () => {};
    hypervisor.events.rtas = () => {};
    hypervisor.events.console = () => {};
    hypervisor.events.interrupt = () => {};
    const tokens = hypervisor.definitions().map(({ token }) => BigInt(token));
    const rtasTokens = hypervisor.rtas.services().map(({ token }) => token);
    const origin: AccessOrigin = { kind: 'loader', name: 'fuzz' };
    const wide = () => (BigInt(random()) << 32n) | BigInt(random());
    const value = (): bigint => {
      switch (random() % 9) {
        case 0:
          return BigInt(random() % 8);
        case 1:
          return wide();
        case 2:
          return BigInt.asUintN(64, -BigInt(random() % 4) - 1n);
        case 3:
          return BigInt(random() % 0x200) * 0x1000n;
        case 4:
          return BigInt((random() % 0x200) * 0x1000 + (random() % 0x1000));
        case 5:
          return 0x200000n - BigInt(random() % 64);
        case 6:
          return BigInt(random() % 8) << 45n;
        case 7:
          return 1n << BigInt(random() % 64);
        default:
          return BigInt(0x1000 + (random() % 0x1010));
      }
    };
    const cell = () => Number(BigInt.asUintN(32, value()));
    const restart = () => {
      for (const vcpu of bench.vcpus) if (vcpu.state === 'ceded' || vcpu.state === 'conferred') vcpu.wake();
      if (bench.vcpu().state === 'stopped') bench.vcpu().state = 'running';
    };
    const called = new Set<string>();

    for (let call = 0; call < 25_000; call++) {
      const vcpu = bench.vcpus[random() % bench.vcpus.length]!;
      if (vcpu.state !== 'running' && !hypervisor.beginSlice(vcpu.id)) {
        restart();
        continue;
      }
      for (let n = 4; n < 13; n++) vcpu.setGpr(n, value());
      vcpu.setGpr(3, random() % 8 === 0 ? value() : tokens[random() % tokens.length]!);
      vcpu.problemState = random() % 32 === 0;
      vcpu.externalEnabled = random() % 2 === 0;
      vcpu.decrementerPending = random() % 4 === 0;
      if (random() % 3 === 0) {
        const block = random() % 4 === 0 ? 0x1fffc0 + (random() % 64) : 0x8000;
        const token = random() % 16 === 0 ? cell() : rtasTokens[random() % rtasTokens.length]!;
        const service = hypervisor.rtas.services().find((candidate) => candidate.token === token);
        const exact = service && typeof service.nargs === 'number' && typeof service.nret === 'number' && random() % 8;
        const cells = [
          token,
          exact ? (service.nargs as number) : random() % 20,
          exact ? (service.nret as number) : random() % 20,
          ...Array.from({ length: 9 }, cell),
        ];
        cells.forEach((word, i) => {
          if (view.contains(block + 4 * i, 4)) view.storeU32BE(block + 4 * i, word, origin);
        });
        vcpu.setGpr(3, 0xf000n);
        vcpu.setGpr(4, random() % 16 === 0 ? value() : BigInt(block));
        if (service) called.add(service.name);
      }
      bench.partition.now += BigInt(random() % 100_000);
      hypervisor.hcall(vcpu);
      hypervisor.endSlice(vcpu.id);
      if (random() % 64 === 0) hypervisor.terminals.all[0]!.input(Uint8Array.of(random() & 0xff, 0x0d, 0));
      if (random() % 64 === 0) hypervisor.xics.sources.pulse(0x1300 + (random() % 16));
      if (random() % 64 === 0) hypervisor.xics.sources.setLevel(0x1200 + (random() % 4), random() % 2 === 0);
      if (random() % 256 === 0) hypervisor.requestShutdown();
      if (random() % 256 === 0) hypervisor.setRtasArea(0x1e0000);
      if (bench.partition.timer !== undefined && bench.partition.timer <= bench.partition.now)
        hypervisor.timerExpired();
    }
    // The run reached everything: each hypercall and each service was called.
    const counts = hypervisor.counts();
    for (const { name } of hypervisor.definitions()) expect(counts[name], name).toBeGreaterThan(0);
    expect(called.size).toBe(rtasTokens.length);
    expect(Object.keys(counts).length).toBeLessThan(400);
  });
});
