import { describe, expect, test } from 'vitest';
import { BridgeBench, type RamHandler, scratchConfig } from '../../tests/support/pci-bench.ts';
import { PciFunction } from './function.ts';
import { HostBridge } from './host-bridge.ts';

const COMMAND = 4;
const IO = 1;
const MEMORY = 2;

/** Places BAR 0 at a port, BAR 1 and BAR 4 at bus addresses. */
function place(pciFunction: PciFunction, io: number, mem32: number, mem64: number): void {
  pciFunction.writeConfig(0x10, 4, io);
  pciFunction.writeConfig(0x14, 4, mem32);
  pciFunction.writeConfig(0x20, 4, mem64 % 2 ** 32);
  pciFunction.writeConfig(0x24, 4, Math.floor(mem64 / 2 ** 32));
}

const ranges = ({ map }: BridgeBench) => map.all().map(({ base, name }) => `${base.toString(16)} ${name}`);

describe('decoding', () => {
  test('BARs appear in the windows when they are placed and switched on, and go when switched off', () => {
    const bench = new BridgeBench();
    const pciFunction = bench.plug(0);
    place(pciFunction, 0x1000, 0x8000_1000, 0x2100_0000_4000);
    expect(ranges(bench)).toEqual([]);
    pciFunction.writeConfig(COMMAND, 2, MEMORY);
    expect(ranges(bench)).toEqual(['200080001000 scratch BAR 1', '210000004000 scratch BAR 4']);
    pciFunction.writeConfig(COMMAND, 2, IO | MEMORY);
    expect(ranges(bench)[0]).toBe('200000001000 scratch BAR 0');
    bench.map.store(0x2100_0000_4010, 4, 42);
    expect((pciFunction.bars[2].handler as RamHandler).bytes[0x10]).toBe(42);
    pciFunction.writeConfig(0x20, 4, 0x8000);
    expect(ranges(bench).at(-1)).toBe('210000008000 scratch BAR 4');
    pciFunction.writeConfig(COMMAND, 2, 0);
    expect(ranges(bench)).toEqual([]);
  });

  test('the second bridge has windows of its own', () => {
    const bench = new BridgeBench({ index: 1 });
    const pciFunction = bench.plug(0);
    place(pciFunction, 0x1000, 0x8000_1000, 0x2200_0000_4000);
    pciFunction.writeConfig(COMMAND, 2, IO | MEMORY);
    expect(ranges(bench)).toEqual([
      '200000011000 scratch BAR 0',
      '200100001000 scratch BAR 1',
      '220000004000 scratch BAR 4',
    ]);
  });

  test.each([
    [0, 0, 0],
    [0x1_0000, 0x7fff_f000, 0x20ff_ffff_c000],
    [0xffff_ffe0, 0, 0x2200_0000_0000],
    [0x1_0000, 0, 2 ** 53],
    [0x1_0000, 0, 0x4000_0000],
  ])('BARs outside of the windows answer nobody: port %x, memory %x and %x', (io, mem32, mem64) => {
    const bench = new BridgeBench();
    const pciFunction = bench.plug(0);
    place(pciFunction, io, mem32, mem64);
    pciFunction.writeConfig(COMMAND, 2, IO | MEMORY);
    expect(ranges(bench)).toEqual([]);
  });

  test('a 64-bit BAR may be placed in the window below 4 GiB', () => {
    const bench = new BridgeBench();
    const pciFunction = bench.plug(0);
    place(pciFunction, 0, 0, 0xffff_c000);
    pciFunction.writeConfig(COMMAND, 2, MEMORY);
    expect(ranges(bench)).toEqual(['2000ffffc000 scratch BAR 4']);
  });

  test('where functions overlap, the lower slot answers until it goes', () => {
    const bench = new BridgeBench();
    const [high, low] = [bench.plug(9), bench.plug(2)];
    for (const pciFunction of [high, low]) {
      place(pciFunction, 0, 0x9000_0000, 0);
      pciFunction.writeConfig(COMMAND, 2, MEMORY);
    }
    bench.map.store(0x2000_9000_0000, 1, 1);
    low.writeConfig(COMMAND, 2, 0);
    bench.map.store(0x2000_9000_0000, 1, 2);
    expect((low.bars[1].handler as RamHandler).bytes[0]).toBe(1);
    expect((high.bars[1].handler as RamHandler).bytes[0]).toBe(2);
  });
});

