import { expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_NOOP, H_P2, H_P3, H_PARAMETER, H_SUCCESS } from '../h-status.ts';

const H_WATCHDOG = 0x45c;
const START = 0x100;
const STOP = 0x200;
const QUERY = 0x300;
const LEAVE_OTHERS = 0x10000;
const TICKS_PER_MS = 512_000n;

/** Lets time pass to the deadline that was asked for. */
function expire(bench: Bench): void {
  bench.partition.now = bench.partition.timer!;
  bench.hypervisor.timerExpired();
}

test('query', () => {
  const bench = new Bench();
  expect(bench.hcall(H_WATCHDOG, [QUERY])).toBe(H_SUCCESS);
  expect(bench.vcpu().gpr(4) >> 48n).toBe(500n);
  expect((bench.vcpu().gpr(4) >> 32n) & 0xffffn).toBe(4n);
});

test.each([
  [1, 'power off'],
  [2, 'reboot'],
  [3, 'reboot'],
])('action %i: %s', (action, outcome) => {
  const bench = new Bench();
  expect(bench.hcall(H_WATCHDOG, [START | action, 1, 60000])).toBe(H_SUCCESS);
  expect(bench.partition.timer).toBe(1000n + 60000n * TICKS_PER_MS);
  expire(bench);
  expect(bench.partition.log).toEqual([outcome]);
  expect(bench.partition.timer).toBeUndefined();
  expect(bench.warnings).toEqual(["the guest's watchdog 1 expired"]);
});

test('feeding moves the deadline; an early call does nothing', () => {
  const bench = new Bench();
  bench.hcall(H_WATCHDOG, [START | 1, 1, 1000]);
  const first = bench.partition.timer!;
  bench.partition.now += 100n;
  bench.hcall(H_WATCHDOG, [START | 1, 1, 1000]);
  expect(bench.partition.timer).toBe(first + 100n);
  bench.partition.now = first;
  bench.hypervisor.timerExpired();
  expect(bench.partition.log).toEqual([]);
});

test('the earliest deadline counts; expiry stops the others unless asked to leave them', () => {
  const bench = new Bench();
  bench.hcall(H_WATCHDOG, [START | 2, 1, 5000]);
  bench.hcall(H_WATCHDOG, [START | 1 | LEAVE_OTHERS, 4, 1000]);
  expire(bench);
  expect(bench.partition.log).toEqual(['power off']);
  expect(bench.partition.timer).toBe(1000n + 5000n * TICKS_PER_MS);
  bench.hcall(H_WATCHDOG, [START | 1, 2, 1000]);
  expire(bench);
  expect(bench.partition.timer).toBeUndefined();
});

test('stop: one, all, none running', () => {
  const bench = new Bench();
  bench.hcall(H_WATCHDOG, [START | 1, 1, 1000]);
  bench.hcall(H_WATCHDOG, [START | 1, 2, 1000]);
  expect(bench.hcall(H_WATCHDOG, [STOP, 1])).toBe(H_SUCCESS);
  expect(bench.hcall(H_WATCHDOG, [STOP, 1])).toBe(H_NOOP);
  expect(bench.hcall(H_WATCHDOG, [STOP, -1])).toBe(H_SUCCESS);
  expect(bench.hcall(H_WATCHDOG, [STOP, -1])).toBe(H_NOOP);
  expect(bench.hcall(H_WATCHDOG, [STOP, 5])).toBe(H_P2);
  expect(bench.partition.timer).toBeUndefined();
});

test('arguments are checked', () => {
  const bench = new Bench();
  expect(bench.hcall(H_WATCHDOG, [0x400, 1, 1000])).toBe(H_PARAMETER);
  expect(bench.hcall(H_WATCHDOG, [0x20000 | START | 1, 1, 1000])).toBe(H_PARAMETER);
  expect(bench.hcall(H_WATCHDOG, [START, 1, 1000])).toBe(H_PARAMETER);
  expect(bench.hcall(H_WATCHDOG, [START | 4, 1, 1000])).toBe(H_PARAMETER);
  expect(bench.hcall(H_WATCHDOG, [START | 1, 0, 1000])).toBe(H_P2);
  expect(bench.hcall(H_WATCHDOG, [START | 1, 5, 1000])).toBe(H_P2);
  expect(bench.hcall(H_WATCHDOG, [START | 1, 1, 499])).toBe(H_P3);
  expect(bench.hcall(H_WATCHDOG, [START | 1, 1, 1n << 40n])).toBe(H_P3);
  expect(bench.partition.timer).toBeUndefined();
});

test('reset stops them', () => {
  const bench = new Bench();
  bench.hcall(H_WATCHDOG, [START | 1, 1, 1000]);
  bench.hypervisor.reset();
  expect(bench.partition.timer).toBeUndefined();
});
