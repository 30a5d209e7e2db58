// A Node process as the place a machine runs in.

import { createHash, randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { MachineHost } from '../machine-host.ts';
import { decompress, detectCompression } from './decompress.ts';
import { nodePageCipher } from './page-cipher.ts';
import { openRegionWorkshop } from './region-workshop.ts';
import { nodeSealCrypto } from './seal-crypto.ts';

/** More than any kernel unpacks to. */
const MAX_KERNEL_BYTES = 2 ** 30;

// Compiled regions say which branches are rare. Node up to 24 looks at that only when told to: without it each TLB probe
// makes room for its slow path, and loops that store are a third slower (`npm run bench`, sieve and integer matmul).
setFlagsFromString('--experimental-wasm-branch-hinting');
// Multiply-add in one instruction (src/wasm/fused.ts) came with V8 11.4; Node 20's 11.3 has it behind a flag.
const [v8Major, v8Minor] = process.versions.v8.split('.').map(Number);
if (v8Major === 11 && v8Minor < 4) setFlagsFromString('--experimental-wasm-relaxed-simd');
// How much of a function V8 executes before it optimises it: Node 24 waits seven times as long as Node 20, and regions are
// hot when they are made. With Node 20's figure short programs take a sixth less time (docs/performance.md).
setFlagsFromString('--wasm-tiering-budget=1800000');

export const nodeMachineHost: MachineHost = {
  monotonicMs: () => performance.now(),
  wallClockMs: () => Date.now(),
  breathe: () => nextTurn(),
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
  randomBytes: (count) => randomBytes(count),
  sha256: async (chunks) => {
    const hash = createHash('sha256');
    for (const chunk of chunks) hash.update(chunk);
    return hash.digest('hex');
  },
  sealCrypto: nodeSealCrypto,
  pageCipher: nodePageCipher,
  decompress: async (format, bytes) => {
    if (detectCompression(bytes) === 'none') throw new Error(`${format} is not among gzip, xz and zstd`);
    return decompress(bytes, 'the kernel', MAX_KERNEL_BYTES);
  },
  openRegionWorkshop,
};
