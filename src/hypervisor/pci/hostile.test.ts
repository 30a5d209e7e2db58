// 100,000 random RTAS calls, hypercalls and MMIO accesses on a machine with two bridges: nothing throws, nothing grows, and a
// reset leaves no trace. The arguments are random around what means something, so that every call succeeds now and then.

import { expect, test } from 'vitest';
import { HypervisorPciBench } from '../../../tests/support/pci-bench.ts';
import { randomWords } from '../../../tests/support/random.ts';
import { busAddressOf } from '../../pci/bus-address.ts';
import { deviceOrigin } from '../../pci/dma-space.ts';
import { MAX_TCES } from '../../pci/tce-table.ts';

const SEED = 0x0dd5eed;
const CALLS = 100_000;
const services = [
  ['ibm,read-pci-config', 4, 2],
  ['ibm,write-pci-config', 5, 1],
  ['ibm,write-pci-config', 5, 1],
  ['ibm,change-msi', 6, 4],
  ['ibm,change-msi', 5, 3],
  ['ibm,query-interrupt-source-number', 4, 3],
  ['ibm,query-pe-dma-window', 3, 6],
  ['ibm,create-pe-dma-window', 5, 4],
  ['ibm,remove-pe-dma-window', 1, 1],
  ['ibm,reset-pe-dma-windows', 3, 1],
] as const;
const tceCalls = [0x1c, 0x20, 0x138, 0x13c];
const legalStatus = new Set([0, -1, -3]);

test('a hostile guest gets an answer to everything', { timeout: 120_000 }, () => {
  const random = randomWords(SEED);
  const pick = <Item>(items: readonly Item[]) => items[random() % items.length];
  const bench = new HypervisorPciBench(2);
  const functions = [
    bench.plug(0, { msix: { vectors: 5, bar: 2 }, dma: 'platform' }),
    bench.plug(1, { msi: { vectors: 32 }, dma: 'bypass' }),
    bench.plug(31, { msix: { vectors: 2048, bar: 2 }, msi: { vectors: 1 }, dma: 'platform' }, 1),
  ];
  const origin = deviceOrigin('fuzz');
  const pristine = functions.map((each) => Array.from({ length: 256 }, (_, at) => each.readConfig(at, 1)));
  const cell = () =>
    pick([
      random(),
      random() % 8,
      random() % 64,
      pick([1, 2, 4]),
      pick([0, 1, 2, 4, 12, 16, 21, 24, 30, 0x1300, 0xffff_ffff]),
    ]);
  const register = () =>
    (random() % 4 ? pick([4, 4, 6, 0x10, 0x14, 0x20, 0x24, 0x40]) : random() & 0xfc) |
    (random() % 4 ? 0 : random() & 3);
  const address = () =>
    random() % 8 ? (pick([0, 1, 31]) << 11) | register() | (random() % 32 ? 0 : random()) : random();
  const liobn = () => pick([0x8000_0000, 0x8000_0001, 0x8000_0002, 0x8000_0100, 0x8000_0101, random()]);
  const wide = () =>
    pick([
      BigInt(random() % 2 ** 30),
      BigInt(random() % 2 ** 30),
      2n ** 59n + BigInt(random() % 2 ** 24),
      (BigInt(random()) << 32n) | BigInt(random()),
      2n ** 64n - 1n,
    ]);
  const buid = () => (random() % 16 ? [0x0800_0000, 0x2000_0000 + (random() % 2)] : [random(), random()]);
  const windows = [0x2000_0000_0000, 0x2000_8000_0000, 0x2001_0000_0000, 0x2100_0000_0000, 0x2200_0000_0000];
  const successes = new Map<string, number>();
  const succeeded = (name: string) => successes.set(name, (successes.get(name) ?? 0) + 1);
  for (let n = 0; n < CALLS; n++) {
    const context = `seed ${SEED}, call ${n}`;
    switch (random() % 4) {
      case 0: {
        const token = pick(tceCalls);
        const count = random() % 8 ? BigInt(random() % 600) : wide();
        const list = random() % 4 ? BigInt(random() % 0x200) * 4096n : wide();
        const args = token === 0x13c ? [liobn(), wide(), list, count] : [liobn(), wide(), wide(), count];
        const status = bench.hcall(token, args);
        expect([0, -4], context).toContain(status);
        if (status === 0) succeeded(`hypercall 0x${token.toString(16)}`);
        break;
      }
      case 1: {
        const gra = pick(windows) + (random() % 0x20000);
        const lenBytes = pick([1, 2, 4] as const);
        if (random() % 2) bench.map.load(gra, lenBytes);
        else bench.map.store(gra, lenBytes, random() % 2 ** (8 * lenBytes));
        const victim = pick(functions);
        victim.msix?.notify(random() % 8);
        victim.msi?.notify(random() % 40);
        victim.dma.write(busAddressOf(wide()), new Uint8Array(random() % 9000), origin);
        break;
      }
      default: {
        const [name, nargs, nret] = pick(services);
        const args = nargs === 1 ? [liobn()] : [address(), ...buid(), ...Array.from({ length: nargs - 3 }, cell)];
        if (name === 'ibm,write-pci-config' && random() % 2) {
          // A legal access to something that matters, sometimes into one of the windows.
          args[0] &= ~3;
          args[3] = 4;
          args[4] = pick([random(), 0x0407, 0x8000_0000 + (random() % 0x20000), 0x2100, 0x2200, random() % 0x10000]);
        }
        const [status] = bench.rtas(name, args, nret);
        expect(legalStatus.has(status), `${context}: ${name} ${args} gives ${status}`).toBe(true);
        if (status === 0) succeeded(name);
      }
    }
  }
  const names = new Set([
    ...services.map(([name]) => name),
    ...tceCalls.map((token) => `hypercall 0x${token.toString(16)}`),
  ]);
  for (const name of names) expect(successes.get(name), name).toBeGreaterThan(20);
  for (const { dmaWindows } of bench.bridges) {
    expect(dmaWindows.all().length).toBeLessThanOrEqual(2);
    for (const { entries } of dmaWindows.all()) expect(entries).toBeLessThanOrEqual(MAX_TCES);
  }
  expect(bench.map.all().length).toBeLessThanOrEqual(12);
  expect(bench.warnings.length).toBeLessThanOrEqual(2);
  for (const each of functions) each.reset();
  for (const bridge of bench.bridges) bridge.reset();
  bench.hypervisor.reset();
  expect(functions.map((each) => Array.from({ length: 256 }, (_, at) => each.readConfig(at, 1)))).toEqual(pristine);
  expect(bench.map.all()).toEqual([]);
  for (const { dmaWindows } of bench.bridges) {
    const [window, ...others] = dmaWindows.all();
    expect(others).toEqual([]);
    for (let index = 0; index < window.entries; index++) {
      if (window.low(index) !== 0 || window.high(index) !== 0) expect.fail(`TCE ${index} survived the reset`);
    }
  }
  // Every source can be had again.
  const request = [31 << 11, 0x0800_0000, 0x2000_0001, 4, 2048, 1];
  expect(bench.rtas('ibm,change-msi', request, 4)).toEqual([0, 2048, 2, 2]);
});
