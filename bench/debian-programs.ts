// The root file system for the rows of real programs: OpenSSL, perl, Python, gzip and zstd as Debian compiled them, linked
// dynamically, beside the busybox guest; CoreMark and Dhrystone where the user has their sources. Kept in the cache by the
// recipe, so only the first run asks a mirror, the one that `powervisor guest fetch` would ask.
//
// CoreMark (EEMBC, Apache License 2.0 with a trademark agreement) and Dhrystone 2.1 are no part of Debian or of this project:
// --coremark names a checkout of the repository eembc/coremark, --dhrystone a folder with dhry.h, dhry_1.c and dhry_2.c.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../src/backends/node/cpio.ts';
import { extractAll } from '../src/backends/node/deb-archive.ts';
import { DebianRepository } from '../src/backends/node/debian-repository.ts';
import { cacheDirectory } from '../src/backends/node/guest-cache.ts';
import { findMirror, readAptIndexTargets } from '../src/backends/node/mirror.ts';
import { silentProgress } from '../src/backends/node/progress.ts';
import { UsageError } from '../src/util/errors.ts';
import { compiler, compilerVersion, firstProcess } from './userland.ts';

const SUITE = 'bookworm';

/** Package, and which of its files; libraries are put into one folder under the name that programs ask for. */
const packages: readonly (readonly [name: string, files: RegExp])[] = [
  ['libc6', /^lib\/powerpc64le-linux-gnu\/(ld64\.so\.2|lib(c|m|dl|pthread)\.so\.6|lib(dl|pthread)\.so\.\d)$/],
  ['libgcc-s1', /\/libgcc_s\.so\.1$/],
  ['libstdc++6', /\/libstdc\+\+\.so\.6[\d.]*$/],
  ['libcrypt1', /\/libcrypt\.so\.[\d.]+$/],
  ['zlib1g', /\/libz\.so\.[\d.]+$/],
  ['libexpat1', /\/libexpat\.so\.[\d.]+$/],
  ['liblz4-1', /\/liblz4\.so\.[\d.]+$/],
  ['liblzma5', /\/liblzma\.so\.[\d.]+$/],
  ['libssl3', /\/lib(ssl|crypto)\.so\.3$/],
  ['openssl', /^usr\/bin\/openssl$/],
  ['gzip', /^bin\/gzip$/],
  ['zstd', /^usr\/bin\/zstd$/],
  ['perl-base', /^usr\/bin\/perl$|\/perl-base\/(strict|warnings)\.pm$/],
  ['python3.11-minimal', /^usr\/bin\/python3\.11$/],
  ['libpython3.11-minimal', /^usr\/lib\/python3\.11\//],
];
const LIBRARIES = 'lib/powerpc64le-linux-gnu';

const perlScript = `use strict;
my (%count, @list);
my $x = 42;
for my $i (1 .. 24000) {
  $x = ($x * 1103515245 + 12345) & 0x7fffffff;
  my $word = sprintf("%x", $x);
  $count{substr($word, 0, 3)} += length $word;
  push @list, $1 if $word =~ /([a-f]+[0-9])/;
}
my $text = join ",", map { "$_=$count{$_}" } sort keys %count;
$text =~ s/(\\d)=(\\d)/$2$1/g;
my $sum = 0;
$sum = ($sum * 31 + ord) % 1000003 for split //, $text;
print "$sum ", scalar @list, " ", (sort @list)[100], "\\n";
`;

const pythonScript = `class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

def insert(root, key):
    while True:
        side = 'left' if key < root.key else 'right'
        below = getattr(root, side)
        if below is None:
            setattr(root, side, Node(key))
            return
        root = below

def walk(node):
    if node is not None:
        yield from walk(node.left)
        yield node.key
        yield from walk(node.right)

x = 42
root = Node(x)
words = {}
for i in range(6000):
    x = (x * 1103515245 + 12345) & 0x7fffffff
    insert(root, x)
    word = '%x' % x
    words[word[:2]] = words.get(word[:2], 0) + len(word)
total = 0
for place, key in enumerate(walk(root)):
    total = (total * 31 + key * place) % 1000003
squares = [n * n % 1009 for n in range(80000)]
print(total, sum(squares), sorted(words.items(), key=lambda item: (item[1], item[0]))[:3])
`;

/** Bytes that compress as text does: words of a fixed list in a fixed order. */
function textData(lenBytes: number): Buffer {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state >>> 8;
  };
  const words = Array.from({ length: 3000 }, () => {
    const length = 2 + (next() % 9);
    return Array.from({ length }, () => String.fromCharCode(97 + (next() % 26))).join('');
  });
  let text = '';
  while (text.length < lenBytes) {
    const word = words[(next() % 60) * (next() % 50)];
    text += word + (next() % 12 === 0 ? '.\n' : ' ');
  }
  return Buffer.from(text.slice(0, lenBytes));
}

