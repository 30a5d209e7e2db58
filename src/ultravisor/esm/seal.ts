// Making and opening ESM blobs: the master key, lockboxes (RSA-OAEP), digests and files (AES-256-GCM). Opening is what the
// ultravisor and the tool both do; making is the tool's. Reasons for refusing are values, of a few words each.

import type { SealCrypto, SealedBytes, SealPrivateKey, SealPublicKey } from '../../backends/seal-crypto.ts';
import {
  type Checked,
  type EsmBlob,
  type ImageDigests,
  type Lockbox,
  lockboxNumber,
  MASTER_KEY_BYTES,
  maskedBlob,
  ORIGIN,
  parseBlob,
  parseDigests,
  type SealedItem,
  writeBlob,
  writeDigests,
} from './blob.ts';

export interface Recipient {
  readonly key: SealPublicKey;
  readonly comment: string;
}

export interface BlobSource {
  /** Whose private key may add recipients. */
  readonly origin: Recipient;
  readonly recipients: readonly Recipient[];
  readonly digests: Omit<ImageDigests, 'envelope'>;
  /** False: without the digest of the blob itself, so that other tools can add lockboxes. Default true. */
  readonly envelope?: boolean;
  readonly files: readonly { readonly name: string; readonly comment: string; readonly content: Uint8Array }[];
}

/** A blob whose master key is at hand. */
export interface OpenBlob {
  readonly blob: EsmBlob;
  readonly bytes: Uint8Array;
  readonly masterKey: Uint8Array;
  /** Name of the lockbox that was opened. */
  readonly lockbox: string;
}

export async function createBlob(crypto: SealCrypto, source: BlobSource): Promise<Uint8Array<ArrayBuffer>> {
  const masterKey = crypto.randomBytes(MASTER_KEY_BYTES);
  const lockboxes = [await lockboxFor(ORIGIN, source.origin, masterKey)];
  for (const [i, recipient] of source.recipients.entries()) {
    lockboxes.push(await lockboxFor(`lockbox-${i + 1}`, recipient, masterKey));
  }
  const files = new Map<string, SealedItem>();
  for (const { name, comment, content } of source.files) {
    files.set(name, { comment, ...(await crypto.seal(masterKey, content)) });
  }
  return closeBlob(crypto, { lockboxes, files }, masterKey, source.digests, source.envelope ?? true);
}

/** The blob with one more lockbox. It is not checked whether the recipient has one already. */
export async function authorize(
  crypto: SealCrypto,
  open: OpenBlob,
  recipient: Recipient,
): Promise<Checked<Uint8Array<ArrayBuffer>>> {
  const digests = await openDigests(crypto, open);
  if (!digests.ok) return digests;
  const { lockboxes, files } = open.blob;
  const last = Math.max(...lockboxes.map(({ name }) => lockboxNumber(name)));
  const added = await lockboxFor(`lockbox-${last + 1}`, recipient, open.masterKey);
  const parts = { lockboxes: [...lockboxes, added], files };
  return {
    ok: true,
    value: await closeBlob(crypto, parts, open.masterKey, digests.value, digests.value.envelope !== undefined),
  };
}

/**
 * Opens the first lockbox that the key fits. `boxes` says which are tried: all, or those of recipients, which is what an
 * ultravisor does.
 */
export async function openBlob(
  bytes: Uint8Array,
  key: SealPrivateKey,
  boxes: 'all' | 'recipients',
): Promise<Checked<OpenBlob>> {
  const parsed = parseBlob(bytes);
  if (!parsed.ok) return parsed;
  const blob = parsed.value;
  const candidates = blob.lockboxes.filter(({ name }) => boxes === 'all' || name !== ORIGIN);
  if (candidates.length === 0) return { ok: false, reason: 'it has a lockbox for its origin only' };
  for (const { name, encryptedKey } of candidates) {
    const masterKey = await key.unwrap(encryptedKey);
    if (masterKey?.length === MASTER_KEY_BYTES) return { ok: true, value: { blob, bytes, masterKey, lockbox: name } };
  }
  const names = candidates.map(({ name }) => name).join(', ');
  const print = hex(key.publicKey.fingerprint.subarray(0, 8));
  return { ok: false, reason: `none of its lockboxes (${names}) opens with the key ${print}` };
}

/** The digests of an open blob; their own, of the blob, is checked. */
export async function openDigests(
  crypto: SealCrypto,
  { blob, bytes, masterKey }: OpenBlob,
): Promise<Checked<ImageDigests>> {
  if (!blob.digests) return { ok: false, reason: 'it has no digests' };
  const plain = await crypto.open(masterKey, blob.digests);
  if (!plain) return { ok: false, reason: 'the digests have been changed: their authentication tag differs' };
  const digests = parseDigests(plain);
  if (!digests.ok || !digests.value.envelope) return digests;
  const found = await crypto.sha512(maskedBlob(bytes, blob));
  const wanted = digests.value.envelope;
  if (equal(found, wanted)) return digests;
  return { ok: false, reason: `the blob has been changed: its digest should be ${hex(wanted)} and is ${hex(found)}` };
}

export async function openFile(crypto: SealCrypto, open: OpenBlob, name: string): Promise<Checked<Uint8Array>> {
  const item = open.blob.files.get(name);
  if (!item) return { ok: false, reason: `it has no file ${name}` };
  const value = await crypto.open(open.masterKey, item);
  if (value) return { ok: true, value };
  return { ok: false, reason: `the file ${name} has been changed: its authentication tag differs` };
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function lockboxFor(name: string, { key, comment }: Recipient, masterKey: Uint8Array): Promise<Lockbox> {
  return { name, comment, fingerprint: key.fingerprint, encryptedKey: await key.wrap(masterKey) };
}

/** Writes the blob twice: once to learn its digest, and once with the digest sealed in it. */
async function closeBlob(
  crypto: SealCrypto,
  parts: Pick<EsmBlob, 'lockboxes' | 'files'>,
  masterKey: Uint8Array,
  digests: Omit<ImageDigests, 'envelope'>,
  withEnvelope: boolean,
): Promise<Uint8Array<ArrayBuffer>> {
  const write = (sealed: SealedBytes) => writeBlob({ ...parts, digests: { comment: '', ...sealed } });
  if (!withEnvelope) return write(await crypto.seal(masterKey, writeDigests({ ...digests, envelope: undefined })));
  const draft = await crypto.seal(masterKey, writeDigests({ ...digests, envelope: new Uint8Array(64) }));
  const zeros = (bytes: Uint8Array) => new Uint8Array(bytes.length);
  const blank = { iv: zeros(draft.iv), mac: zeros(draft.mac), ciphertext: zeros(draft.ciphertext) };
  const envelope = await crypto.sha512(write(blank));
  return write(await crypto.seal(masterKey, writeDigests({ ...digests, envelope })));
}
