// A browser's page or worker as the place a machine runs in. Only what both kinds of scope have is used.
//
// Left out: SHA-256 over more than crypto.subtle takes at once (it cannot be fed piece by piece), which bounds the RAM of
// a machine whose state is hashed; kernels compressed as anything but gzip, which DecompressionStream does not unpack.

import { PowervisorError } from '../../util/errors.ts';
import type { MachineHost } from '../machine-host.ts';
import { createSealCrypto, type WebCryptoLike } from '../seal-crypto.ts';
import { browserPageCipher } from './page-cipher.ts';

/** More than any kernel unpacks to. */
const MAX_KERNEL_BYTES = 2 ** 30;
/** What one call of getRandomValues gives at most (Web Cryptography API 10.1.1). */
const MAX_RANDOM_BYTES = 65536;
/** Largest copy that is tried: Chromium 156 hashes 1 GiB and refuses 2 GiB, and copies what it hashes once more. */
const MAX_COPIED_BYTES = 2 ** 31;

export const browserMachineHost: MachineHost = {
  monotonicMs: () => performance.now(),
  wallClockMs: () => Date.now(),
  breathe: () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      turns ??= openTurns();
      turns.postMessage(undefined);
    }),
  sleep: (ms) => {
    let wake = () => {};
    const done = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return { done, wake };
  },
  randomBytes: (count) => {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += MAX_RANDOM_BYTES) {
      crypto.getRandomValues(bytes.subarray(at, at + MAX_RANDOM_BYTES));
    }
    return bytes;
  },
  sha256: async (chunks) => {
    if (crypto.subtle === undefined) {
      throw new PowervisorError(
        'INSECURE_CONTEXT',
        'The browser computes SHA-256 only on pages of a secure context; serve this page over https or from localhost.',
      );
    }
    const all = joined(chunks);
    const answer = await crypto.subtle.digest('SHA-256', all).catch((cause: unknown) => {
      throw noRoom(all.length, cause);
    });
    const digest = new Uint8Array(answer);
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  },
  sealCrypto: crypto.subtle === undefined ? undefined : createSealCrypto(crypto as unknown as WebCryptoLike),
  pageCipher: browserPageCipher,
  decompress: async (format, bytes) => {
    if (format !== 'gzip') throw new Error(`a browser unpacks gzip only, not ${format}; unpack the file beforehand`);
    return joined(await readUpTo(gunzip(bytes), MAX_KERNEL_BYTES));
  },
};

// Turns of the event loop. A message to oneself is a task like any other, so timers, messages and painting get their
// turn before it, and unlike a nested timer's it is not held back for 4 ms (HTML 8.6).
const waiting: (() => void)[] = [];
let turns: MessagePort | undefined;

function openTurns(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return port2;
}

/** A copy of all chunks in one buffer; crypto.subtle does not take a view of WebAssembly memory. */
function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const lenBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (lenBytes > MAX_COPIED_BYTES) throw noRoom(lenBytes, undefined);
  let all: Uint8Array<ArrayBuffer>;
  try {
    all = new Uint8Array(lenBytes);
  } catch (cause) {
    throw noRoom(lenBytes, cause);
  }
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function noRoom(lenBytes: number, cause: unknown): PowervisorError {
  const mib = Math.ceil(lenBytes / 2 ** 20);
  return new PowervisorError(
    'NO_MEMORY',
    `The browser cannot copy or hash ${mib} MiB at once; use a machine with less memory.`,
    { cause },
  );
}

function gunzip(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream('gzip'));
}

async function readUpTo(stream: ReadableStream<Uint8Array>, limitBytes: number): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let lenBytes = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    lenBytes += value.length;
    if (lenBytes > limitBytes) {
      await reader.cancel();
      throw new Error(`it unpacks to more than ${limitBytes} bytes`);
    }
    chunks.push(value);
  }
}
