import { expect, it } from 'vitest';
import { nodeSealCrypto } from '../../backends/node/seal-crypto.ts';
import { type EsmBlob, parseBlob, parseDigests, writeBlob, writeDigests } from './blob.ts';
import { blobArchive, findBlobArchive } from './cpio.ts';
import { type FlatSource, flatSource, flatText, readFlatTree, writeFlatTree } from './flat-tree.ts';
import { authorize, createBlob, hex, openBlob, openDigests, openFile } from './seal.ts';

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => i * seed + 7);

function random(seed: number): (below: number) => number {
  let state = BigInt(seed);
  return (below) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 33n) % below;
  };
}

const item = (seed: number) => ({
  comment: `c${seed}`,
  iv: bytes(16, seed),
  mac: bytes(16, seed + 1),
  ciphertext: bytes(40, seed),
});
const box = (name: string) => ({ name, comment: name, fingerprint: bytes(32), encryptedKey: bytes(256, 3) });
const sample: EsmBlob = {
  lockboxes: [box('origin-lockbox'), box('lockbox-1'), box('lockbox-12')],
  digests: item(3),
  files: new Map([
    ['a.txt', item(5)],
    ['b,c', item(6)],
  ]),
};

const digests = {
  rtas: bytes(64, 1),
  kernel: bytes(64, 2),
  initrd: bytes(64, 3),
  bootargs: bytes(64, 4),
  kernelBytes: 0x89abcdef,
  envelope: undefined,
};

/** Changes of all sorts: flipped and random bytes, words of interest, cuts. */
function mutate(input: Uint8Array, below: (n: number) => number): Uint8Array {
  const copy = Uint8Array.from(input);
  const interesting = [0, 1, 2, 3, 9, 0x7fffffff, 0x80000000, 0xffffffff, input.length, input.length - 4];
  for (let n = 1 + below(4); n > 0; n--) {
    const at = below(copy.length);
    if (below(2) === 0) copy[at] = below(256);
    else if (at + 4 <= copy.length)
      new DataView(copy.buffer).setUint32(at & ~3, interesting[below(interesting.length)]);
  }
  return below(5) === 0 ? copy.subarray(0, below(copy.length + 1)) : copy;
}

it('reads the blob that it writes', () => {
  const parsed = parseBlob(writeBlob(sample));
  expect(parsed).toEqual({ ok: true, value: sample });
});

it('reads the digests that it writes', () => {
  for (const envelope of [undefined, bytes(64, 9)]) {
    expect(parseDigests(writeDigests({ ...digests, envelope }))).toEqual({ ok: true, value: { ...digests, envelope } });
  }
});

it('writes trees that read back, whatever is in them', () => {
  const below = random(5);
  const tree = (depth: number): FlatSource => {
    const names = Array.from({ length: below(4) }, (_, i) => `n${i}-${below(99)}`);
    const properties = Array.from({ length: below(4) }, (_, i) => [`p${i}`, bytes(below(9))] as const);
    return Object.fromEntries<Uint8Array | FlatSource>([
      ...properties,
      ...(depth === 0 ? [] : names.map((name) => [name, tree(depth - 1)] as const)),
    ]);
  };
  for (let n = 0; n < 200; n++) {
    const source = tree(3);
    const written = writeFlatTree(source);
    expect(flatSource(readFlatTree(written)!)).toEqual(source);
    expect(written.length % 4).toBe(0);
  }
});