const DATA_BYTES = 4 * 2 ** 20;
const before = `export OPENSSL_CONF=/dev/null PYTHONHOME=/usr
cat /debian/text /debian/text > /tmp/text8
`;
const key = '-K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 0f0e0d0c0b0a09080706050403020100';
// The main() of Dhrystone ends without a value: its exit status says nothing.
const cases = `
      openssl-aes-256-cbc) row $name '/debian/openssl enc -aes-256-cbc ${key} -in /tmp/text8 -out /tmp/out; /debian/openssl dgst -md5 < /tmp/out; rm /tmp/out' ;;
      openssl-sha256) row $name '/debian/openssl dgst -sha256 < /tmp/text8' ;;
      perl) row $name '/debian/perl -I/debian/lib /debian/script.pl' ;;
      python3) row $name '/debian/python3.11 -S -E -I /debian/script.py' ;;
      debian-gzip) row $name 'head -c 1000000 /debian/text | /debian/gzip -6 -c' ;;
      debian-gunzip) [ -f /tmp/text.gz ] || /debian/gzip -1 -n -c /tmp/text8 > /tmp/text.gz; row $name '/debian/gzip -dc /tmp/text.gz > /tmp/out; wc -c < /tmp/out; tail -c 4096 /tmp/out' ;;
      debian-zstd) row $name '/debian/zstd -q -3 --single-thread -c /debian/text' ;;
      coremark) row $name '/debian/coremark 0x0 0x0 0x66 2000 | grep crc' ;;
      dhrystone) row $name 'echo 1000000 | (/debian/dhrystone; true) | grep -E "^ *[A-Z][A-Za-z]*_[A-Za-z0-9_]*(\\[[0-9]\\])*: " | grep -v Ptr_' ;;`;

export interface Programs {
  readonly initramfs: string;
  /** Names and versions of what is in it. */
  readonly versions: string;
}

export interface ProgramSources {
  readonly coremark?: string;
  readonly dhrystone?: string;
}

/** `busybox` is the initramfs of that guest. Throws a PowervisorError if packages are wanted and cannot be had. */
export async function debianPrograms(busybox: string, sources: ProgramSources): Promise<Programs> {
  const base = readFileSync(busybox);
  const script = firstProcess(cases, before);
  const own = [...coremarkFiles(sources.coremark), ...dhrystoneFiles(sources.dhrystone)];
  const digest = createHash('sha256').update(compilerVersion());
  digest.update(JSON.stringify([SUITE, packages.map(([name, files]) => [name, files.source]), LIBRARIES]));
  digest.update(`${script}${perlScript}${pythonScript}${DATA_BYTES}`).update(base);
  for (const path of own) digest.update(path).update(readFileSync(path));
  const directory = join(cacheDirectory(), 'bench', `programs-${digest.digest('hex').slice(0, 16)}`);
  const initramfs = join(directory, 'initrd');
  const versionFile = join(directory, 'versions');
  if (!existsSync(initramfs)) {
    const { entries, versions } = await packageEntries();
    mkdirSync(directory, { recursive: true });
    const added = writeCpio([
      ...entries,
      { kind: 'file', path: 'debian/text', data: textData(DATA_BYTES) },
      { kind: 'file', path: 'debian/script.pl', data: perlScript },
      { kind: 'file', path: 'debian/script.py', data: pythonScript },
      ...compiled(directory, 'coremark', coremarkCommand(sources.coremark)),
      ...compiled(directory, 'dhrystone', dhrystoneCommand(sources.dhrystone)),
      { kind: 'file', path: 'bench-init', mode: 0o755, data: script },
    ]);
    writeFileSync(versionFile, versions);
    writeFileSync(`${initramfs}.part`, Buffer.concat([base, added]));
    renameSync(`${initramfs}.part`, initramfs);
  }
  return { initramfs, versions: readFileSync(versionFile, 'utf8') };
}

