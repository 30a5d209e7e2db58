// The command as a process: what it does when stopped, on a terminal, in a pipeline, and with files that are no
// kernels. The guests are loops of a few instructions; guests that do something are in tests/guest.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureBuilt } from '../scripts/prepare.mjs';
import { buildElf, PT_LOAD } from './support/elf-builder.ts';

const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));
const EM_PPC64 = 21;
const EM_X86_64 = 62;
let directory: string;

const guests = {
  /** b . */
  loop: [0x48000000],
  /** li r3,0; mtmsrd r3,1; b . */
  'loop with interrupts off': [0x38600000, 0x7c610164, 0x48000000],
  /** No instruction at all. */
  garbage: [0, 0, 0, 0],
  /** li r3,-4; mtctr r3; bctr */
  'jump to nowhere': [0x3860fffc, 0x7c6903a6, 0x4e800420],
};

function kernel(words: readonly number[], machine = EM_PPC64): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  words.forEach((word, index) => {
    new DataView(bytes.buffer).setUint32(4 * index, word, true);
  });
  const parts = [{ type: PT_LOAD, virtualAddress: 0x400000n, bytes, memoryBytes: 0x10000 }];
  return buildElf({ is64: true, littleEndian: true, machine, entry: 0x400000n, parts });
}

const pathOf = (name: string) => join(directory, name.replaceAll(' ', '-'));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly process: ChildProcess;
  /** Resolves when the output of either kind matches. */
  waitFor(pattern: RegExp): Promise<void>;
  readonly ended: Promise<Ended>;
}

function start(program: string, args: readonly string[]): Started {
  const child = spawn(program, args, { cwd: directory, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('latin1');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('latin1');
  });
  child.stdin.on('error', () => {});
  return {
    process: child,
    waitFor: (pattern) => expect.poll(() => stdout + stderr, { timeout: 30_000, interval: 20 }).toMatch(pattern),
    ended: new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr }))),
  };
}

const powervisor = (...args: string[]) => start(process.execPath, [command, ...args]);

/** Waits until the machine has started, by its first trace event. */
async function running(name: string, ...args: string[]): Promise<Started> {
  const started = powervisor('run', '--kernel', pathOf(name), '--trace', 'machine', ...args);
  await started.waitFor(/"event":"start"/);
  return started;
}

