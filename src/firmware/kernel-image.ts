// Kernels as people hand them over, made ready to load: vmlinux (ELF64, either byte order), the 64-bit zImage wrapper,
// 32-bit big-endian Open Firmware client programs (zImage.pseries, GRUB), each possibly compressed as a whole.
// Anything else is refused with a sentence that says what it is.

import type { HostView } from '../memory/host-view.ts';
import { PowervisorError } from '../util/errors.ts';
import { type CompressionFormat, compressionOf, type Decompress } from './compression.ts';
import { type ElfFile, EM_PPC, EM_PPC64, ET_DYN, ET_EXEC, isElf, parseElf } from './elf.ts';
import { ESM_BLOB_SECTION, findElfSection } from './elf-section.ts';

export interface KernelSegment {
  /** Relative to the load address if the image is relocatable, else a guest real address. */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
}

export interface KernelImage {
  /** A file name or the like, for messages. */
  readonly what: string;
  readonly kind: 'elf64' | 'elf32-client';
  /** True for boot programs, which cannot do without the client interface. */
  readonly needsOpenFirmware: boolean;
  /** True if it runs wherever it is put, at a multiple of 64 KiB. */
  readonly relocatable: boolean;
  /** Like `KernelSegment.address`. */
  readonly entry: number;
  /** At least one, in ascending order of address. */
  readonly segments: readonly KernelSegment[];
  /** The ESM blob that the file carries (section `.kernel:esm_blob`). */
  readonly esmBlob?: Uint8Array;
}

export interface LoadedKernel {
  readonly entryGra: number;
  /** First byte of the lowest segment. */
  readonly startGra: number;
  /** Behind the last byte of the highest segment, bss included. */
  readonly endGra: number;
}

/** Kernels link themselves at 0xc000000000000000 and mean real address 0; these bits of an address are real. */
const KERNEL_OFFSET_MASK = 0x0fff_ffffn;
const KERNEL_VIRTUAL_BASE = 0xc000_0000_0000_0000n;

/** The note that makes an ELF file a boot program for CHRP Open Firmware (CHRP binding 11.1.1). */
const CHRP_NOTE = { owner: 'PowerPC', type: 0x1275 } as const;

/**
 * Reads a kernel, unpacking it first if it is compressed. `what` names it in errors.
 * Throws a PowervisorError: `KERNEL_COMPRESSED` if it cannot be unpacked, `KERNEL_NOT_ELF`, `KERNEL_TRUNCATED`,
 * `KERNEL_MALFORMED`, `KERNEL_WRONG_MACHINE`, `KERNEL_NOT_BOOTABLE`.
 */
export async function openKernel(bytes: Uint8Array, what: string, decompress?: Decompress): Promise<KernelImage> {
  const format = compressionOf(bytes);
  if (format === undefined) return parseKernel(bytes, what);
  if (decompress === undefined) throw cannotUnpack(what, format, undefined);
  const unpacked = await decompress(format, bytes).catch((cause: unknown) => {
    throw cannotUnpack(what, format, cause);
  });
  return parseKernel(unpacked, `${what} (unpacked from ${format})`);
}

/** As `openKernel`, for a file that is not compressed. */
export function parseKernel(bytes: Uint8Array, what: string): KernelImage {
  if (!isElf(bytes)) throw notElf(bytes, what);
  const elf = parseElf(bytes, what);
  requireMachine(elf, what);
  if (elf.hasInterpreter) {
    throw notBootable(what, 'it is a dynamically linked program of a Linux userland, not a kernel');
  }
  if (elf.type !== ET_EXEC && elf.type !== ET_DYN) {
    throw notBootable(what, `its ELF type ${elf.type} is neither an executable nor a shared object; link it first`);
  }
  if (elf.segments.length === 0) throw notBootable(what, 'it has no LOAD segment, so there is nothing to run');
  const image = elf.is64 ? kernel64(elf, what) : client32(elf, what);
  const inSegment = image.segments.some((s) => image.entry >= s.address && image.entry < s.address + s.memoryBytes);
  if (!inSegment) throw notBootable(what, `its entry point 0x${elf.entry.toString(16)} is in no LOAD segment`);
  const esmBlob = findElfSection(bytes, ESM_BLOB_SECTION);
  return esmBlob && esmBlob.length > 0 ? { ...image, esmBlob } : image;
}

/** Copies the image to memory, at `baseGra` if it is relocatable. The caller has made sure that it fits. */
export function loadKernel(view: HostView, image: KernelImage, baseGra: number): LoadedKernel {
  const origin = { kind: 'loader', name: 'kernel' } as const;
  const extent = kernelExtent(image, baseGra);
  const offset = image.relocatable ? baseGra : 0;
  for (const { address, bytes, memoryBytes } of image.segments) {
    view.write(offset + address, bytes, origin);
    view.fill(offset + address + bytes.length, memoryBytes - bytes.length, 0, origin);
  }
  return extent;
}

/** Where `loadKernel` would put the image. */
export function kernelExtent(image: KernelImage, baseGra: number): LoadedKernel {
  const offset = image.relocatable ? baseGra : 0;
  return {
    entryGra: offset + image.entry,
    startGra: offset + Math.min(...image.segments.map(({ address }) => address)),
    endGra: offset + Math.max(...image.segments.map(({ address, memoryBytes }) => address + memoryBytes)),
  };
}

