// What the command line accepts before the machine is asked.

import { MAX_RAM_BYTES, MAX_VCPUS } from '../cpu/state/memory-map.ts';
import { MIN_SECURE_BYTES } from '../ultravisor/secure-frames.ts';

export const mebibyte = 1 << 20;

export const limits = {
  memoryBytes: { min: 64 * mebibyte, max: MAX_RAM_BYTES, multipleOf: mebibyte, preset: 1024 * mebibyte },
  secureMemoryBytes: { min: MIN_SECURE_BYTES, multipleOf: 0x10000 },
  cpus: { min: 1, max: MAX_VCPUS, preset: 1 },
} as const;

/** Exit statuses of the command. Ended by signal N: 128 + N, as shells count. */
export const exitStatus = {
  poweredOff: 0,
  hostError: 1,
  usage: 2,
  guestPanic: 3,
  /** With --strict: somebody touched secure memory. */
  violation: 4,
  timeout: 124,
  interrupted: 130,
} as const;
