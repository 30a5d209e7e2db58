import { expect, test } from 'vitest';
import { HypervisorPciBench } from '../../../tests/support/pci-bench.ts';
import { configAddress } from './config-services.ts';

const BUID = [0x0800_0000, 0x2000_0000];

test('the config address cell', () => {
  expect(configAddress(0x1234_5678)).toEqual({ register: 0x178, bus: 0x34, device: 10, number: 6 });
  expect(configAddress(0xf000_00fc)).toEqual({ register: 0xffc, bus: 0, device: 0, number: 0 });
});

test('reads and writes of 1, 2 and 4 bytes', () => {
  const bench = new HypervisorPciBench();
  bench.plug(3);
  const at = 3 << 11;
  expect(bench.rtas('ibm,read-pci-config', [at, ...BUID, 4], 2)).toEqual([0, 0x5678_1234]);
  expect(bench.rtas('ibm,read-pci-config', [at | 2, ...BUID, 2], 2)).toEqual([0, 0x5678]);
  expect(bench.rtas('ibm,read-pci-config', [at | 3, ...BUID, 1], 2)).toEqual([0, 0x56]);
  expect(bench.rtas('ibm,write-pci-config', [at | 4, ...BUID, 2, 0xffff_0107])).toEqual([0]);
  expect(bench.rtas('ibm,read-pci-config', [at | 4, ...BUID, 4], 2)).toEqual([0, 0x107]);
  expect(bench.rtas('ibm,write-pci-config', [at | 0x20, ...BUID, 4, 0xffff_ffff])).toEqual([0]);
  expect(bench.rtas('ibm,read-pci-config', [at | 0x20, ...BUID, 4], 2)).toEqual([0, 0xffff_c00c | 0]);
  // The extended space of a conventional function.
  expect(bench.rtas('ibm,read-pci-config', [at | 0x1000_0000, ...BUID, 4], 2)).toEqual([0, -1]);
  expect(bench.rtas('ibm,write-pci-config', [at | 0x1000_0000, ...BUID, 4, 0])).toEqual([0]);
});

test('what is not there: functions answer with a hardware error and ones, bridges and odd accesses are refused', () => {
  const bench = new HypervisorPciBench();
  bench.plug(3);
  const at = 3 << 11;
  const read = (address: number, high: number, low: number, size: number) =>
    bench.rtas('ibm,read-pci-config', [address, high, low, size], 2);
  expect(read(4 << 11, BUID[0], BUID[1], 4)).toEqual([-1, -1]);
  expect(read(at | (1 << 8), BUID[0], BUID[1], 2)).toEqual([-1, -1]);
  expect(read(at | (1 << 16), BUID[0], BUID[1], 2)).toEqual([-1, -1]);
  expect(bench.rtas('ibm,write-pci-config', [4 << 11, ...BUID, 4, 0])).toEqual([-1]);
  for (const size of [0, 3, 8, -1]) expect(read(at, BUID[0], BUID[1], size)).toEqual([-3, -1]);
  expect(read(at | 1, BUID[0], BUID[1], 2)).toEqual([-3, -1]);
  expect(read(at | 2, BUID[0], BUID[1], 4)).toEqual([-3, -1]);
  expect(read(at, 0, BUID[1], 4)).toEqual([-3, -1]);
  expect(read(at, BUID[0], BUID[1] + 1, 4)).toEqual([-3, -1]);
  expect(bench.rtas('ibm,write-pci-config', [at | 1, ...BUID, 4, 0])).toEqual([-3]);
});

test('each bridge has its own bus', () => {
  const bench = new HypervisorPciBench(2);
  bench.plug(0, {}, 0);
  bench.plug(1, { deviceId: 0x9999 }, 1);
  expect(bench.rtas('ibm,read-pci-config', [1 << 11, 0x0800_0000, 0x2000_0001, 4], 2)).toEqual([0, 0x9999_1234 | 0]);
  expect(bench.rtas('ibm,read-pci-config', [0, 0x0800_0000, 0x2000_0001, 4], 2)).toEqual([-1, -1]);
});
