// The parts of a sealed image where a guest has them in memory when it calls UV_ESM: kernel, initrd, bootargs, RTAS, and the
// blob that vouches for them (UV-API UV_ESM; docs/sealed-images.md). What is read comes from the device tree that the guest
// hands over, which nobody vouches for; so every address is checked, and what the kernel will use is what is measured.

import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { FdtSummary } from '../fdt-reader.ts';
import { type Checked, MAX_BLOB_BYTES } from './blob.ts';
import { findBlobArchive } from './cpio.ts';
import { flatTreeBytes } from './flat-tree.ts';

export interface MemoryRange {
  readonly gra: number;
  readonly lenBytes: number;
}

export interface FoundBlob {
  readonly bytes: Uint8Array;
  /** Where it was, for people. */
  readonly where: string;
}

export interface ImageInMemory {
  /** Undefined if the image is not sealed. */
  readonly blob: FoundBlob | undefined;
  /** Without the archive that carries the blob. */
  readonly initrd: MemoryRange;
  /** All of it, with that archive. */
  readonly initrdArea: MemoryRange;
  readonly bootargs: Uint8Array;
}

/** Bytes of RTAS that are code, if the tree does not say: the stub that tools for sealed images know. */
const RTAS_STUB_BYTES = 20;
/** An archive with a blob of the largest size. */
const MAX_ARCHIVE_BYTES = MAX_BLOB_BYTES + 4096;

/** Finds the blob and what it is about. Not ok if something is there that cannot be right. */
export function findImage(memory: GuestMemory, tree: FdtSummary): Checked<ImageInMemory> {
  const chosen = tree.nodes.get('chosen');
  const initrdArea = rangeOf(chosen, 'linux,initrd-start', 'linux,initrd-end');
  if (initrdArea === 'bad' || (initrdArea && !memory.contains(initrdArea.gra, initrdArea.lenBytes))) {
    return bad('/chosen says the initrd is where it cannot be');
  }
  const area = initrdArea ?? { gra: 0, lenBytes: 0 };
  const args = chosen?.get('bootargs') ?? new Uint8Array();
  const bootargs = args[args.length - 1] === 0 ? args.subarray(0, -1) : args;
  if (bootargs.includes(0)) return bad('/chosen/bootargs has a NUL inside');
  const named = rangeOf(chosen, 'linux,esm-blob-start', 'linux,esm-blob-end');
  if (named) {
    const blob = named === 'bad' ? undefined : blobAt(memory, named);
    if (!blob) return bad('/chosen/linux,esm-blob-start says a blob is where there is none');
    return good({ blob: { bytes: blob, where: '/chosen' }, initrd: area, initrdArea: area, bootargs });
  }
  const archive = findBlobArchive(memory.read(area.gra, Math.min(area.lenBytes, MAX_ARCHIVE_BYTES)));
  if (archive.kind === 'bad') return bad(`the archive in front of the initrd: ${archive.reason}`);
  if (archive.kind === 'none') return good({ blob: undefined, initrd: area, initrdArea: area, bootargs });
  const { name, start, end, archiveEnd } = archive;
  const initrd = { gra: area.gra + archiveEnd, lenBytes: area.lenBytes - archiveEnd };
  const blob = { bytes: memory.read(area.gra + start, end - start), where: `the initrd (${name})` };
  return good({ blob, initrd, initrdArea: area, bootargs });
}

/** Where the code of RTAS is. The guest's way in must lead there. */
export function findRtas(memory: GuestMemory, tree: FdtSummary): Checked<{ code: MemoryRange; area: MemoryRange }> {
  const rtas = tree.nodes.get('rtas');
  const base = cell(rtas, 'linux,rtas-base');
  const size = cell(rtas, 'rtas-size');
  const codeBytes = cell(rtas, 'slof,rtas-size') ?? RTAS_STUB_BYTES;
  if (base === undefined || size === undefined || codeBytes > size || !memory.contains(base, size)) {
    return bad('/rtas does not say where RTAS is');
  }
  const entry = cell(rtas, 'linux,rtas-entry') ?? base;
  if (entry < base || entry >= base + codeBytes) return bad('the entry of RTAS lies outside of its measured code');
  return good({ code: { gra: base, lenBytes: codeBytes }, area: { gra: base, lenBytes: size } });
}

function blobAt(memory: GuestMemory, { gra, lenBytes }: MemoryRange): Uint8Array | undefined {
  if (lenBytes > MAX_BLOB_BYTES || !memory.contains(gra, lenBytes)) return undefined;
  const bytes = memory.read(gra, lenBytes);
  // The range may be rounded up.
  const own = flatTreeBytes(bytes);
  return own !== undefined && own <= lenBytes ? bytes.subarray(0, own) : undefined;
}

/** Undefined if neither property is there. */
function rangeOf(
  node: ReadonlyMap<string, Uint8Array> | undefined,
  start: string,
  end: string,
): MemoryRange | 'bad' | undefined {
  const [first, last] = [cell(node, start), cell(node, end)];
  if (!node?.has(start) && !node?.has(end)) return undefined;
  if (first === undefined || last === undefined || last < first) return 'bad';
  return { gra: first, lenBytes: last - first };
}

/** A property of one or two cells as a number; undefined if it is something else. */
function cell(node: ReadonlyMap<string, Uint8Array> | undefined, name: string): number | undefined {
  const bytes = node?.get(name);
  if (!bytes || (bytes.length !== 4 && bytes.length !== 8)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const value = bytes.length === 4 ? BigInt(view.getUint32(0)) : view.getBigUint64(0);
  return value < 2n ** 53n ? Number(value) : undefined;
}

function good<Value>(value: Value): Checked<Value> {
  return { ok: true, value };
}

function bad(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
