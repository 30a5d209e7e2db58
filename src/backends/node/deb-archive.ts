// Reading binary packages of Debian (deb(5)): an `ar` archive whose member data.tar.* holds the files.
// Only files are read out; maintainer scripts and the control archive are of no use here.

import { createTarDecoder } from 'modern-tar';
import { PowervisorError } from '../../util/errors.ts';
import { decompressChunks, webStream } from './decompress.ts';

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
  const tar = webStream(decompressChunks(member.data, `${member.name} of package ${packageName}`));
  const entries = tar.pipeThrough(createTarDecoder()).getReader();
  while (found.size < wanted.length) {
    const { done, value: entry } = await entries.read();
    if (done) break;
    const path = entry.header.name.replace(/^\.?\/+/, '');
    const pattern =
      entry.header.type === 'file' ? wanted.find((each) => each.test(path) && !found.has(each)) : undefined;
    if (pattern === undefined) await entry.body.cancel();
    else found.set(pattern, { path, data: new Uint8Array(await new Response(entry.body).arrayBuffer()) });
  }
  await entries.cancel();
  return wanted.map((pattern) => {
    const file = found.get(pattern);
    if (file === undefined) {
      throw new PowervisorError('PACKAGE_FILE_MISSING', `Package ${packageName} has no file that matches ${pattern}.`);
    }
    return file;
  });
}

function findDataMember(deb: Uint8Array): ArMember {
  for (const member of readAr(deb)) if (/^data\.tar(\.(gz|xz|zst))?$/.test(member.name)) return member;
  throw badPackage('it has no data.tar member that is plain, gzip, xz or zstd');
}

function badPackage(why: string): PowervisorError {
  return new PowervisorError('BAD_PACKAGE', `The file is not a Debian package that can be read: ${why}.`);
}