it('survives 15,000 damaged blobs, trees and archives, in bounded time', { timeout: 60_000 }, () => {
  const below = random(20261122);
  const blob = writeBlob(sample);
  const archive = blobArchive(blob);
  const inner = writeDigests(digests);
  let accepted = 0;
  for (let n = 0; n < 5000; n++) {
    const parsed = parseBlob(mutate(blob, below));
    if (parsed.ok) {
      accepted++;
      expect(parsed.value.lockboxes.length).toBeLessThanOrEqual(64);
      const total = [...parsed.value.files.values()].reduce((sum, { ciphertext }) => sum + ciphertext.length, 0);
      expect(total).toBeLessThanOrEqual(blob.length);
    } else expect(parsed.reason).toMatch(/\w/);
    parseDigests(mutate(inner, below));
    const damaged = mutate(archive, below);
    const found = findBlobArchive(damaged);
    if (found.kind === 'archive') {
      expect(found.start).toBeLessThan(found.end);
      expect(found.end).toBeLessThanOrEqual(found.archiveEnd);
      expect(found.archiveEnd).toBeLessThanOrEqual(damaged.length);
    }
  }
  // Values of keys, tags and comments are free; all else has a form.
  expect(accepted).toBeGreaterThan(250);
  expect(accepted).toBeLessThan(4000);
});

it('refuses trees that never end, and deep and wide ones', () => {
  const deep = (depth: number): FlatSource => (depth === 0 ? {} : { n: deep(depth - 1) });
  expect(readFlatTree(writeFlatTree(deep(7)))).toBeDefined();
  expect(readFlatTree(writeFlatTree(deep(8)))).toBeUndefined();
  const wide = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, bytes(1)]));
  expect(readFlatTree(writeFlatTree(wide(4096)))).toBeDefined();
  expect(readFlatTree(writeFlatTree(wide(4097)))).toBeUndefined();
});

it.each<[string, (source: Record<string, FlatSource>) => void, RegExp]>([
  ['another kind of tree', (source) => Object.assign(source, { compatible: 'ibm,other' }), /not compatible/],
  ['no lockboxes', (source) => delete source.lockboxes, /no \/lockboxes/],
  ['no origin', (source) => Object.assign(source, { lockboxes: {} }), /no origin-lockbox/],
  ['strangers', (source) => Object.assign(source, { more: {} }), /"more" does not belong/],
  ['a lockbox of another name', (source) => Object.assign(source.lockboxes, { 'lockbox-0': {} }), /called lockbox-0/],
  [
    'a lockbox without a key',
    (source) => Object.assign(source.lockboxes, { 'lockbox-2': {} }),
    /lockbox-2 is malformed/,
  ],
])('refuses a blob with %s', (_, change, reason) => {
  const source = flatSource(readFlatTree(writeBlob(sample))!) as Record<string, FlatSource>;
  change(source);
  expect(parseBlob(writeFlatTree(source))).toEqual({ ok: false, reason: expect.stringMatching(reason) });
});

it('knows a text by its one NUL at the end', () => {
  const node = readFlatTree(writeFlatTree({ a: 'x', b: bytes(0), c: Uint8Array.of(65), d: Uint8Array.of(0, 65, 0) }));
  expect(['a', 'b', 'c', 'd', 'e'].map((name) => flatText(node, name))).toEqual(['x', ...Array(4).fill(undefined)]);
});

