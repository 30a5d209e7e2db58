// Files that a sealed image is made of, as the `seal` commands read them.

import { decompress } from '../backends/node/decompress.ts';
import { nodeSealCrypto } from '../backends/node/seal-crypto.ts';
import { ESM_BLOB_SECTION, findElfSection } from '../firmware/elf-section.ts';
import type { KernelImage } from '../firmware/kernel-image.ts';
import { openKernel } from '../firmware/kernel-image.ts';
import { flatKernel } from '../firmware/kexec-stub.ts';
import { rtasStub } from '../hypervisor/rtas/layout.ts';
import type { ImageDigests } from '../ultravisor/esm/blob.ts';
import { findBlobArchive } from '../ultravisor/esm/cpio.ts';
import { flatTreeBytes } from '../ultravisor/esm/flat-tree.ts';
import { PowervisorError } from '../util/errors.ts';

const MAX_KERNEL_BYTES = 2 ** 30;

export interface SealedParts {
  readonly kernel: Uint8Array;
  readonly kernelName: string;
  readonly initrd: Uint8Array | undefined;
  readonly append: string;
}

/** A blob out of a file that is one or carries one, and where it was. Throws a PowervisorError (`NO_BLOB`). */
export function blobIn(file: Uint8Array, path: string): { readonly bytes: Uint8Array; readonly where: string } {
  const total = flatTreeBytes(file);
  if (total !== undefined) return { bytes: file, where: 'a blob' };
  const section = findElfSection(file, ESM_BLOB_SECTION);
  if (section) return { bytes: section, where: `an ELF file with a section ${ESM_BLOB_SECTION}` };
  const archive = findBlobArchive(file);
  if (archive.kind === 'archive') {
    return { bytes: file.subarray(archive.start, archive.end), where: `an initrd with ${archive.name} in front` };
  }
  if (archive.kind === 'bad') {
    throw new PowervisorError('NO_BLOB', `The archive in front of ${path} is no carrier of a blob: ${archive.reason}.`);
  }
  throw new PowervisorError(
    'NO_BLOB',
    `There is no ESM blob in ${path}: neither is it one, nor an initrd or kernel with one.`,
  );
}

/** An initrd without the archive that a blob may have put in front of it. */
export function bareInitrd(initrd: Uint8Array): Uint8Array {
  const archive = findBlobArchive(initrd);
  return archive.kind === 'archive' ? initrd.subarray(archive.archiveEnd) : initrd;
}

export function openKernelFile(bytes: Uint8Array, name: string): Promise<KernelImage> {
  return openKernel(bytes, name, async (_format, packed) => decompress(packed, 'the kernel', MAX_KERNEL_BYTES));
}

/** What an ultravisor will find in memory if the parts are booted as they are. */
export async function digestsOf(parts: SealedParts): Promise<Omit<ImageDigests, 'envelope'>> {
  const { sha512 } = nodeSealCrypto;
  const kernel = flatKernel(await openKernelFile(parts.kernel, parts.kernelName));
  return {
    rtas: await sha512(rtasStub()),
    kernel: await sha512(kernel),
    kernelBytes: kernel.length,
    initrd: await sha512(bareInitrd(parts.initrd ?? new Uint8Array())),
    bootargs: await sha512(new TextEncoder().encode(parts.append)),
  };
}
