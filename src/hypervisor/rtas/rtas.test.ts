import { describe, expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import { rtasAreaBytes, rtasStub, saveSlotOffset } from './layout.ts';
import { RTAS_FIRST_EXTERNAL_TOKEN, RTAS_FIRST_TOKEN } from './service.ts';

const BLOCK = 0x8000;

/** Writes cells and issues the private hypercall; returns its code. */
function raw(bench: Bench, cells: readonly number[], block: number | bigint = BLOCK): number {
  if (typeof block === 'number') {
    cells.forEach((cell, i) => {
      if (bench.view.contains(block + 4 * i, 4)) bench.view.storeU32BE(block + 4 * i, cell);
    });
  }
  return bench.hcall(0xf000, [block]);
}

describe('the argument block', () => {
  test('a known service: H_SUCCESS in r3, status and outputs in the block', () => {
    const bench = new Bench(2);
    const token = bench.hypervisor.rtas.services().find(({ name }) => name === 'query-cpu-stopped-state')!.token;
    expect(raw(bench, [token, 1, 2, 1, 7, 7])).toBe(H_SUCCESS);
    expect([bench.view.loadU32BE(BLOCK + 16), bench.view.loadU32BE(BLOCK + 20)]).toEqual([0, 0]);
  });

  test('an unknown token: H_PARAMETER in r3 and -3 in the block, if it has an output', () => {
    const bench = new Bench();
    expect(raw(bench, [0x1234, 1, 1, 99, 7])).toBe(H_PARAMETER);
    expect(bench.view.loadU32BE(BLOCK + 16) | 0).toBe(-3);
    expect(raw(bench, [0x1234, 1, 0, 99, 7])).toBe(H_PARAMETER);
    expect(bench.view.loadU32BE(BLOCK + 16)).toBe(7);
    expect(bench.warnings).toHaveLength(1);
  });

  test('the wrong number of cells: status -3 and nothing done', () => {
    const bench = new Bench();
    const token = bench.hypervisor.rtas.services().find(({ name }) => name === 'power-off')!.token;
    expect(raw(bench, [token, 1, 1, 0, 7])).toBe(H_SUCCESS);
    expect(bench.view.loadU32BE(BLOCK + 16) | 0).toBe(-3);
    expect(raw(bench, [token, 2, 0, 0, 0, 7])).toBe(H_SUCCESS);
    expect(bench.view.loadU32BE(BLOCK + 20)).toBe(7);
    expect(bench.partition.log).toEqual([]);
  });

  test.each([
    ['too many inputs', [0x2000, 17, 1], BLOCK],
    ['too many outputs', [0x2000, 1, 17], BLOCK],
    ['absurd counts', [0x2000, 0xffffffff, 0xffffffff], BLOCK],
    ['header runs out of RAM', [0x2000, 0, 8], 0x200000 - 8],
    ['outputs run out of RAM', [0x2000, 0, 8], 0x200000 - 40],
    ['block outside RAM', [], 0x4000_0000_0000n],
    ['block beyond 2^53', [], 0x0fff_ffff_ffff_fff0n],
  ] as const)('%s: H_PARAMETER', (_, cells, block) => {
    expect(raw(new Bench(), cells, block)).toBe(H_PARAMETER);
  });
});

test('services have unique tokens below those for other layers, and names', () => {
  const services = new Bench().hypervisor.rtas.services();
  expect(new Set(services.map(({ token }) => token)).size).toBe(services.length);
  expect(new Set(services.map(({ name }) => name)).size).toBe(services.length);
  for (const { token } of services) {
    expect(token).toBeGreaterThanOrEqual(RTAS_FIRST_TOKEN);
    expect(token).toBeLessThan(RTAS_FIRST_EXTERNAL_TOKEN);
  }
});

test('the set that full boots need is there, but for PCI', () => {
  const names = new Set(new Bench().hypervisor.rtas.services().map(({ name }) => name));
  for (const name of [
    'get-time-of-day',
    'set-time-of-day',
    'power-off',
    'system-reboot',
    'query-cpu-stopped-state',
    'start-cpu',
    'stop-self',
    'ibm,set-xive',
    'ibm,get-xive',
    'ibm,int-on',
    'ibm,int-off',
  ]) {
    expect(names, name).toContain(name);
  }
});

test('a service of another layer is registered once', () => {
  const { hypervisor, ...bench } = new Bench();
  const service = {
    token: RTAS_FIRST_EXTERNAL_TOKEN,
    name: 'ibm,another-layer',
    nargs: 4,
    nret: 2,
    handler: () => -3,
    ref: 'test',
  };
  hypervisor.rtas.registerService(service);
  expect(hypervisor.rtas.services().at(-1)).toBe(service);
  expect(() => hypervisor.rtas.registerService({ ...service, name: 'other' })).toThrow(/0x2100 registered twice/);
  expect(() => hypervisor.rtas.registerService({ ...service, token: 0x2101 })).toThrow(
    /another-layer registered twice/,
  );
  expect(bench.warnings).toEqual([]);
});

test('calls are counted and told, with their arguments and status', () => {
  const bench = new Bench();
  const seen: unknown[] = [];
  bench.hypervisor.events.rtas = ({ name, args, status }) => seen.push([name, args, status]);
  bench.rtas('ibm,set-xive', [0x1300, 0, 5]);
  bench.rtas('ibm,get-xive', [0x999], 3);
  bench.rtas('power-off', [-1, -1]);
  expect(seen).toEqual([
    ['ibm,set-xive', [0x1300, 0, 5], 0],
    ['ibm,get-xive', [0x999], -3],
    ['power-off', [0xffffffff, 0xffffffff], undefined],
  ]);
  expect(bench.hypervisor.rtas.counts()).toEqual({ 'ibm,get-xive': 1, 'ibm,set-xive': 1, 'power-off': 1 });
});

test('the area: stub words, and a save slot for each vCPU inside it', () => {
  expect(Array.from(rtasStub(), (byte) => byte.toString(16).padStart(2, '0')).join('')).toBe(
    '7c641b783c6000006063f000440000224e800020',
  );
  expect(rtasStub().length).toBeLessThanOrEqual(saveSlotOffset(0));
  expect(saveSlotOffset(3) + 16).toBe(rtasAreaBytes(4));
});
