import { describe, expect, it } from 'vitest';
import { buildElf, elfNote, PT_LOAD, PT_NOTE } from '../../tests/support/elf-builder.ts';
import { testMemory } from '../../tests/support/hypervisor-fakes.ts';
import { rtasAreaBytes, rtasStub } from '../hypervisor/rtas/layout.ts';
import { type BootProtocol, prepareBoot } from './boot.ts';
import { CLIENT_INTERFACE_GRA, KERNEL_BASE_GRA, planLayout } from './boot-layout.ts';
import { parseFdt } from './fdt.ts';
import { parseKernel } from './kernel-image.ts';
import { cellsOf } from './property.ts';
import { clientInterfaceStub } from './stubs.ts';

const MIB = 2 ** 20;
const PAGES_OF_32_MIB = 512;

function kernelOf(memoryBytes: number) {
  return parseKernel(
    buildElf({
      is64: true,
      littleEndian: true,
      machine: 21,
      entry: 0x10n,
      parts: [{ type: PT_LOAD, bytes: new Uint8Array(64).fill(0x60), memoryBytes }],
    }),
    'vmlinux',
  );
}

function clientAt(address: bigint) {
  return parseKernel(
    buildElf({
      is64: false,
      littleEndian: false,
      machine: 20,
      entry: address,
      parts: [
        { type: PT_LOAD, physicalAddress: address, bytes: new Uint8Array(64).fill(0x60) },
        { type: PT_NOTE, bytes: elfNote('PowerPC', 0x1275, 24, false) },
      ],
    }),
    'zImage',
  );
}

function boot(protocol: BootProtocol, kernel = kernelOf(0x1_2345), initrd: Uint8Array | undefined = undefined) {
  const view = testMemory(PAGES_OF_32_MIB);
  const state = prepareBoot(view, {
    protocol,
    kernel,
    initrd,
    machine: {
      memoryBytes: view.sizeBytes,
      cpus: 2,
      pvr: 0x004e1200,
      timebaseHz: 512_000_000,
      decimalFloat: true,
      bootargs: '',
      rtasServices: [],
      hypertas: ['hcall-set-mode'],
      vtys: [{ unit: 0x71000000 }],
    },
    consoles: new Map(),
    host: { milliseconds: () => 0, startCpu: () => false, clientEnded: () => {}, event: () => {} },
  });
  return { view, state };
}

const initrd = new Uint8Array(100_000).map((_, n) => n * 7);

