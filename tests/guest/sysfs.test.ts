// What Linux sees of the same devices here and on QEMU's pseries, by a dump of sysfs from the same kernel and initramfs. Each
// difference is in the table below with its reason, and docs/devices.md explains them.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryConsole } from '../../src/backends/memory/console.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { UserNetwork } from '../../src/backends/net/user-network.ts';
import { writeCpio } from '../../src/backends/node/cpio.ts';
import { nodeSockets } from '../../src/backends/node/net/node-sockets.ts';
import { RawDisk } from '../../src/backends/node/raw-disk.ts';
import {
  virtioBalloon,
  virtioBlock,
  virtioConsole,
  virtioNet,
  virtioRng,
  virtioScsi,
} from '../../src/vmm/virtio-devices.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';
import { guestForTest } from '../support/guests.ts';

const APPEND = 'console=hvc0 quiet rdinit=/dump';
const MEMORY_BYTES = 512 * 2 ** 20;
const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

const files = await filesOf('linux-svm', 'busybox');
const hasQemu = spawnSync('qemu-system-ppc64', ['--version']).status === 0;
const skipped = 'reason' in files ? ` (skipped: ${files.reason})` : hasQemu ? '' : ' (skipped: no qemu-system-ppc64)';

/** Where the two differ: paths, and why. */
const DIFFERENCES: readonly (readonly [path: RegExp, reason: string])[] = [
  [/^pci\/\S+\/resource 4$/, 'the p bit of a prefetchable BAR is set in `reg`'],
  [
    /^pci\/\S+\/config capability: virtio [1234]$/,
    'regions have the length of what is in them, and none where nothing is',
  ],
  [/^pci\/0000:00:04.0\/(config capability: MSI-X|message msix)$/, 'a vector for each queue of the console'],
  [/^pci\/0000:00:06.0\/(config capability: MSI-X|config command|message msix|resource 1)$/, 'the balloon has MSI-X'],
  [/^virtio\/virtio0\/features$/, 'block: SIZE_MAX, no geometry'],
  [
    /^virtio\/virtio2\/features$/,
    'net: checksums and segmentation of the built-in network; no VLAN filters, announcements',
  ],
  [/^virtio\/virtio3\/features$/, 'console: its size is told'],
  [/^virtio\/virtio5\/features$/, 'balloon: may shrink when the guest has no memory left'],
  [/^block\/[sv]da\/queue\/(physical_block_size|minimum_io_size)$/, 'physical blocks of 4096 bytes'],
  [/^block\/[sv]da\/queue\/(discard_max|discard_max_hw|write_zeroes_max)_bytes$/, 'limit of one request: 2 GiB'],
  [/^block\/vda\/queue\/(max_discard_segments|max_segment_size)$/, 'bounds on the memory a request takes'],
  [/^block\/sda\/queue\/max_hw_sectors_kb$/, 'the largest transfer is a multiple of 4096 bytes'],
  [/^block\/sda\/queue\/(rotational|add_random)$/, 'SCSI disks say that they do not rotate'],
  [/^(block\/sda\/queue\/fua|class\/scsi_disk\/0:0:0:0\/FUA)$/, 'SCSI: FUA is known'],
  [/^class\/scsi_disk\/0:0:0:0\/max_write_same_blocks$/, 'limit of one WRITE SAME: 2 GiB'],
  [/^block\/sda\/device\/(vendor|model|rev|scsi_level)$/, 'identity; SPC-4 instead of SPC-3'],
  [/^block\/sda\/device\/vpd_pg(83|b0|b1)$/, 'designators, limits and rotation, as above'],
];

/** `path value` lines between the marks; configuration space is taken apart. */
function parseDump(output: string): Map<string, string> {
  const dump = /DUMP BEGINS\r?\n([\s\S]*?)DUMP ENDS/.exec(output)?.[1];
  if (dump === undefined) throw new Error(`no dump in:\n${output.slice(-2000)}`);
  const values = new Map<string, string>();
  for (const line of dump.split(/\r?\n/)) {
    const [path, ...rest] = line.split(' ');
    if (!path.startsWith('/')) continue;
    const name = path.replace('/sys/bus/', '').replace('/sys/', '').replace('devices/', '');
    if (name.endsWith('/config')) for (const [key, value] of decodeConfig(rest[0])) values.set(`${name} ${key}`, value);
    else if (name.endsWith('/message') || name.endsWith('/queues'))
      values.set(`${name} ${rest[0]}`, rest.slice(1).join(' '));
    else if (name.endsWith('/features') && name.startsWith('virtio/')) values.set(name, featureBits(rest[0]));
    else if (name.endsWith('/resource')) {
      rest
        .join(' ')
        .split(';')
        .forEach((bar, n) => {
          const [start, end, flags] = bar.split(' ').map((word) => Number(word));
          if (end > 0) values.set(`${name} ${n}`, `${end - start + 1} bytes, flags ${flags.toString(16)}`);
        });
    } else values.set(name, rest.join(' ').replace(/;$/, ''));
  }
  return values;
}

function featureBits(text: string): string {
  return [...text].flatMap((bit, number) => (bit === '1' ? [number] : [])).join(' ');
}

