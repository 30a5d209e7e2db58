import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { buildElf, type ElfRecipe, elfNote, PT_INTERP, PT_LOAD, PT_NOTE } from '../../tests/support/elf-builder.ts';
import { testMemory } from '../../tests/support/hypervisor-fakes.ts';
import { randomWords } from '../../tests/support/random.ts';
import { PowervisorError } from '../util/errors.ts';
import { compressionOf } from './compression.ts';
import { kernelExtent, loadKernel, openKernel, parseKernel } from './kernel-image.ts';

const KERNEL_BASE = 0xc000_0000_0000_0000n;
const code = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

const vmlinux: ElfRecipe = {
  is64: true,
  littleEndian: true,
  machine: 21,
  entry: KERNEL_BASE,
  parts: [{ type: PT_LOAD, virtualAddress: KERNEL_BASE, physicalAddress: 0n, bytes: code, memoryBytes: 64 }],
};

const zImage: ElfRecipe = {
  is64: false,
  littleEndian: false,
  machine: 20,
  entry: 0x2_0004n,
  parts: [
    { type: PT_LOAD, physicalAddress: 0x3_0000n, bytes: code, memoryBytes: 16 },
    { type: PT_LOAD, physicalAddress: 0x2_0000n, bytes: code },
    { type: PT_NOTE, bytes: elfNote('PowerPC', 0x1275, 24, false) },
  ],
};

