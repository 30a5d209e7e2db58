// What the command line accepts before the machine is asked.

export const mebibyte = 1 << 20;

export const limits = {
  memoryBytes: { min: 64 * mebibyte, max: 3584 * mebibyte, multipleOf: mebibyte, preset: 1024 * mebibyte },
  cpus: { min: 1, max: 16, preset: 1 },
  /** What a compressed kernel or initrd may unpack to. */
  kernelBytes: 1024 * mebibyte,
} as const;

/** Exit statuses of the command. Ended by signal N: 128 + N, as shells count. */
export const exitStatus = {
  poweredOff: 0,
  hostError: 1,
  usage: 2,
  guestPanic: 3,
  timeout: 124,
  interrupted: 130,
} as const;
