// Packages of one suite and architecture of a Debian mirror. The chain of trust is apt's: the archive key signs the
// Release file, which has the checksum of the package index, which has the checksum of each package.
// Left out: pdiffs, by-hash fetching, Valid-Until.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PowervisorError } from '../../util/errors.ts';
import { compareVersions, findPackage, releaseDigests, type Stanza } from './debian-control.ts';
import { decompress } from './decompress.ts';
import { digestOf, download, type FileDigest } from './download.ts';
import type { Progress } from './progress.ts';

export interface RepositoryOptions {
  readonly mirror: URL;
  readonly suite: string;
  readonly architecture: string;
  /** Where package indexes are kept between runs. */
  readonly indexDirectory: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  readonly retryDelaysMs?: readonly number[];
  /** Files with the public keys that may sign; those that do not exist are ignored. */
  readonly keyrings?: readonly string[];
}

/** `unchecked`: gpgv or the archive's public key is not on this machine, so the mirror is trusted as it is. */
export type SignatureState = 'verified' | 'unchecked';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Path below the mirror's root. */
  readonly path: string;
  readonly digest: FileDigest;
  readonly depends: string;
}

const archiveKeyrings = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];
const indexLimitBytes = 1 << 30;

export class DebianRepository {
  readonly signature: SignatureState;
  private readonly options: RepositoryOptions;
  private readonly packages: string;

  private constructor(options: RepositoryOptions, signature: SignatureState, packages: string) {
    this.options = options;
    this.signature = signature;
    this.packages = packages;
  }

  /** Fetches and checks the package index. Throws a PowervisorError if the mirror lacks the suite or is not reached. */
  static async open(options: RepositoryOptions): Promise<DebianRepository> {
    const { text, signature } = await fetchRelease(options);
    const digests = releaseDigests(text);
    const folder = `main/binary-${options.architecture}`;
    const path = [`${folder}/Packages.xz`, `${folder}/Packages.gz`, `${folder}/Packages`].find((each) =>
      digests.has(each),
    );
    if (path === undefined) {
      throw new PowervisorError(
        'NOT_FOUND',
        `The mirror ${options.mirror} has no package index for ${options.suite} on ${options.architecture}.`,
      );
    }
    const packed = await fetchIndex(options, path, digests.get(path)!);
    const unpacked = await decompress(packed, path, indexLimitBytes);
    return new DebianRepository(
      options,
      signature,
      Buffer.from(unpacked.buffer, unpacked.byteOffset, unpacked.length).toString(),
    );
  }

  /** The newest version of a package. Throws a PowervisorError if there is none. */
  find(name: string): DebianPackage {
    const newest = findPackage(this.packages, name).reduce<Stanza | undefined>(
      (best, each) =>
        best === undefined || compareVersions(each.get('version') ?? '', best.get('version') ?? '') > 0 ? each : best,
      undefined,
    );
    const sha256 = newest?.get('sha256');
    const path = newest?.get('filename');
    const sizeBytes = Number(newest?.get('size'));
    if (newest === undefined || sha256 === undefined || path === undefined || !(sizeBytes > 0)) {
      throw new PowervisorError(
        'PACKAGE_MISSING',
        `The mirror ${this.options.mirror} offers no package ${name} in ${this.options.suite} for ${this.options.architecture}.`,
      );
    }
    return {
      name,
      version: newest.get('version') ?? '',
      path,
      digest: { sha256, sizeBytes },
      depends: newest.get('depends') ?? '',
    };
  }

  /** The package's file, checked against the index. */
  fetch(chosen: DebianPackage): Promise<Uint8Array> {
    return download(new URL(encodePath(chosen.path), this.options.mirror), {
      ...this.options,
      label: `${chosen.name} ${chosen.version}`,
      expected: chosen.digest,
    });
  }
}

async function fetchRelease(options: RepositoryOptions): Promise<{ text: string; signature: SignatureState }> {
  const base = new URL(`dists/${options.suite}/`, options.mirror);
  const label = `the release file of ${options.suite}`;
  try {
    const signed = await download(new URL('InRelease', base), { ...options, label });
    return await openSigned(Buffer.from(signed), options);
  } catch (error) {
    if (!(error instanceof PowervisorError) || error.code !== 'NOT_FOUND') throw error;
  }
  const plain = await download(new URL('Release', base), { ...options, label });
  return { text: Buffer.from(plain).toString(), signature: 'unchecked' };
}

/** The text under a clear-signed signature (OpenPGP, RFC 4880 section 7), by gpgv where it can be checked. */
async function openSigned(
  signed: Buffer,
  options: RepositoryOptions,
): Promise<{ text: string; signature: SignatureState }> {
  const keyrings = (options.keyrings ?? archiveKeyrings).filter((path) => existsSync(path));
  if (keyrings.length > 0) {
    const result = await runGpgv(signed, keyrings);
    if (result?.verified) return { text: result.text, signature: 'verified' };
    if (result?.bad) {
      throw new PowervisorError(
        'BAD_SIGNATURE',
        `The release file of ${options.suite} on ${options.mirror} has a bad signature: it was changed after signing.`,
      );
    }
  }
  const body = /^-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:.+\r?\n)*\r?\n([\s\S]*?)\r?\n-----BEGIN PGP SIGNATURE-----/;
  const text = body.exec(signed.toString())?.[1].replace(/^- /gm, '') ?? signed.toString();
  return { text, signature: 'unchecked' };
}

function runGpgv(
  signed: Buffer,
  keyrings: readonly string[],
): Promise<{ verified: boolean; bad: boolean; text: string } | undefined> {
  const keyringOptions = keyrings.flatMap((path) => ['--keyring', path]);
  return new Promise((resolve) => {
    const child = execFile(
      'gpgv',
      [...keyringOptions, '--status-fd', '2', '--output', '-', '-'],
      { maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number')
          resolve(undefined); // no gpgv here
        else resolve({ verified: error === null, bad: /^\[GNUPG:\] BADSIG/m.test(stderr), text: stdout });
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(signed);
  });
}

/** A package index, from the cache if the bytes there are still the right ones. */
async function fetchIndex(options: RepositoryOptions, path: string, digest: FileDigest): Promise<Uint8Array> {
  const cached = join(options.indexDirectory, `${options.suite}-${options.architecture}-${path.split('/').pop()}`);
  const kept = await readFile(cached).catch(() => undefined);
  if (kept !== undefined && digestOf(kept).sha256 === digest.sha256) return kept;
  const bytes = await download(new URL(`dists/${options.suite}/${path}`, options.mirror), {
    ...options,
    label: `package index of ${options.suite}`,
    expected: digest,
  });
  await mkdir(options.indexDirectory, { recursive: true });
  await writeFile(`${cached}.${process.pid}`, bytes);
  await rename(`${cached}.${process.pid}`, cached);
  return bytes;
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
