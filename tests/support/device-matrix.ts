// Each virtio device under one unmodified kernel: split and packed rings, modern and transitional devices, the modern and the
// legacy interface. Every device does real work in the guest, and what came of it is looked at from outside.
// One guest has a set of devices of each flavour that goes with the modern interface, another one legacy drivers.

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryConsole } from '../../src/backends/memory/console.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { UserNetwork } from '../../src/backends/net/user-network.ts';
import { writeCpio } from '../../src/backends/node/cpio.ts';
import { nodeSockets } from '../../src/backends/node/net/node-sockets.ts';
import { RawDisk } from '../../src/backends/node/raw-disk.ts';
import { NodeShare } from '../../src/backends/node/share.ts';
import { UnixVsock } from '../../src/backends/node/vsock.ts';
import type { VirtioBalloon } from '../../src/virtio/devices/balloon/device.ts';
import type { DeviceRequest } from '../../src/vmm/devices.ts';
import {
  type TransportOptions,
  virtioBalloon,
  virtioBlock,
  virtioConsole,
  virtioNet,
  virtioNineP,
  virtioRng,
  virtioScsi,
  virtioVsock,
} from '../../src/vmm/virtio-devices.ts';
import { compileForGuest } from './guest-program.ts';
import { filesOf, GuestSession } from './guest-session.ts';

const DISK_BYTES = 16 * 2 ** 20;
const BALLOON_BYTES = 32 * 2 ** 20;
/** Debian's kernels load some forty modules, with their signatures checked. */
const BOOT_PATIENCE_MS = 600_000;
const TRANSFER = randomBytes(300_000);

interface Flavour {
  readonly name: string;
  readonly transport: TransportOptions;
}

const split: TransportOptions = { rings: { packed: false } };
/** `bits`: VERSION_1 and RING_PACKED, as they come to be negotiated. */
const boots: readonly { name: string; append: string; flavours: readonly (Flavour & { bits: string })[] }[] = [
  {
    name: 'modern interface',
    append: '',
    flavours: [
      { name: 'split', transport: split, bits: '10' },
      { name: 'packed', transport: {}, bits: '11' },
      { name: 'transitional', transport: { transitional: true }, bits: '11' },
    ],
  },
  {
    name: 'legacy interface',
    append: ' virtio_pci.force_legacy=1',
    flavours: [{ name: 'legacy', transport: { transitional: true }, bits: '00' }],
  },
];

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** Not everybody has the system programs in the search path. */
const sbin = (name: string) =>
  ['/sbin', '/usr/sbin'].map((folder) => join(folder, name)).find((path) => existsSync(path));
const [checker, debugfs] = [sbin('e2fsck'), sbin('debugfs')];

/** The last line of what a command printed, past what the kernel may have said. */
async function last(guest: GuestSession, command: string): Promise<string> {
  return (await guest.command(command)).split('\n').at(-1)!;
}

/** Makes a file system on a disk of the guest, works on it, checks it, and returns the hash of what is in it. */
async function workOnDisk(guest: GuestSession, disk: string): Promise<string> {
  const steps = [
    `mke2fs -q /dev/${disk}`,
    `mkdir -p /${disk}`,
    `mount -t ext4 /dev/${disk} /${disk}`,
    `(echo ${disk}; cat /tmp/seed) > /${disk}/a`,
    `dd if=/${disk}/a of=/${disk}/b bs=64k oflag=direct 2>/dev/null`,
    // Readers and writers at the same time.
    `(for i in 1 2 3; do (cat /${disk}/a > /${disk}/w$i; cmp /${disk}/a /${disk}/w$i) & (cat /${disk}/b > /dev/null) & done; wait)`,
    `sync`,
    `echo 3 > /proc/sys/vm/drop_caches`,
    `dd if=/${disk}/b bs=64k iflag=direct 2>/dev/null | cmp - /${disk}/a`,
    `cmp /${disk}/a /${disk}/w3`,
    `umount /${disk}`,
    `e2fsck -fn /dev/${disk} > /tmp/fsck`,
    `mount -t ext4 -o ro /dev/${disk} /${disk}`,
    `sha256sum < /${disk}/w2`,
    `umount /${disk}`,
  ];
  const output = await guest.command(`${steps.join(' && ')} && echo all well`);
  expect(output.split('\n').at(-1), `${disk}: ${output}`).toBe('all well');
  return /^([0-9a-f]{64}) {2}-/m.exec(output)![1];
}

