import { expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_HARDWARE, H_P2, H_PARAMETER, H_SUCCESS } from '../h-status.ts';

test('H_SET_SPRG0', () => {
  const bench = new Bench();
  expect(bench.hcall(0x24, [0xdead_beef_0000_0001n])).toBe(H_SUCCESS);
  expect(bench.vcpu().sprg0).toBe(0xdead_beef_0000_0001n);
});

test('there is no data breakpoint register', () => {
  const bench = new Bench();
  expect(bench.hcall(0x28, [0])).toBe(H_HARDWARE);
  expect(bench.hcall(0x134, [0, 3])).toBe(H_HARDWARE);
});

test('H_RANDOM passes the port’s bits', () => {
  const bench = new Bench();
  expect(bench.hcall(0x300)).toBe(H_SUCCESS);
  const first = bench.vcpu().gpr(4);
  bench.hcall(0x300);
  expect(bench.vcpu().gpr(4)).not.toBe(first);
});

test('the characteristics that leave mitigations out', () => {
  const bench = new Bench();
  expect(bench.hcall(0x1c8)).toBe(H_SUCCESS);
  expect([bench.vcpu().gpr(4), bench.vcpu().gpr(5)]).toEqual([0x4000_0000_0000_0000n, 0x81c0_0000_0000_0000n]);
});

test('home node: five domains, the last one the processor, then all ones', () => {
  const bench = new Bench(3);
  expect(bench.hcall(0x2ec, [1, 2])).toBe(H_SUCCESS);
  expect([4, 5, 6, 7, 8, 9].map((n) => bench.vcpu().gpr(n))).toEqual([
    0x8000_8000_8000_8000n,
    0x8002_ffff_ffff_ffffn,
    ...Array(4).fill(0xffff_ffff_ffff_ffffn),
  ]);
  expect(bench.hcall(0x2ec, [2, 0])).toBe(H_PARAMETER);
  expect(bench.hcall(0x2ec, [1, 3])).toBe(H_P2);
});
