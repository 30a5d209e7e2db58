import { expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_P2, H_P3, H_P4, H_PARAMETER, H_SUCCESS } from '../h-status.ts';

const H_SET_MODE = 0x31c;
const H_REGISTER_PROC_TBL = 0x37c;

test('interrupt location: 0, 2 and 3 are modes, all else names the flag bit', () => {
  const bench = new Bench();
  for (const ail of [3, 0, 2]) expect(bench.hcall(H_SET_MODE, [ail, 3, 0, 0])).toBe(H_SUCCESS);
  expect(bench.partition.log).toEqual(['ail 3', 'ail 0', 'ail 2']);
  expect(bench.hcall(H_SET_MODE, [1, 3, 0, 0])).toBe(-256 - 63);
  expect(bench.hcall(H_SET_MODE, [4, 3, 0, 0])).toBe(-256 - 61);
  expect(bench.hcall(H_SET_MODE, [1n << 63n, 3, 0, 0])).toBe(-256);
  expect(bench.partition.log).toHaveLength(3);
});

test('interrupt endianness', () => {
  const bench = new Bench();
  expect(bench.hcall(H_SET_MODE, [1, 4, 0, 0])).toBe(H_SUCCESS);
  expect(bench.hcall(H_SET_MODE, [0, 4, 0, 0])).toBe(H_SUCCESS);
  expect(bench.partition.log).toEqual(['endian little', 'endian big']);
  expect(bench.hcall(H_SET_MODE, [2, 4, 0, 0])).toBe(-256 - 62);
});

test('values must be zero and only known resources exist', () => {
  const bench = new Bench();
  expect(bench.hcall(H_SET_MODE, [3, 3, 1, 0])).toBe(H_P3);
  expect(bench.hcall(H_SET_MODE, [1, 4, 0, 1])).toBe(H_P4);
  for (const resource of [0, 1, 2, 5, (1n << 32n) + 3n]) {
    expect(bench.hcall(H_SET_MODE, [0, resource, 0, 0])).toBe(H_P2);
  }
  expect(bench.partition.log).toEqual([]);
});

test('the process table as Linux registers it, twice (kexec), and its removal', () => {
  const bench = new Bench();
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0x1d, 0x100000, 0, 8])).toBe(H_SUCCESS);
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0x1c, 0x80000, 0, 0])).toBe(H_SUCCESS);
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0x10, 0, 0, 0])).toBe(H_SUCCESS);
  expect(bench.partition.log).toEqual([
    'process table 0x100000 2^20 gtse true',
    'process table 0x80000 2^12 gtse false',
    'no process table',
  ]);
});

test('keeping the registration changes GTSE only, and needs one', () => {
  const bench = new Bench();
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0x05, 0, 0, 0])).toBe(H_PARAMETER);
  bench.hcall(H_REGISTER_PROC_TBL, [0x1c, 0x100000, 0, 4]);
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0x05, 0, 0, 0])).toBe(H_SUCCESS);
  expect(bench.partition.log.at(-1)).toBe('process table 0x100000 2^16 gtse true');
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0, 0, 0, 0])).toBe(H_PARAMETER);
  bench.hypervisor.reset();
  expect(bench.hcall(H_REGISTER_PROC_TBL, [0x05, 0, 0, 0])).toBe(H_PARAMETER);
});

test('every argument of a registration is checked', () => {
  const bench = new Bench();
  const call = (...args: (number | bigint)[]) => bench.hcall(H_REGISTER_PROC_TBL, args);
  expect(call(0x3d, 0x100000, 0, 8)).toBe(H_PARAMETER);
  expect(call(0x1dn | (1n << 40n), 0x100000, 0, 8)).toBe(H_PARAMETER);
  expect(call(0x19, 0x100000, 0, 8)).toBe(H_PARAMETER); // hash
  expect(call(0x1f, 0x100000, 0, 8)).toBe(H_PARAMETER); // hash process table
  expect(call(0x1d, 0x100800, 0, 8)).toBe(H_P2);
  expect(call(0x1d, (1n << 60n) | 0x100000n, 0, 8)).toBe(H_P2);
  expect(call(0x1d, 0x1f_0000, 0, 8)).toBe(H_P2); // runs out of RAM
  expect(call(0x1d, 0x100000, 1, 8)).toBe(H_P3);
  expect(call(0x1d, 0x100000, 0, 25)).toBe(H_P4);
  expect(call(0x1d, 0x100000, 0, 1n << 32n)).toBe(H_P4);
  expect(bench.partition.log).toEqual([]);
});
