// Virtio devices under real kernels. One guest has a disk for each ring format, transport flavour and way to memory; on
// each of them it makes a file system, writes with and without the page cache, and reads back; then this machine checks
// the images. Random numbers, console ports and the balloon are tried beside that.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryBlock } from '../../src/backends/memory/block.ts';
import { MemoryConsole } from '../../src/backends/memory/console.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { RawDisk } from '../../src/backends/node/raw-disk.ts';
import type { VirtioBalloon } from '../../src/virtio/devices/balloon/device.ts';
import {
  type TransportOptions,
  virtioBalloon,
  virtioBlock,
  virtioConsole,
  virtioRng,
} from '../../src/vmm/virtio-devices.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const DISK_BYTES = 3 * 2 ** 20;

/** A flavour of device, and the features it leads to: 28 indirect, 29 event index, 33 platform, 34 packed, 35 in order. */
const all: readonly { readonly name: string; readonly transport: TransportOptions; readonly has: number[] }[] = [
  { name: 'split', transport: { rings: { packed: false } }, has: [28, 29, 32] },
  {
    name: 'bare split',
    transport: { rings: { packed: false, indirect: false, eventIdx: false, ringReset: false } },
    has: [32],
  },
  { name: 'packed', transport: {}, has: [28, 29, 32, 34] },
  {
    name: 'bare packed',
    transport: { rings: { indirect: false, eventIdx: false, ringReset: false } },
    has: [32, 34],
  },
  { name: 'split through TCEs', transport: { accessPlatform: true, rings: { packed: false } }, has: [28, 29, 32, 33] },
  {
    name: 'packed through TCEs',
    transport: { accessPlatform: true, rings: { orderPlatform: true } },
    has: [28, 29, 32, 33, 34, 36],
  },
  { name: 'packed with the pin', transport: { msix: false }, has: [28, 29, 32, 34] },
  { name: 'transitional', transport: { transitional: true }, has: [28, 29] },
];

const letter = (n: number) => String.fromCharCode('a'.charCodeAt(0) + n);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const checker = ['/sbin/e2fsck', '/usr/sbin/e2fsck'].find((path) => existsSync(path));

const files = await filesOf('linux-svm', 'busybox');
const skipped = 'reason' in files ? ` (skipped: ${files.reason})` : '';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-virtio-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The SHA-256 sums that sha256sum printed, between what the kernel had to say. */
function hashesIn(output: string): string[] {
  return [...output.matchAll(/^([0-9a-f]{64}) /gm)].map((match) => match[1]);
}

/** Random-looking content, different for each `seed`. */
function content(seed: number): Uint8Array {
  const bytes = new Uint8Array(DISK_BYTES);
  new SeededEntropy(seed).fill(bytes);
  return bytes;
}