/** The header without addresses and lines, and each capability. */
function* decodeConfig(hex: string): Generator<[string, string]> {
  const byte = (at: number) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  const bytes = (at: number, count: number) => hex.slice(2 * at, 2 * (at + count));
  yield ['identity', bytes(0, 4)];
  yield ['command', bytes(4, 2)];
  yield ['status', bytes(6, 2)];
  yield ['class', bytes(8, 4)];
  yield ['pin', bytes(0x3d, 1)];
  for (let at = byte(0x34), steps = 0; at !== 0 && steps < 32; at = byte(at + 1), steps++) {
    if (byte(at) === 9) yield [`capability: virtio ${byte(at + 3)}`, `bar ${byte(at + 4)}, ${bytes(at + 12, 4)}`];
    else if (byte(at) === 0x11) yield ['capability: MSI-X', `${byte(at + 2) + 1} vectors, bar ${byte(at + 4) & 7}`];
    else yield [`capability ${bytes(at, 1)}`, bytes(at + 2, 2)];
  }
}

describe.skipIf('reason' in files || !hasQemu)(`sysfs${skipped}`, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  let directory: string;
  let withDump: Uint8Array;
  let disks: string[];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'powervisor-sysfs-'));
    const script = await readFile(new URL('../support/sysfs-dump.sh', import.meta.url));
    withDump = Buffer.concat([initrd, writeCpio([{ kind: 'file', path: 'dump', mode: 0o755, data: script }])]);
    await writeFile(join(directory, 'initrd'), withDump);
    disks = ['one', 'two'].map((name) => join(directory, name));
    for (const disk of disks) {
      await writeFile(disk, '');
      await truncate(disk, 2 ** 24);
    }
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function dumpHere(): Promise<string> {
    const [one, two] = await Promise.all(disks.map((path) => RawDisk.open(path, false)));
    const makes = [
      virtioBlock(one, { queues: 2, serial: 'one' }),
      virtioScsi({ queues: 2, units: [{ target: 0, backend: two, serial: 'two' }] }),
      virtioNet((ports) => new UserNetwork({ ...ports, sockets: nodeSockets, warn: () => {} }), { mac: MAC }),
      virtioConsole({
        ports: [{ backend: new MemoryConsole() }, { backend: new MemoryConsole(), name: 'org.example.0' }],
      }),
      virtioRng(new SeededEntropy(1)),
      virtioBalloon(),
    ];
    await using guest = await GuestSession.start({
      kernel,
      initrd: withDump,
      append: APPEND,
      memoryBytes: MEMORY_BYTES,
      devices: makes.map((make, n) => ({ make, slot: n + 1 })),
    });
    await guest.ended;
    return guest.transcript;
  }

  async function dumpOfQemu(): Promise<string> {
    const guest = await guestForTest('linux-svm');
    const path = (guest as { guest: { files: { kernel?: { path: string } } } }).guest.files.kernel!.path;
    const modern = 'disable-legacy=on,packed=on';
    const device = (text: string, slot: number) => ['-device', `${text},addr=${slot},${modern}`];
    const options = [
      ...['-M', 'pseries,x-vof=on', '-cpu', 'power9', '-m', `${MEMORY_BYTES / 2 ** 20}M`, '-nodefaults', '-nographic'],
      ...['-serial', 'stdio', '-kernel', path, '-initrd', join(directory, 'initrd'), '-append', APPEND],
      ...['-drive', `file=${disks[0]},format=raw,if=none,id=a,discard=unmap`],
      ...device('virtio-blk-pci,drive=a,serial=one,num-queues=2', 1),
      ...['-drive', `file=${disks[1]},format=raw,if=none,id=b,discard=unmap`],
      ...device('virtio-scsi-pci,id=s,num_queues=2', 2),
      ...['-device', 'scsi-hd,drive=b,bus=s.0,scsi-id=0,serial=two'],
      ...['-netdev', 'user,id=n', ...device('virtio-net-pci,netdev=n,mac=52:54:00:12:34:56,romfile=', 3)],
      ...device('virtio-serial-pci,id=c', 4),
      ...['-chardev', 'null,id=p0', '-device', 'virtconsole,bus=c.0,chardev=p0,nr=0'],
      ...['-chardev', 'null,id=p1', '-device', 'virtserialport,bus=c.0,chardev=p1,name=org.example.0,nr=1'],
      ...device('virtio-rng-pci', 5),
      ...device('virtio-balloon-pci,free-page-reporting=on', 6),
    ];
    const child = spawn('qemu-system-ppc64', options, { stdio: ['ignore', 'pipe', 'ignore'] });
    const timer = setTimeout(() => child.kill(), 400_000);
    const output = await text(child.stdout);
    clearTimeout(timer);
    return output;
  }

  it('shows the same devices as QEMU, with known differences', { timeout: 900_000 }, async () => {
    const ours = parseDump(await dumpHere());
    const theirs = parseDump(await dumpOfQemu());
    expect(ours.size).toBeGreaterThan(150);
    const paths = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
    const different = paths.filter((path) => ours.get(path) !== theirs.get(path));
    if (process.env.POWERVISOR_SYSFS_DIFF) {
      const lines = different.map((path) => `${path}\t${ours.get(path) ?? '-'}\t${theirs.get(path) ?? '-'}`);
      await writeFile(process.env.POWERVISOR_SYSFS_DIFF, `${lines.join('\n')}\n`);
    }
    const unexplained = different.filter((path) => !DIFFERENCES.some(([pattern]) => pattern.test(path)));
    const shown = (path: string) => `${path}: ${ours.get(path)} here, ${theirs.get(path)} on QEMU`;
    expect(unexplained.map(shown)).toEqual([]);
    const idle = DIFFERENCES.filter(([pattern]) => !different.some((path) => pattern.test(path)));
    expect(idle.map(([pattern]) => String(pattern))).toEqual([]);
  });
});
