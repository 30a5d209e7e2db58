import { describe, expect, it } from 'vitest';
import { nodePageCipher } from '../node/page-cipher.ts';
import { browserPageCipher } from './page-cipher.ts';

const bytes = (count: number, seed: number) => new Uint8Array(count).map((_, i) => (i * 7 + seed) ^ (i >> 8));
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

describe.each([
  ['node', nodePageCipher],
  ['browser', browserPageCipher],
])('page cipher of %s', (_, cipherFor) => {
  it('is AES-128-GCM: test case 3 of its specification', () => {
    const cipher = cipherFor(hex('feffe9928665731c6d6a8f9467308308'));
    const contents = hex(
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
    );
    const sealed = cipher.encrypt(hex('cafebabefacedbaddecaf888'), contents);
    expect(Buffer.from(sealed).toString('hex')).toBe(
      '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f59854d5c2af327cd64a62cf35abd2ba6fab4',
    );
  });

  it('gives contents back, and nothing for anything else', () => {
    const cipher = cipherFor(bytes(16, 1));
    const nonce = bytes(12, 2);
    const sealed = cipher.encrypt(nonce, bytes(65536, 3));
    expect(sealed).toHaveLength(65552);
    expect(Buffer.from(cipher.decrypt(nonce, sealed)!).equals(Buffer.from(bytes(65536, 3)))).toBe(true);
    for (const at of [0, 40000, 65536, 65551]) {
      const changed = new Uint8Array(sealed);
      changed[at] ^= 0x80;
      expect(cipher.decrypt(nonce, changed)).toBeUndefined();
    }
    expect(cipher.decrypt(bytes(12, 9), sealed)).toBeUndefined();
  });
});

it('both encrypt alike', () => {
  const [a, b] = [nodePageCipher, browserPageCipher].map((cipherFor) =>
    Buffer.from(cipherFor(bytes(16, 1)).encrypt(bytes(12, 2), bytes(65536, 3))),
  );
  expect(a.equals(b)).toBe(true);
});
