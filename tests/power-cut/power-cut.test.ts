// The process is killed at random moments while a guest writes to its disk: what the guest has flushed is in the image
// every time, and the image opens clean. By default a few kills; POWERVISOR_KILLS=200 for the recorded run.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureBuilt } from '../../scripts/prepare.mjs';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage } from '../../src/backends/qcow2/create-image.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { AddressMap } from '../../src/device/address-map.ts';
import { HostBridge } from '../../src/pci/host-bridge.ts';
import { openFile, qemuCheck, randomFrom, temporaryFolder } from '../qcow2/support.ts';
import { TestMemory } from '../support/virtio-memory.ts';
import { judge, SECTOR_BYTES, seedSector } from './steps.ts';

const command = fileURLToPath(new URL('../../bin/powervisor', import.meta.url));
const compiler = 'powerpc64le-linux-gnu-gcc';
const hasCompiler = spawnSync(compiler, ['--version']).status === 0;
const hasQemuImg = spawnSync('qemu-img', ['--version']).status === 0;
const kills = Number(process.env.POWERVISOR_KILLS ?? 12);
const atOnce = 2;
const BLOCKS = 1024;
const DISK_BYTES = BLOCKS * 4096;
/** From the first flush on. */
const LONGEST_LIFE_MS = 700;

const folder = temporaryFolder();
const elf = join(folder.path, 'guest.elf');
afterAll(() => folder.remove());

function buildGuest(): void {
  const shared = new URL('../hypervisor/guest/', import.meta.url);
  const own = new URL('guest/', import.meta.url);
  copyFileSync(new URL('start.S', shared), join(folder.path, 'start.S'));
  for (const name of ['main.c', 'guest.ld']) copyFileSync(new URL(name, own), join(folder.path, name));
  const { buid } = new HostBridge({
    index: 0,
    view: new TestMemory(65536).view,
    map: new AddressMap(),
    interrupts: { pulse() {}, setLevel() {}, pinIrqFirst: 0, messageIrqFirst: 0, messageIrqCount: 0 },
    warn() {},
  });
  const defines = { READ_CONFIG: 0x2020, WRITE_CONFIG: 0x2021, BUID_HIGH: buid.high, BUID_LOW: buid.low };
  const options = [
    ...['-mbig-endian', '-mabi=elfv2', '-mcpu=power8', '-O1', '-ffreestanding', '-nostdlib', '-static', '-fno-pic'],
    ...[
      '-fno-stack-protector',
      '-mno-altivec',
      '-mno-vsx',
      '-msoft-float',
      '-w',
      '-Wl,-T,guest.ld,--build-id=none,--no-warn-rwx-segments',
    ],
    ...Object.entries(defines).map(([name, value]) => `-D${name}=${value}u`),
  ];
  execFileSync(compiler, [...options, '-o', elf, 'start.S', 'main.c'], { cwd: folder.path });
}

async function makeImage(path: string, format: string, seed: number): Promise<void> {
  const start = seedSector(seed, BLOCKS);
  if (format === 'raw') {
    const bytes = new Uint8Array(DISK_BYTES);
    bytes.set(start);
    writeFileSync(path, bytes);
    return;
  }
  const file = await openFile(path, 'w+');
  await createImage(file, { sizeBytes: DISK_BYTES, clusterBits: [9, 12, 16][seed % 3] });
  const disk = await Qcow2Image.open(file, { name: path, readOnly: false, decompress: decompressCluster });
  expect(await disk.write(0, start)).toBeUndefined();
  await disk.close();
}

async function readImage(path: string, format: string): Promise<Uint8Array> {
  if (format === 'raw') return readFileSync(path);
  const file = await openFile(path, 'r');
  const disk = await Qcow2Image.open(file, { name: path, readOnly: true, decompress: decompressCluster });
  const bytes = new Uint8Array(DISK_BYTES);
  expect(await disk.read(0, bytes)).toBeUndefined();
  await disk.close();
  return bytes;
}

/** Runs the guest and kills the process; returns the last step that the guest said is flushed. */
async function runAndKill(path: string, format: string, lifeMs: number): Promise<number> {
  const options = [
    '--kernel',
    elf,
    '--drive',
    `file=${path},format=${format}`,
    '--memory',
    '64M',
    '--no-console-input',
  ];
  const child = spawn(process.execPath, [command, 'run', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  let timer: NodeJS.Timeout | undefined;
  const patience = setTimeout(() => child.kill('SIGKILL'), 60_000);
  child.stderr.on('data', (bytes) => {
    errors += bytes;
  });
  child.stdout.on('data', (bytes) => {
    output += bytes;
    // The first flush may be the last thing it does.
    if (timer === undefined && /F[0-9a-f]{8}\r?\n/.test(output)) {
      timer = setTimeout(() => child.kill('SIGKILL'), lifeMs);
    }
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(patience);
  const last = [...output.matchAll(/F([0-9a-f]{8})\r?\n/g)].at(-1);
  if (child.signalCode !== 'SIGKILL' || !last) throw new Error(`the guest wrote nothing: ${output}\n${errors}`);
  return Number.parseInt(last[1], 16);
}

describe.skipIf(!hasCompiler && process.env.CI === undefined)('loss of power under write load', () => {
  beforeAll(async () => {
    await ensureBuilt();
    buildGuest();
  });

  it('judges images', () => {
    const empty = new Uint8Array(DISK_BYTES);
    expect(judge(empty, 1, BLOCKS, 0).wrong).toEqual([]);
    expect(judge(empty, 1, BLOCKS, 64).wrong).not.toEqual([]);
    const strange = new Uint8Array(DISK_BYTES);
    strange[100 * SECTOR_BYTES] = 1;
    expect(judge(strange, 1, BLOCKS, 0).wrong).toEqual(['sector 100 holds what nobody wrote']);
  });

  it(`keeps what was flushed in ${kills} kills`, { timeout: 3_600_000 }, async () => {
    const seen = { raw: 0, qcow2: 0, steps: 0, flushedSectors: 0, laterSectors: 0, leaky: 0 };
    let next = 0;
    const worker = async () => {
      while (next < kills) {
        const seed = next++;
        const format = seed % 2 === 0 ? 'raw' : 'qcow2';
        const path = join(folder.path, `disk-${seed}`);
        await makeImage(path, format, seed);
        const flushed = await runAndKill(path, format, randomFrom(seed + 1)() * LONGEST_LIFE_MS);
        if (format === 'qcow2' && hasQemuImg) {
          const check = qemuCheck(path);
          expect(check.corruptions, check.text).toBe(0);
          if (check.leaks > 0) seen.leaky++;
        }
        const { wrong, flushedSectors, laterSectors } = judge(await readImage(path, format), seed, BLOCKS, flushed);
        expect(wrong, `kill ${seed}, ${format}, flushed up to step ${flushed}`).toEqual([]);
        seen[format as 'raw' | 'qcow2']++;
        seen.steps += flushed;
        seen.flushedSectors += flushedSectors;
        seen.laterSectors += laterSectors;
        execFileSync('rm', [path]);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    process.stdout.write(`power cuts: ${JSON.stringify(seen)}\n`);
    // Kills come in the middle of work: much was flushed, and some was written that was not.
    expect(seen.flushedSectors).toBeGreaterThan(1000 * kills);
    expect(seen.laterSectors).toBeGreaterThan(10 * kills);
  });
});
