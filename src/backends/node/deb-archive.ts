// Reading binary packages of Debian (deb(5)): an `ar` archive whose member data.tar.* holds the files.
// Only files are read out; maintainer scripts and the control archive are of no use here.

import { PowervisorError } from '../../util/errors.ts';
import { decompressChunks } from './decompress.ts';
import { readTar, type TarMember } from './tar-reader.ts';

export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

const arMagic = '!<arch>\n';
const arHeaderBytes = 60;

/** The members of a common-format `ar` archive, in order. Throws a PowervisorError if it is not one. */
export function* readAr(archive: Uint8Array): Generator<ArMember> {
  const text = (start: number, lenBytes: number) =>
    Buffer.from(archive.buffer, archive.byteOffset + start, lenBytes).toString('latin1');
  if (archive.length < arMagic.length || text(0, arMagic.length) !== arMagic) {
    throw badPackage('it does not start like an ar archive');
  }
  let at = arMagic.length;
  while (at + arHeaderBytes <= archive.length) {
    const header = text(at, arHeaderBytes);
    const sizeField = header.slice(48, 58).trim();
    if (!/^\d+$/.test(sizeField) || header.slice(58) !== '`\n') throw badPackage(`bad member header at byte ${at}`);
    const start = at + arHeaderBytes;
    const lenBytes = Number(sizeField);
    if (start + lenBytes > archive.length) throw badPackage('it is truncated');
    yield { name: header.slice(0, 16).trim().replace(/\/$/, ''), data: archive.subarray(start, start + lenBytes) };
    at = start + lenBytes + (lenBytes % 2);
  }
}

export interface PackageFile {
  /** Path without a leading `./` or `/`. */
  readonly path: string;
  readonly data: Uint8Array;
}

/**
 * The files of a package whose paths match `wanted`, one for each pattern, in that order. Reading stops as soon as all
 * are found. Throws a PowervisorError if the package is damaged or a pattern matches no regular file.
 */
export async function extractFiles(
  deb: Uint8Array,
  packageName: string,
  wanted: readonly RegExp[],
): Promise<PackageFile[]> {
  const member = findDataMember(deb);
  const found = new Map<RegExp, PackageFile>();
  const what = `${member.name} of package ${packageName}`;
  for await (const entry of readTar(decompressChunks(member.data, what), what)) {
    const path = entry.path.replace(/^\.?\/+/, '');
    const pattern = isFile(entry) ? wanted.find((each) => each.test(path) && !found.has(each)) : undefined;
    if (pattern !== undefined) found.set(pattern, { path, data: await entry.read() });
    if (found.size === wanted.length) break;
  }
  return wanted.map((pattern) => {
    const file = found.get(pattern);
    if (file === undefined) {
      throw new PowervisorError('PACKAGE_FILE_MISSING', `Package ${packageName} has no file that matches ${pattern}.`);
    }
    return file;
  });
}

/** All files of a package whose paths `wanted` holds for. Throws a PowervisorError if the package is damaged. */
export async function extractAll(
  deb: Uint8Array,
  packageName: string,
  wanted: (path: string) => boolean,
): Promise<PackageFile[]> {
  const member = findDataMember(deb);
  const found: PackageFile[] = [];
  const what = `${member.name} of package ${packageName}`;
  for await (const entry of readTar(decompressChunks(member.data, what), what)) {
    const path = entry.path.replace(/^\.?\/+/, '');
    if (isFile(entry) && wanted(path)) found.push({ path, data: await entry.read() });
  }
  return found;
}

function isFile(member: TarMember): boolean {
  return member.type === '0' || member.type === '7';
}

function findDataMember(deb: Uint8Array): ArMember {
  for (const member of readAr(deb)) if (/^data\.tar(\.(gz|xz|zst))?$/.test(member.name)) return member;
  throw badPackage('it has no data.tar member that is plain, gzip, xz or zstd');
}

function badPackage(why: string): PowervisorError {
  return new PowervisorError('BAD_PACKAGE', `The file is not a Debian package that can be read: ${why}.`);
}
