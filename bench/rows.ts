// What is measured. Each row is timed by the host, from the arrival of a line of the guest's console to that of another:
// the guest's own clock is a count of instructions here and the host's clock in QEMU.

export type Group = 'integer' | 'floating point' | 'system' | 'devices' | 'boot';

export interface UserRow {
  readonly name: string;
  readonly group: Group;
}

/** Rows that run under Linux, in the order of the table; programs/ and userland.ts hold what they do. */
// biome-ignore format: one row a line
export const userRows: readonly UserRow[] = [
  { name: 'coremark-like',       group: 'integer' },
  { name: 'dhrystone-like',      group: 'integer' },
  { name: 'crc32-table',         group: 'integer' },
  { name: 'crc32-bits',          group: 'integer' },
  { name: 'sieve-4m',            group: 'integer' },
  { name: 'quicksort',           group: 'integer' },
  { name: 'list-chase',          group: 'integer' },
  { name: 'matmul-int',          group: 'integer' },
  { name: 'compress-lz',         group: 'integer' },
  { name: 'aes-cbc',             group: 'integer' },
  { name: 'sha256',              group: 'integer' },
  { name: 'stack-interpreter',   group: 'integer' },
  { name: 'indirect-calls',      group: 'integer' },
  { name: 'string-library',      group: 'integer' },
  { name: 'vector-bytes',        group: 'integer' },
  { name: 'busybox-gzip',        group: 'integer' },
  { name: 'busybox-gunzip',      group: 'integer' },
  { name: 'busybox-bzip2',       group: 'integer' },
  { name: 'busybox-sha512',      group: 'integer' },
  { name: 'busybox-awk',         group: 'integer' },
  { name: 'busybox-sort',        group: 'integer' },
  { name: 'shell-loop',          group: 'integer' },
  { name: 'matmul-double',       group: 'floating point' },
  { name: 'nbody',               group: 'floating point' },
  { name: 'fft-double',          group: 'floating point' },
  { name: 'matmul-float-vector', group: 'floating point' },
  { name: 'stencil-vector',      group: 'floating point' },
  { name: 'system-calls',        group: 'system' },
  { name: 'fork-exit',           group: 'system' },
  { name: 'fork-exec',           group: 'system' },
  { name: 'shell-fork',          group: 'system' },
  { name: 'pipe-ping-pong',      group: 'system' },
  { name: 'page-faults',         group: 'system' },
];

/** Rows of programs as Debian compiled them (debian-programs.ts), in a boot of their own. */
// biome-ignore format: one row a line
export const programRows: readonly UserRow[] = [
  { name: 'openssl-aes-256-cbc', group: 'integer' },
  { name: 'openssl-sha256',      group: 'integer' },
  { name: 'perl',                group: 'integer' },
  { name: 'python3',             group: 'integer' },
  { name: 'debian-gzip',         group: 'integer' },
  { name: 'debian-gunzip',       group: 'integer' },
  { name: 'debian-zstd',         group: 'integer' },
];

/** Where their sources have been named. */
// biome-ignore format: one row a line
export const suppliedRows = {
  coremark:  { name: 'coremark',  group: 'integer' },
  dhrystone: { name: 'dhrystone', group: 'integer' },
} as const satisfies Record<string, UserRow>;
