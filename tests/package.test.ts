// The package as users get it: packed, installed into an empty project, and run from there.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureBuilt } from '../scripts/prepare.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
let directory: string;

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], cwd: string): Promise<Ended> {
  const env = { ...process.env, POWERVISOR_CACHE: join(directory, 'cache'), npm_config_loglevel: 'error' };
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, stdout, stderr });
    });
  });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-package-'));
  ensureBuilt();
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('the packed package', () => {
  let files: string[];
  let project: string;

  beforeAll(async () => {
    const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', directory], root);
    expect(packed.stderr).toBe('');
    const answer: unknown = JSON.parse(packed.stdout);
    const listing = (Array.isArray(answer) ? answer[0] : Object.values(answer as object)[0]) as {
      filename: string;
      files: { path: string }[];
    };
    files = listing.files.map(({ path }) => path);
    project = await mkdtemp(join(directory, 'project-'));
    await writeFile(join(project, 'package.json'), '{ "private": true }');
    const tarball = join(directory, listing.filename);
    const installed = await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], project);
    expect(installed).toMatchObject({ status: 0, stderr: '' });
  });

  it('has what it runs on, and nothing of the workshop', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'bin/package.json',
        'bin/powervisor',
        'dist/cli/main.js',
        'dist/index.d.ts',
        'dist/index.js',
        'guests/linux-svm.config',
        'guests/pocket/pocket.elf',
      ]),
    );
    expect(
      files.filter((path) => /^(src|tests|scripts|bench|node_modules)\/|\.test\.|^dist\/web\//.test(path)),
    ).toEqual([]);
  });

  it('gives the command to the project that installs it', async () => {
    const command = join(project, 'node_modules', '.bin', 'powervisor');
    expect(await run(command, ['--version'], project)).toMatchObject({ status: 0, stdout: '0.1.0\n', stderr: '' });
    const guests = await run(command, ['guest', 'list'], project);
    expect(guests).toMatchObject({ status: 0, stderr: '' });
    expect(guests.stdout).toMatch(/^linux-svm +absent/m);
    expect(await run(command, ['run', '--kernel', 'missing'], project)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'powervisor: Cannot read the kernel missing: there is no such file.\n',
    });
    expect((await run(command, ['run', '--what'], project)).status).toBe(2);
  });

  it('lists the code of the pocket guest', async () => {
    const command = join(project, 'node_modules', '.bin', 'powervisor');
    const pocket = join(project, 'node_modules', 'powervisor', 'guests', 'pocket', 'pocket.elf');
    const listed = await run(command, ['disasm', pocket], project);
    expect(listed).toMatchObject({ status: 0, stderr: '' });
    expect(listed.stdout).toMatch(/^[0-9a-f]{16}: {2}4e800020 {2}bclr/m);
  });

  it('gives the library to the project that installs it', async () => {
    const program = "const { Machine } = await import('powervisor'); process.stdout.write(typeof Machine.create);";
    expect(await run(process.execPath, ['--input-type=module', '-e', program], project)).toMatchObject({
      status: 0,
      stdout: 'function',
      stderr: '',
    });
  });
});

it('says what to do when it is not built', async () => {
  const checkout = await mkdtemp(join(directory, 'checkout-'));
  await cp(join(root, 'bin'), join(checkout, 'bin'), { recursive: true });
  expect(await run(join(checkout, 'bin', 'powervisor'), ['--version'], checkout)).toEqual({
    status: 1,
    stdout: '',
    stderr: 'powervisor: not built yet. Say: npm ci && npm run build\n',
  });
});
