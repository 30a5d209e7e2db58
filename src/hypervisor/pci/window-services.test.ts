import { expect, test } from 'vitest';
import { HypervisorPciBench } from '../../../tests/support/pci-bench.ts';
import { busAddressOf } from '../../pci/bus-address.ts';
import { deviceOrigin } from '../../pci/dma-space.ts';

const BUID = [0x0800_0000, 0x2000_0000];
const QUERY = 'ibm,query-pe-dma-window';
const CREATE = 'ibm,create-pe-dma-window';
const REMOVE = 'ibm,remove-pe-dma-window';
const RESET = 'ibm,reset-pe-dma-windows';
const endpoint = [0, ...BUID];

test('query, create, map, use, remove, reset', () => {
  const bench = new HypervisorPciBench();
  const pciFunction = bench.plug(0, { dma: 'platform' });
  pciFunction.writeConfig(4, 2, 4);
  // 2 MiB of RAM: no larger page divides it.
  expect(bench.rtas(QUERY, endpoint, 5)).toEqual([0, 1, 2 ** 22, 0x103, 0]);
  expect(bench.rtas(QUERY, endpoint, 6)).toEqual([0, 1, 0, 2 ** 22, 0x103, 0]);
  expect(bench.rtas(CREATE, [...endpoint, 21, 21], 4)).toEqual([0, 0x8000_0001 | 0, 0x0800_0000, 0]);
  expect(bench.rtas(QUERY, endpoint, 5)[1]).toBe(0);
  const origin = deviceOrigin('disk');
  const address = busAddressOf(2n ** 59n + 0x1_2345n);
  expect(pciFunction.dma.storeU8(address, 7, origin)?.reason).toBe('not-mapped');
  expect(bench.hcall(0x20, [0x8000_0001, 2n ** 59n, 3])).toBe(0);
  expect(pciFunction.dma.storeU8(address, 7, origin)).toBeUndefined();
  expect(bench.view.loadU8(0x1_2345)).toBe(7);
  expect(bench.rtas(CREATE, [...endpoint, 16, 21], 4)[0]).toBe(-1);
  expect(bench.rtas(REMOVE, [0x8000_0001])).toEqual([0]);
  expect(bench.rtas(REMOVE, [0x8000_0001])).toEqual([-3]);
  expect(pciFunction.dma.storeU8(address, 7, origin)?.reason).toBe('no-window');
  expect(bench.rtas(REMOVE, [0x8000_0000])).toEqual([0]);
  expect(bench.rtas(QUERY, endpoint, 5)[1]).toBe(2);
  expect(bench.rtas(RESET, endpoint)).toEqual([0]);
  expect(bench.rtas(QUERY, endpoint, 5)[1]).toBe(1);
});

test('what cannot be is refused', () => {
  const bench = new HypervisorPciBench();
  expect(bench.rtas(CREATE, [...endpoint, 24, 30], 4)[0]).toBe(-3);
  expect(bench.rtas(CREATE, [...endpoint, 16, 0], 4)[0]).toBe(-3);
  expect(bench.rtas(CREATE, [...endpoint, -1, -1], 4)[0]).toBe(-3);
  for (const nowhere of [
    [0, 0, 0],
    [0, BUID[0], BUID[1] + 1],
    [1 << 16, ...BUID],
  ]) {
    expect(bench.rtas(QUERY, nowhere, 5)[0]).toBe(-3);
    expect(bench.rtas(CREATE, [...nowhere, 16, 20], 4)[0]).toBe(-3);
    expect(bench.rtas(RESET, nowhere)).toEqual([-3]);
  }
  expect(bench.rtas(REMOVE, [-1])).toEqual([-3]);
});
