// An unmodified kernel turns itself secure, and its virtio devices follow. The machine is made the same way as for a normal
// boot; the only difference is what the guest's own command line says. In secure mode every device does its work, and no
// device touches memory that is not shared.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryConsole } from '../../src/backends/memory/console.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { UserNetwork } from '../../src/backends/net/user-network.ts';
import { nodeSockets } from '../../src/backends/node/net/node-sockets.ts';
import { RawDisk } from '../../src/backends/node/raw-disk.ts';
import type { DeviceTree } from '../../src/firmware/device-tree.ts';
import { flattenTree } from '../../src/firmware/fdt.ts';
import { Machine, type MachineConfiguration } from '../../src/index.ts';
import type { VirtioPci } from '../../src/virtio/transport/virtio-pci.ts';
import type { DeviceRequest, Devices } from '../../src/vmm/devices.ts';
import {
  type TransportOptions,
  virtioBalloon,
  virtioBlock,
  virtioConsole,
  virtioNet,
  virtioRng,
} from '../../src/vmm/virtio-devices.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const NORMAL = 'console=hvc0';
const SECURE = 'console=hvc0 svm=on swiotlb=force';
const DISK_BYTES = 4 * 2 ** 20;
const DOWNLOAD_BYTES = 2 ** 20;
const ACCESS_PLATFORM = 33;

const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `virtio in secure mode (skipped: ${files.reason})` : 'virtio in secure mode';
const tools = Object.fromEntries(
  ['e2fsck', 'debugfs'].map((name) => [name, ['/sbin', '/usr/sbin'].map((d) => `${d}/${name}`).find(existsSync)]),
);

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
function content(seed: number, lenBytes: number): Uint8Array {
  const bytes = new Uint8Array(lenBytes);
  new SeededEntropy(seed).fill(bytes);
  return bytes;
}

const DISKS: readonly { readonly name: string; readonly transport: TransportOptions }[] = [
  { name: 'split', transport: { rings: { packed: false } } },
  { name: 'packed', transport: {} },
  { name: 'transitional', transport: { transitional: true } },
];

let directory: string;
let web: Server;
const download = content(77, DOWNLOAD_BYTES);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-secure-'));
  web = createServer((_, response) => response.end(download));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', () => resolve()));
});
afterAll(async () => {
  web.close();
  web.closeAllConnections();
  await rm(directory, { recursive: true, force: true });
});

/** One of each kind, and three kinds of disks. */
class Cabinet {
  readonly terminal = new MemoryConsole();
  readonly port = new MemoryConsole();
  readonly paths: string[];
  private readonly disks: RawDisk[];

  private constructor(paths: string[], disks: RawDisk[]) {
    this.paths = paths;
    this.disks = disks;
  }

  static async fill(name: string): Promise<Cabinet> {
    const paths = DISKS.map((_, n) => join(directory, `${name}-${n}.img`));
    const disks: RawDisk[] = [];
    for (const [n, path] of paths.entries()) {
      await writeFile(path, content(n + 1, DISK_BYTES));
      disks.push(await RawDisk.open(path, false));
    }
    return new Cabinet(paths, disks);
  }

  /** The same without the disk number `n`. */
  without(n: number): Cabinet {
    const rest = <Item>(items: readonly Item[]) => items.filter((_, index) => index !== n);
    const other = new Cabinet(rest(this.paths), rest(this.disks));
    return Object.assign(other, { port: this.port, terminal: this.terminal });
  }

  requests(): DeviceRequest[] {
    return [
      ...DISKS.map(({ name, transport }, n) => ({
        make: virtioBlock(this.disks[n], { queues: 2 }, { ...transport, name: `disk ${name}` }),
      })),
      {
        make: virtioNet((ports) => new UserNetwork({ ...ports, sockets: nodeSockets, warn: () => {} }), {
          mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
        }),
      },
      { make: virtioRng(new SeededEntropy(5)) },
      {
        make: virtioConsole({ ports: [{ backend: this.terminal }, { backend: this.port, name: 'org.example.0' }] }),
      },
    ];
  }
}

/** What the parts of a machine say of themselves; behind its interface, for there is no other way to see all of it. */
function inside(machine: Machine) {
  const { devices, firmware } = machine as unknown as { devices: Devices; firmware: { tree: DeviceTree } };
  return { devices, tree: firmware.tree };
}