function kernel64(elf: ElfFile, what: string): KernelImage {
  for (const { physicalAddress } of elf.segments) {
    const kernelAddress =
      physicalAddress >= KERNEL_VIRTUAL_BASE ? physicalAddress - KERNEL_VIRTUAL_BASE : physicalAddress;
    if (kernelAddress > KERNEL_OFFSET_MASK) {
      throw notBootable(
        what,
        `it has a LOAD segment at 0x${physicalAddress.toString(16)}, where programs of a Linux userland are linked; kernels are linked at 0 or 0x${KERNEL_VIRTUAL_BASE.toString(16)}`,
      );
    }
  }
  return {
    what,
    kind: 'elf64',
    needsOpenFirmware: hasChrpNote(elf),
    relocatable: true,
    entry: Number(elf.entry & KERNEL_OFFSET_MASK),
    segments: segmentsAt(elf, (address) => Number(address & KERNEL_OFFSET_MASK)),
  };
}

function client32(elf: ElfFile, what: string): KernelImage {
  if (elf.littleEndian) throw notBootable(what, 'it is 32-bit little-endian; Open Firmware clients are big-endian');
  const lowest = elf.segments[0]!.virtualAddress;
  if (elf.segments.some(({ virtualAddress }) => virtualAddress >= 0x8000_0000n)) {
    throw notBootable(
      what,
      `it is a kernel for 32-bit PowerPC processors, linked at 0x${lowest.toString(16)}; this machine is a POWER9 and boots ppc64 or ppc64le kernels`,
    );
  }
  if (elf.type !== ET_EXEC || !hasChrpNote(elf)) {
    throw notBootable(
      what,
      'it is a 32-bit big-endian PowerPC program without the CHRP note that zImage.pseries and GRUB carry; give a ppc64 or ppc64le kernel',
    );
  }
  return {
    what,
    kind: 'elf32-client',
    needsOpenFirmware: true,
    relocatable: false,
    entry: Number(elf.entry),
    segments: segmentsAt(elf, Number),
  };
}

function hasChrpNote(elf: ElfFile): boolean {
  return elf.notes.some(({ owner, type }) => owner === CHRP_NOTE.owner && type === CHRP_NOTE.type);
}

function segmentsAt(elf: ElfFile, place: (physicalAddress: bigint) => number): KernelSegment[] {
  return elf.segments
    .map(({ physicalAddress, bytes, memoryBytes }) => ({ address: place(physicalAddress), bytes, memoryBytes }))
    .sort((a, b) => a.address - b.address);
}

/** Processors whose kernels people have at hand (System V ABI, e_machine). */
const MACHINE_NAMES: Readonly<Record<number, string>> = {
  2: '32-bit SPARC',
  3: '32-bit x86',
  8: 'MIPS',
  22: 'S/390',
  40: '32-bit ARM',
  43: '64-bit SPARC',
  50: 'Itanium',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
  258: 'LoongArch',
};

function requireMachine(elf: ElfFile, what: string): void {
  if (elf.machine === (elf.is64 ? EM_PPC64 : EM_PPC)) return;
  throw wrongMachine(what, MACHINE_NAMES[elf.machine] ?? `a processor with ELF number ${elf.machine}`);
}

/** Boot files of other kinds, told by bytes at an offset. */
const FOREIGN: readonly { readonly at: number; readonly magic: string; readonly is: string }[] = [
  { at: 0x202, magic: 'HdrS', is: 'x86' }, // Linux/x86 boot protocol
  { at: 0x38, magic: 'ARM\x64', is: 'AArch64' }, // Linux arm64 Image header
  { at: 0x38, magic: 'RSC\x05', is: 'RISC-V' },
  { at: 0x24, magic: '\x18\x28\x6f\x01', is: '32-bit ARM' }, // zImage
];

function notElf(bytes: Uint8Array, what: string): PowervisorError {
  const foreign = FOREIGN.find(({ at, magic }) => startsWithText(bytes.subarray(at), magic));
  if (foreign !== undefined) return wrongMachine(what, foreign.is);
  const wanted = 'A ppc64 or ppc64le kernel is an ELF file such as vmlinux, vmlinuz or zImage.pseries';
  if (bytes.length === 0) return new PowervisorError('KERNEL_NOT_ELF', `${what} is empty. ${wanted}.`);
  if (startsWithText(bytes, '\x27\x05\x19\x56')) {
    return new PowervisorError('KERNEL_NOT_ELF', `${what} is a U-Boot image. ${wanted}.`);
  }
  const first = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return new PowervisorError('KERNEL_NOT_ELF', `${what} is not an ELF file: it starts with ${first}. ${wanted}.`);
}

function startsWithText(bytes: Uint8Array, magic: string): boolean {
  return Array.from(magic).every((character, index) => bytes[index] === character.charCodeAt(0));
}

function wrongMachine(what: string, machine: string): PowervisorError {
  return new PowervisorError(
    'KERNEL_WRONG_MACHINE',
    `${what} is for ${machine}. This machine is a POWER9: give a ppc64 or ppc64le kernel.`,
  );
}

function notBootable(what: string, reason: string): PowervisorError {
  return new PowervisorError('KERNEL_NOT_BOOTABLE', `${what} cannot be booted: ${reason}.`);
}

function cannotUnpack(what: string, format: CompressionFormat, cause: unknown): PowervisorError {
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  return new PowervisorError(
    'KERNEL_COMPRESSED',
    `${what} is compressed with ${format} and cannot be unpacked here${reason}. Unpack it yourself and give the result.`,
    { cause },
  );
}
