import { expect, it } from 'vitest';
import { compareVersions, findPackage, parseStanza, releaseDigests } from './debian-control.ts';

it('reads stanzas with continuation lines', () => {
  const stanza = parseStanza('Package: a\nDescription: short\n long one\n .\n more\nSize: 5\n');
  expect(stanza.get('package')).toBe('a');
  expect(stanza.get('description')).toBe('short\nlong one\n.\nmore');
  expect(stanza.get('size')).toBe('5');
});

it('finds every stanza of a package and no other', () => {
  const packages =
    'Package: a\nVersion: 1\n\nPackage: ab\nVersion: 2\nDepends: a\n\nPackage: a\nVersion: 3\n\nPackage: c\nProvides: a\n';
  expect(findPackage(packages, 'a').map((each) => each.get('version'))).toEqual(['1', '3']);
  expect(findPackage(packages, 'c')).toHaveLength(1);
  expect(findPackage(packages, 'b')).toEqual([]);
});

it('reads the SHA256 section of a release file and not the others', () => {
  const hash = 'ab'.repeat(32);
  const digests = releaseDigests(`Suite: s\nMD5Sum:\n ${'1'.repeat(32)} 9 main/x\nSHA256:\n ${hash}  12 main/y\n`);
  expect([...digests]).toEqual([['main/y', { sha256: hash, sizeBytes: 12 }]]);
});

// Each pair older first, as `dpkg --compare-versions` has it.
it.each([
  ['6.1.170-3', '6.1.176-1'],
  ['6.1.9-1', '6.1.10-1'],
  ['20230607+deb12u9', '20230607+deb12u15'],
  ['1.0~rc1', '1.0'],
  ['1.0~rc1-1', '1.0~rc2-1'],
  ['1.0', '1.0+b1'],
  ['1.0', '1.0a'],
  ['1.0a', '1.0+'],
  ['9.9', '1:0.1'],
  ['1.0-1', '1.0-1.1'],
  ['1.0-1', '1.0-1+b1'],
  ['1.2.3', '1.2.3-1'],
  ['0.9-a-1', '0.9-a-2'],
])('orders %s before %s', (older, newer) => {
  expect(Math.sign(compareVersions(older, newer))).toBe(-1);
  expect(Math.sign(compareVersions(newer, older))).toBe(1);
  expect(compareVersions(newer, newer)).toBe(0);
});
