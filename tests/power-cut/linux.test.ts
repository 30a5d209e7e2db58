// As power-cut.test.ts, with Linux and ext4: each file that was written with fsync before the kill is there and whole once
// the journal has been replayed. POWERVISOR_LINUX_KILLS sets how often; each kill costs a boot.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { ensureBuilt } from '../../scripts/prepare.mjs';
import { decompressCluster } from '../../src/backends/node/image-file.ts';
import { createImage } from '../../src/backends/qcow2/create-image.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { openFile, qemuCheck, randomFrom, temporaryFolder } from '../qcow2/support.ts';
import { guestForTest } from '../support/guests.ts';

const command = fileURLToPath(new URL('../../bin/powervisor', import.meta.url));
const tool = (name: string) => ['/sbin', '/usr/sbin'].map((path) => join(path, name)).find((path) => existsSync(path));
const [maker, checker, reader] = [tool('mke2fs'), tool('e2fsck'), tool('debugfs')];
const kills = Number(process.env.POWERVISOR_LINUX_KILLS ?? 2);
const DISK_BYTES = 24 * 2 ** 20;
const LONGEST_LIFE_MS = 8000;

const guests = [await guestForTest('linux-svm'), await guestForTest('busybox')];
const missing = guests.find((guest) => 'reason' in guest);
const possible = missing === undefined && maker && checker && reader;
const folder = temporaryFolder();
afterAll(() => folder.remove());

/** What the guest does for ever: a file, fsync, and its number on the console. */
const work =
  'mount -t ext4 /dev/vda /mnt; i=0; while true; do i=$((i+1)); ' +
  'seq $i $((i+500)) > /tmp/new; dd if=/tmp/new of=/mnt/f$i bs=64k conv=fsync 2>/dev/null && echo "FL""USHED $i"; done\n';
const contentOf = (number: number) => Array.from({ length: 501 }, (_, n) => `${number + n}\n`).join('');

async function makeDisk(raw: string, path: string, format: string): Promise<void> {
  writeFileSync(raw, new Uint8Array(DISK_BYTES));
  execFileSync(maker!, ['-q', '-t', 'ext4', '-F', raw, `${DISK_BYTES / 1024}k`]);
  if (format === 'raw') return;
  const bytes = await readAll(raw);
  const file = await openFile(path, 'w+');
  await createImage(file, { sizeBytes: DISK_BYTES, clusterBits: 16 });
  const disk = await Qcow2Image.open(file, { name: path, readOnly: false, decompress: decompressCluster });
  expect(await disk.write(0, bytes)).toBeUndefined();
  await disk.close();
}

async function readAll(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array(DISK_BYTES);
    await file.read(bytes, 0, DISK_BYTES, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

async function toRaw(path: string, raw: string): Promise<void> {
  const { corruptions, text } = qemuCheck(path);
  expect(corruptions, text).toBe(0);
  const file = await openFile(path, 'r');
  const disk = await Qcow2Image.open(file, { name: path, readOnly: true, decompress: decompressCluster });
  const bytes = new Uint8Array(DISK_BYTES);
  expect(await disk.read(0, bytes)).toBeUndefined();
  await disk.close();
  writeFileSync(raw, bytes);
}

/** The number of the last file that the guest said is safe. */
async function runAndKill(path: string, format: string, lifeMs: number): Promise<number> {
  const options = ['--kernel', 'guest:linux-svm', '--initrd', 'guest:busybox', '--append', 'console=hvc0 quiet'];
  const drive = ['--drive', `file=${path},format=${format}`];
  const child = spawn(process.execPath, [command, 'run', ...options, ...drive], { stdio: ['pipe', 'pipe', 'ignore'] });
  let output = '';
  let typed = false;
  let timer: NodeJS.Timeout | undefined;
  const patience = setTimeout(() => child.kill('SIGKILL'), 400_000);
  child.stdout.on('data', (bytes) => {
    output += bytes;
    if (!typed && output.includes('~ # ')) {
      typed = true;
      child.stdin.write(work);
    }
    if (timer === undefined && /FLUSHED \d+\r?\n/.test(output)) {
      timer = setTimeout(() => child.kill('SIGKILL'), lifeMs);
    }
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(patience);
  const last = [...output.matchAll(/FLUSHED (\d+)\r?\n/g)].at(-1);
  if (child.signalCode !== 'SIGKILL' || !last) throw new Error(`the guest wrote nothing: ${output.slice(-2000)}`);
  return Number(last[1]);
}

describe.skipIf(!possible)('loss of power under Linux', () => {
  it(`keeps what was written with fsync in ${kills} kills`, { timeout: 3_600_000 }, async () => {
    await ensureBuilt();
    const seen: string[] = [];
    for (let n = 0; n < kills; n++) {
      const format = n % 2 === 0 ? 'raw' : 'qcow2';
      const raw = join(folder.path, 'disk.raw');
      const path = format === 'raw' ? raw : join(folder.path, 'disk.qcow2');
      await makeDisk(raw, path, format);
      const flushed = await runAndKill(path, format, randomFrom(n + 5)() * LONGEST_LIFE_MS);
      if (format === 'qcow2') await toRaw(path, raw);
      // Replays the journal; 1 says that something was put right, as that is.
      const status = spawnStatus(checker!, ['-fy', raw]);
      expect(status).toBeLessThanOrEqual(1);
      expect(spawnStatus(checker!, ['-fn', raw])).toBe(0);
      for (let number = 1; number <= flushed; number++) {
        const text = execFileSync(reader!, ['-R', `cat /f${number}`, raw], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        expect(text === contentOf(number), `file ${number} of ${flushed}, ${format}`).toBe(true);
      }
      seen.push(`${format}: ${flushed} files`);
    }
    process.stdout.write(`power cuts under Linux: ${seen.join(', ')}\n`);
  });
});

function spawnStatus(program: string, args: string[]): number {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return 0;
  } catch (error) {
    return (error as { status: number }).status;
  }
}
