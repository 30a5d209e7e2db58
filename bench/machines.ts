// The two machines that are timed: Powervisor as its command, and qemu-system-ppc64. Both run as processes of their own
// and are timed by when lines of the guest's console arrive here.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../src/util/errors.ts';

export interface Guest {
  readonly kernel: string;
  readonly initrd?: string;
  readonly append: string;
  readonly memory: string;
  readonly cpus: number;
}

export interface Peer {
  readonly name: string;
  /** The Node that runs it; absent for QEMU. */
  readonly node?: string;
  start(guest: Guest): ChildProcess;
}

const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));

/** Powervisor under a Node; `extra` are more options of `powervisor run`. */
export function powervisor(node: string, extra: readonly string[], name: string): Peer {
  return {
    name,
    node,
    start: ({ kernel, initrd, append, memory, cpus }) =>
      spawn(
        node,
        [
          command,
          'run',
          '--kernel',
          kernel,
          ...(initrd ? ['--initrd', initrd] : []),
          '--append',
          append,
          '--memory',
          memory,
          '--smp',
          String(cpus),
          '--clock',
          'virtual',
          ...extra,
        ],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      ),
  };
}

export const qemu: Peer = {
  name: 'qemu',
  start: ({ kernel, initrd, append, memory, cpus }) =>
    spawn(
      'qemu-system-ppc64',
      [
        '-M',
        'pseries,x-vof=on',
        '-cpu',
        'power9',
        '-m',
        memory,
        '-smp',
        String(cpus),
        '-nodefaults',
        '-nographic',
        '-serial',
        'stdio',
        '-kernel',
        kernel,
        ...(initrd ? ['-initrd', initrd] : []),
        '-append',
        append,
      ],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    ),
};

export function qemuVersion(): string | undefined {
  const { status, stdout } = spawnSync('qemu-system-ppc64', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : undefined;
}

/** A name for each Node: its version, and where that is not enough a number. */
export function nodeNames(versions: readonly string[]): string[] {
  const plain = versions.map((version) => `Node ${version.replace(/^v/, '')}`);
  return plain.map((name, index) => {
    if (plain.indexOf(name) === plain.lastIndexOf(name)) return name;
    return `${name} (${plain.slice(0, index + 1).filter((each) => each === name).length})`;
  });
}

/** The version of a Node. Throws a UsageError if there is none at the path. */
export function nodeVersion(path: string): string {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (status === 0 && /^v\d+\./.test(stdout)) return stdout.trim();
  throw new UsageError('node', `--node wants the path of a Node program; ${path} is none.`);
}

/** Calls `onText` with all output so far whenever there is more; it returns true to stop the machine. */
export async function watch(
  machine: ChildProcess,
  onText: (all: string, ms: number) => boolean,
  timeoutMs: number,
): Promise<void> {
  const started = performance.now();
  let all = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      machine.kill('SIGKILL');
      reject(new Error(`no result within ${timeoutMs / 1000} s; last output:\n${all.slice(-500)}`));
    }, timeoutMs);
    const finish = () => {
      clearTimeout(timer);
      resolve();
    };
    machine.stdout?.on('data', (chunk: Buffer) => {
      all += chunk.toString('latin1');
      try {
        if (onText(all, performance.now() - started)) machine.kill('SIGKILL');
      } catch (error) {
        machine.kill('SIGKILL');
        clearTimeout(timer);
        reject(error);
      }
    });
    machine.on('error', reject);
    machine.on('close', finish);
  });
}
