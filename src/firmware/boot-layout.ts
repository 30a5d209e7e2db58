// Where everything stands in memory when a kernel is entered, and whether it all fits.
//
//   0x0        interrupt vectors; Linux's prom_init puts its hold loop for secondary CPUs into the first 256 bytes
//   0x4000     stub of the client interface
//   0x10000    client's stack, growing down from its end
//   0x400000   kernel, unless it has addresses of its own
//   behind it  initial RAM disk; the ESM blob, if the kernel's file carries one; then, without Open Firmware, RTAS and the flattened tree, which an Open Firmware client
//              places itself. Each stands at a multiple of 64 KiB
//
// The stub lies outside the vectors, and in memory that the kernel overwrites only after its last call of Open
// Firmware, when it moves to address 0.

import { PowervisorError } from '../util/errors.ts';
import { type KernelImage, kernelExtent, type LoadedKernel } from './kernel-image.ts';

export const CLIENT_INTERFACE_GRA = 0x4000;
/** The memory that firmware itself takes while a client runs: vectors, stub and stack. */
export const FIRMWARE_END_GRA = 0x9_0000;
/** GRUB stays on the stack it is given. */
const STACK_FRAME_BYTES = 32;
export const STACK_POINTER_GRA = FIRMWARE_END_GRA - STACK_FRAME_BYTES;

export const KERNEL_BASE_GRA = 0x40_0000;
/** Claims without an address are served below this, where every client can reach; Linux keeps below it as well. */
export const FIRMWARE_MEMORY_LIMIT = 768 * 1024 * 1024;
const PLACEMENT_ALIGNMENT = 0x1_0000;
const FOUR_GIB = 2 ** 32;
/** What RTAS takes with up to 3,968 CPUs. */
const RTAS_ROOM_BYTES = 0x1_0000;
/** Room for RTAS and the tree that a client builds. */
const WORKING_BYTES = 2 * 1024 * 1024;

export interface BootLayout {
  readonly kernel: LoadedKernel;
  readonly initrd: { readonly start: number; readonly end: number } | undefined;
  /** The blob that the kernel's file carries. */
  readonly esmBlob: { readonly start: number; readonly end: number } | undefined;
  /** Room for RTAS and, behind it, for the tree, if the firmware places them. */
  readonly rtasGra: number;
  readonly treeGra: number;
}

/**
 * Plans the layout. Throws a PowervisorError: `KERNEL_TOO_LARGE`, `INITRD_TOO_LARGE`, or `KERNEL_NOT_BOOTABLE` if the
 * kernel wants the firmware's own memory.
 */
export function planLayout(memoryBytes: number, image: KernelImage, initrdBytes: number): BootLayout {
  const kernel = kernelExtent(image, KERNEL_BASE_GRA);
  if (kernel.startGra < FIRMWARE_END_GRA) {
    throw new PowervisorError(
      'KERNEL_NOT_BOOTABLE',
      `${image.what} cannot be booted: it wants to stand at 0x${kernel.startGra.toString(16)}, in the firmware's memory below 0x${FIRMWARE_END_GRA.toString(16)}.`,
    );
  }
  const kernelNeeds = kernel.endGra + WORKING_BYTES;
  if (kernelNeeds > memoryBytes) {
    throw new PowervisorError(
      'KERNEL_TOO_LARGE',
      `${image.what} needs at least ${mebibytes(kernelNeeds)} MiB of memory and the machine has ${describe(memoryBytes)}. Give it more memory.`,
    );
  }
  const initrdStart = alignUp(kernel.endGra);
  const initrdEnd = initrdStart + initrdBytes;
  const allNeeds = initrdEnd + WORKING_BYTES;
  if (allNeeds > memoryBytes) {
    throw new PowervisorError(
      'INITRD_TOO_LARGE',
      `The initrd of ${describe(initrdBytes)} does not fit: behind the kernel it ends at ${mebibytes(allNeeds)} MiB and the machine has ${describe(memoryBytes)} of memory. Give it at least ${mebibytes(allNeeds)} MiB, and about as much again if the initrd is compressed.`,
    );
  }
  if (allNeeds > FOUR_GIB) {
    throw new PowervisorError(
      'INITRD_TOO_LARGE',
      `The initrd of ${describe(initrdBytes)} does not fit below 4 GiB, where firmware can name it. Use a smaller one.`,
    );
  }
  const blobBytes = image.esmBlob?.length ?? 0;
  const blobStart = alignUp(initrdEnd);
  if (blobStart + blobBytes + WORKING_BYTES > memoryBytes) {
    throw new PowervisorError(
      'KERNEL_TOO_LARGE',
      `The ESM blob of ${image.what} does not fit behind the initrd. Give the machine more memory.`,
    );
  }
  const rtasGra = alignUp(blobStart + blobBytes);
  return {
    kernel,
    initrd: initrdBytes === 0 ? undefined : { start: initrdStart, end: initrdEnd },
    esmBlob: blobBytes === 0 ? undefined : { start: blobStart, end: blobStart + blobBytes },
    rtasGra,
    treeGra: rtasGra + RTAS_ROOM_BYTES,
  };
}

function alignUp(gra: number): number {
  return Math.ceil(gra / PLACEMENT_ALIGNMENT) * PLACEMENT_ALIGNMENT;
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}

/** A size for people: in MiB, or in bytes if it is smaller than one. */
function describe(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes} bytes` : `${Math.round((bytes / 2 ** 20) * 10) / 10} MiB`;
}
