// Compiling a guest kernel from a Debian linux-source package and a list of options, with this machine's cross compiler.
// Time, user and host name of the build are fixed, so that the same source, options and compiler give the same kernel.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, setPriority } from 'node:os';
import { delimiter, join } from 'node:path';
import { PowervisorError } from '../../util/errors.ts';
import type { Progress } from './progress.ts';

const crossPrefix = 'powerpc64le-linux-gnu-';

/** Programs the build runs, and the Debian packages that have them. */
const buildTools = {
  make: 'make',
  gcc: 'gcc',
  ld: 'binutils',
  flex: 'flex',
  bison: 'bison',
  bc: 'bc',
  perl: 'perl',
  tar: 'tar',
  xz: 'xz-utils',
  [`${crossPrefix}gcc`]: 'gcc-powerpc64le-linux-gnu',
  [`${crossPrefix}ld`]: 'binutils-powerpc64le-linux-gnu',
};

/** The Debian packages whose programs are not on the search path; empty if the build can start. */
export async function missingBuildPackages(searchPath = process.env.PATH ?? ''): Promise<string[]> {
  const missing = new Set<string>();
  for (const [tool, packageName] of Object.entries(buildTools)) {
    if (!(await isOnPath(tool, searchPath))) missing.add(packageName);
  }
  return [...missing];
}

export async function requireBuildTools(guest: string): Promise<void> {
  const missing = await missingBuildPackages();
  if (missing.length === 0) return;
  throw new PowervisorError(
    'BUILD_TOOLS_MISSING',
    `Building the guest ${guest} needs programs that are not installed. On Debian: apt-get install ${missing.join(' ')}`,
  );
}

export interface LinuxBuildOptions {
  /** The source as in the package: an xz-compressed tar archive with one folder at its top. */
  readonly sourceTarXz: Uint8Array;
  /** Lines for KCONFIG_ALLCONFIG. */
  readonly config: string;
  /** An empty folder to work in; about 2 GB are used. */
  readonly directory: string;
  /** Everything the build prints goes here. */
  readonly logFile: string;
  readonly progress: Progress;
  readonly jobs?: number;
  readonly signal?: AbortSignal;
}

/** Paths of what was built. */
export interface LinuxBuild {
  readonly vmlinux: string;
  readonly systemMap: string;
  readonly config: string;
}

/** Throws a PowervisorError when a step fails or an option did not take effect; it names the log. */
export async function buildLinux(options: LinuxBuildOptions): Promise<LinuxBuild> {
  const source = join(options.directory, 'source');
  const run = stepRunner(options);
  const make = ['ARCH=powerpc', `CROSS_COMPILE=${crossPrefix}`];
  await mkdir(source, { recursive: true });
  options.progress.note('unpacking the source');
  await run('tar', ['-xJ', '--strip-components=1', '-C', source], { input: options.sourceTarXz });
  const fragment = join(source, 'powervisor.config');
  await writeFile(fragment, options.config);
  await run('make', ['-C', source, ...make, `KCONFIG_ALLCONFIG=${fragment}`, 'allnoconfig']);
  const config = join(source, '.config');
  checkConfig(options.config, await readFile(config, 'utf8'));
  options.progress.note('compiling; this takes 4 to 12 minutes on two cores');
  const jobs = options.jobs ?? availableParallelism();
  options.progress.begin('compiling Linux', 0, 'steps');
  try {
    let steps = 0;
    await run('make', ['-C', source, ...make, `-j${jobs}`, 'vmlinux'], {
      onLine: () => options.progress.advance(++steps),
    });
  } finally {
    options.progress.end();
  }
  return { vmlinux: join(source, 'vmlinux'), systemMap: join(source, 'System.map'), config };
}

/** Every `CONFIG_X=value` and `# CONFIG_X is not set` of `wanted` must hold in `actual`. */
export function checkConfig(wanted: string, actual: string): void {
  const lines = new Set(actual.split('\n'));
  const absent = wanted.split('\n').filter((line) => {
    const off = /^# (CONFIG_\w+) is not set$/.exec(line);
    if (off !== null) return [...lines].some((each) => each.startsWith(`${off[1]}=`));
    return line.startsWith('CONFIG_') && !lines.has(line);
  });
  if (absent.length === 0) return;
  throw new PowervisorError(
    'BUILD_FAILED',
    `The source does not take these options (a dependency changed?): ${absent.join(', ')}.`,
  );
}

interface StepOptions {
  readonly input?: Uint8Array;
  readonly onLine?: () => void;
}

const shownLogLines = 15;
const lowPriority = 10;

function stepRunner(options: LinuxBuildOptions) {
  const log = options.logFile;
  return async (program: string, args: readonly string[], step: StepOptions = {}): Promise<void> => {
    const output = createWriteStream(log, { flags: 'a' });
    const status = await new Promise<number | string>((resolve, reject) => {
      const child = spawn(program, args, {
        env: {
          ...process.env,
          LC_ALL: 'C',
          KBUILD_BUILD_TIMESTAMP: '1970-01-01 00:00:00 UTC',
          KBUILD_BUILD_USER: 'powervisor',
          KBUILD_BUILD_HOST: 'powervisor',
        },
        stdio: ['pipe', 'pipe', 'pipe'],
        signal: options.signal,
      });
      child.on('spawn', () => child.pid !== undefined && setPriority(child.pid, lowPriority));
      child.on('error', reject);
      child.on('close', (code, signal) => resolve(code ?? signal ?? 1));
      for (const stream of [child.stdout, child.stderr]) {
        stream.pipe(output, { end: false });
        stream.on('data', (chunk: Buffer) => {
          for (const byte of chunk) if (byte === 0x0a) step.onLine?.();
        });
      }
      child.stdin.on('error', () => {}); // the child's status tells
      child.stdin.end(step.input);
    });
    await new Promise((resolve) => output.end(resolve));
    if (status === 0) return;
    const tail = (await readFile(log, 'utf8')).trimEnd().split('\n').slice(-shownLogLines).join('\n');
    throw new PowervisorError(
      'BUILD_FAILED',
      `${program} ended with status ${status} while the kernel was built; the whole log is ${log}, its end:\n${tail}`,
    );
  };
}

async function isOnPath(program: string, searchPath: string): Promise<boolean> {
  for (const directory of searchPath.split(delimiter)) {
    try {
      await access(join(directory || '.', program), constants.X_OK);
      return true;
    } catch {
      // not in this folder
    }
  }
  return false;
}
