// A process that writes to an image is killed at random moments: the image then has no errors, and has everything that
// was flushed. Leaked clusters may remain, as they may after a crash of QEMU.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, expect, it } from 'vitest';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage } from '../../src/backends/qcow2/create-image.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { batches, SectorModel } from './sector-model.ts';
import { openFile, qemuCheck, randomFrom, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const kills = 200;
const atOnce = 3;
const sectors = 1000;

it(`survives ${kills} kills`, { timeout: 300_000 }, async () => {
  const program = join(folder.path, 'writer.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'kill-writer.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
    logLevel: 'error',
  });
  let next = 0;
  const seen = { leaky: 0, flushed: 0, batches: 0 };
  const worker = async () => {
    while (next < kills) {
      const result = await killOnce(program, next++);
      if (result.leaks > 0) seen.leaky++;
      if (result.flushed > 0) seen.flushed++;
      seen.batches += result.batches;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  process.stdout.write(`kills: ${kills}, after a flush: ${seen.flushed}, images with leaks: ${seen.leaky}\n`);
  // Most kills come in the middle of work.
  expect(seen.flushed).toBeGreaterThan(kills / 2);
  expect(seen.batches).toBeGreaterThan(kills);
});

function logBytes(path: string): number {
  return existsSync(path) ? statSync(path).size : -1;
}

async function killOnce(program: string, seed: number) {
  const random = randomFrom(seed + 77);
  const path = join(folder.path, `kill-${seed}.qcow2`);
  const logPath = join(folder.path, `kill-${seed}.log`);
  const file = await openFile(path, 'w+');
  await createImage(file, { sizeBytes: sectors * 512, clusterBits: [9, 12, 16][seed % 3] });
  await file.close();

  const child = spawn(process.execPath, [program, path, logPath, String(seed), String(sectors)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  // The moment is given by how far the child has come, not by a clock that runs while it only starts, and a bit of time.
  const progress = Math.floor(random() * 250);
  while (logBytes(logPath) < progress && child.exitCode === null) await setTimeout(3);
  await setTimeout(random() * 4);
  child.kill('SIGKILL');
  const [, signal] = await ended;
  expect(signal).toBe('SIGKILL');

  if (seed % 4 === 0) {
    const verdict = qemuCheck(path);
    expect(verdict.corruptions, verdict.text).toBe(0);
    expect([0, 3], verdict.text).toContain(verdict.status);
  }

  const log = readFileSync(logPath, 'utf8');
  const done = [...log.matchAll(/^done (\d+)$/gm)].length;
  const flushed = Number([...log.matchAll(/^flushed \d+ (\d+)$/gm)].at(-1)?.[1] ?? 0);
  const model = new SectorModel(sectors);
  let batch = 0;
  for (const { operations } of batches(seed, sectors)) {
    // One more than is logged as done may have begun.
    if (batch++ > done) break;
    for (const operation of operations) model.record(operation);
  }
  const disk = await Qcow2Image.open(await openFile(path, 'r+'), {
    name: path,
    readOnly: false,
    decompress: decompressCluster,
  });
  const check = await disk.check();
  expect(check.errors, `seed ${seed}`).toEqual([]);
  const content = new Uint8Array(disk.sizeBytes);
  await disk.read(0, content);
  await disk.close();
  expect(model.complaints(content, flushed), `seed ${seed}`).toEqual([]);
  return { leaks: check.leaks, flushed, batches: done };
}