/** The wanted files of all packages, where the guest looks for them. */
async function packageEntries(): Promise<{ entries: CpioEntry[]; versions: string }> {
  const mirror = await findMirror({ environment: process.env, aptIndexTargets: readAptIndexTargets });
  const repository = await DebianRepository.open({
    mirror,
    suite: SUITE,
    architecture: 'ppc64el',
    indexDirectory: join(cacheDirectory(), 'indexes'),
    progress: silentProgress,
  });
  const folders = new Set(['debian', 'debian/lib', 'lib', LIBRARIES, 'lib64', 'usr/lib']);
  const files: CpioEntry[] = [{ kind: 'link', path: 'lib64/ld64.so.2', target: `/${LIBRARIES}/ld64.so.2` }];
  const versions: string[] = [];
  for (const [name, wanted] of packages) {
    const chosen = repository.find(name);
    process.stderr.write(`fetching ${name} ${chosen.version}\n`);
    const found = await extractAll(await repository.fetch(chosen), name, (path) => wanted.test(path));
    if (found.length === 0) throw new Error(`package ${name} ${chosen.version} has no file like ${wanted}`);
    if (!name.startsWith('lib') && name !== 'zlib1g') versions.push(`${name} ${chosen.version}`);
    for (const { path, data } of found) {
      const file = path.split('/').pop()!;
      const library = /^(lib.*|ld64)\.so\.\d+/.exec(file)?.[0];
      if (library) files.push({ kind: 'file', path: `${LIBRARIES}/${library}`, mode: 0o755, data });
      else if (/bin\//.test(path)) files.push({ kind: 'file', path: `debian/${file}`, mode: 0o755, data });
      else if (path.endsWith('.pm')) files.push({ kind: 'file', path: `debian/lib/${file}`, data });
      else {
        const parts = path.split('/');
        for (let depth = 2; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join('/'));
        files.push({ kind: 'file', path, data });
      }
    }
  }
  const directories = [...folders].sort().map((path): CpioEntry => ({ kind: 'directory', path }));
  return { entries: [...directories, ...files], versions: versions.join(', ') };
}

const coremarkCode = ['core_list_join.c', 'core_main.c', 'core_matrix.c', 'core_state.c', 'core_util.c'];

function coremarkFiles(folder: string | undefined): string[] {
  if (folder === undefined) return [];
  const names = [...coremarkCode, 'coremark.h', 'posix/core_portme.c', 'posix/core_portme.h'];
  return present(folder, names, '--coremark', 'a checkout of eembc/coremark');
}

function dhrystoneFiles(folder: string | undefined): string[] {
  if (folder === undefined) return [];
  return present(folder, ['dhry.h', 'dhry_1.c', 'dhry_2.c'], '--dhrystone', 'the sources of Dhrystone 2.1 in C');
}

function present(folder: string, names: readonly string[], option: string, what: string): string[] {
  const missing = names.find((name) => !existsSync(join(folder, name)));
  if (missing === undefined) return names.map((name) => join(folder, name));
  const there = existsSync(folder) ? `has no ${missing}` : 'does not exist';
  throw new UsageError('sources', `${option} wants the folder with ${what}; ${folder} ${there}.`);
}

/** As the makefiles of the two do it, for one process. */
function coremarkCommand(folder: string | undefined): string[] | undefined {
  if (folder === undefined) return undefined;
  const code = [...coremarkCode, 'posix/core_portme.c'].map((name) => join(folder, name));
  const defines = ['-DPERFORMANCE_RUN=1', '-DFLAGS_STR="-O2"'];
  return ['-std=gnu11', '-w', ...defines, `-I${join(folder, 'posix')}`, `-I${folder}`, ...code];
}

function dhrystoneCommand(folder: string | undefined): string[] | undefined {
  if (folder === undefined) return undefined;
  // Two files, compiled apart: what one has of the other must not be known.
  return ['-std=gnu89', '-w', '-DTIME', '-fno-lto', join(folder, 'dhry_1.c'), join(folder, 'dhry_2.c')];
}

function compiled(directory: string, name: string, command: readonly string[] | undefined): CpioEntry[] {
  if (command === undefined) return [];
  const target = join(directory, name);
  execFileSync(compiler, ['-O2', '-static', '-mcpu=power8', '-o', target, ...command], { stdio: 'inherit' });
  return [{ kind: 'file', path: `debian/${name}`, mode: 0o755, data: readFileSync(target) }];
}
