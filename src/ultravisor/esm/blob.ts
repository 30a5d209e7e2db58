// ESM blobs as values: lockboxes, sealed digests and sealed files, and the flattened trees they are written in (the format
// of open-power/svm-tools, docs/README.ESM there; docs/sealed-images.md). A blob comes from an untrusted party. What is in
// it is checked for form here, and for truth where it is opened (seal.ts).

import type { SealedBytes } from '../../backends/seal-crypto.ts';
import { type FlatNode, type FlatSource, flatText, flatTreeBytes, readFlatTree, writeFlatTree } from './flat-tree.ts';

/** A copy of the master key for one recipient. */
export interface Lockbox {
  /** `origin-lockbox`, or `lockbox-N`. */
  readonly name: string;
  readonly comment: string;
  /** SHA-256 of the recipient's public key file. A hint: nothing depends on it. */
  readonly fingerprint: Uint8Array;
  readonly encryptedKey: Uint8Array;
}

/** Something encrypted with the master key. */
export interface SealedItem extends SealedBytes {
  readonly comment: string;
}

export interface EsmBlob {
  /** The origin's first, the others by number. */
  readonly lockboxes: readonly Lockbox[];
  /** Undefined in a blob that is being made. */
  readonly digests: SealedItem | undefined;
  readonly files: ReadonlyMap<string, SealedItem>;
}

/** What a sealed image says of the memory it is to be started in: SHA-512 of each part. */
export interface ImageDigests {
  readonly rtas: Uint8Array;
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly bootargs: Uint8Array;
  /** How much of memory from the start of the kernel the kernel's digest is about. */
  readonly kernelBytes: number;
  /**
   * SHA-512 of the blob with zeros for vector, tag and ciphertext of the digests. An addition of Powervisor's: undefined in
   * blobs of other tools, in which comments and lockboxes of others are protected by nothing.
   */
  readonly envelope: Uint8Array | undefined;
}

export const MEASURED = ['rtas', 'kernel', 'initrd', 'bootargs'] as const;
export type Measured = (typeof MEASURED)[number];

/** A value, or in a few words why there is none. */
export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

export const ORIGIN = 'origin-lockbox';
export const MASTER_KEY_BYTES = 32;
export const MAX_BLOB_BYTES = 16 * 2 ** 20;
export const MAX_LOCKBOXES = 64;
const MAX_COMMENT_CHARACTERS = 1024;
/** RSA keys from 1024 to 8192 bits. */
const ENCRYPTED_KEY_BYTES = { min: 128, max: 1024 };
const SHA256_BYTES = 32;
const SHA512_BYTES = 64;
const MAX_IV_BYTES = 64;
const MAC_BYTES = 16;
const CIPHER = 'AES256-GCM';
const LOCKBOX_NAME = /^lockbox-[1-9][0-9]{0,5}$/;
/** Devicetree Specification 2.2.1, as the tools of the format narrow it. */
const FILE_NAME = /^[A-Za-z][0-9A-Za-z,._+-]{0,30}$/;

export function isFileName(name: string): boolean {
  return FILE_NAME.test(name);
}

/** Reads a blob. Everything it should have must be there, and nothing else. */
export function parseBlob(bytes: Uint8Array): Checked<EsmBlob> {
  if (bytes.length > MAX_BLOB_BYTES) return bad(`it has more than ${MAX_BLOB_BYTES} bytes`);
  const total = flatTreeBytes(bytes);
  if (total === undefined) return bad('it is no flattened tree');
  if (total !== bytes.length) return bad(`it says it has ${total} bytes and has ${bytes.length}`);
  const root = readFlatTree(bytes);
  if (!root) return bad('its tree is malformed');
  if (flatText(root, 'compatible') !== 'ibm,esm') return bad('it is not compatible with "ibm,esm"');
  const stranger = strange(root, ['compatible'], ['lockboxes', 'digest', 'file']);
  if (stranger) return bad(stranger);
  const lockboxes = parseLockboxes(root.nodes.get('lockboxes'));
  if (!lockboxes.ok) return lockboxes;
  const digest = root.nodes.get('digest');
  const sealedDigests = digest?.nodes.get('digests-fdt');
  if (!digest || strange(digest, [], ['digests-fdt'])) return bad('its /digest is not as it should be');
  const digests = sealedDigests && parseItem(sealedDigests);
  if (digests && !digests.ok) return bad(`/digest/digests-fdt: ${digests.reason}`);
  const files = parseFiles(root.nodes.get('file'));
  if (!files.ok) return files;
  return good({ lockboxes: lockboxes.value, digests: digests?.value, files: files.value });
}

