// `powervisor seal`: makes sealed images and looks into them (docs/sealed-images.md).

import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { GuestCache } from '../backends/node/guest-cache.ts';
import { nodeSealCrypto } from '../backends/node/seal-crypto.ts';
import { ESM_BLOB_SECTION, withElfSection } from '../firmware/elf-section.ts';
import { kexecKernel } from '../firmware/kexec-stub.ts';
import { type Checked, isFileName, MEASURED, parseBlob } from '../ultravisor/esm/blob.ts';
import { blobArchive } from '../ultravisor/esm/cpio.ts';
import {
  authorize,
  createBlob,
  equal,
  hex,
  type OpenBlob,
  openBlob,
  openDigests,
  openFile,
} from '../ultravisor/esm/seal.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import { fileProblem, readInput, resolveGuestFile } from './guest-file.ts';
import { type CliHost, say } from './host.ts';
import { exitStatus } from './limits.ts';
import { ensureMachineKey, MACHINE, privateKeyOf, publicKeyOf, writeNew } from './machine-key.ts';
import { bareInitrd, blobIn, digestsOf, openKernelFile, type SealedParts } from './sealed-file.ts';

export interface SealContext {
  readonly host: CliHost;
  readonly guests: () => GuestCache;
}

interface ImageOptions {
  readonly kernel: string;
  readonly initrd?: string;
  readonly append: string;
}

interface CreateOptions extends ImageOptions {
  readonly origin: string;
  readonly for?: string[];
  readonly file?: string[];
  readonly comment: string;
  readonly envelope: boolean;
  readonly out: string;
}

const keyHelp = `a PEM file, or "${MACHINE}" for the key of this user's machines`;

const sealHelp = `
A sealed image goes secure only as it was sealed: its blob holds digests of kernel, initrd and kernel command line, for the
machines that have a lockbox in it. One way from nothing to a running one:

  powervisor seal keys --out owner
  powervisor seal create --kernel guest:linux-svm --initrd guest:busybox \\
    --append "console=hvc0 svm=on swiotlb=force" --origin owner.pub.pem --for machine --out image.esm
  powervisor seal attach image.esm --initrd guest:busybox --out sealed.initrd
  powervisor run --kernel guest:linux-svm --initrd sealed.initrd \\
    --append "console=hvc0 svm=on swiotlb=force" --require-sealed`;

