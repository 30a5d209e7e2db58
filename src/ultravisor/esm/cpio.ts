// The archive that carries an ESM blob in front of an initrd: an uncompressed newc cpio (cpio(5)) with the directories of
// `opt/ibm/pef` and one file in it, padded to 512 bytes. Linux unpacks archives one after the other, so what stands here
// ends up in the root file system without being measured; hence nothing else may stand in it.

const MAGIC = '070701';
const HEADER_BYTES = 110;
const BLOCK_BYTES = 512;
const TRAILER = 'TRAILER!!!';
const DIRECTORIES = ['opt', 'opt/ibm', 'opt/ibm/pef'];
const FILE_TYPE = 0o170000;
const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
/** The directories, `.`, the file and the trailer. */
const MAX_ENTRIES = 6;
const MAX_NAME_BYTES = 256;
/** Fields of a header, each of eight hexadecimal digits. */
const FIELD = { mode: 1, fileBytes: 6, nameBytes: 11 } as const;

export type BlobArchive =
  | {
      readonly kind: 'archive';
      readonly name: string;
      /** Where the content of the file starts and ends, in the bytes given. */
      readonly start: number;
      readonly end: number;
      /** Where the real initrd starts. */
      readonly archiveEnd: number;
    }
  /** The bytes start with something else. */
  | { readonly kind: 'none' }
  /** An archive with a file below opt/ibm/pef, and not as it has to be. */
  | { readonly kind: 'bad'; readonly reason: string };

/** What stands in front of the initrd. */
export function findBlobArchive(bytes: Uint8Array): BlobArchive {
  let found: { name: string; start: number; end: number } | undefined;
  let stranger: string | undefined;
  for (let at = 0, entries = 0; entries < MAX_ENTRIES; entries++) {
    const entry = entryAt(bytes, at);
    if (!entry) break;
    at = entry.next;
    const name = entry.name.replace(/^\.\//, '');
    if (name === TRAILER) {
      if (!found) break;
      if (stranger !== undefined) return bad(`it also has ${stranger}`);
      const archiveEnd = Math.min(bytes.length, Math.ceil(at / BLOCK_BYTES) * BLOCK_BYTES);
      if (bytes.subarray(at, archiveEnd).some((byte) => byte !== 0)) return bad('something stands behind its end');
      return { kind: 'archive', ...found, archiveEnd };
    }
    const type = entry.mode & FILE_TYPE;
    const isDirectory = type === DIRECTORY && (name === '.' || DIRECTORIES.includes(name)) && entry.start === entry.end;
    if (isDirectory) continue;
    if (!found && type === REGULAR && /^opt\/ibm\/pef\/[^/]+$/.test(name) && entry.end > entry.start) {
      found = { name, start: entry.start, end: entry.end };
    } else stranger ??= `"${name.slice(0, 64)}"`;
  }
  return found ? bad(stranger === undefined ? 'it has no end' : `it also has ${stranger}`) : { kind: 'none' };
}

/** The archive for a blob. `name` is that of its file. */
export function blobArchive(blob: Uint8Array, name = 'blob.esm'): Uint8Array<ArrayBuffer> {
  const parts = [
    ...DIRECTORIES.map((path, i) => entryBytes(i + 1, path, DIRECTORY | 0o755, new Uint8Array())),
    entryBytes(DIRECTORIES.length + 1, `opt/ibm/pef/${name}`, REGULAR | 0o644, blob),
    entryBytes(0, TRAILER, 0, new Uint8Array()),
  ];
  const lenBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(Math.ceil(lenBytes / BLOCK_BYTES) * BLOCK_BYTES);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function bad(reason: string): BlobArchive {
  return { kind: 'bad', reason };
}

function entryAt(bytes: Uint8Array, at: number) {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  const text = (start: number, end: number) => String.fromCharCode(...bytes.subarray(start, end));
  if (text(at, at + MAGIC.length) !== MAGIC) return undefined;
  const field = (n: number) => {
    const digits = text(at + MAGIC.length + 8 * n, at + MAGIC.length + 8 * n + 8);
    return /^[0-9a-fA-F]{8}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
  };
  const nameBytes = field(FIELD.nameBytes);
  const fileBytes = field(FIELD.fileBytes);
  if (!(nameBytes > 1 && nameBytes <= MAX_NAME_BYTES)) return undefined;
  const nameAt = at + HEADER_BYTES;
  const start = align4(nameAt + nameBytes);
  const end = start + fileBytes;
  if (!(end <= bytes.length) || bytes[nameAt + nameBytes - 1] !== 0) return undefined;
  const name = text(nameAt, nameAt + nameBytes - 1);
  return { name, mode: field(FIELD.mode), start, end, next: align4(end) };
}

function entryBytes(inode: number, name: string, mode: number, content: Uint8Array): Uint8Array {
  const links = (mode & FILE_TYPE) === DIRECTORY ? 2 : 1;
  // Inode, mode, user, group, links, time, size, device and special device (two fields each), name size, checksum.
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = MAGIC + fields.map((value) => value.toString(16).padStart(8, '0')).join('');
  const start = align4(HEADER_BYTES + name.length + 1);
  const out = new Uint8Array(align4(start + content.length));
  out.set(new TextEncoder().encode(`${header}${name}\0`));
  out.set(content, start);
  return out;
}

function align4(at: number): number {
  return (at + 3) & ~3;
}
