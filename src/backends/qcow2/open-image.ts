// Opens an image with all its backing files, and puts a temporary image on top of another one.
//
// An image can come from anybody, and the names of backing files in it are names of files of this host: they are
// followed only as files (no network or other protocols), and an image whose format nobody stated, so that it was told
// by its first bytes, may not name any: a guest that writes to a raw disk can make it look like qcow2.

import { createImage } from './create-image.ts';
import { isQcow2 } from './header.ts';
import { ImageError } from './image-error.ts';
import type { ClusterDecompressor, DiskImage, FileStore, RandomAccessFile } from './ports.ts';
import { Qcow2Image, readHeader } from './qcow2-image.ts';
import { RawImage } from './raw-image.ts';

export const longestChain = 64;

export interface OpenOptions {
  readonly format: 'raw' | 'qcow2';
  readonly readOnly: boolean;
  readonly decompress: ClusterDecompressor;
  readonly cacheBytes?: number;
}

/**
 * The disk in the file `name`. Backing files are only ever read. Throws an ImageError naming the image at fault, and
 * what the store throws for files that cannot be opened; no file stays open then.
 */
export async function openImage(store: FileStore, name: string, options: OpenOptions): Promise<DiskImage> {
  const resolved = await store.resolve(name, undefined);
  return openLink(store, resolved, options.format, options.readOnly, options, []);
}

/**
 * A disk that is `base` with changes in `temporary`, an empty file that is thrown away afterwards. The base is not
 * written. Both belong to the disk from then on.
 */
export async function openTemporaryOverlay(
  base: DiskImage,
  temporary: RandomAccessFile,
  decompress: ClusterDecompressor,
  cacheBytes?: number,
): Promise<DiskImage> {
  await createImage(temporary, { sizeBytes: base.sizeBytes });
  return Qcow2Image.open(temporary, {
    name: 'the temporary overlay',
    readOnly: false,
    decompress,
    backing: base,
    temporary: true,
    cacheBytes,
  });
}

async function openLink(
  store: FileStore,
  resolved: string,
  format: string | undefined,
  readOnly: boolean,
  options: OpenOptions,
  above: readonly string[],
): Promise<DiskImage> {
  const chain = [...above, resolved];
  if (above.includes(resolved)) {
    throw new ImageError('IMAGE_BACKING', `Backing files go round in a circle: ${chain.join(' -> ')}.`);
  }
  if (chain.length > longestChain) {
    throw new ImageError('IMAGE_BACKING', `${chain[0]} has a chain of more than ${longestChain} backing files.`);
  }
  if (format !== undefined && format !== 'raw' && format !== 'qcow2') {
    throw new ImageError(
      'IMAGE_UNSUPPORTED',
      `${chain[above.length - 1]} has a backing file of the format ${format}; only raw and qcow2 are supported.`,
    );
  }
  const file = await store.open(resolved, readOnly ? 'read' : 'write');
  let backing: DiskImage | undefined;
  try {
    const told = format ?? (await probe(file));
    if (told === 'raw') return await RawImage.open(file, readOnly);
    const header = await readHeader(file, resolved);
    if (header.backingName !== undefined) {
      if (format === undefined) throw untrustedChain(chain);
      const next = await store.resolve(backingPath(header.backingName, resolved), resolved);
      backing = await openLink(store, next, header.backingFormat, true, options, chain);
    }
    const { decompress, cacheBytes } = options;
    return await Qcow2Image.open(file, { name: resolved, readOnly, decompress, backing, cacheBytes });
  } catch (error) {
    await backing?.close().catch(() => {});
    await file.close().catch(() => {});
    throw error;
  }
}

async function probe(file: RandomAccessFile): Promise<'raw' | 'qcow2'> {
  const start = new Uint8Array(4);
  await file.read(0, start);
  return isQcow2(start) ? 'qcow2' : 'raw';
}

function untrustedChain(chain: readonly string[]): ImageError {
  const [image, above] = [chain[chain.length - 1], chain[chain.length - 2]];
  return new ImageError(
    'IMAGE_BACKING',
    `${above} does not say which format its backing file ${image} has, which looks like qcow2 and names a further backing file. If that is meant, say so: qemu-img rebase -u -F qcow2 -b ${image} ${above}.`,
  );
}

/** The path in a backing file's name. */
function backingPath(name: string, image: string): string {
  if (name.startsWith('file:')) return name.slice('file:'.length);
  // A single letter is a drive of Windows.
  const protocol = /^[A-Za-z][A-Za-z0-9+.-]+:/.exec(name)?.[0];
  if (protocol === undefined) return name;
  throw new ImageError(
    'IMAGE_UNSUPPORTED',
    `${image} has a backing file by ${protocol} instead of a path, which is not supported.`,
  );
}