describe('slots', () => {
  test('are given out from the lowest; one can hold several functions', () => {
    const { bridge } = new BridgeBench();
    const functions = [1, 2, 3].map((n) => new PciFunction(scratchConfig({ name: `f${n}` }), bridge));
    bridge.plug(0, functions);
    bridge.plug(2, [new PciFunction(scratchConfig(), bridge)]);
    expect(bridge.freeSlot()).toBe(1);
    expect(bridge.functionAt(0, 2)).toBe(functions[2]);
    expect(bridge.functionAt(0, 3)).toBeUndefined();
    expect(functions.map((each) => each.readConfig(0xe, 1))).toEqual([0x80, 0x80, 0x80]);
    expect(bridge.functionAt(2, 0)!.readConfig(0xe, 1)).toBe(0);
    expect(bridge.allFunctions().map(({ device, number }) => `${device}.${number}`)).toEqual([
      '0.0',
      '0.1',
      '0.2',
      '2.0',
    ]);
    expect(() => bridge.plug(2, functions)).toThrow(/slot 2 of bridge 0 is taken/);
  });

  test('all 32 can be taken', () => {
    const bench = new BridgeBench();
    for (let slot = 0; slot < 32; slot++) bench.plug(slot);
    expect(bench.bridge.freeSlot()).toBeUndefined();
  });
});

describe('interrupts', () => {
  test('pins are swizzled by slot and shared', () => {
    const bench = new BridgeBench({ index: 1 });
    const a = bench.plug(1, { interruptPin: 1 });
    const b = bench.plug(6, { interruptPin: 4 });
    const c = bench.plug(5, { interruptPin: 1 });
    a.intx.setLevel(true);
    c.intx.setLevel(true);
    a.intx.setLevel(false);
    c.intx.setLevel(false);
    b.intx.setLevel(true);
    expect(bench.interrupts).toEqual(['1205 up', '1205 down', '1205 up']);
  });

  test('a message to the doorbell page signals a source; all others are lost and reported once', () => {
    const bench = new BridgeBench();
    const pciFunction = bench.plug(0);
    bench.bridge.message(pciFunction, 0x400, 0, 0x1300);
    bench.bridge.message(pciFunction, 0x400, 0xffc, 0x1fff);
    expect(bench.interrupts).toEqual(['pulse 1300', 'pulse 1fff']);
    for (const [high, low, data] of [
      [0x400, 0x1000, 0x1300],
      [0x401, 0, 0x1300],
      [0, 0, 0x1300],
      [0x400, 0, 0x12ff],
      [0x400, 0, 0x2000],
      [0x400, 0, 0xffff_ffff],
    ]) {
      bench.bridge.message(pciFunction, high, low, data);
    }
    expect(bench.interrupts.length).toBe(2);
    expect(bench.bridge.strayMessages).toBe(6);
    expect(bench.warnings).toEqual([
      'scratch sent a message to 0x40000001000 with data 0x1300, which is no interrupt; further ones are only counted',
    ]);
  });
});

test('a bridge has its numbers from its index; there are two at most', () => {
  const { bridge } = new BridgeBench({ index: 1 });
  expect(bridge.buid).toEqual({ high: 0x0800_0000, low: 0x2000_0001 });
  expect(bridge.dmaWindows.all()[0].liobn).toBe(0x8000_0100);
  expect(() => new BridgeBench({ index: 2 })).toThrow(/host bridge 2/);
  expect(bridge).toBeInstanceOf(HostBridge);
});

test('a reset empties the DMA windows', () => {
  const { bridge } = new BridgeBench();
  bridge.dmaWindows.all()[0].set(0, 0, 3);
  bridge.dmaWindows.create(16, 30);
  bridge.reset();
  expect(bridge.dmaWindows.all().length).toBe(1);
  expect(bridge.dmaWindows.all()[0].low(0)).toBe(0);
});
