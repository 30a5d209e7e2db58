// The built command under the newest Node with long-term support: the pocket guest passes there, and the run is the same
// as under the Node of these tests, output and instruction count.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ensureBuilt } from '../scripts/prepare.mjs';
import { type NodeRelease, nodeRelease } from './support/node-release.ts';

/** The line that has become LTS most recently. */
const NEWEST_LTS = 24;
const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));
const pocket = fileURLToPath(new URL('../guests/pocket/pocket.elf', import.meta.url));
const found = await nodeRelease(NEWEST_LTS);
const title = 'reason' in found ? `the newest LTS Node (skipped: ${found.reason})` : `Node ${found.version}`;

/** Boots the pocket guest with the command under a Node. */
async function bootUnder(node: string) {
  const directory = await mkdtemp(join(tmpdir(), 'powervisor-lts-'));
  try {
    const reportFile = join(directory, 'report.json');
    const args = ['run', '--kernel', pocket, '--append', 'plain', '--smp', '2', '--memory', '256M'];
    const options = ['--no-console-input', '--timeout', '120', '--report', reportFile];
    const ended = await new Promise<{ status: unknown; output: string; errors: string }>((resolve) => {
      execFile(node, [command, ...args, ...options], (error, output, errors) => {
        resolve({ status: error === null ? 0 : (error.code ?? error.signal), output, errors });
      });
    });
    const report = JSON.parse(await readFile(reportFile, 'utf8'));
    return { ...ended, report };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

describe.skipIf('reason' in found)(title, () => {
  const release = found as NodeRelease;

  it('is a line with long-term support', () => {
    expect(release.lts).toBeTypeOf('string');
    expect(release.version).toMatch(new RegExp(`^v${NEWEST_LTS}\\.`));
  });

  it('runs the pocket guest as this Node does', { timeout: 300_000 }, async () => {
    ensureBuilt();
    const there = await bootUnder(release.path);
    expect(there.status).toBe(0);
    expect(there.output).not.toContain('FAILED');
    expect(there.output.match(/\bok\b/g)?.length).toBeGreaterThan(25);
    const here = await bootUnder(process.execPath);
    expect(there.output).toBe(here.output);
    expect(there.report.instructions).toBeGreaterThan(1_000_000);
    expect(there.report.instructions).toBe(here.report.instructions);
    expect(there.report.cpus).toEqual(here.report.cpus);
  });
});
