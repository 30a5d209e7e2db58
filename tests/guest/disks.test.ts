// Disks under a real kernel beyond what the matrix of devices does: large writes with verification, failures of the host that
// must reach the guest and cost nothing it had flushed, and free pages that the guest reports.
//
// POWERVISOR_DISK_WRITE_MB sets how much the test of large writes writes; 64 if not given.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlockBackend, BlockOutcome } from '../../src/backends/block-backend.ts';
import { writeCpio } from '../../src/backends/node/cpio.ts';
import { RawDisk } from '../../src/backends/node/raw-disk.ts';
import type { VirtioBalloon } from '../../src/virtio/devices/balloon/device.ts';
import type { DeviceRequest } from '../../src/vmm/devices.ts';
import { virtioBalloon, virtioBlock, virtioScsi } from '../../src/vmm/virtio-devices.ts';
import { compileForGuest } from '../support/guest-program.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const MEBIBYTE = 2 ** 20;
const WRITE_BYTES = Number(process.env.POWERVISOR_DISK_WRITE_MB ?? 64) * MEBIBYTE;
const SEED = 77;

const files = await filesOf('linux-svm', 'busybox');
const skipped = 'reason' in files ? ` (skipped: ${files.reason})` : '';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-disks-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function emptyDisk(path: string, sizeBytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, sizeBytes);
  return path;
}

/** The last line of what a command printed, past what the kernel may have said. */
async function last(guest: GuestSession, command: string): Promise<string> {
  return (await guest.command(command)).split('\n').at(-1)!;
}

/** The words of guest/programs/pattern.c for a block of 1 MiB, made anew. */
function patternBlock(block: number): Uint8Array {
  const words = new Uint32Array(MEBIBYTE / 4);
  const first = block * words.length;
  for (let n = 0; n < words.length; n++) {
    const word = Math.imul((first + n) ^ SEED, 0x9e37_79b1);
    words[n] = Math.imul(word ^ (word >>> 15), 0x85eb_ca6b);
  }
  return new Uint8Array(words.buffer);
}

/** A disk that fails from some place on, once it is told to. */
class FailingDisk implements BlockBackend {
  readonly name = 'failing disk';
  readonly readOnly = false;
  failFrom = Number.POSITIVE_INFINITY;
  private readonly disk: RawDisk;
  constructor(disk: RawDisk) {
    this.disk = disk;
  }
  get sizeBytes(): number {
    return this.disk.sizeBytes;
  }
  private async unless(offset: number, lenBytes: number, work: () => Promise<BlockOutcome>): Promise<BlockOutcome> {
    return offset + lenBytes > this.failFrom ? { kind: 'io-error', message: 'EIO: i/o error' } : work();
  }
  read(offset: number, target: Uint8Array) {
    return this.unless(offset, target.length, () => this.disk.read(offset, target));
  }
  write(offset: number, source: Uint8Array) {
    return this.unless(offset, source.length, () => this.disk.write(offset, source));
  }
  flush() {
    return this.disk.flush();
  }
  discard(offset: number, lenBytes: number) {
    return this.disk.discard(offset, lenBytes);
  }
  writeZeroes(offset: number, lenBytes: number) {
    return this.disk.writeZeroes(offset, lenBytes);
  }
  close() {
    return this.disk.close();
  }
}

const kinds = ['virtio-blk', 'virtio-scsi'] as const;

function onDisk(kind: (typeof kinds)[number], backend: BlockBackend): DeviceRequest {
  return { make: kind === 'virtio-blk' ? virtioBlock(backend) : virtioScsi({ units: [{ target: 0, backend }] }) };
}