/** All that a guest can find out before it does anything: the device tree, and each function's registers. */
function description(machine: Machine) {
  const { devices, tree } = inside(machine);
  tree.find('/chosen')!.set('bootargs', new Uint8Array(0));
  const functions = [...devices.functions()].map((pciFunction) =>
    Array.from({ length: 64 }, (_, n) => pciFunction.readConfig(4 * n, 4)),
  );
  const features = devices.all().map(({ device }) => {
    const virtio = (device as VirtioPci).device;
    return [virtio.offered('modern'), virtio.offered('legacy'), virtio.kind.configBytes];
  });
  return {
    tree: Buffer.from(flattenTree(tree, { reserve: [], bootCpuidPhys: 0 })).toString('hex'),
    functions,
    features,
  };
}

const platformBit = (features: string) => features[ACCESS_PLATFORM];

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  const base = { kernel, initrd, memoryBytes: 384 * 2 ** 20, clock: 'host', seed: 1 } as const;
  const start = (configuration: Partial<MachineConfiguration>) => GuestSession.start({ ...base, ...configuration });

  it('the machine is the same as for a normal boot until the guest turns secure', async () => {
    const [normal, secure] = await Promise.all(
      [NORMAL, SECURE].map(async (append, n) =>
        Machine.create({ ...base, append, devices: (await Cabinet.fill(`alike-${n}`)).requests() }),
      ),
    );
    await using one = normal;
    await using other = secure;
    const before = description(one);
    expect(before.features.length).toBe(6);
    expect(before.features.some(([modern]) => ((BigInt(modern) >> 33n) & 1n) !== 0n)).toBe(false);
    expect(description(other)).toEqual(before);
    expect(other.report().devices).toEqual(one.report().devices);
    expect(other.report().dmaPolicy).toBe('transition');
  });

  it.each([1, 2])('every device works, %d CPU(s)', { timeout: 900_000 }, async (cpus) => {
    const cabinet = await Cabinet.fill(`work-${cpus}`);
    await using guest = await start({ append: SECURE, cpus, devices: cabinet.requests() });
    const boot = await guest.expect('~ # ');
    expect(boot).toContain('Switching to secure mode.');
    expect(boot).not.toContain('from switching to secure mode');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    const features = await guest.command('cat /sys/bus/virtio/devices/*/features');
    expect(features.split('\n').map(platformBit)).toEqual(['1', '1', '1', '1', '1', '1']);
    expect(await guest.command('dmesg | grep -c "DMA bounce buffers"')).toBe('1');

    await work(guest, cabinet);

    const report = guest.machine.report();
    const esm = report.svm!.transitions.find(({ step }) => step === 'UV_ESM')!.instructions;
    for (const { functions, dmaSwitches } of report.devices) {
      expect(functions[0].dma).toBe('platform');
      expect(dmaSwitches).toMatchObject([{ from: 'bypass', to: 'platform', cause: 'H_SVM_INIT_DONE' }]);
      expect(dmaSwitches![0].instructions >= esm).toBe(true);
    }
    // The transitional disk is a modern one now.
    expect(report.devices[2].functions[0].id).toBe('1af4:1042');
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
    expect(guest.machine.report()).toMatchObject({ violations: { count: 0, records: [] }, warnings: [] });
    await checkDisks(cabinet);
  });

  it('a reboot makes the devices plain, until the guest turns secure again', { timeout: 900_000 }, async () => {
    const cabinet = await Cabinet.fill('reboot');
    await using guest = await start({ append: SECURE, devices: cabinet.requests() });
    await guest.expect('~ # ');
    await work(guest, cabinet);
    // What the machine looks like while prom_init speaks: a listener hears it before the guest goes on.
    const seen: string[] = [];
    let heard = '';
    guest.machine.onConsole((bytes) => {
      heard += Buffer.from(bytes).toString('latin1');
      if (seen.length > 0 || !heard.includes('Quiescing Open Firmware')) return;
      for (const { functions } of guest.machine.report().devices) seen.push(`${functions[0].id} ${functions[0].dma}`);
    });
    guest.type('reboot -f\n');
    await guest.expect('Switching to secure mode.');
    expect(seen).toEqual(
      ['1af4:1042', '1af4:1042', '1af4:1001', '1af4:1041', '1af4:1044', '1af4:1043'].map((id) => `${id} bypass`),
    );
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    await work(guest, cabinet);
    const { devices, violations } = guest.machine.report();
    expect(violations.count).toBe(0);
    expect(devices[0].dmaSwitches!.map(({ cause, to }) => `${to}: ${cause}`)).toEqual([
      'platform: H_SVM_INIT_DONE',
      'bypass: machine reset',
      'platform: H_SVM_INIT_DONE',
    ]);
  });

  it('the same devices work in a normal VM, plain', { timeout: 900_000 }, async () => {
    const cabinet = await Cabinet.fill('normal');
    await using guest = await start({ append: NORMAL, devices: cabinet.requests() });
    await guest.expect('~ # ');
    const features = await guest.command('cat /sys/bus/virtio/devices/*/features');
    expect(features.split('\n').map(platformBit)).toEqual(['0', '0', '0', '0', '0', '0']);
    await work(guest, cabinet);
    const { devices, violations } = guest.machine.report();
    expect(violations.count).toBe(0);
    for (const { dmaSwitches } of devices) expect(dmaSwitches).toEqual([]);
  });

  it('devices that offered ACCESS_PLATFORM from the start work as well: policy creation', {
    timeout: 900_000,
  }, async () => {
    const cabinet = await Cabinet.fill('creation');
    const devices = cabinet.requests().filter((_, n) => n !== 2);
    await using guest = await start({ append: SECURE, dmaPolicy: 'creation', devices });
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    expect(await guest.command(`sha256sum < /dev/vda`)).toBe(`${sha256(content(1, DISK_BYTES))}  -`);
    const report = guest.machine.report();
    expect(report.violations.count).toBe(0);
    for (const { dmaSwitches } of report.devices) expect(dmaSwitches).toEqual([]);
  });

  // Nothing tells this kernel's drivers that a device without ACCESS_PLATFORM, or without a window onto all of memory,
  // cannot work in a secure VM: they go on, and wait.
  describe.each(['legacy', 'quirk', 'window'] as const)(
    'policy %s, which this kernel knows nothing of',
    (dmaPolicy) => {
      const reach = dmaPolicy === 'window' ? 'platform' : 'bypass';

      it('a disk: the kernel waits for its first sector for ever', { timeout: 900_000 }, async () => {
        const path = join(directory, `${dmaPolicy}.img`);
        await writeFile(path, content(1, DISK_BYTES));
        await using guest = await start({
          append: SECURE,
          dmaPolicy,
          devices: [{ make: virtioBlock(await RawDisk.open(path, false)) }],
        });
        await guest.expect('[vda] 8192 512-byte logical blocks');
        await new Promise((next) => setTimeout(next, 8000));
        expect(guest.transcript).not.toContain('vda:');
        expect(guest.transcript).not.toContain('~ # ');
        const { violations, devices, warnings } = guest.machine.report();
        expect(devices[0].functions[0].dma).toBe(reach);
        expect(warnings).toEqual([]);
        // The device looks for the request in the ring, and wants to tell when it wants to be told of more.
        const seen = new Set(violations.records.map(({ origin, direction }) => `${origin.name} ${direction}`));
        expect([...seen].sort()).toEqual(['virtio-blk read', 'virtio-blk write']);
        expect(violations.records.every(({ pageState }) => pageState === 'secure')).toBe(true);
        expect(sha256(await readFile(path))).toBe(sha256(content(1, DISK_BYTES)));
      });
    },
  );

  it('policy legacy: random numbers do not come, and a network card hangs the kernel that uses it', {
    timeout: 900_000,
  }, async () => {
    const cabinet = await Cabinet.fill('legacy-others');
    const [net, rng] = cabinet.requests().slice(3);
    await using guest = await start({ append: SECURE, dmaPolicy: 'legacy', devices: [net, rng] });
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    const read = await guest.command('timeout -s KILL 2 dd if=/dev/hwrng bs=16 count=1 2>/dev/null | wc -c');
    expect(read).toMatch(/^0\nKilled$/);
    // Bringing the link up sends a command to the card; the kernel waits for the answer, busily.
    guest.type('ip link set eth0 up; echo not reached\n');
    await guest.expect('reached');
    await new Promise((next) => setTimeout(next, 5000));
    expect(guest.transcript).not.toMatch(/^not reached/m);
    const { violations } = guest.machine.report();
    const names = new Set(violations.records.map(({ origin }) => origin.name));
    expect([...names].sort()).toEqual(['virtio-net', 'virtio-rng']);
    expect(violations.records.every(({ pageState }) => pageState === 'secure')).toBe(true);
  });

  it('policy legacy: with a console the kernel does not get past its probe', { timeout: 900_000 }, async () => {
    const cabinet = await Cabinet.fill('legacy-console');
    const [console] = cabinet.requests().slice(5);
    await using guest = await start({ append: SECURE, dmaPolicy: 'legacy', devices: [console] });
    await guest.expect('virtio-pci 0000:00:00.0: enabling device');
    await new Promise((next) => setTimeout(next, 8000));
    expect(guest.transcript).not.toContain('~ # ');
    const { violations } = guest.machine.report();
    expect(new Set(violations.records.map(({ origin }) => origin.name))).toEqual(new Set(['virtio-console']));
    expect(cabinet.terminal.text() + cabinet.port.text()).toBe('');
  });

  it('policy window: in a normal VM all work, through the window', { timeout: 900_000 }, async () => {
    const cabinet = await Cabinet.fill('window-normal');
    // It needs ACCESS_PLATFORM, which rules the transitional disk out.
    const devices = cabinet.requests().filter((_, n) => n !== 2);
    await using guest = await start({ append: NORMAL, dmaPolicy: 'window', devices });
    await guest.expect('~ # ');
    await work(guest, cabinet.without(2));
    const report = guest.machine.report();
    expect(report.violations.count).toBe(0);
    expect(report.devices[0].functions[0].dma).toBe('platform');
  });

  it('a balloon is reset with the others and stays plain: its driver cannot do otherwise', {
    timeout: 900_000,
  }, async () => {
    await using guest = await start({ append: SECURE, devices: [{ make: virtioBalloon() }] });
    await guest.expect('~ # ');
    const { devices, violations } = guest.machine.report();
    expect(devices[0].functions[0].dma).toBe('bypass');
    const features = await guest.command('cat /sys/bus/virtio/devices/*/features');
    expect(platformBit(features)).toBe('0');
    // The driver reports free pages from the start.
    expect([...new Set(violations.records.map(({ origin }) => origin.name))]).toEqual(['virtio-balloon']);
  });
});

