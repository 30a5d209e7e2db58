import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildElf, PT_LOAD } from '../../tests/support/elf-builder.ts';
import { disassemble } from '../cpu/isa/disassemble.ts';
import { ESM_BLOB_SECTION, findElfSection, withElfSection } from './elf-section.ts';
import { parseKernel } from './kernel-image.ts';
import { esmStub, flatKernel, KEXEC_STUB_BYTES, kexecKernel } from './kexec-stub.ts';

const content = Uint8Array.from({ length: 5000 }, (_, i) => i * 3);
const vmlinux = buildElf({
  is64: true,
  littleEndian: true,
  machine: 21,
  entry: 0xc000_0000_0000_0000n,
  parts: [
    { type: PT_LOAD, virtualAddress: 0xc000_0000_0000_0000n, physicalAddress: 0n, bytes: content.subarray(0, 3000) },
    {
      type: PT_LOAD,
      virtualAddress: 0xc000_0000_0001_0000n,
      physicalAddress: 0x10000n,
      bytes: content.subarray(3000),
      memoryBytes: 9000,
    },
  ],
});
const image = parseKernel(vmlinux, 'vmlinux');
const zImage = buildElf({
  is64: false,
  littleEndian: false,
  machine: 20,
  entry: 0x40_0000n,
  parts: [{ type: PT_LOAD, virtualAddress: 0x40_0000n, bytes: content }],
});

describe('flatKernel', () => {
  it('is what stands in memory, gaps included and bss not', () => {
    const flat = flatKernel(image);
    expect(flat.length).toBe(0x10000 + 2000);
    expect(flat.subarray(0, 3000)).toEqual(content.subarray(0, 3000));
    expect(flat.subarray(3000, 0x10000).every((byte) => byte === 0)).toBe(true);
    expect(flat.subarray(0x10000)).toEqual(content.subarray(3000));
  });
});

describe('kexecKernel', () => {
  it('is one segment of stub and kernel', () => {
    const made = parseKernel(kexecKernel(image), 'the result');
    expect(made.segments).toHaveLength(1);
    expect(made.entry).toBe(0);
    expect(made.segments[0].memoryBytes).toBe(KEXEC_STUB_BYTES + 0x10000 + 9000);
    const { bytes } = made.segments[0];
    expect(bytes.subarray(0, esmStub().length)).toEqual(esmStub());
    expect(bytes.subarray(KEXEC_STUB_BYTES)).toEqual(flatKernel(image));
  });
});

describe('the stub', () => {
  const stub = new DataView(esmStub().buffer);
  it('starts in either byte order', () => {
    expect(disassemble(stub.getUint32(0, true))).toMatchObject({ mnemonic: 'tdi', operands: '0,r0,72' });
    expect(disassemble(stub.getUint32(4, true), { address: 4n })).toMatchObject({ mnemonic: 'b', operands: '0x100' });
    expect(disassemble(stub.getUint32(0, false), { address: 0n })).toMatchObject({ mnemonic: 'b', operands: '0x8' });
    expect(disassemble(stub.getUint32(0x60, false), { address: 0x60n })).toMatchObject({ operands: '0x60' });
  });

  it('is instructions all along, and branches stay within', () => {
    const check = (from: number, to: number, little: boolean) => {
      for (let at = from; at < to; at += 4) {
        const { mnemonic, operands } = disassemble(stub.getUint32(at, little), { address: BigInt(at) });
        expect(mnemonic, `0x${at.toString(16)}`).not.toBe('.long');
        const target = /^b/.test(mnemonic) ? /0x([0-9a-f]+)$/.exec(operands) : null;
        if (!target) continue;
        expect(Number.parseInt(target[1], 16)).toBeGreaterThanOrEqual(from);
        expect(Number.parseInt(target[1], 16)).toBeLessThan(to);
      }
    };
    check(8, 0x48, false);
    check(0x100, 0x268, true);
  });

  it('has its texts where the code looks for them', () => {
    const bytes = Buffer.from(esmStub());
    expect(bytes.toString('latin1', 0x270, 0x27c)).toBe('ibm,os-term\0');
    expect(bytes.toString('latin1', 0x27c).replace(/\0.*/s, '')).toBe('UV_ESM refused the sealed image.');
  });

  it('makes the two calls it is there for', () => {
    const words = Array.from({ length: (0x268 - 0x100) / 4 }, (_, i) => stub.getUint32(0x100 + 4 * i, true));
    expect(words.filter((word) => word === 0x4400_0042)).toHaveLength(1); // sc 2
    expect(words.filter((word) => word === 0x4400_0022)).toHaveLength(1); // sc 1
  });
});

describe('ELF sections', () => {
  const blob = Uint8Array.of(1, 2, 3, 4, 5);
  it.each([
    ['64-bit little-endian', vmlinux],
    ['32-bit big-endian', zImage],
  ])('are added to and found in a %s file', (_, file) => {
    expect(findElfSection(file, ESM_BLOB_SECTION)).toBeUndefined();
    const once = withElfSection(file, ESM_BLOB_SECTION, blob, 'the file');
    const twice = withElfSection(once, '.other', content, 'the file');
    expect(findElfSection(twice, ESM_BLOB_SECTION)).toEqual(blob);
    expect(findElfSection(twice, '.other')).toEqual(content);
    // Table and names are named by the header; all else is as it was.
    expect(Buffer.from(once.subarray(64, file.length)).equals(file.subarray(64))).toBe(true);
    expect(() => withElfSection(once, ESM_BLOB_SECTION, blob, 'the file')).toThrow('the file has a section');
  });

  it('come with the kernel that is parsed', () => {
    expect(parseKernel(withElfSection(vmlinux, ESM_BLOB_SECTION, blob, 'k'), 'k').esmBlob).toEqual(blob);
    expect(image.esmBlob).toBeUndefined();
  });

  it('are not looked for outside of the file', () => {
    const good = withElfSection(vmlinux, ESM_BLOB_SECTION, blob, 'k');
    const random = (seed: number) => (Math.imul(seed, 2654435761) >>> 0) / 2 ** 32;
    for (let seed = 1; seed < 3000; seed++) {
      const bad = Uint8Array.from(good);
      const from = random(seed) < 0.5 ? 40 : good.length - 256;
      bad[from + Math.floor(random(seed + 7) * (from === 40 ? 24 : 256))] = Math.floor(random(seed + 99) * 256);
      const found = findElfSection(bad, ESM_BLOB_SECTION);
      if (found) expect(found.length).toBeLessThanOrEqual(bad.length);
    }
    expect(() => withElfSection(Uint8Array.of(1, 2), 'x', blob, 'this')).toThrow('this is no ELF file');
  });

  it('are what readelf sees', ({ skip }) => {
    const directory = mkdtempSync(join(tmpdir(), 'powervisor-elf-'));
    try {
      const path = join(directory, 'vmlinux');
      writeFileSync(path, withElfSection(vmlinux, ESM_BLOB_SECTION, blob, 'k'));
      let listing = '';
      try {
        listing = execFileSync('readelf', ['-SW', path], { encoding: 'utf8' });
      } catch {
        skip('no readelf here');
      }
      expect(listing).toMatch(/\.kernel:esm_blob +PROGBITS +0+ \w+ 000005/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
