import { execFileSync } from 'node:child_process';
import { constants, createHash, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeSealCrypto as crypto } from './node/seal-crypto.ts';
import { decodePem, encodePem } from './pem.ts';

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const secret = Uint8Array.from({ length: 32 }, (_, i) => i);

describe('keys', () => {
  it.each(['pkcs1', 'pkcs8'] as const)('are read from %s, as other tools write them', async (type) => {
    const pem = pair.privateKey.export({ type, format: 'pem' }) as string;
    const key = await crypto.privateKey(pem, 'the key');
    const publicPem = pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    expect(key.publicKey.pem).toBe(publicPem);
    expect(Buffer.from(key.publicKey.fingerprint)).toEqual(createHash('sha256').update(publicPem).digest());
    expect(await key.unwrap(await key.publicKey.wrap(secret))).toEqual(secret);
  });

  it.each(['pkcs1', 'spki'] as const)('public ones as %s', async (type) => {
    const pem = pair.publicKey.export({ type, format: 'pem' }) as string;
    const wrapped = await (await crypto.publicKey(pem, 'the key')).wrap(secret);
    // An implementation apart from the Web Cryptography API's.
    const padding = { key: pair.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    expect(Uint8Array.from(privateDecrypt(padding, wrapped))).toEqual(secret);
  });

  it.each<[string, () => string, 'publicKey' | 'privateKey', RegExp]>([
    [
      'a private key as a public one',
      () => pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      'publicKey',
      /K is a private key/,
    ],
    [
      'a public key as a private one',
      () => pair.publicKey.export({ type: 'spki', format: 'pem' }) as string,
      'privateKey',
      /K is a public key/,
    ],
    [
      'a key with a passphrase',
      () => pair.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string,
      'privateKey',
      /protected by a passphrase/,
    ],
    [
      'an old key with a passphrase',
      () => pair.privateKey.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string,
      'privateKey',
      /protected by a passphrase/,
    ],
    [
      'a key of another kind',
      () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      'privateKey',
      /K is no RSA private key/,
    ],
    ['no key', () => 'hello', 'publicKey', /K is no RSA public key/],
    [
      'damaged base64',
      () => '-----BEGIN PUBLIC KEY-----\nAAA\n-----END PUBLIC KEY-----\n',
      'publicKey',
      /no RSA public key/,
    ],
  ])('are refused: %s', async (_, pem, kind, message) => {
    await expect(crypto[kind](pem(), 'K')).rejects.toThrow(message);
  });

  it('do not open what is not theirs, or is damaged', async () => {
    const { privatePem, publicPem } = await crypto.generateKey();
    const key = await crypto.privateKey(privatePem, 'the key');
    expect(key.publicKey.pem).toBe(publicPem);
    const wrapped = await key.publicKey.wrap(secret);
    wrapped[9] ^= 1;
    for (const bytes of [wrapped, new Uint8Array(256), new Uint8Array(1)])
      expect(await key.unwrap(bytes)).toBeUndefined();
  });
});

describe('sealing', () => {
  it('opens what it sealed, and nothing else', async () => {
    const key = crypto.randomBytes(32);
    const sealed = await crypto.seal(key, secret);
    expect([sealed.iv.length, sealed.mac.length, sealed.ciphertext.length]).toEqual([16, 16, 32]);
    expect(await crypto.open(key, sealed)).toEqual(secret);
    for (const part of ['iv', 'mac', 'ciphertext'] as const) {
      const other = Uint8Array.from(sealed[part]);
      other[3] ^= 1;
      expect(await crypto.open(key, { ...sealed, [part]: other })).toBeUndefined();
    }
    expect(await crypto.open(crypto.randomBytes(32), sealed)).toBeUndefined();
    expect(await crypto.open(key, { ...sealed, iv: new Uint8Array() })).toBeUndefined();
    expect(await crypto.open(key, { ...sealed, mac: sealed.mac.subarray(1) })).toBeUndefined();
  });

  it('takes bytes in shared memory', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(5));
    expect(Buffer.from(await crypto.sha512(shared))).toEqual(createHash('sha512').update(Buffer.alloc(5)).digest());
  });
});

describe('PEM', () => {
  it('reads what it writes, of any length', () => {
    for (let length = 1; length < 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => i * 37 + length);
      const pem = encodePem('X', bytes);
      expect(decodePem(pem)).toEqual({ label: 'X', bytes });
      expect(pem.split('\n')[1]).toBe(Buffer.from(bytes).toString('base64').slice(0, 64));
    }
  });
});

describe('openssl', () => {
  let there = true;
  beforeAll(() => {
    try {
      execFileSync('openssl', ['version'], { stdio: 'ignore' });
    } catch {
      there = false;
    }
  });

  it('reads the keys', async ({ skip }) => {
    if (!there) skip('no openssl here');
    const { privatePem, publicPem } = await crypto.generateKey();
    expect(execFileSync('openssl', ['pkey', '-pubout'], { input: privatePem, encoding: 'utf8' })).toBe(publicPem);
  });
});