describe('with Open Firmware', () => {
  it('enters in 32-bit mode with stub, stack and initrd in the registers', () => {
    const { view, state } = boot('open-firmware', kernelOf(0x1_2345), initrd);
    const { r1, r3, r4, r5 } = state.registers;
    expect(state).toMatchObject({ entryGra: KERNEL_BASE_GRA + 0x10, msr: 'be32', rtasBaseGra: undefined });
    expect(r5).toBe(CLIENT_INTERFACE_GRA);
    expect(view.read(r5, 20)).toEqual(clientInterfaceStub());
    expect(r3 % 0x1_0000).toBe(0);
    expect(view.read(r3, r4)).toEqual(initrd);
    expect(r1 % 16).toBe(0);
    expect(view.read(KERNEL_BASE_GRA, 64)).toEqual(new Uint8Array(64).fill(0x60));
    expect(state.tree.find('/chosen')!.get('linux,initrd-start')).toBeUndefined();
  });

  it('shows memory in use as not available', () => {
    const { state } = boot('open-firmware', kernelOf(0x1_2345), initrd);
    const { r1, r3, r4, r5 } = state.registers;
    const cells = cellsOf(state.tree.find('/memory')!.get('available')!);
    const free = Array.from({ length: cells.length / 4 }, (_, n) => [cells[n * 4 + 1]!, cells[n * 4 + 3]!] as const);
    const isFree = (gra: number) => free.some(([start, lenBytes]) => gra >= start && gra < start + lenBytes);
    const used = [0, 0xff, r5, r1 - 256 * 1024, r1, KERNEL_BASE_GRA, KERNEL_BASE_GRA + 0x1_2344, r3, r3 + r4 - 1];
    expect(used.map(isFree)).toEqual(used.map(() => false));
    expect([KERNEL_BASE_GRA - 1, KERNEL_BASE_GRA + 0x1_2345, r3 + r4, 32 * MIB - 1].map(isFree)).not.toContain(false);
  });

  it('puts a client program where it wants to be, without an initrd', () => {
    const { state } = boot('open-firmware', clientAt(0x20_0000n));
    expect(state).toMatchObject({ entryGra: 0x20_0000, registers: { r3: 0, r4: 0 } });
  });

  it('refuses a client program in its own memory', () => {
    expect(() => boot('open-firmware', clientAt(0x8000n))).toThrow(/firmware's memory below 0x90000/);
  });
});

describe('with a flattened tree', () => {
  it('enters in 64-bit mode with a finished tree and RTAS in place', () => {
    const { view, state } = boot('flattened-tree', kernelOf(0x1_2345), initrd);
    const { registers, rtasBaseGra } = state;
    expect(state).toMatchObject({ entryGra: KERNEL_BASE_GRA + 0x10, msr: 'be64', clientInterface: undefined });
    expect(registers).toMatchObject({ r4: KERNEL_BASE_GRA, r5: 0 });
    const { tree, reserve, bootCpuidPhys } = parseFdt(view.read(registers.r3, 64 * 1024));
    expect(bootCpuidPhys).toBe(0);
    expect(tree.find('/rtas')!.cell('linux,rtas-entry')).toBe(rtasBaseGra);
    expect(view.read(rtasBaseGra!, 20)).toEqual(rtasStub());
    const chosen = tree.find('/chosen')!;
    const start = cellsOf(chosen.get('linux,initrd-start')!)[1]!;
    const end = cellsOf(chosen.get('linux,initrd-end')!)[1]!;
    expect(view.read(start, end - start)).toEqual(initrd);
    expect(reserve).toEqual([
      { gra: rtasBaseGra, lenBytes: rtasAreaBytes(2) },
      { gra: start, lenBytes: initrd.length },
    ]);
  });

  it('refuses programs that need Open Firmware: a 32-bit client and a 64-bit zImage', () => {
    expect(() => boot('flattened-tree', clientAt(0x20_0000n))).toThrow(/Open Firmware client/);
    const zImage = parseKernel(
      buildElf({
        is64: true,
        littleEndian: true,
        type: 3,
        machine: 21,
        entry: 0n,
        parts: [
          { type: PT_LOAD, bytes: new Uint8Array(64) },
          { type: PT_NOTE, bytes: elfNote('PowerPC', 0x1275, 24, true) },
        ],
      }),
      'zImage',
    );
    expect(() => boot('flattened-tree', zImage)).toThrow(/Open Firmware client/);
    expect(boot('open-firmware', zImage).state.entryGra).toBe(KERNEL_BASE_GRA);
  });
});

describe('what does not fit', () => {
  it.each([0, 1, MIB, 5 * MIB])('a kernel in %i bytes of memory', (memoryBytes) => {
    expect(() => planLayout(memoryBytes, kernelOf(MIB), 0)).toThrow(
      expect.objectContaining({ code: 'KERNEL_TOO_LARGE' }),
    );
  });

  it('an initrd larger than memory, said with sizes and remedy', () => {
    expect(() => planLayout(64 * MIB, kernelOf(20 * MIB), 100 * MIB)).toThrow(
      expect.objectContaining({
        code: 'INITRD_TOO_LARGE',
        message: expect.stringMatching(/100 MiB does not fit.*64 MiB of memory.*at least 126 MiB/),
      }),
    );
  });

  it('an initrd that ends above 4 GiB', () => {
    expect(() => planLayout(8192 * MIB, kernelOf(20 * MIB), 4090 * MIB)).toThrow(/below 4 GiB/);
  });

  it('but nothing that fits exactly is refused', () => {
    const layout = planLayout(26 * MIB, kernelOf(20 * MIB), 0);
    expect(layout.initrd).toBeUndefined();
    expect(() => planLayout(26 * MIB - 1, kernelOf(20 * MIB), 0)).toThrow(/26 MiB/);
  });
});

describe('a kernel that carries an ESM blob', () => {
  const blob = new Uint8Array(5000).map((_, n) => n * 11);
  const kernel = { ...kernelOf(0x1_2345), esmBlob: blob };

  it.each(['open-firmware', 'flattened-tree'] as const)(
    'has it behind the initrd, and /chosen says where: %s',
    (protocol) => {
      const { view, state } = boot(protocol, kernel, initrd);
      const chosen = state.tree.find('/chosen')!;
      const start = chosen.cell('linux,esm-blob-start')!;
      expect(chosen.cell('linux,esm-blob-end')).toBe(start + blob.length);
      expect(view.read(start, blob.length)).toEqual(blob);
      const layout = planLayout(view.sizeBytes, kernel, initrd.length);
      expect(start).toBeGreaterThanOrEqual(layout.initrd!.end);
      expect(layout.rtasGra).toBeGreaterThanOrEqual(start + blob.length);
    },
  );

  it('is refused if there is no room for both', () => {
    const large = { ...kernel, esmBlob: new Uint8Array(29 * MIB) };
    expect(() => planLayout(32 * MIB, large, 0)).toThrow(/The ESM blob of vmlinux does not fit/);
  });
});