export function addSealCommand(program: Command, context: SealContext, finish: (status: number) => void): void {
  const seal = program.command('seal').description('sealed images: make them, attach them, look into them');
  seal.addHelpText('after', sealHelp);
  const done = (work: Promise<void>) => work.then(() => finish(exitStatus.poweredOff));
  const collect = (text: string, before: string[] | undefined) => [...(before ?? []), text];

  seal
    .command('keys')
    .description('make a pair of RSA keys: NAME.pem, which is secret, and NAME.pub.pem')
    .option('--out <name>', 'what the two files are called, without endings')
    .option('--machine', "print the public key of this user's machines; it is made the first time")
    .action((options: { out?: string; machine?: boolean }) => done(keys(options, context)));
  imageOptions(seal.command('create').description('make the blob for an image'))
    .requiredOption('--origin <key>', `public key of the owner, who may authorize machines: ${keyHelp}`)
    .option('--for <key>', `public key of a machine that may run the image: ${keyHelp}; may be repeated`, collect)
    .option('--file <name=path>', 'a secret file for the guest, which UV_ESMB_GET_FILE reads; may be repeated', collect)
    .option('--comment <text>', 'a note on the lockboxes; anybody can read it', '')
    .option('--no-envelope', 'leave out the digest of the whole blob, so that svm-tool can add lockboxes')
    .requiredOption('--out <file>', 'the blob')
    .action((options: CreateOptions) => done(create(options, context)));
  seal
    .command('authorize')
    .description('add a lockbox to a blob, so that another machine may run the image')
    .argument('<blob>')
    .requiredOption('--key <key>', `private key of the owner, or of a machine that is authorized: ${keyHelp}`)
    .requiredOption('--for <key>', `public key of the machine: ${keyHelp}`)
    .option('--comment <text>', 'a note on the lockbox; anybody can read it', '')
    .option('--out <file>', 'write the result here; by default the blob is replaced')
    .action((blob: string, options: AuthorizeOptions) => done(addLockbox(blob, options, context)));
  seal
    .command('attach')
    .description('put a blob in front of an initrd, or into a kernel (vmlinux or zImage) as a section')
    .argument('<blob>')
    .option('--initrd <file>', 'an initrd, or guest:NAME; a blob that is in front of it is replaced')
    .option('--kernel <file>', 'a kernel that is an ELF file, or guest:NAME')
    .requiredOption('--out <file>', 'the result')
    .action((blob: string, options: AttachOptions) => done(attach(blob, options, context)));
  seal
    .command('kexec')
    .description('put the entry stub before a kernel, so that a Linux that runs can start it sealed with kexec')
    .requiredOption('--kernel <file>', 'the kernel, or guest:NAME')
    .requiredOption('--out <file>', 'the result, an ELF file for kexec')
    .action((options: { kernel: string; out: string }) => done(forKexec(options, context)));
  seal
    .command('inspect')
    .description('show what is in a blob')
    .argument('<file>', 'a blob, or an initrd or a kernel with one')
    .option('--key <key>', `private key, to see the digests as well: ${keyHelp}`)
    .option('--json', 'as JSON')
    .action((file: string, options: { key?: string; json?: boolean }) => done(inspect(file, options, context)));
  imageOptions(seal.command('verify').description('compare an image with its blob; status 1 if they differ'))
    .argument('<file>', 'a blob, or an initrd or a kernel with one')
    .requiredOption('--key <key>', `private key: ${keyHelp}`)
    .action(async (file: string, options: ImageOptions & { key: string }) =>
      finish(await verify(file, options, context)),
    );
  seal
    .command('extract')
    .description('take the blob out of an initrd or kernel, or a secret file out of the blob')
    .argument('<file>', 'a blob, or an initrd or a kernel with one')
    .option('--file <name>', 'which file; without, the blob itself')
    .option('--key <key>', `private key, for a file: ${keyHelp}`)
    .requiredOption('--out <file>', 'where it goes')
    .action((file: string, options: ExtractOptions) => done(extract(file, options, context)));
}

function imageOptions(command: Command): Command {
  return command
    .requiredOption('--kernel <file>', 'the kernel: an ELF vmlinux (gzip, xz, zstd allowed), or guest:NAME')
    .option('--initrd <file>', 'the initrd, or guest:NAME')
    .option('--append <string>', 'the kernel command line, to the letter', 'console=hvc0');
}

async function keys({ out, machine }: { out?: string; machine?: boolean }, { host }: SealContext): Promise<void> {
  if ((out === undefined) === (machine !== true)) throw new UsageError('KEYS', 'Give --out NAME, or --machine.');
  if (machine) {
    const { path, pem, made } = await ensureMachineKey(host.environment);
    if (made) say(host, `made the key of this user's machines: ${path}`);
    host.stdout.write((await nodeSealCrypto.privateKey(pem, path)).publicKey.pem);
    return;
  }
  const { privatePem, publicPem } = await nodeSealCrypto.generateKey();
  await writing(`${out}.pem`, (path) => writeNew(path, privatePem, 0o600));
  await writing(`${out}.pub.pem`, (path) => writeNew(path, publicPem));
  host.stdout.write(`${out}.pem\n${out}.pub.pem\n`);
}

