import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { makeAr, makeDeb, makeTar, tarMember } from '../../../tests/support/fake-mirror.ts';
import { extractFiles, readAr } from './deb-archive.ts';
import { readTar } from './tar-reader.ts';

const big = Buffer.alloc(700_001, 'x');

describe('extractFiles', () => {
  it('takes out the wanted files in the order asked for', async () => {
    const deb = makeDeb({ 'usr/doc': 'text', 'boot/vmlinux-6.1': big, 'boot/config': 'A=y', 'lib/module': 'm' });
    const files = await extractFiles(deb, 'linux', [/^boot\/config$/, /^boot\/vmlinux-/]);
    expect(files.map(({ path }) => path)).toEqual(['boot/config', 'boot/vmlinux-6.1']);
    expect(Buffer.from(files[0].data).toString()).toBe('A=y');
    expect(Buffer.from(files[1].data).equals(big)).toBe(true);
  });

  it('names the pattern that nothing matches', async () => {
    await expect(extractFiles(makeDeb({ a: '1' }), 'pkg', [/^b$/])).rejects.toThrow(
      'Package pkg has no file that matches /^b$/',
    );
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'does not start like an ar archive'],
    ['another format', Buffer.from('PK\x03\x04 and more bytes than eight'), 'does not start like an ar archive'],
    ['a cut package', makeDeb({ a: big }).subarray(0, 600), 'it is truncated'],
    ['no data member', makeAr({ 'debian-binary': Buffer.from('2.0\n') }), 'no data.tar member'],
    ['data of an unknown format', makeAr({ 'data.tar.lz4': Buffer.from('x') }), 'no data.tar member'],
    ['damaged data', makeAr({ 'data.tar.gz': gzipSync(big).fill(7, 20, 60) }), 'not readable as gzip'],
    ['data that is no archive', makeAr({ 'data.tar': big }), 'not a readable tar archive'],
    ['a cut archive', makeAr({ 'data.tar': makeTar({ a: big }).subarray(0, 90_000) }), 'cut short'],
  ])('refuses %s', async (_name, deb, message) => {
    await expect(extractFiles(deb, 'pkg', [/^z$/])).rejects.toThrow(message);
  });
});

it('reads ar members of odd length', () => {
  const members = [...readAr(makeAr({ one: Buffer.from('abc'), two: Buffer.from('de') }))];
  expect(members.map(({ name, data }) => [name, Buffer.from(data).toString()])).toEqual([
    ['one', 'abc'],
    ['two', 'de'],
  ]);
});

describe('readTar', () => {
  const paths = async (archive: Buffer, chunkBytes = archive.length) => {
    const found: string[] = [];
    for await (const member of readTar(chunked(archive, chunkBytes), 'archive')) found.push(member.path);
    return found;
  };
  const longPath = `usr/${'deep/'.repeat(30)}file`;

  it('knows the long names of GNU tar and of pax, and uses each once', async () => {
    const record = ` path=${longPath}\n`;
    const pax = Buffer.from(`${record.length + 3}${record}`);
    const archive = Buffer.concat([
      tarMember('x', 'x', pax),
      tarMember('short', '0', Buffer.from('1')),
      makeTar({ [longPath]: '2', b: '3' }),
    ]);
    expect(await paths(archive)).toEqual([longPath, longPath, 'b']);
  });

  it('does not depend on how the bytes come', async () => {
    const archive = makeTar({ a: 'one', b: big.subarray(0, 3000), c: '' });
    for (const chunkBytes of [1, 7, 511, 512, 4096]) expect(await paths(archive, chunkBytes)).toEqual(['a', 'b', 'c']);
  });
});

async function* chunked(bytes: Buffer, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}