describe.skipIf('reason' in files)(`virtio${skipped}`, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

  it.each([
    { mode: 'modern', append: 'console=hvc0', cpus: 2, flavours: all },
    // Transitional devices are driven through the legacy interface, the others as ever.
    { mode: 'legacy', append: 'console=hvc0 virtio_pci.force_legacy=1', cpus: 1, flavours: all.slice(-2) },
  ])('disks of all flavours, $mode interface, $cpus CPUs', { timeout: 900_000 }, async (row) => {
    const { mode, append, cpus, flavours } = row;
    const paths = flavours.map((_, n) => join(directory, `${mode}-${n}.img`));
    const disks: RawDisk[] = [];
    for (const [n, path] of paths.entries()) {
      await writeFile(path, content(n + 1));
      disks.push(await RawDisk.open(path, false));
    }
    {
      await using guest = await GuestSession.start({
        kernel,
        initrd,
        cpus,
        append,
        devices: flavours.map(({ name, transport }, n) => ({
          make: virtioBlock(disks[n], { queues: 2, serial: name.slice(0, 20) }, { ...transport, name: `disk ${name}` }),
        })),
      });
      await guest.expect('~ # ');
      for (const [n, { name, has }] of flavours.entries()) {
        const disk = `vd${letter(n)}`;
        const legacy = mode === 'legacy' && name === 'transitional';
        expect(await guest.command(`cat /sys/block/${disk}/serial`)).toBe(name.slice(0, 20));
        const features = await guest.command(`cat /sys/block/${disk}/device/features`);
        const set = [...features].flatMap((bit, number) =>
          bit === '1' && number >= 28 && number !== 40 ? [number] : [],
        );
        const expected = name === 'transitional' && !legacy ? [28, 29, 32, 34] : has;
        expect(set, name).toEqual(expected);
        expect(await guest.command(`ls /sys/block/${disk}/mq | wc -l`)).toBe(String(Math.min(2, cpus)));

        // What the file held is what the guest reads, with and without the page cache.
        const hash = sha256(content(n + 1));
        expect(await guest.command(`sha256sum < /dev/${disk}`), name).toBe(`${hash}  -`);
        const direct = `dd if=/dev/${disk} bs=1M iflag=direct 2>/dev/null | sha256sum`;
        expect(await guest.command(direct), name).toBe(`${hash}  -`);
      }
      for (const [n, { name }] of flavours.entries()) {
        const disk = `vd${letter(n)}`;
        const made = await guest.command(
          `mke2fs -q /dev/${disk} && mkdir -p /m${n} && mount -t ext4 /dev/${disk} /m${n} && ` +
            `head -c 300000 /dev/urandom > /m${n}/a && dd if=/m${n}/a of=/m${n}/b bs=64k oflag=direct 2>/dev/null; ` +
            `echo ${name} > /m${n}/name; mkdir /m${n}/d; for i in 1 2 3 4 5; do head -c 30000 /m${n}/a > /m${n}/d/$i & done; wait; ` +
            `cmp /m${n}/a /m${n}/b && sync && echo made`,
        );
        expect(made.split('\n').at(-1), name).toBe('made');
      }
      // All disks at once: each is written from its neighbour.
      const copies = flavours.map((_, n) => `cp /m${n}/a /m${(n + 1) % flavours.length}/c &`).join(' ');
      await guest.command(`${copies} wait; sync`);
      const sums = await guest.command(`sha256sum ${flavours.map((_, n) => `/m${n}/a`).join(' ')}`);
      const hashes = hashesIn(sums);
      expect(new Set(hashes).size).toBe(flavours.length);
      await guest.command(`umount ${flavours.map((_, n) => `/m${n}`).join(' ')}`);
      const copied = flavours.map((_, n) => `mount -t ext4 -o ro /dev/vd${letter(n)} /m${n}; sha256sum /m${n}/c`);
      const after = hashesIn(await guest.command(copied.join('; ')));
      expect(after).toEqual(flavours.map((_, n) => hashes[(n + flavours.length - 1) % flavours.length]));
      await guest.command(`umount ${flavours.map((_, n) => `/m${n}`).join(' ')}`);
      guest.type('poweroff -f\n');
      expect(await guest.ended).toEqual({ reason: 'power-off' });
      expect(guest.machine.report().warnings).toEqual([]);
    }
    if (checker === undefined) return;
    for (const path of paths) {
      expect(execFileSync(checker, ['-fn', path], { encoding: 'utf8' })).toContain('files');
    }
  });

  it('errors of the disk, discards, zeroes, read-only disks and snapshots', { timeout: 600_000 }, async () => {
    const path = join(directory, 'base.img');
    await writeFile(path, content(99));
    const snapshot = new MemoryBlock(
      { sizeBytes: DISK_BYTES, limitBytes: 2.5 * 2 ** 20 },
      await RawDisk.open(path, true),
    );
    const readOnly = await RawDisk.open(path, true);
    const scratchPath = join(directory, 'scratch.img');
    await writeFile(scratchPath, content(98));
    const scratch = await RawDisk.open(scratchPath, false);
    await using guest = await GuestSession.start({
      kernel,
      initrd,
      append: 'console=hvc0',
      devices: [{ make: virtioBlock(snapshot) }, { make: virtioBlock(readOnly) }, { make: virtioBlock(scratch) }],
    });
    await guest.expect('~ # ');
    const write = (disk: string, mebibytes: number) =>
      guest.command(`dd if=/dev/zero of=/dev/${disk} bs=1M count=${mebibytes} oflag=direct 2>&1 | tail -1`);
    await write('vda', 2);
    expect(await guest.command('head -c 2097152 /dev/vda | tr -d "\\0" | wc -c')).toBe('0');
    // More changes than the snapshot may keep: an I/O error in the guest, not its end.
    await write('vda', 3);
    expect(await guest.command('dmesg | grep -c "I/O error, dev vda"')).not.toBe('0');
    await write('vdb', 1);
    expect(await guest.command('cat /sys/block/vdb/ro')).toBe('1');
    expect(sha256(await readFile(path))).toBe(sha256(content(99)));

    expect(await guest.command('blkdiscard -o 4096 -l 8192 /dev/vdc && echo fine')).toBe('fine');
    expect(await guest.command('blkdiscard -z -o 1048576 -l 1048576 /dev/vdc 2>&1 && echo fine')).toMatch(
      /fine|invalid/,
    );
    expect(await guest.command('cat /sys/block/vdc/queue/write_zeroes_max_bytes')).toBe(String(2 ** 31));
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
  });

  it('random numbers, console ports and the balloon', { timeout: 600_000 }, async () => {
    const terminal = new MemoryConsole();
    const port = new MemoryConsole();
    let balloon: VirtioBalloon | undefined;
    await using guest = await GuestSession.start({
      kernel,
      initrd,
      append: 'console=hvc0',
      devices: [
        { make: virtioRng(new SeededEntropy(5), { rings: { inOrder: true } }) },
        { make: virtioConsole({ ports: [{ backend: terminal }, { backend: port, name: 'org.example.0' }] }) },
        {
          make: virtioBalloon((made) => {
            balloon = made;
          }),
        },
      ],
    });
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/class/misc/hw_random/rng_current')).toBe('virtio_rng.0');
    const bytes = await guest.command(
      'head -c 100000 /dev/hwrng | wc -c; head -c 64 /dev/hwrng | hexdump -e \'1/1 "%d "\'',
    );
    const [count, numbers] = bytes.split('\n');
    expect(count).toBe('100000');
    expect(new Set(numbers.trim().split(' ')).size).toBeGreaterThan(30);

    expect(await guest.command('cat /sys/class/virtio-ports/vport1p1/name')).toBe('org.example.0');
    port.type(new TextEncoder().encode('from outside\n'));
    expect(await guest.command('head -n 1 /dev/vport1p1')).toBe('from outside');
    await guest.command('(echo to the outside; seq 1 20000) > /dev/vport1p1; echo on the terminal > /dev/hvc1');
    const text = Array.from({ length: 20_000 }, (_, n) => `${n + 1}\n`).join('');
    expect(port.text()).toBe(`to the outside\n${text}`);
    expect(terminal.text()).toBe('on the terminal\r\n');

    const free = async () => Number(await guest.command("grep MemFree /proc/meminfo | tr -dc '0-9'"));
    const before = await free();
    balloon!.setTargetBytes(256 * 2 ** 20);
    await guest.command('sleep 5');
    expect(balloon!.inflatedBytes).toBe(256 * 2 ** 20);
    expect(before - (await free())).toBeGreaterThan(240 * 1024);
    balloon!.setTargetBytes(0);
    await guest.command('sleep 5');
    expect(balloon!.inflatedBytes).toBe(0);
    expect(Math.abs(before - (await free()))).toBeLessThan(16 * 1024);
    expect(balloon!.requestStats()).toBe(true);
    await guest.command('sleep 1');
    const total = Number(await guest.command("grep MemTotal /proc/meminfo | tr -dc '0-9'"));
    expect(balloon!.stats?.['total-memory']).toBe(BigInt(total) * 1024n);
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
    expect(guest.machine.report().warnings).toEqual([]);
  });
});