async function create(options: CreateOptions, context: SealContext): Promise<void> {
  const { environment } = context.host;
  const { comment } = options;
  const recipients = [];
  for (const name of options.for ?? [])
    recipients.push({ key: await publicKeyOf(name, 'public key', environment), comment });
  const origin = { key: await publicKeyOf(options.origin, 'public key', environment), comment };
  const files: { name: string; content: Uint8Array; comment: string }[] = [];
  for (const text of options.file ?? []) files.push({ ...(await secretFile(text)), comment: '' });
  const twice = files.find(({ name }, i) => files.findIndex((other) => other.name === name) !== i);
  if (twice) throw new UsageError('FILE', `--file gives ${twice.name} twice.`);
  const digests = await digestsOf(await partsOf(options, context));
  const blob = await createBlob(nodeSealCrypto, { origin, recipients, digests, files, envelope: options.envelope });
  const parsed = parseBlob(blob);
  if (!parsed.ok) throw new UsageError('BLOB', `This makes no blob that can be read: ${parsed.reason}.`);
  await writing(options.out, (path) => writeFile(path, blob));
  if (recipients.length === 0) say(context.host, 'no machine may run the image yet: see "powervisor seal authorize"');
}

interface AuthorizeOptions {
  readonly key: string;
  readonly for: string;
  readonly comment: string;
  readonly out?: string;
}

async function addLockbox(path: string, options: AuthorizeOptions, { host }: SealContext): Promise<void> {
  const open = await opened(await readInput(path, 'blob'), path, options.key, host);
  const key = await publicKeyOf(options.for, 'public key', host.environment);
  const same = open.blob.lockboxes.find(
    ({ name, fingerprint }) => name !== 'origin-lockbox' && equal(fingerprint, key.fingerprint),
  );
  if (same) throw new UsageError('LOCKBOX', `The key has a lockbox in ${path} already: ${same.name}.`);
  const blob = must(await authorize(nodeSealCrypto, open, { key, comment: options.comment }), path);
  await writing(options.out ?? path, (to) => writeFile(to, blob));
}

interface AttachOptions {
  readonly initrd?: string;
  readonly kernel?: string;
  readonly out: string;
}

async function attach(path: string, { initrd, kernel, out }: AttachOptions, context: SealContext): Promise<void> {
  const blob = blobIn(await readInput(path, 'blob'), path).bytes;
  must(parseBlob(blob), path);
  if ((initrd === undefined) === (kernel === undefined)) {
    throw new UsageError('ATTACH', 'Give what to attach the blob to: --initrd FILE or --kernel FILE.');
  }
  const result =
    initrd !== undefined
      ? joined(blobArchive(blob), bareInitrd(await guestFile(initrd, 'initrd', context)))
      : withElfSection(await guestFile(kernel!, 'kernel', context), ESM_BLOB_SECTION, blob, kernel!);
  await writing(out, (to) => writeFile(to, result));
}

async function forKexec({ kernel, out }: { kernel: string; out: string }, context: SealContext): Promise<void> {
  const image = await openKernelFile(await guestFile(kernel, 'kernel', context), kernel);
  await writing(out, (path) => writeFile(path, kexecKernel(image)));
}

async function inspect(path: string, options: { key?: string; json?: boolean }, { host }: SealContext): Promise<void> {
  const { bytes, where } = blobIn(await readInput(path, 'file'), path);
  const blob = must(parseBlob(bytes), path);
  const open = options.key === undefined ? undefined : await opened(bytes, path, options.key, host);
  const digests = open && must(await openDigests(nodeSealCrypto, open), path);
  const described = {
    carrier: where,
    bytes: bytes.length,
    lockboxes: blob.lockboxes.map(({ name, comment, fingerprint }) => ({ name, key: hex(fingerprint), comment })),
    files: [...blob.files].map(([name, { ciphertext }]) => ({ name, bytes: ciphertext.length })),
    ...(digests && {
      opened: open.lockbox,
      kernelBytes: digests.kernelBytes,
      digests: Object.fromEntries(MEASURED.map((name) => [name, hex(digests[name])])),
      wholeBlob: digests.envelope ? 'protected' : 'not protected',
    }),
  };
  const lines = [
    `${path}: ${where}, ${bytes.length} bytes`,
    ...described.lockboxes.map(({ name, key, comment }) => `${name}  key ${key}${comment ? `  "${comment}"` : ''}`),
    ...described.files.map(({ name, bytes: size }) => `file ${name}, ${size} bytes`),
    ...(digests
      ? [
          `opened with ${described.opened}`,
          ...MEASURED.map((name) => `digest of ${name}  ${hex(digests[name])}`),
          `the kernel's digest is about ${digests.kernelBytes} bytes`,
          digests.envelope
            ? 'the whole blob is protected by a digest'
            : 'comments and lockboxes are not protected by a digest',
        ]
      : ['the digests are sealed; --key shows them']),
  ];
  host.stdout.write(options.json ? `${JSON.stringify(described, undefined, 2)}\n` : `${lines.join('\n')}\n`);
}

