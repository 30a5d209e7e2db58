import { expect, it } from 'vitest';
import { decompileTree, hasDtc } from '../../tests/support/dtc.ts';
import { rtasAreaBytes } from '../hypervisor/rtas/layout.ts';
import { AssertionFailure } from '../util/errors.ts';
import { flattenTree } from './fdt.ts';
import { cellsOf, text, textListOf } from './property.ts';
import { buildPseriesTree, completeForKernel, cpuNodes, type MachineDescription } from './pseries-tree.ts';

const machine: MachineDescription = {
  memoryBytes: 6 * 2 ** 30,
  cpus: 2,
  pvr: 0x004e1200,
  timebaseHz: 512_000_000,
  decimalFloat: true,
  bootargs: 'console=hvc0',
  rtasServices: [
    { name: 'power-off', token: 0x2003 },
    { name: 'start-cpu', token: 0x2006 },
  ],
  hypertas: ['hcall-term', 'hcall-set-mode'],
  vtys: [{ unit: 0x71000000, interrupt: 0x1100 }, { unit: 0x71000001 }],
};

/** What QEMU 7.2 gives a POWER9. */
const QEMU_PA_FEATURES = [
  '4200f63f c7c080f0 80000000 00000000 00008000 80008000 00008000 80008000 80008000 c0008000',
  '80008000 80008000 80008000 80008000 80008000 80008000 80000000',
]
  .join(' ')
  .replaceAll(' ', '');

it('says what Linux needs to know of a pseries LPAR', () => {
  const tree = buildPseriesTree(machine);
  expect(tree.root.text('device_type')).toBe('chrp');
  expect(cellsOf(tree.find('/memory')!.get('reg')!)).toEqual([0, 0, 1, 0x8000_0000]);
  expect(textListOf(tree.find('/rtas')!.get('ibm,hypertas-functions')!)).toEqual(['hcall-term', 'hcall-set-mode']);
  expect(tree.find('/rtas')!.cell('start-cpu')).toBe(0x2006);
  expect(tree.find('/rtas')!.cell('rtas-size')).toBe(rtasAreaBytes(2));
  const controller = tree.find('/interrupt-controller')!;
  expect(cellsOf(controller.get('ibm,interrupt-server-ranges')!)).toEqual([0, 2]);
  expect(controller.cell('linux,phandle')).toBe(controller.phandle);
  const chosen = tree.find('/chosen')!;
  expect(chosen.text('bootargs')).toBe('console=hvc0');
  expect(Buffer.from(chosen.get('ibm,arch-vec-5-platform-support')!).toString('hex')).toBe('1700184019001a40');
  expect(chosen.get('ibm,architecture-vec-5')).toBeUndefined();
});

it('describes each CPU as a core of one thread', () => {
  const cpus = cpuNodes(buildPseriesTree(machine));
  expect(cpus.map((cpu) => cpu.name)).toEqual(['PowerPC,POWER9@0', 'PowerPC,POWER9@1']);
  const cpu = cpus[1]!;
  expect(cellsOf(cpu.get('ibm,ppc-interrupt-server#s')!)).toEqual([1]);
  expect(cpu.cell('cpu-version')).toBe(0x004e1200);
  expect(cpu.cell('timebase-frequency')).toBe(512_000_000);
  expect(cellsOf(cpu.get('ibm,processor-radix-AP-encodings')!)).toEqual([0x0c, 0xa0000010, 0x20000015, 0x4000001e]);
});

it('offers the features QEMU offers, and decimal floating point only if it is there', () => {
  const features = (decimalFloat: boolean) => {
    const cpu = cpuNodes(buildPseriesTree({ ...machine, decimalFloat }))[0]!;
    return { hex: Buffer.from(cpu.get('ibm,pa-features')!).toString('hex'), dfp: cpu.cell('ibm,dfp') };
  };
  expect(features(true)).toEqual({ hex: QEMU_PA_FEATURES, dfp: 1 });
  const without = features(false);
  expect(without.dfp).toBeUndefined();
  const differing = [...QEMU_PA_FEATURES].flatMap((digit, n) => (digit === without.hex[n] ? [] : [n >> 1]));
  expect(differing).toEqual([2 + 54]);
});

it('names terminals by unit, the first as console', () => {
  const tree = buildPseriesTree(machine);
  const vty = tree.find('/vdevice/vty@71000000')!;
  expect(vty.text('compatible')).toBe('hvterm1');
  expect(cellsOf(vty.get('interrupts')!)).toEqual([0x1100, 0]);
  expect(tree.find('/vdevice/vty@71000001')!.get('interrupts')).toBeUndefined();
  expect(tree.find('/chosen')!.text('stdout-path')).toBe(vty.path);
  expect(tree.find('hvterm')).toBe(vty);
});

it('has the optional nodes only when asked', () => {
  const plain = buildPseriesTree(machine);
  expect(plain.find('/event-sources')).toBeUndefined();
  expect(plain.find('/ibm,platform-facilities')).toBeUndefined();
  const full = buildPseriesTree({
    ...machine,
    epowInterrupt: 0x1000,
    randomHcall: true,
    rngSeed: new Uint8Array(32).fill(9),
    initrd: { start: 0x1_0000, end: 0x1_2345 },
    rtasProperties: { 'ibm,extended-os-term': new Uint8Array(0) },
    addNodes: (tree) => tree.root.add('pci@800000020000000', { device_type: text('pci') }),
  });
  expect(cellsOf(full.find('/event-sources/epow-events')!.get('interrupts')!)).toEqual([0x1000, 0]);
  expect(full.find('/ibm,platform-facilities/ibm,random-v1')!.text('compatible')).toBe('ibm,random');
  expect(full.find('/chosen')!.get('rng-seed')!.length).toBe(32);
  expect(cellsOf(full.find('/chosen')!.get('linux,initrd-end')!)).toEqual([0, 0x1_2345]);
  expect(full.find('/rtas')!.get('ibm,extended-os-term')!.length).toBe(0);
  expect(full.find('/pci')!.text('device_type')).toBe('pci');
});

it('can be made ready for a kernel that negotiates nothing', () => {
  const tree = buildPseriesTree(machine);
  completeForKernel(tree, 0x2fff_0000);
  expect(tree.find('/chosen')!.get('ibm,architecture-vec-5')!.length).toBe(27);
  expect(cpuNodes(tree).map((cpu) => cpu.cell('cpu-version'))).toEqual([0x0f000005, 0x0f000005]);
  expect(tree.find('/rtas')!.cell('linux,rtas-entry')).toBe(0x2fff_0000);
});

it('refuses an RTAS service that is no service or named twice', () => {
  const withServices = (rtasServices: MachineDescription['rtasServices']) => () =>
    buildPseriesTree({ ...machine, rtasServices });
  expect(withServices([{ name: 'a', token: 0 }])).toThrow(AssertionFailure);
  expect(
    withServices([
      { name: 'a', token: 1 },
      { name: 'a', token: 2 },
    ]),
  ).toThrow(AssertionFailure);
});

it.skipIf(!hasDtc() && process.env.CI !== 'true')('is a tree to dtc as well (package device-tree-compiler)', () => {
  const source = decompileTree(flattenTree(buildPseriesTree(machine), { reserve: [], bootCpuidPhys: 0 }));
  expect(source).toMatch(/PowerPC,POWER9@1 \{[^}]*ibm,dec-bits = <0x38>;/);
  expect(source).toContain('ibm,hypertas-functions = "hcall-term\\0hcall-set-mode"');
});