beforeAll(async () => {
  ensureBuilt();
  directory = await mkdtemp(join(tmpdir(), 'powervisor-command-'));
  for (const [name, words] of Object.entries(guests)) await writeFile(pathOf(name), kernel(words));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe.each(Object.keys(guests))('a guest that is stuck: %s', (name) => {
  it('ends with the time limit and leaves a report', async () => {
    const report = pathOf(`report ${name}`);
    const { ended } = powervisor('run', '--kernel', pathOf(name), '--timeout', '1', '--report', report);
    expect(await ended).toMatchObject({
      status: 124,
      stderr: expect.stringMatching(/the time given by --timeout is over/),
    });
    const written = JSON.parse(await readFile(report, 'utf8')) as { instructions: number };
    expect(written).toMatchObject({ outcome: { reason: 'timeout' }, exitStatus: 124 });
    expect(written.instructions).toBeGreaterThan(0);
  });
});

describe('regions', () => {
  const pocket = fileURLToPath(new URL('../guests/pocket/pocket.elf', import.meta.url));
  const work = ['run', '--kernel', pocket, '--append', 'plain only=bench bench=20', '--clock', 'virtual'];

  it('made beside the vCPUs come, and the guest does the same', { timeout: 60_000 }, async () => {
    const run = async (where: string) => {
      const report = pathOf(`report ${where}`);
      const { status, stdout } = await powervisor(...work, '--compile', where, '--report', report).ended;
      const { compiler, instructions } = JSON.parse(await readFile(report, 'utf8'));
      return { status, stdout, compiler, instructions };
    };
    const [inline, beside] = [await run('inline'), await run('beside')];
    expect(inline).toMatchObject({ status: 0, compiler: { regions: expect.any(Number) } });
    expect(inline.compiler.workshop).toBeUndefined();
    const { stdout, instructions } = inline;
    expect(beside).toMatchObject({ status: 0, stdout, instructions });
    expect(beside.compiler.workshop.failure).toBeUndefined();
    expect(beside.compiler.workshop.deliveries).toBeGreaterThan(0);
    expect(beside.compiler.regions).toBeGreaterThan(0);
    expect(beside.compiler.share).toBeGreaterThan(0.3);
  });

  it('are not dumped from beside', async () => {
    const { ended } = powervisor(...work, '--compile', 'beside', '--dump-regions', pathOf('dump'));
    expect(await ended).toMatchObject({ status: 2, stderr: expect.stringContaining('leave out "beside"') });
  });
});

describe('stopping', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('by %s ends with %i and a report', async (signal, status) => {
    const report = pathOf(`report ${signal}`);
    const started = await running('loop', '--report', report);
    started.process.kill(signal);
    expect((await started.ended).status).toBe(status);
    expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({
      outcome: { reason: 'stopped' },
      exitStatus: status,
    });
  });

  it('does not follow from the end of the input', async () => {
    const started = await running('loop');
    started.process.stdin?.end('some text\n');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(started.process.exitCode).toBeNull();
    started.process.kill('SIGTERM');
    await started.ended;
  });
});

// util-linux's script gives the command a terminal of its own.
describe.skipIf(!existsSync('/usr/bin/script'))('on a terminal', () => {
  const settings = () => pathOf('settings');

  /** Runs the command between two looks at the terminal's settings; its process id is in a file beside them. */
  async function onTerminal(): Promise<Started> {
    const inner = `echo $$ > '${settings()}.pid'; exec '${process.execPath}' '${command}' run --kernel '${pathOf('loop')}'`;
    await writeFile(`${settings()}.sh`, inner);
    const whole = `stty -g > '${settings()}.before'; sh '${settings()}.sh'; echo status=$?; stty -g > '${settings()}.after'`;
    return start('/usr/bin/script', ['-qefc', whole, '/dev/null']);
  }

  async function expectRestored(): Promise<void> {
    const before = await readFile(`${settings()}.before`, 'utf8');
    expect(before).not.toBe('');
    expect(await readFile(`${settings()}.after`, 'utf8')).toBe(before);
  }

  it("the escape key helps and leaves, Ctrl-C is the guest's, and the terminal is as it was", async () => {
    const started = await onTerminal();
    await started.waitFor(/Ctrl-A x leaves/);
    started.process.stdin?.write('\x03ls\r\x01h');
    await started.waitFor(/send one Ctrl-A to the guest/);
    started.process.stdin?.write('\x01x');
    await started.waitFor(/status=130/);
    await started.ended;
    await expectRestored();
  });

  it('the terminal is as it was after a signal', async () => {
    const started = await onTerminal();
    await started.waitFor(/Ctrl-A x leaves/);
    process.kill(Number(await readFile(`${settings()}.pid`, 'utf8')), 'SIGTERM');
    await started.waitFor(/status=143/);
    await started.ended;
    await expectRestored();
  });
});

describe('a file that cannot be booted', () => {
  const files: Record<string, { bytes: Uint8Array; message: RegExp }> = {
    empty: { bytes: new Uint8Array(0), message: /empty|not an ELF/i },
    text: { bytes: Buffer.from('#!/bin/sh\necho hello\n'), message: /ELF/ },
    x86: { bytes: kernel([0], EM_X86_64), message: /x86/ },
    cut: { bytes: kernel(guests.loop).subarray(0, 60), message: /truncated|cut|ends/i },
    'bad gzip': { bytes: Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), message: /gzip/ },
    bzip2: { bytes: Buffer.from('BZh91AY&SY and so on'), message: /bzip2/ },
  };

  it.each(Object.keys(files))('%s', async (name) => {
    await writeFile(pathOf(name), files[name].bytes);
    const { status, stdout, stderr } = await powervisor('run', '--kernel', pathOf(name)).ended;
    expect(stderr).toMatch(files[name].message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toContain(pathOf(name));
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });

  it('an initrd larger than the memory', async () => {
    await writeFile(pathOf('initrd'), Buffer.alloc(65 * 1024 * 1024));
    const args = ['--kernel', pathOf('loop'), '--initrd', pathOf('initrd'), '--memory', '64M'];
    const { status, stderr } = await powervisor('run', ...args).ended;
    expect(stderr).toMatch(/initrd/);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(status).toBe(1);
  });
});