/** What is in the image, by the tools of this machine. */
function checkImage(path: string, hash: string): void {
  if (checker !== undefined) {
    const said = execFileSync(checker, ['-fn', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    expect(said).toContain('files');
  }
  if (debugfs === undefined) return;
  const content = execFileSync(debugfs, ['-R', 'cat /w2', path], {
    maxBuffer: 1 << 24,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(sha256(content)).toBe(hash);
}

/** A web server and a counter of what arrives, on the loopback address. */
class Loopback {
  received = '';
  private readonly web = createHttpServer((_, response) => response.end(TRANSFER));
  private readonly sink = createServer((socket) => this.take(socket));

  async open(): Promise<void> {
    for (const server of [this.web, this.sink]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    }
  }
  get webPort(): number {
    return (this.web.address() as AddressInfo).port;
  }
  get sinkPort(): number {
    return (this.sink.address() as AddressInfo).port;
  }
  close(): void {
    this.web.close();
    this.web.closeAllConnections();
    this.sink.close();
  }
  private take(socket: Socket): void {
    const hash = createHash('sha256');
    socket.on('data', (bytes) => hash.update(bytes));
    socket.on('end', () => {
      this.received = hash.digest('hex');
      socket.end('taken\n');
    });
    socket.on('error', () => {});
  }
}

/** The guest is secure, its devices have followed it there, and have touched nothing that was not shared. */
async function checkSecure(guest: GuestSession): Promise<void> {
  expect(await last(guest, 'cat /sys/devices/system/cpu/svm')).toBe('1');
  const platform = await guest.command('cut -c34 /sys/bus/virtio/devices/*/features | sort -u');
  expect(platform).toBe('1');
  const { devices, svm, violations } = guest.machine.report();
  expect(svm?.state).toBe('secure');
  expect(violations.records).toEqual([]);
  expect(violations.count).toBe(0);
  for (const { kind, functions, dmaSwitches } of devices) {
    expect(functions[0].dma, kind).toBe('platform');
    expect(dmaSwitches, kind).toMatchObject([{ from: 'bypass', to: 'platform', cause: 'H_SVM_INIT_DONE' }]);
  }
}

/** One device of each kind, with what the test holds of them. */
interface DeviceSet {
  readonly requests: readonly DeviceRequest[];
  readonly images: { readonly blk: string; readonly scsi: string; readonly unit: string };
  readonly share: string;
  readonly channel: MemoryConsole;
  /** Linux drives one of them in a machine, for one only can report free pages. */
  readonly balloon: () => VirtioBalloon | undefined;
  readonly network: () => UserNetwork;
}

async function makeSet(
  directory: string,
  { name, transport }: Flavour,
  number: number,
  withBalloon: boolean,
): Promise<DeviceSet> {
  const image = async (kind: string) => {
    const path = join(directory, `${name}-${kind}`);
    await writeFile(path, '');
    await truncate(path, DISK_BYTES);
    return path;
  };
  const images = { blk: await image('blk'), scsi: await image('scsi'), unit: await image('unit') };
  const share = join(directory, `${name}-share`);
  await mkdir(share);
  await writeFile(join(share, 'from-host'), TRANSFER);
  const channel = new MemoryConsole();
  let balloon: VirtioBalloon | undefined;
  let network: UserNetwork | undefined;
  const disk = (path: string) => RawDisk.open(path, false);
  const units = [
    { target: 0, backend: await disk(images.scsi), serial: `${name}-first` },
    { target: 3, unit: 2, backend: await disk(images.unit), serial: `${name}-second` },
  ];
  const requests = [
    virtioBlock(await disk(images.blk), { queues: 2, serial: name }, transport),
    virtioScsi({ queues: 2, units }, transport),
    virtioNet(
      (ports) => {
        network = new UserNetwork({ ...ports, sockets: nodeSockets, warn: () => {} });
        return network;
      },
      { mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x60 + number) },
      transport,
    ),
    virtioConsole({ ports: [{ backend: channel, name: `port.${name}`, terminal: false }] }, transport),
    virtioRng(new SeededEntropy(number), transport),
    ...(withBalloon
      ? [
          virtioBalloon((made) => {
            balloon = made;
          }, transport),
        ]
      : []),
    virtioNineP(await NodeShare.open(share), name, transport),
  ].map((make) => ({ make }));
  return { requests, images, share, channel, balloon: () => balloon, network: () => network! };
}

const DRIVERS = ['9pnet_virtio', 'virtio_blk', 'virtio_console', 'virtio_net', 'virtio_rng', 'virtio_scsi'];

/**
 * The tests under the kernel and the initramfs of these names. `balloonFlavour`: which set has the balloon of the guest with
 * the modern interface. `secure`: the guest turns itself secure, where legacy drivers and balloons cannot work; every
 * device then does the same work, and no device touches secure memory.
 */
export async function deviceMatrix(
  kernelName: string,
  initrdName: string,
  balloonFlavour: string | undefined,
  secure = false,
): Promise<void> {
  const files = await filesOf(kernelName, initrdName);
  const skipped = 'reason' in files ? ` (skipped: ${files.reason})` : '';
  let directory: string;
  let programs: Uint8Array;
  let compiled = false;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'powervisor-matrix-'));
    const names = ['pattern', 'vsock'];
    const source = (name: string) => new URL(`../guest/programs/${name}.c`, import.meta.url).pathname;
    compiled = names.every((name) => compileForGuest(source(name), join(directory, name)));
    const entries = (compiled ? names : []).map(async (name) => {
      const data = await readFile(join(directory, name));
      return { kind: 'file', path: `bin/${name}`, mode: 0o755, data } as const;
    });
    programs = writeCpio(await Promise.all(entries));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const title = `virtio devices under ${kernelName}${secure ? ', secure' : ''}${skipped}`;
  describe.skipIf('reason' in files)(title, () => {
    const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

    it.each(secure ? boots.slice(0, 1) : boots)('$name', { timeout: 1_800_000 }, async ({ name, append, flavours }) => {
      const loopback = new Loopback();
      await loopback.open();
      const folder = join(directory, name.replaceAll(' ', '-'));
      await mkdir(folder);
      const hasBalloon = (flavour: Flavour) => flavours.length === 1 || flavour.name === balloonFlavour;
      const sets = await Promise.all(flavours.map((flavour, n) => makeSet(folder, flavour, n, hasBalloon(flavour))));
      const socket = join(folder, 'vsock');
      // There is no legacy interface of this one, and one of it in a machine.
      const vsock = { make: virtioVsock(await UnixVsock.listen(socket), 3) };
      const hashes: string[][] = [];
      {
        await using guest = await GuestSession.start({
          kernel,
          initrd: Buffer.concat([initrd, programs]),
          clock: 'host',
          memoryBytes: 512 * 2 ** 20,
          append: `console=hvc0 quiet${append}${secure ? ' svm=on swiotlb=force' : ''}`,
          devices: [...sets.flatMap(({ requests }) => requests), vsock],
        });
        await guest.expect('~ # ', BOOT_PATIENCE_MS);
        await guest.command('echo 1 > /proc/sys/kernel/printk; head -c 700000 /dev/urandom > /tmp/seed');
        // Every device has its driver and what was to be negotiated.
        const drivers = await guest.command(
          'for d in /sys/bus/virtio/devices/*; do echo $(basename $(readlink $d/driver)) $(cut -c33,35 $d/features); done',
        );
        const expected = flavours.flatMap((flavour) =>
          [...DRIVERS, ...(hasBalloon(flavour) ? ['virtio_balloon'] : [])].map((driver) => `${driver} ${flavour.bits}`),
        );
        expect(drivers.split('\n').sort()).toEqual([...expected, 'vmw_vsock_virtio_transport 11'].sort());
        const scsiDisks = await guest.command(
          'for s in /sys/block/sd*; do echo $(basename $s) $(tail -c +5 $s/device/vpd_pg80) $(cat $s/size) $(basename $(readlink $s/device)); done',
        );
        for (const [n, flavour] of flavours.entries()) {
          hashes.push(await workOnFlavour(guest, flavour.name, sets[n], n, scsiDisks, loopback));
        }
        if (compiled) {
          // Sockets of the host: what is sent to port 700 comes back.
          const echo = createServer({ allowHalfOpen: true }, (peer) => peer.pipe(peer));
          await new Promise<void>((resolve) => echo.listen(`${socket}_700`, () => resolve()));
          const back = await last(guest, 'vsock connect 700 < /tmp/down | sha256sum');
          expect(back).toBe(`${sha256(TRANSFER)}  -`);
          echo.close();
        }
        if (secure) await checkSecure(guest);
        guest.type('poweroff -f\n');
        expect(await guest.ended).toEqual({ reason: 'power-off' });
        // Hypercalls of Debian's kernels that are not there are no matter of devices.
        const warnings = guest.machine.report().warnings.filter((line) => !line.startsWith('hypercall '));
        expect(warnings).toEqual([]);
      }
      loopback.close();
      for (const [n, { images, share }] of sets.entries()) {
        Object.values(images).forEach((path, disk) => {
          checkImage(path, hashes[n][disk]);
        });
        expect(sha256(await readFile(join(share, 'from-guest')))).toBe(sha256(TRANSFER));
      }
      expect(new Set(hashes.flat()).size).toBe(3 * sets.length);
    });

    /** Lets each device of a set do its work. Returns the hashes of what its disks hold. */
    async function workOnFlavour(
      guest: GuestSession,
      flavour: string,
      set: DeviceSet,
      number: number,
      scsiDisks: string,
      loopback: Loopback,
    ): Promise<string[]> {
      const blk = `vd${'abc'[number]}`;
      const scsi = ['0:0', '3:2'].map((place, n) => {
        const serial = `${flavour}-${['first', 'second'][n]}`;
        const line = new RegExp(`^(sd[a-f]) ${serial} 32768 \\d+:0:${place}\\r?$`, 'm').exec(scsiDisks);
        return line?.[1] ?? expect.fail(`no ${serial} at ${place} in ${scsiDisks}`);
      });
      const disks = [blk, ...scsi];
      expect(await last(guest, `cat /sys/block/${blk}/serial`)).toBe(flavour);
      if (compiled) {
        for (const disk of disks) {
          const shared = await last(guest, `pattern share /dev/${disk} ${2 ** 20} 2`);
          expect(shared, disk).toBe('shared 16 stripes, right');
        }
      }
      const hashes: string[] = [];
      for (const disk of disks) {
        expect(await last(guest, `blkdiscard -o 1048576 -l 65536 /dev/${disk} && echo fine`), disk).toBe('fine');
        hashes.push(await workOnDisk(guest, disk));
      }

      // Network: down and up, with equal hash.
      await set.network().listen();
      const nic = `eth${number}`;
      await guest.command(
        `ip link set ${nic} up; ip addr add 10.0.2.15/24 dev ${nic}; ip route add default via 10.0.2.2 dev ${nic}`,
      );
      const url = `http://10.0.2.2:${loopback.webPort}/`;
      const got = await last(guest, `wget -q -O /tmp/down ${url}; sha256sum < /tmp/down`);
      expect(got).toBe(`${sha256(TRANSFER)}  -`);
      loopback.received = '';
      expect(await last(guest, `nc 10.0.2.2 ${loopback.sinkPort} < /tmp/down`)).toBe('taken');
      expect(loopback.received).toBe(sha256(TRANSFER));
      await guest.command(`ip addr flush dev ${nic}; ip link set ${nic} down`);

      // Console port: both ways.
      const port = await last(
        guest,
        `for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = port.${flavour} ] && basename $p; done`,
      );
      set.channel.type(new TextEncoder().encode('from outside\n'));
      expect(await last(guest, `head -n 1 /dev/${port}`)).toBe('from outside');
      await guest.command(`seq 1 3000 > /dev/${port}`);
      expect(set.channel.text()).toBe(Array.from({ length: 3000 }, (_, n) => `${n + 1}\n`).join(''));

      // Random numbers; memory given up and taken back.
      const rng = `virtio_rng.${number}`;
      const current = '/sys/class/misc/hw_random/rng_current';
      expect(await last(guest, `echo ${rng} > ${current}; cat ${current}`)).toBe(rng);
      expect(await last(guest, 'head -c 5000 /dev/hwrng | wc -c')).toBe('5000');
      const balloon = set.balloon();
      for (const wanted of balloon ? [BALLOON_BYTES, 0] : []) {
        balloon!.setTargetBytes(wanted);
        for (let n = 0; n < 40 && balloon!.inflatedBytes !== wanted; n++) await guest.command('sleep 0.3');
        expect(balloon!.inflatedBytes).toBe(wanted);
      }

      // Shared folder: both ways.
      const mount = `mkdir -p /share && mount -t 9p -o trans=virtio,version=9p2000.L ${flavour} /share`;
      const read = await last(guest, `${mount} && cp /tmp/down /share/from-guest && sha256sum < /share/from-host`);
      expect(read).toBe(`${sha256(TRANSFER)}  -`);
      await guest.command('umount /share');
      return hashes;
    }
  });
}