async function verify(path: string, options: ImageOptions & { key: string }, context: SealContext): Promise<number> {
  const { host } = context;
  const open = await opened(blobIn(await readInput(path, 'file'), path).bytes, path, options.key, host);
  const wanted = must(await openDigests(nodeSealCrypto, open), path);
  const found = await digestsOf(await partsOf(options, context));
  let status: number = exitStatus.poweredOff;
  for (const name of MEASURED) {
    const same = equal(wanted[name], found[name]);
    const what = same ? 'matches' : `differs: wanted ${hex(wanted[name])}, found ${hex(found[name])}`;
    host.stdout.write(`digest of ${name} ${what}\n`);
    if (!same) status = exitStatus.hostError;
  }
  for (const name of open.blob.files.keys()) must(await openFile(nodeSealCrypto, open, name), path);
  return status;
}

interface ExtractOptions {
  readonly file?: string;
  readonly key?: string;
  readonly out: string;
}

async function extract(path: string, { file, key, out }: ExtractOptions, { host }: SealContext): Promise<void> {
  const { bytes } = blobIn(await readInput(path, 'file'), path);
  if (file !== undefined && key === undefined) throw new UsageError('EXTRACT', 'A file needs --key to open it.');
  const content =
    file === undefined
      ? bytes
      : must(await openFile(nodeSealCrypto, await opened(bytes, path, key!, host), file), path);
  await writing(out, (to) => writeFile(to, content, { mode: file === undefined ? 0o644 : 0o600 }));
}

async function opened(bytes: Uint8Array, path: string, key: string, { environment }: CliHost): Promise<OpenBlob> {
  return must(await openBlob(bytes, await privateKeyOf(key, 'private key', environment), 'all'), path);
}

async function partsOf({ kernel, initrd, append }: ImageOptions, context: SealContext): Promise<SealedParts> {
  return {
    kernel: await guestFile(kernel, 'kernel', context),
    kernelName: kernel,
    initrd: initrd === undefined ? undefined : await guestFile(initrd, 'initrd', context),
    append,
  };
}

async function guestFile(value: string, role: 'kernel' | 'initrd', { guests }: SealContext): Promise<Uint8Array> {
  return readInput(await resolveGuestFile(value, role, guests()), role);
}

async function secretFile(text: string): Promise<{ name: string; content: Uint8Array }> {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || !isFileName(name)) {
    throw new UsageError(
      'FILE',
      `--file takes NAME=PATH, not "${text}". A name is a letter and up to 30 more of letters, digits and , . _ + -`,
    );
  }
  return { name, content: await readInput(path, 'file') };
}

function must<Value>(checked: Checked<Value>, path: string): Value {
  if (checked.ok) return checked.value;
  throw new PowervisorError('BLOB', `The ESM blob in ${path} cannot be used: ${checked.reason}.`);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

async function writing(path: string, write: (path: string) => Promise<void>): Promise<void> {
  try {
    await write(path);
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const why = exists ? 'it exists already' : fileProblem(cause);
    throw new PowervisorError('FILE', `Cannot write ${path}: ${why}.`, { cause });
  }
}
