import { describe, expect, test } from 'vitest';
import { HypervisorPciBench } from '../../../tests/support/pci-bench.ts';
import type { PciFunction } from '../../pci/function.ts';

const BUID = [0x0800_0000, 0x2000_0000];
const MSIX = { msix: { vectors: 3, bar: 2 } } as const;
const MSI = { msi: { vectors: 4 } } as const;

const change = (bench: HypervisorPciBench, slot: number, kind: number, count: number, nret = 4) =>
  bench.rtas('ibm,change-msi', [slot << 11, ...BUID, kind, count, 1], nret);
const query = (bench: HypervisorPciBench, slot: number, index: number) =>
  bench.rtas('ibm,query-interrupt-source-number', [slot << 11, ...BUID, index], 3);
const tableEntry = ({ msix }: PciFunction, vector: number) =>
  [0, 4, 8, 12].map((offset) => msix!.handler.load(16 * vector + offset, 4));

describe('MSI-X', () => {
  test('vectors get consecutive sources, written into the table; they stay masked', () => {
    const bench = new HypervisorPciBench();
    const pciFunction = bench.plug(1, MSIX);
    expect(change(bench, 1, 4, 2)).toEqual([0, 2, 2, 2]);
    expect(tableEntry(pciFunction, 0)).toEqual([0, 0x400, 0x1300, 1]);
    expect(tableEntry(pciFunction, 1)).toEqual([0, 0x400, 0x1301, 1]);
    expect(tableEntry(pciFunction, 2)).toEqual([0, 0, 0, 1]);
    expect(query(bench, 1, 0)).toEqual([0, 0x1300, 1]);
    expect(query(bench, 1, 1)).toEqual([0, 0x1301, 1]);
    expect(query(bench, 1, 2)[0]).toBe(-3);
  });

  test('a vector reaches the interrupt controller', () => {
    const bench = new HypervisorPciBench();
    const pciFunction = bench.plug(1, MSIX);
    change(bench, 1, 4, 3);
    pciFunction.msix!.handler.store(16 * 2 + 12, 4, 0);
    pciFunction.writeConfig(4, 2, 4);
    pciFunction.writeConfig(0x42, 2, 0x8000);
    bench.rtas('ibm,set-xive', [0x1302, 0, 5]);
    bench.hcall(0x68, [0xff]);
    pciFunction.msix!.notify(2);
    expect(bench.vcpu().line).toBe(true);
    bench.hcall(0x74);
    expect(bench.vcpu().gpr(4)).toBe(0xff00_1302n);
  });

  test('more than there are changes nothing and tells how many there are', () => {
    const bench = new HypervisorPciBench();
    bench.plug(1, MSIX);
    expect(change(bench, 1, 4, 4)).toEqual([0, 3, 2, 2]);
    expect(query(bench, 1, 0)[0]).toBe(-3);
    expect(change(bench, 1, 4, 0xffff_ffff)).toEqual([0, 3, 2, 2]);
  });

  test('a new number replaces the old ones; none gives all back, and once only', () => {
    const bench = new HypervisorPciBench();
    bench.plug(1, MSIX);
    bench.plug(2, MSIX);
    change(bench, 1, 4, 3);
    change(bench, 2, 4, 1);
    expect(query(bench, 2, 0)).toEqual([0, 0x1303, 1]);
    change(bench, 1, 4, 1);
    expect(query(bench, 1, 0)).toEqual([0, 0x1300, 1]);
    expect(query(bench, 1, 1)[0]).toBe(-3);
    change(bench, 2, 4, 2);
    expect(query(bench, 2, 1)).toEqual([0, 0x1302, 1]);
    expect(change(bench, 1, 4, 0)).toEqual([0, 0, 2, 2]);
    expect(query(bench, 1, 0)[0]).toBe(-3);
    expect(change(bench, 1, 4, 0)[0]).toBe(-1);
  });
});

describe('MSI', () => {
  test('a block of sources starts at a multiple of its size', () => {
    const bench = new HypervisorPciBench();
    bench.plug(1, MSIX);
    const pciFunction = bench.plug(2, MSI);
    change(bench, 1, 4, 1);
    expect(change(bench, 2, 3, 3)).toEqual([0, 3, 2, 1]);
    expect(query(bench, 2, 0)).toEqual([0, 0x1304, 1]);
    expect(query(bench, 2, 2)).toEqual([0, 0x1306, 1]);
    expect(query(bench, 2, 3)[0]).toBe(-3);
    expect([0x44, 0x48, 0x4c].map((offset) => pciFunction.readConfig(offset, 4))).toEqual([0, 0x400, 0x1304]);
  });
});

test('kinds: the default takes MSI if there is a choice; a kind the function lacks is refused', () => {
  const bench = new HypervisorPciBench();
  bench.plug(1, { ...MSI, ...MSIX });
  bench.plug(2, MSIX);
  bench.plug(3);
  expect(change(bench, 1, 1, 1)).toEqual([0, 1, 2, 1]);
  expect(change(bench, 2, 1, 1)).toEqual([0, 1, 2, 2]);
  expect(change(bench, 2, 3, 1)[0]).toBe(-3);
  expect(change(bench, 1, 5, 1)[0]).toBe(-3);
  expect(change(bench, 1, 2, 1)[0]).toBe(-3);
  expect(change(bench, 3, 1, 1)[0]).toBe(-3);
  expect(change(bench, 4, 4, 1)[0]).toBe(-3);
  expect(query(bench, 3, 0)[0]).toBe(-3);
});

test('three outputs leave out the kind, five inputs the sequence number', () => {
  const bench = new HypervisorPciBench();
  bench.plug(1, MSIX);
  expect(change(bench, 1, 4, 1, 3)).toEqual([0, 1, 2]);
  expect(bench.rtas('ibm,change-msi', [1 << 11, ...BUID, 4, 1], 3)).toEqual([0, 1, 0]);
});

test('sources run out with an error, and come back with a reset', () => {
  const bench = new HypervisorPciBench();
  for (let slot = 0; slot < 2; slot++) bench.plug(slot, { msix: { vectors: 2048, bar: 2 } });
  expect(change(bench, 0, 4, 2048)[0]).toBe(0);
  expect(change(bench, 1, 4, 2048)[0]).toBe(-1);
  expect(change(bench, 1, 4, 0xd00 - 2048)[0]).toBe(0);
  expect(query(bench, 1, 0xd00 - 2048 - 1)).toEqual([0, 0x1fff, 1]);
  bench.hypervisor.reset();
  expect(query(bench, 1, 0)[0]).toBe(-3);
  expect(change(bench, 1, 4, 2048)[0]).toBe(0);
  expect(query(bench, 1, 0)).toEqual([0, 0x1300, 1]);
});
