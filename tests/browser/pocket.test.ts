// The machine in a browser's worker: the pocket guest passes there as in Node, instruction for instruction, while the
// page stays alive.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from '../../src/index.ts';
import type { WorkerMachineConfiguration } from '../../src/web/protocol.ts';
import { findChromium, openPage, type ServedPage } from '../support/browser.ts';

const kernel = readFileSync(new URL('../../guests/pocket/pocket.elf', import.meta.url));
const chromium = findChromium();
const title = 'reason' in chromium ? `the pocket guest in Chromium (skipped: ${chromium.reason})` : '';

type PageConfiguration = Omit<WorkerMachineConfiguration, 'kernel'>;

/** What page.ts takes and answers; spelt out here because that file needs the types of a page. */
interface BootRequest {
  readonly kernelUrl: string;
  readonly configuration: PageConfiguration;
  readonly limits?: { readonly timeoutMs?: number };
  readonly answers?: readonly { readonly prompt: string; readonly text: string }[];
  readonly pauseAfter?: string;
}

interface BootResult {
  readonly outcome: unknown;
  readonly output: string;
  readonly report: { readonly instructions: number; readonly cpus: readonly unknown[]; readonly hcalls: unknown };
  readonly stateHash: string;
  readonly elapsedMs: number;
  readonly frames: number;
  readonly timerTicks: number;
  readonly longestTimerGapMs: number;
}

interface BootAnswer {
  readonly result?: BootResult;
  readonly error?: { readonly name: string; readonly code: unknown; readonly message: string };
}

async function bootInNode(configuration: PageConfiguration) {
  await using machine = await Machine.create({ ...configuration, kernel });
  machine.closeInput();
  let output = '';
  machine.onConsole((bytes) => {
    output += Buffer.from(bytes).toString('latin1');
  });
  const outcome = await machine.run({ timeoutMs: 120_000 });
  return { outcome, output, report: machine.report(), stateHash: await machine.stateHash() };
}

describe.skipIf('reason' in chromium)(title || 'the pocket guest in Chromium', { timeout: 300_000 }, () => {
  let opened: ServedPage;

  beforeAll(async () => {
    opened = await openPage(
      (chromium as { path: string }).path,
      [new URL('./page/page.ts', import.meta.url), new URL('../../src/web/worker.ts', import.meta.url)],
      { 'pocket.elf': kernel, 'pocket.elf.gz': gzipSync(kernel), 'kernel.xz': Buffer.from('\xfd7zXZ\0...', 'latin1') },
    );
  });

  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });

  function boot(request: BootRequest): Promise<BootAnswer> {
    return opened.page.evaluate(`boot(${JSON.stringify(request)})`);
  }

  it('passes all its chapters as in Node, to the last instruction and bit, on a live page', async () => {
    const configuration = { append: 'plain', cpus: 2, memoryBytes: 2 ** 28 };
    const { result, error } = await boot({ kernelUrl: 'pocket.elf', configuration, limits: { timeoutMs: 120_000 } });
    expect(error).toBeUndefined();
    const there = result as BootResult;
    expect(there.output).not.toContain('FAILED');
    expect(there.output.match(/\bok\b/g)?.length).toBeGreaterThan(25);
    expect(there.outcome).toEqual({ reason: 'power-off' });

    const here = await bootInNode(configuration);
    expect(there.output).toBe(here.output);
    expect(there.report.instructions).toBe(here.report.instructions);
    expect(there.report.cpus).toEqual(here.report.cpus);
    expect(there.report.hcalls).toEqual(here.report.hcalls);
    expect(there.stateHash).toBe(here.stateHash);

    // A blocked page would have none of either. The bounds leave room for a loaded machine.
    expect(there.elapsedMs).toBeGreaterThan(100);
    expect(there.timerTicks).toBeGreaterThan(there.elapsedMs / 100);
    expect(there.frames).toBeGreaterThan(there.elapsedMs / 500);
    expect(there.longestTimerGapMs).toBeLessThan(there.elapsedMs / 2);
    expect(opened.errors).toEqual([]);
  });

  it('takes what is typed, and a kernel packed with gzip', async () => {
    const { result, error } = await boot({
      kernelUrl: 'pocket.elf.gz',
      configuration: { append: 'plain only=none echo', memoryBytes: 2 ** 28 },
      limits: { timeoutMs: 60_000 },
      answers: [{ prompt: 'type> ', text: 'is anybody there?\r' }],
    });
    expect(error).toBeUndefined();
    expect(result?.output).toMatch(/type> .*is anybody there\?.*is anybody there\?/s);
    expect(result?.outcome).toEqual({ reason: 'power-off' });
  });

  it('is paused in an endless loop', async () => {
    const { result, error } = await boot({
      kernelUrl: 'pocket.elf',
      configuration: { append: 'plain loop', memoryBytes: 2 ** 28 },
      limits: { timeoutMs: 60_000 },
      pauseAfter: '\n',
    });
    expect(error).toBeUndefined();
    expect(result?.outcome).toEqual({ reason: 'stopped' });
    expect(result?.report.instructions).toBeGreaterThan(0);
  });

  it('refuses what it cannot do, by name', async () => {
    const packed = await boot({ kernelUrl: 'kernel.xz', configuration: {} });
    expect(packed.error).toMatchObject({ name: 'PowervisorError', code: 'KERNEL_COMPRESSED' });
    expect(packed.error?.message).toContain('a browser unpacks gzip only, not xz');
    const many = await boot({ kernelUrl: 'pocket.elf', configuration: { cpus: 100 } });
    expect(many.error).toEqual({
      name: 'UsageError',
      code: 'cpus',
      message: 'A machine has 1 to 16 CPUs, not 100.',
    });
  });
});