describe.skipIf('reason' in files)(`disks${skipped}`, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

  async function start(
    devices: readonly DeviceRequest[],
    more?: Uint8Array,
    memoryBytes = 512 * MEBIBYTE,
  ): Promise<GuestSession> {
    const guest = await GuestSession.start({
      kernel,
      initrd: more ? Buffer.concat([initrd, more]) : initrd,
      memoryBytes,
      append: 'console=hvc0 quiet',
      devices,
    });
    await guest.expect('~ # ');
    await guest.command('echo 1 > /proc/sys/kernel/printk');
    return guest;
  }

  it(`${WRITE_BYTES / MEBIBYTE} MiB of a pattern, written, verified, and compared outside`, {
    timeout: 3_600_000,
  }, async ({ skip }) => {
    const program = join(directory, 'pattern');
    if (!compileForGuest(new URL('programs/pattern.c', import.meta.url).pathname, program))
      skip('no compiler for ppc64le');
    const tools = writeCpio([{ kind: 'file', path: 'bin/pattern', mode: 0o755, data: await readFile(program) }]);
    const path = await emptyDisk(join(directory, 'large'), WRITE_BYTES);
    const blocks = WRITE_BYTES / MEBIBYTE;
    {
      await using guest = await start([onDisk('virtio-blk', await RawDisk.open(path, false))], tools);
      const patience = 3_000_000;
      const run = async (what: string) => {
        guest.type(`pattern ${what} /dev/vda ${WRITE_BYTES} ${SEED}; echo "EN""DED"\n`);
        return guest.expect(/ENDED\r?\n/, patience);
      };
      expect(await run('write')).toContain(`wrote ${blocks} blocks`);
      expect(await run('verify')).toContain(`verified ${blocks} blocks, 0 wrong`);
      guest.type('poweroff -f\n');
      expect(await guest.ended).toEqual({ reason: 'power-off' });
    }
    const file = await open(path);
    const bytes = Buffer.alloc(MEBIBYTE);
    for (let block = 0; block < blocks; block++) {
      await file.read(bytes, 0, MEBIBYTE, block * MEBIBYTE);
      if (!bytes.equals(patternBlock(block))) expect.fail(`block ${block} is wrong in the image`);
    }
    await file.close();
  });

  it.each(kinds)(
    'a host that is full is an error in the guest of %s, and what was flushed stays',
    { timeout: 600_000 },
    async (kind) => {
      const small = join(directory, `small-${kind}`);
      await mkdir(small);
      // A file system of 4 MiB, which takes a privilege to make.
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small]).status === 0;
      if (!mounted && process.env.CI !== undefined)
        console.warn('not allowed to mount a small file system: not tested');
      if (!mounted) return;
      try {
        const path = await emptyDisk(join(small, 'disk'), 16 * MEBIBYTE);
        const disk = kind === 'virtio-blk' ? 'vda' : 'sda';
        {
          await using guest = await start([onDisk(kind, await RawDisk.open(path, false))]);
          await guest.command('head -c 2097152 /dev/urandom > /tmp/a');
          // Acknowledged with a flush behind it.
          expect(await last(guest, `dd if=/tmp/a of=/dev/${disk} bs=64k conv=fsync 2>/dev/null && echo safe`)).toBe(
            'safe',
          );
          const failed = await guest.command(
            `dd if=/dev/urandom of=/dev/${disk} bs=64k seek=32 count=64 oflag=direct 2>&1`,
          );
          // virtio-blk has one error for all; SCSI says that there is no space.
          expect(failed).toContain(kind === 'virtio-blk' ? 'Input/output error' : 'No space left on device');
          expect(
            await last(
              guest,
              `echo 3 > /proc/sys/vm/drop_caches; head -c 2097152 /dev/${disk} | cmp - /tmp/a && echo same`,
            ),
          ).toBe('same');
          await guest.command(`sha256sum < /tmp/a > /tmp/sum`);
          const sum = /[0-9a-f]{64}/.exec(await guest.command('cat /tmp/sum'))![0];
          guest.type('poweroff -f\n');
          await guest.ended;
          const image = await readFile(path);
          expect(
            createHash('sha256')
              .update(image.subarray(0, 2 * MEBIBYTE))
              .digest('hex'),
          ).toBe(sum);
          expect(guest.machine.report().warnings.join()).toMatch(/write failed, the guest gets an I\/O error: ENOSPC/);
        }
      } finally {
        // The backend may still be closing.
        spawnSync('umount', ['-l', small]);
      }
    },
  );

  it.each(kinds)('I/O errors of the host reach the guest of %s, and it goes on', { timeout: 600_000 }, async (kind) => {
    const path = await emptyDisk(join(directory, `failing-${kind}`), 8 * MEBIBYTE);
    const failing = new FailingDisk(await RawDisk.open(path, false));
    const disk = kind === 'virtio-blk' ? 'vda' : 'sda';
    await using guest = await start([onDisk(kind, failing)]);
    await guest.command(
      `mke2fs -q /dev/${disk} 4096; mkdir /m; mount -t ext4 /dev/${disk} /m; echo kept > /m/kept; sync`,
    );
    failing.failFrom = 6 * MEBIBYTE;
    const attempt = (more: string) => guest.command(`dd ${more} bs=64k count=1 2>&1 && echo done`);
    expect(await attempt(`if=/dev/zero of=/dev/${disk} seek=100 oflag=direct`)).toContain('Input/output error');
    expect(await attempt(`if=/dev/${disk} of=/dev/null skip=100 iflag=direct`)).toContain('Input/output error');
    // Where nothing is wrong, nothing has changed.
    expect(await attempt(`if=/dev/${disk} of=/dev/null skip=75 iflag=direct`)).toMatch(/done$/);
    expect(
      await last(guest, 'echo more > /m/more; sync; umount /m; echo 3 > /proc/sys/vm/drop_caches; echo fine'),
    ).toBe('fine');
    failing.failFrom = Number.POSITIVE_INFINITY;
    expect(await attempt(`if=/dev/zero of=/dev/${disk} seek=100 oflag=direct`)).toMatch(/done$/);
    expect(await last(guest, `mount -t ext4 /dev/${disk} /m; echo $(cat /m/kept /m/more)`)).toBe('kept more');
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
  });

  it('a guest reports pages that it has freed', { timeout: 600_000 }, async () => {
    let balloon: VirtioBalloon | undefined;
    const make = virtioBalloon((made) => {
      balloon = made;
    });
    // Linux reports free blocks of its largest order, 16 MiB, a while after they were freed, as long as 32 of them are left.
    await using guest = await start([{ make }], undefined, 2048 * MEBIBYTE);
    await guest.command('dd if=/dev/zero of=/tmp/full bs=1M count=100 2>/dev/null; sleep 3');
    const before = balloon!.reportedBytes;
    await guest.command('rm /tmp/full');
    for (let n = 0; n < 20 && balloon!.reportedBytes - before < 64 * MEBIBYTE; n++) await guest.command('sleep 2');
    expect(balloon!.reportedBytes - before).toBeGreaterThanOrEqual(64 * MEBIBYTE);
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
    expect(guest.machine.report().warnings).toEqual([]);
  });
});