/** The blob as a file. */
export function writeBlob(blob: EsmBlob): Uint8Array<ArrayBuffer> {
  const files: [string, FlatSource][] = [...blob.files].map(([name, item]) => [name, itemSource(item)]);
  const filesTree = { compatible: 'ibm,esm-file', files: Object.fromEntries(files) };
  return writeFlatTree({
    compatible: 'ibm,esm',
    lockboxes: Object.fromEntries(blob.lockboxes.map((box) => [box.name, lockboxSource(box)])),
    digest: blob.digests ? { 'digests-fdt': itemSource(blob.digests) } : {},
    file: files.length > 0 ? { 'files-fdt': writeFlatTree(filesTree) } : {},
  });
}

/** Reads what was sealed as `digests-fdt`. */
export function parseDigests(bytes: Uint8Array): Checked<ImageDigests> {
  const root = readFlatTree(bytes);
  const node = root?.nodes.get('digests');
  if (!root || flatText(root, 'compatible') !== 'ibm,esm' || !node) return bad('the digests are no tree of digests');
  if (flatText(node, 'algorithm') !== 'SHA512') return bad('the digests are not made with SHA512');
  const size = node.properties.get('kernel-size');
  if (size?.length !== 4) return bad('the size of the kernel is missing');
  const wrong = MEASURED.find((name) => node.properties.get(name)?.length !== SHA512_BYTES);
  if (wrong) return bad(`the digest of ${wrong} is missing`);
  const envelope = node.properties.get('envelope');
  if (envelope && envelope.length !== SHA512_BYTES) return bad('the digest of the blob itself is malformed');
  const kernelBytes = new DataView(size.buffer, size.byteOffset, 4).getUint32(0);
  const [rtas, kernel, initrd, bootargs] = MEASURED.map((name) => node.properties.get(name)!);
  return good({ rtas, kernel, initrd, bootargs, kernelBytes, envelope });
}

export function writeDigests(digests: ImageDigests): Uint8Array<ArrayBuffer> {
  const { rtas, kernel, initrd, bootargs, kernelBytes, envelope } = digests;
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, kernelBytes);
  const base = { algorithm: 'SHA512', rtas, kernel, 'kernel-size': size, initrd, bootargs };
  return writeFlatTree({ compatible: 'ibm,esm', digests: { ...base, ...(envelope && { envelope }) } });
}

/** A copy of the blob's bytes with zeros for what the digest of the blob itself cannot be about. `blob` was read from them. */
export function maskedBlob(bytes: Uint8Array, blob: EsmBlob): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  for (const part of blob.digests ? [blob.digests.iv, blob.digests.mac, blob.digests.ciphertext] : []) {
    const start = part.byteOffset - bytes.byteOffset;
    copy.fill(0, start, start + part.length);
  }
  return copy;
}

