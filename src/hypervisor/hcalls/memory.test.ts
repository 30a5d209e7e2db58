import { expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';

const H_PAGE_INIT = 0x2c;
const H_LOGICAL_CI_LOAD = 0x3c;
const H_LOGICAL_CI_STORE = 0x40;
const H_LOGICAL_CACHE_LOAD = 0x44;
const H_LOGICAL_CACHE_STORE = 0x48;
const ZERO = 1n << 15n;
const COPY = 1n << 14n;
const ICACHE = (1n << 23n) | (1n << 22n);

const DEVICE = 0x2000_8000_0000n;

function withDevice() {
  const stores: [number, number, bigint][] = [];
  const bench = new Bench(1, {
    mmio: {
      load: (gra, sizeBytes) => (BigInt(gra) === DEVICE ? BigInt(sizeBytes) * 0x11n : undefined),
      store: (gra, sizeBytes, value) => {
        if (BigInt(gra) !== DEVICE) return false;
        stores.push([gra, sizeBytes, value]);
        return true;
      },
    },
  });
  return { bench, stores };
}

test('H_PAGE_INIT clears and copies whole pages', () => {
  const { bench } = withDevice();
  bench.view.fill(0x10000, 4096, 0xaa);
  bench.view.fill(0x11000, 4096, 0xbb);
  expect(bench.hcall(H_PAGE_INIT, [COPY | ICACHE, 0x10000, 0x11000])).toBe(H_SUCCESS);
  expect(bench.view.read(0x10000, 4096).every((byte) => byte === 0xbb)).toBe(true);
  expect(bench.hcall(H_PAGE_INIT, [ZERO, 0x10000, -1])).toBe(H_SUCCESS);
  expect(bench.view.read(0x10000, 4096).every((byte) => byte === 0)).toBe(true);
  expect(bench.view.loadU8(0x11000)).toBe(0xbb);
});

test('H_PAGE_INIT checks flags, alignment and RAM', () => {
  const { bench } = withDevice();
  expect(bench.hcall(H_PAGE_INIT, [ZERO | 1n, 0x10000, 0])).toBe(H_PARAMETER);
  expect(bench.hcall(H_PAGE_INIT, [ZERO, 0x10800, 0])).toBe(H_PARAMETER);
  expect(bench.hcall(H_PAGE_INIT, [ZERO, DEVICE, 0])).toBe(H_PARAMETER);
  expect(bench.hcall(H_PAGE_INIT, [COPY, 0x10000, 0x10010])).toBe(H_PARAMETER);
  expect(bench.hcall(H_PAGE_INIT, [COPY, 0x10000, 1n << 52n])).toBe(H_PARAMETER);
});

test.each([
  [1, 0x01n],
  [2, 0x0123n],
  [4, 0x01234567n],
  [8, 0x0123456789abcdefn],
])('loads and stores of %i bytes are big-endian', (size, value) => {
  const { bench } = withDevice();
  for (const [store, load] of [
    [H_LOGICAL_CI_STORE, H_LOGICAL_CI_LOAD],
    [H_LOGICAL_CACHE_STORE, H_LOGICAL_CACHE_LOAD],
  ] as const) {
    bench.view.fill(0x10000, 16, 0xee);
    expect(bench.hcall(store, [size, 0x10008, value | ((0xfen << 56n) << 8n)])).toBe(H_SUCCESS);
    expect(bench.view.loadU8(0x10008)).toBe(1);
    expect(bench.view.loadU8(0x10007)).toBe(0xee);
    expect(bench.hcall(load, [size, 0x10008])).toBe(H_SUCCESS);
    expect(bench.vcpu().gpr(4)).toBe(value);
  }
});

test('the top address bits are ignored, as in real mode', () => {
  const { bench } = withDevice();
  bench.view.storeU32BE(0x10000, 0x600dcafe);
  expect(bench.hcall(H_LOGICAL_CI_LOAD, [4, 0xc000000000010000n])).toBe(H_SUCCESS);
  expect(bench.vcpu().gpr(4)).toBe(0x600dcafen);
});

test('only the cache-inhibited calls reach devices', () => {
  const { bench, stores } = withDevice();
  expect(bench.hcall(H_LOGICAL_CI_LOAD, [4, DEVICE])).toBe(H_SUCCESS);
  expect(bench.vcpu().gpr(4)).toBe(0x44n);
  expect(bench.hcall(H_LOGICAL_CI_STORE, [2, DEVICE, 0x12345])).toBe(H_SUCCESS);
  expect(stores).toEqual([[Number(DEVICE), 2, 0x2345n]]);
  expect(bench.hcall(H_LOGICAL_CACHE_LOAD, [4, DEVICE])).toBe(H_PARAMETER);
  expect(bench.hcall(H_LOGICAL_CACHE_STORE, [4, DEVICE, 0])).toBe(H_PARAMETER);
  expect(bench.hcall(H_LOGICAL_CI_LOAD, [4, DEVICE + 8n])).toBe(H_PARAMETER);
  expect(bench.hcall(H_LOGICAL_CI_STORE, [4, DEVICE + 8n, 0])).toBe(H_PARAMETER);
});

test('sizes and alignment are checked; a failed load leaves r4 alone', () => {
  const { bench } = withDevice();
  for (const [size, gra] of [
    [3, 0x10000],
    [0, 0x10000],
    [16, 0x10000],
    [8, 0x10004],
    [2, 0x10001],
    [1n << 32n, 0x10000],
    [4, 0x1ffffe],
    [4, 1n << 59n],
  ] as const) {
    expect(bench.hcall(H_LOGICAL_CI_LOAD, [size, gra])).toBe(H_PARAMETER);
    expect(bench.vcpu().gpr(4)).toBe(BigInt(size));
    expect(bench.hcall(H_LOGICAL_CI_STORE, [size, gra, 1])).toBe(H_PARAMETER);
  }
});

test('cache operations succeed', () => {
  const { bench } = withDevice();
  expect(bench.hcall(0x4c, [0x10000])).toBe(H_SUCCESS);
  expect(bench.hcall(0x50, [-1])).toBe(H_SUCCESS);
});
