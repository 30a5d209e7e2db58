// The cryptography of sealed images as their code needs it, and its one implementation, over the Web Cryptography API that
// Node and browsers have alike. Everything is asynchronous because that API is (docs/adr/0007).

import { UsageError } from '../util/errors.ts';
import { decodePem, encodePem, pkcs1ToPkcs8, pkcs1ToSpki } from './pem.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** What AES-GCM makes of a message. */
export interface SealedBytes {
  /** Initialization vector, 16 bytes as the tools of this format write it; any length can be read. */
  readonly iv: Uint8Array;
  /** Authentication tag, 16 bytes. */
  readonly mac: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface SealPublicKey {
  /** The PEM file that the fingerprint is made from. */
  readonly pem: string;
  /** SHA-256 of the PEM file, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** RSA-OAEP with SHA-256. At most a few dozen bytes. */
  wrap(secret: Uint8Array): Promise<Bytes>;
}

export interface SealPrivateKey {
  readonly publicKey: SealPublicKey;
  /** What `wrap` of the public key was given, or undefined if the bytes are not such or were made for another key. */
  unwrap(bytes: Uint8Array): Promise<Bytes | undefined>;
}

export interface SealCrypto {
  randomBytes(count: number): Bytes;
  sha256(bytes: Uint8Array): Promise<Bytes>;
  sha512(bytes: Uint8Array): Promise<Bytes>;
  /** AES-256-GCM without additional data, under a fresh random vector. */
  seal(key: Uint8Array, plaintext: Uint8Array): Promise<SealedBytes>;
  /** Undefined if key, vector, ciphertext and tag do not belong together. */
  open(key: Uint8Array, sealed: SealedBytes): Promise<Bytes | undefined>;
  /** A new RSA key of 2048 bits, private part as PKCS#8 PEM. */
  generateKey(): Promise<{ readonly privatePem: string; readonly publicPem: string }>;
  /** Reads a PEM public key; `what` names it in errors. Throws a UsageError (`KEY`). */
  publicKey(pem: string, what: string): Promise<SealPublicKey>;
  /** Reads a PEM private key that has no passphrase; `what` names it in errors. Throws a UsageError (`KEY`). */
  privateKey(pem: string, what: string): Promise<SealPrivateKey>;
}

/** A key as the API keeps it: opaque. */
type KeyHandle = object;

/** The part of the Web Cryptography API that is used. */
export interface WebCryptoLike {
  getRandomValues(array: Bytes): unknown;
  readonly subtle: {
    digest(algorithm: string, bytes: Bytes): Promise<ArrayBuffer>;
    importKey(
      format: 'raw' | 'spki' | 'pkcs8',
      bytes: Bytes,
      algorithm: object,
      extractable: boolean,
      usages: ('encrypt' | 'decrypt')[],
    ): Promise<KeyHandle>;
    importKey(
      format: 'jwk',
      key: object,
      algorithm: object,
      extractable: boolean,
      usages: ('encrypt' | 'decrypt')[],
    ): Promise<KeyHandle>;
    exportKey(format: 'spki' | 'pkcs8', key: KeyHandle): Promise<ArrayBuffer>;
    exportKey(format: 'jwk', key: KeyHandle): Promise<object>;
    generateKey(
      algorithm: object,
      extractable: boolean,
      usages: ('encrypt' | 'decrypt')[],
    ): Promise<{ readonly publicKey: KeyHandle; readonly privateKey: KeyHandle }>;
    encrypt(algorithm: object, key: KeyHandle, bytes: Bytes): Promise<ArrayBuffer>;
    decrypt(algorithm: object, key: KeyHandle, bytes: Bytes): Promise<ArrayBuffer>;
  };
}

const RSA = { name: 'RSA-OAEP', hash: 'SHA-256' };
const RSA_BITS = 2048;
const PUBLIC_EXPONENT = Uint8Array.of(1, 0, 1);
const IV_BYTES = 16;
const MAC_BYTES = 16;

export function createSealCrypto(platform: WebCryptoLike): SealCrypto {
  const { subtle } = platform;
  const randomBytes = (count: number) => {
    const bytes = new Uint8Array(count);
    platform.getRandomValues(bytes);
    return bytes;
  };
  const digest = async (algorithm: string, bytes: Uint8Array) =>
    new Uint8Array(await subtle.digest(algorithm, plain(bytes)));
  const sha256 = (bytes: Uint8Array) => digest('SHA-256', bytes);
  const aesKey = (key: Uint8Array, usage: 'encrypt' | 'decrypt') =>
    subtle.importKey('raw', plain(key), { name: 'AES-GCM' }, false, [usage]);

  const publicKey = async (pem: string, what: string): Promise<SealPublicKey> => {
    const block = decodePem(pem);
    if (block?.label.includes('PRIVATE KEY')) {
      throw new UsageError('KEY', `${what} is a private key. Give the public one.`);
    }
    const spki =
      block?.label === 'PUBLIC KEY'
        ? block.bytes
        : block?.label === 'RSA PUBLIC KEY'
          ? pkcs1ToSpki(block.bytes)
          : undefined;
    const handle = spki && (await subtle.importKey('spki', spki, RSA, false, ['encrypt']).catch(() => undefined));
    if (!handle) throw new UsageError('KEY', `${what} is no RSA public key as a PEM file ("BEGIN PUBLIC KEY").`);
    const fingerprint = await sha256(new TextEncoder().encode(pem));
    return {
      pem,
      fingerprint,
      wrap: async (secret) => new Uint8Array(await subtle.encrypt({ name: RSA.name }, handle, plain(secret))),
    };
  };

  const publicPemOf = async (privateHandle: KeyHandle): Promise<string> => {
    const { kty, n, e } = (await subtle.exportKey('jwk', privateHandle)) as { kty?: string; n?: string; e?: string };
    const handle = await subtle.importKey('jwk', { kty, n, e }, RSA, true, ['encrypt']);
    return encodePem('PUBLIC KEY', new Uint8Array(await subtle.exportKey('spki', handle)));
  };

  const privateKey = async (pem: string, what: string): Promise<SealPrivateKey> => {
    const block = decodePem(pem);
    if (block?.label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(pem)) {
      throw new UsageError(
        'KEY',
        `${what} is protected by a passphrase. Take it off first: openssl pkey -in KEY -out PLAIN.`,
      );
    }
    if (block?.label.endsWith('PUBLIC KEY')) {
      throw new UsageError('KEY', `${what} is a public key. Give the private one.`);
    }
    const pkcs8 =
      block?.label === 'PRIVATE KEY'
        ? block.bytes
        : block?.label === 'RSA PRIVATE KEY'
          ? pkcs1ToPkcs8(block.bytes)
          : undefined;
    const handle = pkcs8 && (await subtle.importKey('pkcs8', pkcs8, RSA, true, ['decrypt']).catch(() => undefined));
    if (!handle) throw new UsageError('KEY', `${what} is no RSA private key as a PEM file ("BEGIN PRIVATE KEY").`);
    return {
      publicKey: await publicKey(await publicPemOf(handle), what),
      unwrap: async (bytes) => {
        const secret = await subtle.decrypt({ name: RSA.name }, handle, plain(bytes)).catch(() => undefined);
        return secret && new Uint8Array(secret);
      },
    };
  };

  return {
    randomBytes,
    sha256,
    sha512: (bytes) => digest('SHA-512', bytes),
    seal: async (key, plaintext) => {
      const iv = randomBytes(IV_BYTES);
      const algorithm = { name: 'AES-GCM', iv, tagLength: 8 * MAC_BYTES };
      const sealed = new Uint8Array(await subtle.encrypt(algorithm, await aesKey(key, 'encrypt'), plain(plaintext)));
      const end = sealed.length - MAC_BYTES;
      return { iv, mac: sealed.slice(end), ciphertext: sealed.slice(0, end) };
    },
    open: async (key, { iv, mac, ciphertext }) => {
      if (iv.length === 0 || mac.length !== MAC_BYTES) return undefined;
      const sealed = new Uint8Array(ciphertext.length + mac.length);
      sealed.set(ciphertext);
      sealed.set(mac, ciphertext.length);
      const algorithm = { name: 'AES-GCM', iv: plain(iv), tagLength: 8 * MAC_BYTES };
      const opened = await subtle.decrypt(algorithm, await aesKey(key, 'decrypt'), sealed).catch(() => undefined);
      return opened && new Uint8Array(opened);
    },
    generateKey: async () => {
      const algorithm = { ...RSA, modulusLength: RSA_BITS, publicExponent: PUBLIC_EXPONENT };
      const pair = await subtle.generateKey(algorithm, true, ['encrypt', 'decrypt']);
      return {
        privatePem: encodePem('PRIVATE KEY', new Uint8Array(await subtle.exportKey('pkcs8', pair.privateKey))),
        publicPem: encodePem('PUBLIC KEY', new Uint8Array(await subtle.exportKey('spki', pair.publicKey))),
      };
    },
    publicKey,
    privateKey,
  };
}

/** The same bytes in a buffer that is not shared, which is what the API takes. */
function plain(bytes: Uint8Array): Bytes {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Bytes) : new Uint8Array(bytes);
}
