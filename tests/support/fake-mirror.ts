// A Debian mirror made by the test itself, as a folder: packages, an index and a release file that agree.

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface FakePackage {
  readonly name: string;
  readonly version: string;
  readonly depends?: string;
  readonly files: Readonly<Record<string, Uint8Array | string>>;
}

/** A ustar archive of regular files. Paths over 100 bytes get a GNU long-name member. */
export function makeTar(files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  const members = Object.entries(files).flatMap(([path, content]) => {
    const data = Buffer.from(content as Uint8Array);
    if (path.length <= 100) return [tarMember(path, '0', data)];
    return [tarMember('././@LongLink', 'L', Buffer.from(`${path}\0`)), tarMember(path.slice(0, 100), '0', data)];
  });
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}

export function tarMember(path: string, type: string, data: Uint8Array): Buffer {
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write('0000644\0', 100);
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\0', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

export function makeAr(members: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts = Object.entries(members).flatMap(([name, data]) => [
    Buffer.from(`${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}`),
    Buffer.from(`${String(data.length).padEnd(10)}\`\n`),
    data,
    Buffer.alloc(data.length % 2, '\n'),
  ]);
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts]);
}

export function makeDeb(files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  const data = makeTar(Object.fromEntries(Object.entries(files).map(([path, content]) => [`./${path}`, content])));
  return makeAr({
    'debian-binary': Buffer.from('2.0\n'),
    'control.tar.gz': gzipSync(makeTar({ './control': 'Package: x\n' })),
    'data.tar.gz': gzipSync(data),
  });
}

/** Writes the mirror under `directory` with one suite. `damage` is called on each file before it is written. */
export async function writeFakeMirror(
  directory: string,
  suite: string,
  packages: readonly FakePackage[],
  damage: (path: string, bytes: Buffer) => Buffer = (_path, bytes) => bytes,
): Promise<void> {
  const put = async (path: string, bytes: Buffer) => {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), damage(path, bytes));
  };
  const stanzas: string[] = [];
  for (const { name, version, depends, files } of packages) {
    const deb = makeDeb(files);
    const path = `pool/main/${name}_${version.replace(':', '%3a')}_ppc64el.deb`;
    await put(path, deb);
    stanzas.push(
      `Package: ${name}\nVersion: ${version}\n${depends === undefined ? '' : `Depends: ${depends}\n`}` +
        `Description: a package\n of the test\nFilename: ${path}\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n`,
    );
  }
  const index = gzipSync(stanzas.join('\n'));
  const indexPath = 'main/binary-ppc64el/Packages.gz';
  await put(`dists/${suite}/${indexPath}`, index);
  await put(
    `dists/${suite}/Release`,
    Buffer.from(`Suite: ${suite}\nMD5Sum:\n 0 0 nothing\nSHA256:\n ${sha256(index)} ${index.length} ${indexPath}\n`),
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