const entry = (name: string, mode: string, content = '', size = content.length) => {
  const field = (value: number) => value.toString(16).padStart(8, '0');
  const fields = [0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((value) => (typeof value === 'string' ? value : field(value))).join('')}${name}\0`;
  const padded = (text: string) => text.padEnd((text.length + 3) & ~3, '\0');
  return padded(header) + padded(content);
};
const DIRECTORY = '000041ed';
const FILE = '000081a4';
const LINK = '0000a1ff';
const prefix = ['opt', 'opt/ibm', 'opt/ibm/pef'].map((name) => entry(name, DIRECTORY)).join('');
const trailer = entry('TRAILER!!!', '00000000');
const at = (text: string) => findBlobArchive(Buffer.from(text, 'latin1'));

it('finds a blob in front of an initrd', () => {
  const file = entry('./opt/ibm/pef/x', FILE, 'content');
  const all = entry('.', DIRECTORY) + prefix + file + trailer;
  const found = at(`${all.padEnd(Math.ceil(all.length / 512) * 512, '\0')}rest`);
  expect(found).toMatchObject({
    kind: 'archive',
    name: 'opt/ibm/pef/x',
    archiveEnd: Math.ceil(all.length / 512) * 512,
  });
});

it.each([
  ['nothing', '', 'none'],
  ['something compressed', '\x1f\x8b...', 'none'],
  ['an initrd', entry('init', FILE, 'x') + trailer, 'none'],
  ['an archive that has directories only', prefix + trailer, 'none'],
  ['an empty file', prefix + entry('opt/ibm/pef/x', FILE) + trailer, 'none'],
  ['a file that ends outside', prefix + entry('opt/ibm/pef/x', FILE, '', 0x7fffffff) + trailer, 'none'],
  ['a second file', prefix + entry('opt/ibm/pef/x', FILE, 'x') + entry('opt/ibm/pef/y', FILE, 'y') + trailer, 'bad'],
  ['a program beside it', prefix + entry('opt/ibm/pef/x', FILE, 'x') + entry('init', FILE, 'y') + trailer, 'bad'],
  ['a program before it', entry('init', FILE, 'y') + prefix + entry('opt/ibm/pef/x', FILE, 'x') + trailer, 'bad'],
  ['a link for a directory', entry('opt', LINK, '/etc') + entry('opt/ibm/pef/x', FILE, 'x') + trailer, 'bad'],
  ['no end', prefix + entry('opt/ibm/pef/x', FILE, 'x'), 'bad'],
  ['something behind the end', `${prefix + entry('opt/ibm/pef/x', FILE, 'x') + trailer}070701`, 'bad'],
])('calls it %s', (_, text, kind) => {
  expect(at(text).kind).toBe(kind);
});

it('opens what it makes, for those it was made for', async () => {
  const key = async () => nodeSealCrypto.privateKey((await nodeSealCrypto.generateKey()).privatePem, 'a key');
  const [owner, machine, late, stranger] = [await key(), await key(), await key(), await key()];
  const blob = await createBlob(nodeSealCrypto, {
    origin: { key: owner.publicKey, comment: 'owner' },
    recipients: [{ key: machine.publicKey, comment: 'machine' }],
    digests,
    files: [{ name: 'f', comment: '', content: bytes(100) }],
  });
  const open = await openBlob(blob, machine, 'recipients');
  if (!open.ok) throw new Error(open.reason);
  expect(open.value.lockbox).toBe('lockbox-1');
  expect(await openDigests(nodeSealCrypto, open.value)).toMatchObject({
    ok: true,
    value: { ...digests, envelope: expect.any(Uint8Array) },
  });
  expect(await openFile(nodeSealCrypto, open.value, 'f')).toEqual({ ok: true, value: bytes(100) });
  expect(await openFile(nodeSealCrypto, open.value, 'g')).toMatchObject({ ok: false });
  expect(await openBlob(blob, owner, 'recipients')).toMatchObject({
    ok: false,
    reason: expect.stringContaining('none of its lockboxes (lockbox-1) opens'),
  });
  expect(await openBlob(blob, owner, 'all')).toMatchObject({ ok: true, value: { lockbox: 'origin-lockbox' } });
  expect(await openBlob(blob, stranger, 'all')).toMatchObject({ ok: false });
  expect(hex(blob)).not.toContain(hex(open.value.masterKey));

  const more = await authorize(nodeSealCrypto, open.value, { key: late.publicKey, comment: 'late' });
  if (!more.ok) throw new Error(more.reason);
  const again = await openBlob(more.value, late, 'recipients');
  expect(again).toMatchObject({ ok: true, value: { lockbox: 'lockbox-2', masterKey: open.value.masterKey } });
  expect(again.ok && (await openDigests(nodeSealCrypto, again.value))).toMatchObject({ ok: true });
});
