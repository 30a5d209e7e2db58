import { describe, expect, test } from 'vitest';
import { HypervisorPciBench } from '../../../tests/support/pci-bench.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';

const H_GET_TCE = 0x1c;
const H_PUT_TCE = 0x20;
const H_STUFF_TCE = 0x138;
const H_PUT_TCE_INDIRECT = 0x13c;
const LIOBN = 0x8000_0000;
const WINDOW_BYTES = 2 ** 30;

function getTce(bench: HypervisorPciBench, address: bigint | number, liobn = LIOBN): bigint {
  expect(bench.hcall(H_GET_TCE, [liobn, address])).toBe(H_SUCCESS);
  return bench.vcpu().gpr(4);
}

test('an entry is kept as given, and any address of its page names it', () => {
  const bench = new HypervisorPciBench();
  expect(bench.hcall(H_PUT_TCE, [LIOBN, 0x3fff, 0xfedc_ba98_7654_3213n])).toBe(H_SUCCESS);
  expect(getTce(bench, 0x3000)).toBe(0xfedc_ba98_7654_3213n);
  expect(getTce(bench, 0x4000)).toBe(0n);
  expect(bench.bridges[0].dmaWindows.windowAt(0x3123)?.translate(0x3123, 'write')).toBeGreaterThan(2 ** 51);
});

test('stuffing fills a run, all of it or nothing', () => {
  const bench = new HypervisorPciBench();
  expect(bench.hcall(H_STUFF_TCE, [LIOBN, 0x2000, 0x5003, 3])).toBe(H_SUCCESS);
  expect([0x1000, 0x2000, 0x4000, 0x5000].map((at) => getTce(bench, at))).toEqual([0n, 0x5003n, 0x5003n, 0n]);
  expect(bench.hcall(H_STUFF_TCE, [LIOBN, WINDOW_BYTES - 0x1000, 7, 2])).toBe(H_PARAMETER);
  expect(getTce(bench, WINDOW_BYTES - 0x1000)).toBe(0n);
  expect(bench.hcall(H_STUFF_TCE, [LIOBN, 0, 7, 2n ** 63n])).toBe(H_PARAMETER);
  expect(bench.hcall(H_STUFF_TCE, [LIOBN, 0, 7, WINDOW_BYTES / 4096])).toBe(H_SUCCESS);
  expect(getTce(bench, WINDOW_BYTES - 1)).toBe(7n);
  expect(bench.hcall(H_STUFF_TCE, [LIOBN, 0, 1, 0])).toBe(H_SUCCESS);
  expect(getTce(bench, 0)).toBe(7n);
});

describe('a list', () => {
  const LIST = 0x10000;

  test('is big-endian and up to a page long', () => {
    const bench = new HypervisorPciBench();
    for (let n = 0; n < 512; n++) bench.view.storeU64BE(LIST + 8 * n, BigInt(n) * 0x1_0000_1000n + 3n);
    expect(bench.hcall(H_PUT_TCE_INDIRECT, [LIOBN, 0x1000, LIST, 512])).toBe(H_SUCCESS);
    expect([0x1000, 0x2000, 512 * 0x1000].map((at) => getTce(bench, at))).toEqual([
      3n,
      0x1_0000_1003n,
      511n * 0x1_0000_1000n + 3n,
    ]);
    expect(getTce(bench, 513 * 0x1000)).toBe(0n);
    expect(bench.hcall(H_PUT_TCE_INDIRECT, [LIOBN, 0x1000, LIST, 0])).toBe(H_SUCCESS);
  });

  test.each([
    ['more than a page', [LIOBN, 0, LIST, 513]],
    ['a number with 64 bits', [LIOBN, 0, LIST, -1]],
    ['not at the start of a page', [LIOBN, 0, LIST + 8, 1]],
    ['beyond RAM', [LIOBN, 0, 0x20_0000, 1]],
    ['beyond all addresses', [LIOBN, 0, 0x0fff_ffff_ffff_f000n, 1]],
    ['beyond the window', [LIOBN, WINDOW_BYTES - 0x1000, LIST, 2]],
  ] as const)('is refused: %s', (_, args) => {
    const bench = new HypervisorPciBench();
    bench.view.fill(LIST, 4096, 0xff);
    expect(bench.hcall(H_PUT_TCE_INDIRECT, args)).toBe(H_PARAMETER);
    expect(bench.bridges[0].dmaWindows.all()[0].low(0)).toBe(0);
  });
});

test.each([
  [0x8000_0001, 0],
  [0x1_8000_0000n, 0],
  [-1, 0],
  [LIOBN, WINDOW_BYTES],
  [LIOBN, 2n ** 59n],
  [LIOBN, -1],
])('no such entry: window %x, address %x', (liobn, address) => {
  const bench = new HypervisorPciBench();
  expect(bench.hcall(H_GET_TCE, [liobn, address])).toBe(H_PARAMETER);
  expect(bench.hcall(H_PUT_TCE, [liobn, address, 3])).toBe(H_PARAMETER);
  expect(bench.hcall(H_STUFF_TCE, [liobn, address, 3, 1])).toBe(H_PARAMETER);
  expect(bench.hcall(H_PUT_TCE_INDIRECT, [liobn, address, 0, 1])).toBe(H_PARAMETER);
});

test('each bridge has its windows', () => {
  const bench = new HypervisorPciBench(2);
  bench.hcall(H_PUT_TCE, [0x8000_0100, 0, 0x1003]);
  expect(bench.bridges[1].dmaWindows.all()[0].low(0)).toBe(0x1003);
  expect(bench.bridges[0].dmaWindows.all()[0].low(0)).toBe(0);
});