function parseLockboxes(node: FlatNode | undefined): Checked<Lockbox[]> {
  if (!node || node.properties.size > 0) return bad('it has no /lockboxes');
  if (node.nodes.size > MAX_LOCKBOXES) return bad(`it has more than ${MAX_LOCKBOXES} lockboxes`);
  const boxes: Lockbox[] = [];
  for (const [name, child] of node.nodes) {
    if (name !== ORIGIN && !LOCKBOX_NAME.test(name)) return bad(`a lockbox is called ${name}`);
    const comment = commentOf(child);
    const encryptedKey = child.properties.get('encrypted-symkey');
    const print = child.nodes.get('pubkey-fingerprint');
    const fingerprint = print?.properties.get('hash');
    const right =
      comment !== undefined &&
      encryptedKey !== undefined &&
      encryptedKey.length >= ENCRYPTED_KEY_BYTES.min &&
      encryptedKey.length <= ENCRYPTED_KEY_BYTES.max &&
      fingerprint?.length === SHA256_BYTES &&
      flatText(print, 'algorithm') === 'SHA256';
    const stranger =
      strange(child, ['untrusted-comment', 'encrypted-symkey'], ['pubkey-fingerprint']) ??
      (print && strange(print, ['algorithm', 'hash'], []));
    if (!right || stranger) return bad(`${name} is malformed`);
    boxes.push({ name, comment, fingerprint, encryptedKey });
  }
  return boxes.some(({ name }) => name === ORIGIN)
    ? good(boxes.sort((a, b) => lockboxNumber(a.name) - lockboxNumber(b.name)))
    : bad('it has no origin-lockbox');
}

/** 0 for the origin's. */
export function lockboxNumber(name: string): number {
  return name === ORIGIN ? 0 : Number(name.slice('lockbox-'.length));
}

function parseFiles(node: FlatNode | undefined): Checked<Map<string, SealedItem>> {
  if (!node || strange(node, ['files-fdt'], [])) return bad('its /file is not as it should be');
  const tree = node.properties.get('files-fdt');
  const files = new Map<string, SealedItem>();
  if (!tree) return good(files);
  const root = readFlatTree(tree);
  const list = root?.nodes.get('files');
  if (!root || !list || flatText(root, 'compatible') !== 'ibm,esm-file') return bad('its files are no tree of files');
  if (strange(root, ['compatible'], ['files']) || list.properties.size > 0) return bad('its files are malformed');
  for (const [name, child] of list.nodes) {
    const item = isFileName(name) ? parseItem(child) : bad('that is no name for a file');
    if (!item.ok) return bad(`the file ${name}: ${item.reason}`);
    files.set(name, item.value);
  }
  return good(files);
}

function parseItem(node: FlatNode): Checked<SealedItem> {
  const comment = commentOf(node);
  const [iv, mac, ciphertext] = ['iv', 'mac', 'ciphertext'].map((name) => node.properties.get(name));
  const stranger = strange(node, ['algorithm', 'untrusted-comment', 'iv', 'mac', 'ciphertext'], []);
  if (stranger) return bad(stranger);
  if (flatText(node, 'algorithm') !== CIPHER) return bad(`it is not sealed with ${CIPHER}`);
  if (comment === undefined || !ciphertext) return bad('a part is missing');
  if (!iv || iv.length === 0 || iv.length > MAX_IV_BYTES || mac?.length !== MAC_BYTES) return bad('iv or mac is wrong');
  return good({ comment, iv, mac, ciphertext });
}

function lockboxSource({ comment, fingerprint, encryptedKey }: Lockbox): FlatSource {
  return {
    'untrusted-comment': comment,
    'encrypted-symkey': encryptedKey,
    'pubkey-fingerprint': { algorithm: 'SHA256', hash: fingerprint },
  };
}

function itemSource({ comment, iv, mac, ciphertext }: SealedItem): FlatSource {
  return { algorithm: CIPHER, 'untrusted-comment': comment, iv, mac, ciphertext };
}

function commentOf(node: FlatNode): string | undefined {
  const text = flatText(node, 'untrusted-comment');
  return text !== undefined && text.length <= MAX_COMMENT_CHARACTERS ? text : undefined;
}

/** What the node has besides the properties and nodes that belong there. */
function strange(node: FlatNode, properties: readonly string[], nodes: readonly string[]): string | undefined {
  const other =
    [...node.properties.keys()].find((name) => !properties.includes(name)) ??
    [...node.nodes.keys()].find((name) => !nodes.includes(name));
  return other === undefined ? undefined : `"${other}" does not belong where it stands`;
}

function good<Value>(value: Value): Checked<Value> {
  return { ok: true, value };
}

function bad(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