/** The code of the error that the bytes of `recipe`, changed by `patch`, cause, and its sentence. */
function refusal(recipe: Partial<ElfRecipe>, base: ElfRecipe = vmlinux): string {
  try {
    parseKernel(buildElf({ ...base, ...recipe }), 'kernel.elf');
  } catch (error) {
    if (error instanceof PowervisorError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('a 64-bit kernel', () => {
  it('is placed relative to the load address, bss zeroed', () => {
    const view = testMemory(8);
    view.fill(0x4_0000, 256, 0xee);
    const image = parseKernel(buildElf(vmlinux), 'vmlinux');
    expect(image).toMatchObject({ kind: 'elf64', relocatable: true, entry: 0 });
    const loaded = loadKernel(view, image, 0x4_0000);
    expect(loaded).toEqual({ entryGra: 0x4_0000, startGra: 0x4_0000, endGra: 0x4_0040 });
    const memory = view.read(0x4_0000, 65);
    expect([...memory.subarray(0, 8)]).toEqual([...code]);
    expect(memory.subarray(8, 64).every((byte) => byte === 0)).toBe(true);
    expect(memory[64]).toBe(0xee);
  });

  it.each([
    ['big-endian', { littleEndian: false }],
    ['a shared object, as the 64-bit zImage is', { type: 3, entry: 4n, parts: [{ type: PT_LOAD, bytes: code }] }],
  ])('may be %s', (_, recipe) => {
    expect(refusal(recipe)).toBe('none');
  });

  it.each<[string, Partial<ElfRecipe>]>([
    ['KERNEL_WRONG_MACHINE: kernel.elf is for x86-64.', { machine: 62 }],
    ['KERNEL_WRONG_MACHINE: kernel.elf is for AArch64.', { machine: 183 }],
    ['KERNEL_WRONG_MACHINE: kernel.elf is for a processor with ELF number 9999.', { machine: 9999 }],
    ['KERNEL_NOT_BOOTABLE: kernel.elf cannot be booted: it has no LOAD segment', { parts: [] }],
    ['KERNEL_NOT_BOOTABLE: kernel.elf cannot be booted: its ELF type 1', { type: 1 }],
    [
      'KERNEL_NOT_BOOTABLE: kernel.elf cannot be booted: its entry point 0xc000000000000040',
      { entry: KERNEL_BASE + 64n },
    ],
    [
      'KERNEL_NOT_BOOTABLE: kernel.elf cannot be booted: it is a dynamically linked program',
      { parts: [...vmlinux.parts, { type: PT_INTERP, bytes: code }] },
    ],
    [
      'KERNEL_NOT_BOOTABLE: kernel.elf cannot be booted: it has a LOAD segment at 0x10000000',
      { entry: 0x1000_0000n, parts: [{ type: PT_LOAD, physicalAddress: 0x1000_0000n, bytes: code }] },
    ],
    [
      'KERNEL_MALFORMED: kernel.elf is a damaged ELF file: a LOAD segment of 4 bytes has 8 bytes',
      { parts: [{ type: PT_LOAD, bytes: code, memoryBytes: 4 }] },
    ],
  ])('is refused: %s', (message, recipe) => {
    expect(refusal(recipe)).toContain(message);
  });
});

describe('a 32-bit client program', () => {
  it('is placed where it wants to be', () => {
    const view = testMemory(8);
    const image = parseKernel(buildElf(zImage), 'zImage');
    expect(image).toMatchObject({ kind: 'elf32-client', relocatable: false });
    expect(loadKernel(view, image, 0x4_0000)).toEqual({ entryGra: 0x2_0004, startGra: 0x2_0000, endGra: 0x3_0010 });
    expect([...view.read(0x2_0000, 8)]).toEqual([...code]);
  });

  it.each<[string, Partial<ElfRecipe>]>([
    ['it is a 32-bit big-endian PowerPC program without the CHRP note', { parts: zImage.parts.slice(0, 2) }],
    ['it is 32-bit little-endian', { littleEndian: true }],
    ['without the CHRP note', { type: 3 }],
    [
      'it is a kernel for 32-bit PowerPC processors, linked at 0xc0000000',
      {
        entry: 0xc000_0000n,
        parts: [{ type: PT_LOAD, virtualAddress: 0xc000_0000n, physicalAddress: 0n, bytes: code }],
      },
    ],
  ])('is refused: %s', (message, recipe) => {
    expect(refusal(recipe, zImage)).toContain(message);
  });

  it('for another processor is refused', () => {
    expect(refusal({ machine: 8 }, zImage)).toContain('is for MIPS');
  });
});

describe('a file that is no kernel', () => {
  const at = (offset: number, magic: string) => {
    const bytes = new Uint8Array(0x400);
    bytes.set(new TextEncoder().encode(magic), offset);
    return bytes;
  };
  it.each<[string, Uint8Array]>([
    ['KERNEL_NOT_ELF', new Uint8Array(0)],
    ['KERNEL_NOT_ELF', new TextEncoder().encode('hello, world')],
    ['KERNEL_NOT_ELF', new Uint8Array([0x27, 0x05, 0x19, 0x56, 0, 0])],
    ['KERNEL_WRONG_MACHINE', at(0x202, 'HdrS')],
    ['KERNEL_WRONG_MACHINE', at(0x38, 'ARMd')],
  ])('is refused with %s', (code, bytes) => {
    expect(() => parseKernel(bytes, 'file')).toThrow(expect.objectContaining({ code }));
  });

  it('is called truncated wherever it was cut', () => {
    const whole = buildElf(vmlinux);
    for (let lenBytes = 4; lenBytes < whole.length; lenBytes++) {
      const cut = whole.subarray(0, lenBytes);
      expect(() => parseKernel(cut, 'f'), `${lenBytes}`).toThrow(expect.objectContaining({ code: 'KERNEL_TRUNCATED' }));
    }
  });

  it('gives an image or a PowervisorError, whatever bytes are changed', () => {
    const random = randomWords(2024);
    for (const recipe of [vmlinux, zImage]) {
      const whole = buildElf(recipe);
      for (let round = 0; round < 3000; round++) {
        const bytes = whole.slice();
        for (let change = random() % 4; change >= 0; change--) bytes[random() % bytes.length] = random();
        try {
          const { entryGra, endGra } = kernelExtent(parseKernel(bytes, 'f'), 0x40_0000);
          expect(entryGra).toBeLessThan(endGra);
        } catch (error) {
          expect(error, `round ${round}`).toBeInstanceOf(PowervisorError);
        }
      }
    }
  });
});

describe('a compressed kernel', () => {
  const packed = gzipSync(buildElf(vmlinux));

  it('is unpacked by the host', async () => {
    const { gunzipSync } = await import('node:zlib');
    const image = await openKernel(packed, 'vmlinuz', async (format, bytes) => {
      expect(format).toBe('gzip');
      return gunzipSync(bytes);
    });
    expect(image).toMatchObject({ kind: 'elf64', what: 'vmlinuz (unpacked from gzip)' });
  });

  it.each<[string, number[]]>([
    ['gzip', [0x1f, 0x8b, 8]],
    ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
    ['bzip2', [0x42, 0x5a, 0x68, 0x39]],
    ['lz4', [0x02, 0x21, 0x4c, 0x18]],
    ['lz4', [0x04, 0x22, 0x4d, 0x18]],
    ['lzma', [0x5d, 0, 0, 0x80, 0]],
    ['lzop', [0x89, 0x4c, 0x5a, 0x4f, 0]],
  ])('%s is named when the host cannot unpack it', async (format, bytes) => {
    expect(compressionOf(new Uint8Array(bytes))).toBe(format);
    const open = openKernel(new Uint8Array(bytes), 'vmlinuz', async () => {
      throw new Error('no such library');
    });
    await expect(open).rejects.toThrow(
      expect.objectContaining({
        code: 'KERNEL_COMPRESSED',
        message: expect.stringContaining(`compressed with ${format} and cannot be unpacked here (no such library)`),
      }),
    );
    await expect(openKernel(new Uint8Array(bytes), 'vmlinuz')).rejects.toThrow(PowervisorError);
  });

  it('that unpacks to something else is refused for what it is', async () => {
    const open = openKernel(packed, 'vmlinuz', async () => new TextEncoder().encode('text'));
    await expect(open).rejects.toThrow(expect.objectContaining({ code: 'KERNEL_NOT_ELF' }));
  });
});