/** What every boot does with its devices. Leaves a file system with the download on each disk. */
async function work(guest: GuestSession, cabinet: Cabinet): Promise<void> {
  const { port } = web.address() as AddressInfo;
  await guest.command('ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0');
  await guest.command(`wget -q -O /tmp/download http://10.0.2.2:${port}/`);
  expect(await guest.command('sha256sum < /tmp/download')).toBe(`${sha256(download)}  -`);

  for (const [n, path] of cabinet.paths.entries()) {
    const disk = `vd${String.fromCharCode(97 + n)}`;
    const { name } = DISKS[n];
    expect(await guest.command(`sha256sum < /dev/${disk}`), name).toBe(`${sha256(await readFile(path))}  -`);
    const made = await guest.command(
      `mke2fs -q /dev/${disk} && mkdir -p /m && mount -t ext4 /dev/${disk} /m && cp /tmp/download /m/a && ` +
        'dd if=/m/a of=/m/b bs=64k oflag=direct 2>/dev/null; sync; cmp /m/a /m/b && umount /m && echo made',
    );
    expect(made.split('\n').at(-1), name).toBe('made');
    const direct = await guest.command(`dd if=/dev/${disk} bs=1M iflag=direct 2>/dev/null | sha256sum`);
    expect(direct, name).toBe(`${sha256(await readFile(path))}  -`);
  }

  expect(await guest.command('cat /sys/class/misc/hw_random/rng_current')).toBe('virtio_rng.0');
  const numbers = await guest.command(
    'head -c 20000 /dev/hwrng > /tmp/r; wc -c < /tmp/r; tr -d "\\0" < /tmp/r | wc -c',
  );
  // On a loaded host the kernel may say something in between.
  const [count, nonZero] = (numbers.match(/^\d+$/gm) ?? []).map(Number);
  expect(count).toBe(20000);
  expect(nonZero).toBeGreaterThan(19000);

  cabinet.port.type(new TextEncoder().encode('from outside\n'));
  const vport = await guest.command('ls /dev/vport*p1');
  expect(await guest.command(`head -n 1 ${vport}`)).toBe('from outside');
  const before = cabinet.port.text().length;
  await guest.command(`seq 1 3000 > ${vport}`);
  const lines = Array.from({ length: 3000 }, (_, n) => `${n + 1}\n`).join('');
  expect(cabinet.port.text().slice(before)).toBe(lines);
  await guest.command('echo on the terminal > /dev/hvc1');
  expect(cabinet.terminal.text()).toContain('on the terminal\r\n');
}

/** The file systems as this machine sees them. */
async function checkDisks(cabinet: Cabinet): Promise<void> {
  for (const [n, path] of cabinet.paths.entries()) {
    if (tools.e2fsck)
      expect(execFileSync(tools.e2fsck, ['-fn', path], { encoding: 'utf8', stdio: 'pipe' })).toContain('files');
    if (!tools.debugfs) continue;
    const out = join(directory, `dump-${n}`);
    execFileSync(tools.debugfs, ['-R', `dump /b ${out}`, path], { stdio: 'ignore' });
    expect(sha256(await readFile(out))).toBe(sha256(download));
  }
}
