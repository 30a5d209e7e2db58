// Fetching a file over HTTP(S), or from a `file:` mirror, into memory, checked against the size and SHA-256 that
// the caller expects. Network trouble is retried; a wrong checksum is not, for a mirror does not heal by itself.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PowervisorError } from '../../util/errors.ts';
import type { Progress } from './progress.ts';

export interface DownloadOptions {
  /** What is fetched, for messages and the progress bar. */
  readonly label: string;
  readonly progress: Progress;
  readonly expected?: FileDigest;
  readonly signal?: AbortSignal;
  /** Waits before the second, third ... attempt. */
  readonly retryDelaysMs?: readonly number[];
}

export interface FileDigest {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

const stallMs = 60_000;
const defaultRetryDelaysMs = [1000, 4000];

/**
 * The bytes at `url`. Throws a PowervisorError: `NOT_FOUND` (404 or no such file), `NETWORK` (anything else that kept
 * the bytes away, after the retries), `CHECKSUM` (other bytes than expected).
 */
export async function download(url: URL, options: DownloadOptions): Promise<Uint8Array> {
  const delays = options.retryDelaysMs ?? defaultRetryDelaysMs;
  for (let attempt = 0; ; attempt++) {
    try {
      const bytes = url.protocol === 'file:' ? await readLocal(url, options) : await fetchOnce(url, options);
      if (options.expected !== undefined) checkDigest(bytes, options.expected, options.label, url);
      return bytes;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof RetryableError)) throw error;
      if (attempt === delays.length) {
        throw new PowervisorError('NETWORK', `Cannot fetch ${options.label} from ${url}: ${error.message}.`, {
          cause: error,
        });
      }
      await sleep(delays[attempt], undefined, { signal: options.signal });
    }
  }
}

export function digestOf(bytes: Uint8Array): FileDigest {
  return { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

class RetryableError extends Error {}

async function readLocal(url: URL, options: DownloadOptions): Promise<Uint8Array> {
  try {
    return await readFile(fileURLToPath(url));
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new PowervisorError(
      missing ? 'NOT_FOUND' : 'NETWORK',
      `Cannot read ${options.label} from ${url}: ${missing ? 'no such file' : (cause as Error).message}.`,
      { cause },
    );
  }
}

async function fetchOnce(url: URL, options: DownloadOptions): Promise<Uint8Array> {
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), stallMs);
  const signals = options.signal === undefined ? [stall.signal] : [stall.signal, options.signal];
  let begun = false;
  try {
    const response = await fetch(url, { signal: AbortSignal.any(signals), redirect: 'follow' });
    if (!response.ok || response.body === null) throw statusError(response.status, url, options);
    const length = options.expected?.sizeBytes ?? Number(response.headers.get('content-length') ?? 0);
    options.progress.begin(options.label, length, 'bytes');
    begun = true;
    const chunks: Uint8Array[] = [];
    let done = 0;
    for await (const chunk of response.body) {
      timer.refresh();
      chunks.push(chunk);
      done += chunk.length;
      if (options.expected !== undefined && done > options.expected.sizeBytes) break; // the digest check names it
      options.progress.advance(done);
    }
    return Buffer.concat(chunks, done);
  } catch (error) {
    if (error instanceof PowervisorError) throw error;
    if (stall.signal.aborted) throw new RetryableError(`no data for ${stallMs / 1000} seconds`);
    throw new RetryableError(networkReason(error));
  } finally {
    clearTimeout(timer);
    if (begun) options.progress.end();
  }
}

function statusError(status: number, url: URL, options: DownloadOptions): Error {
  if (status === 404) return new PowervisorError('NOT_FOUND', `${url} does not exist (wanted: ${options.label}).`);
  if (status >= 500 || status === 429) return new RetryableError(`the server answered with status ${status}`);
  return new PowervisorError('NETWORK', `Cannot fetch ${options.label} from ${url}: status ${status}.`);
}

function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name : String(cause);
}

function checkDigest(bytes: Uint8Array, expected: FileDigest, label: string, url: URL): void {
  const actual = digestOf(bytes);
  if (actual.sizeBytes === expected.sizeBytes && actual.sha256 === expected.sha256) return;
  throw new PowervisorError(
    'CHECKSUM',
    `Checksum mismatch for ${label} from ${url}: expected ${expected.sizeBytes} bytes with SHA-256 ${expected.sha256}, ` +
      `got ${actual.sizeBytes} bytes with ${actual.sha256}. The mirror may be in the middle of an update: try again later.`,
  );
}
