// The root file system of the benchmark: the guest `busybox`, one static program with the rows written in C, compiled here
// with the Debian cross compiler, and a first process that runs what the kernel command line names. Kept in the cache, by
// the content it is made from.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCpio } from '../src/backends/node/cpio.ts';
import { cacheDirectory } from '../src/backends/node/guest-cache.ts';
import { PowervisorError } from '../src/util/errors.ts';

const sources = fileURLToPath(new URL('programs/', import.meta.url));
export const compiler = 'powerpc64le-linux-gnu-gcc';
/** What Debian compiles its ppc64el packages with, as far as the generated code goes. */
const flags = ['-O2', '-std=gnu11', '-static', '-mcpu=power8', '-ffp-contract=fast'];

/** The rows made of programs of the busybox guest, as cases of a shell. */
const busyboxCases = `
      busybox-gzip) row $name 'for k in 1 2; do head -c 600000 /bin/bench | gzip -c; done' ;;
      busybox-gunzip) [ -f /tmp/packed ] || head -c 900000 /bin/bench | gzip -c > /tmp/packed; row $name 'for k in 1 2 3; do gunzip -c /tmp/packed; done' ;;
      busybox-bzip2) row $name 'head -c 300000 /bin/bench | bzip2 -c' ;;
      busybox-sha512) row $name 'for k in 1 2 3 4 5; do sha512sum /bin/busybox /bin/bench; done' ;;
      busybox-awk) row $name "awk 'BEGIN { for (i = 0; i < 10000; i++) { n[i % 997] += i * 7 % 13; t += length(substr(i, 2) i) } for (k in n) t += n[k] * k; print t }'" ;;
      busybox-sort) row $name "awk 'BEGIN { x = 1; for (i = 0; i < 2000; i++) { x = (x * 1103515245 + 12345) % 2147483648; print x } }' | sort -n" ;;
      shell-loop) row $name 'i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); set -- $i $((i * i)); done; echo $2' ;;
      shell-fork) row $name 'i=0; while [ $i -lt 50 ]; do i=$((i + 1)); /bin/busybox true; x=$(echo $i); done; echo $x' ;;
      *) bench $name 1 ;;`;

/**
 * The first process: rows=NAME,NAME and repeat=N stand on the kernel command line and come in as variables. `cases` choose
 * by `$name`, and call `row NAME COMMAND` for a command whose output is the result. `before` runs ahead of them all.
 */
export function firstProcess(cases: string, before = ''): string {
  return `#!/bin/sh
set -o pipefail
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp
echo "@ready"
row() { # name, command whose output is the result
  echo "@begin $1"
  result=$(eval "$2" | md5sum | cut -c1-12) || result=failed
  echo "@end $1 $result"
}
${before}for name in $(echo "$rows" | tr , ' '); do
  for i in $(seq 1 "$repeat"); do
    case $name in${cases}
    esac
  done
done
echo "@done"
poweroff -f
`;
}

/** Path of the initramfs; compiles what is not there yet. `busybox` is the initramfs of that guest. */
export function benchInitramfs(busybox: string): string {
  const files = readdirSync(sources).sort();
  const code = files.filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
  const base = readFileSync(busybox);
  const version = compilerVersion();
  const script = firstProcess(busyboxCases);
  const digest = createHash('sha256')
    .update(`${version}\n${flags.join(' ')}\n${script}`)
    .update(base);
  for (const name of files) digest.update(readFileSync(join(sources, name)));
  const directory = join(cacheDirectory(), 'bench', digest.digest('hex').slice(0, 16));
  const initramfs = join(directory, 'initrd');
  if (existsSync(initramfs)) return initramfs;
  mkdirSync(directory, { recursive: true });
  const program = join(directory, 'bench');
  execFileSync(compiler, [...flags, '-o', program, ...code, '-lm'], { stdio: 'inherit' });
  const added = writeCpio([
    { kind: 'file', path: 'bin/bench', mode: 0o755, data: readFileSync(program) },
    { kind: 'file', path: 'bench-init', mode: 0o755, data: script },
  ]);
  // Linux unpacks archives that follow each other one after the other.
  writeFileSync(`${initramfs}.part`, Buffer.concat([base, added]));
  renameSync(`${initramfs}.part`, initramfs);
  return initramfs;
}

export function hasCompiler(): boolean {
  return spawnSync(compiler, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** First line of what it says of itself. Throws a PowervisorError if it is not here. */
export function compilerVersion(): string {
  try {
    return execFileSync(compiler, ['--version'], { encoding: 'utf8' }).split('\n')[0];
  } catch (cause) {
    throw new PowervisorError(
      'no-compiler',
      `${compiler} is not installed (Debian: gcc-powerpc64le-linux-gnu, libc6-dev-ppc64el-cross).`,
      { cause },
    );
  }
}
