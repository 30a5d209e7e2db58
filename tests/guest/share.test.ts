// Folders and sockets of the host in a Linux guest: a folder mounted through 9P and worked on from both sides, and streams
// through virtio-vsock in both directions.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { MemoryShare } from '../../src/backends/memory/share.ts';
import { NodeShare } from '../../src/backends/node/share.ts';
import { UnixVsock } from '../../src/backends/node/vsock.ts';
import { VirtioVsock } from '../../src/virtio/devices/vsock/device.ts';
import { VirtioPci } from '../../src/virtio/transport/virtio-pci.ts';
import { type TransportOptions, virtioNineP } from '../../src/vmm/virtio-devices.ts';
import { compileForGuest } from '../support/guest-program.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const files = await filesOf('linux-svm', 'busybox');
const skipped = 'reason' in files ? ` (skipped: ${files.reason})` : '';
const folder = mkdtempSync(join(tmpdir(), 'powervisor-shares-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'vsock');
const compiled = compileForGuest(new URL('programs/vsock.c', import.meta.url).pathname, program);

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const mount = (tag: string, more = '') =>
  `mkdir -p /${tag} && mount -t 9p -o trans=virtio,version=9p2000.L${more} ${tag} /${tag}`;

describe.skipIf('reason' in files)(`shared folders${skipped}`, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

  it.each([
    { flavour: 'split rings', transport: { rings: { packed: false } }, options: '' },
    {
      flavour: 'packed rings through TCEs, 512 KiB messages',
      transport: { accessPlatform: true },
      options: ',msize=524288',
    },
    { flavour: 'a cache in the guest', transport: { msix: false }, options: ',cache=loose' },
  ] as { flavour: string; transport: TransportOptions; options: string }[])(
    'are worked on from both sides: $flavour',
    { timeout: 600_000 },
    async ({ flavour, transport, options }) => {
      const shared = join(folder, flavour.replaceAll(/\W+/g, '-'));
      mkdirSync(shared);
      const big = randomBytes(5_000_000);
      writeFileSync(join(shared, 'big'), big);
      writeFileSync(join(folder, 'secret'), 'SECRET');
      symlinkSync('../secret', join(shared, 'out'));
      const memory = new MemoryShare({ readOnly: true });
      memory.put('docs/read-me', 'nothing to write here');
      await using guest = await GuestSession.start({
        kernel,
        initrd,
        append: 'console=hvc0 loglevel=1',
        devices: [
          { make: virtioNineP(await NodeShare.open(shared), 'host', transport) },
          { make: virtioNineP(memory, 'memory', transport) },
        ],
      });
      await guest.expect('~ # ');
      expect(await guest.command(mount('host', options))).toBe('');
      expect(await guest.command(mount('memory', options))).toBe('');

      // What this machine has, the guest reads; links are links, and lead nowhere outside.
      expect(await guest.command('sha256sum < /host/big')).toContain(sha256(big));
      expect(await guest.command('dd if=/host/big bs=1M iflag=direct 2>/dev/null | sha256sum')).toContain(sha256(big));
      expect(await guest.command('readlink /host/out')).toBe('../secret');
      expect(await guest.command('cat /host/out 2>&1')).toContain('No such file');
      expect(await guest.command('cat /memory/docs/read-me')).toBe('nothing to write here');
      expect(await guest.command('echo x > /memory/docs/x')).toContain('Read-only file system');
      expect(await guest.command('rm /memory/docs/read-me 2>&1')).toContain('Read-only file system');

      // What the guest makes, this machine has.
      const work = await guest.command(
        'cd /host; mkdir -p a/b/c && head -c 3000000 /dev/urandom > a/b/data && cp a/b/data a/b/c/copy && ' +
          'ln -s b/data a/link && ln a/b/data a/hard && mv a/b/c a/moved && chmod 750 a/moved && ' +
          'touch -d "2001-02-03 04:05:06" a/b/data && truncate -s 100 a/moved/copy && ' +
          'echo one > a/log; echo two >> a/log; (for i in $(seq 200); do echo $i > a/b/f$i & done; wait); ' +
          'find a | wc -l; sha256sum < a/b/data; cd /root; sync',
      );
      const [count, hash] = work.split('\n');
      expect(Number(count)).toBe(7 + 1 + 200); // a, b, data, moved, copy, link, hard, log
      const data = readFileSync(join(shared, 'a/b/data'));
      expect(hash).toContain(sha256(data));
      expect(data).toHaveLength(3_000_000);
      expect(lstatSync(join(shared, 'a/hard')).ino).toBe(lstatSync(join(shared, 'a/b/data')).ino);
      expect(lstatSync(join(shared, 'a/b/data')).mtime.toISOString()).toBe('2001-02-03T04:05:06.000Z');
      expect(readlinkSync(join(shared, 'a/link'))).toBe('b/data');
      expect(lstatSync(join(shared, 'a/moved')).mode & 0o777).toBe(0o750);
      expect(readFileSync(join(shared, 'a/moved/copy'))).toEqual(data.subarray(0, 100));
      expect(readFileSync(join(shared, 'a/log'), 'utf8')).toBe('one\ntwo\n');
      expect(readdirSync(join(shared, 'a/b'))).toHaveLength(201);
      expect(readFileSync(join(shared, 'a/b/f77'), 'utf8')).toBe('77\n');

      // Refusals with their names; a file that is used after it was removed; room.
      expect(await guest.command('mknod /host/null c 1 3 2>&1')).toContain('Operation not permitted');
      expect(await guest.command('rmdir /host/a 2>&1')).toContain('Directory not empty');
      expect(await guest.command('exec 3<>/host/gone; rm /host/gone; echo text >&3; ls /host/gone 2>&1')).toContain(
        'No such',
      );
      expect(await guest.command('exec 3>&-; df /host | tail -1')).toContain('/host');
      expect(await guest.command('rm -r /host/a && sync && ls /host')).toBe('big  out');
      expect(existsSync(join(shared, 'a'))).toBe(false);
      expect(await guest.command('umount /host /memory')).toBe('');
      expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe('SECRET');
      guest.type('poweroff -f\n');
      expect(await guest.ended).toEqual({ reason: 'power-off' });
      expect(guest.machine.report().warnings).toEqual([]);
    },
  );

  it.skipIf(!compiled)('stream sockets in both directions', { timeout: 600_000 }, async () => {
    const path = join(folder, 'v.sock');
    const tools = join(folder, 'tools');
    mkdirSync(tools);
    writeFileSync(join(tools, 'vsock'), readFileSync(program), { mode: 0o755 });
    let device: VirtioVsock | undefined;
    const backend = await UnixVsock.listen(path);
    await using guest = await GuestSession.start({
      kernel,
      initrd,
      clock: 'host',
      append: 'console=hvc0 loglevel=1',
      devices: [
        { make: virtioNineP(await NodeShare.open(tools, { readOnly: true }), 'tools') },
        {
          make: (bus, ports) => {
            device = new VirtioVsock({ backend, events: ports.events, guestCid: 5 });
            return new VirtioPci(device, bus, { warn: (message) => ports.log.warn(message) });
          },
        },
      ],
    });
    await guest.expect('~ # ');
    expect(await guest.command(mount('tools'))).toBe('');

    // The guest connects: an echo, half-closed by the guest.
    const servers = [
      createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(`${path}_1000`),
      createServer((socket) => socket.destroy()).listen(`${path}_1001`),
    ];
    expect(await guest.command('echo hello | /tools/vsock connect 1000')).toBe('hello');
    const hash =
      'head -c 3000000 /dev/urandom > /tmp/r; sha256sum < /tmp/r; /tools/vsock connect 1000 < /tmp/r | sha256sum';
    const [sent, echoed] = (await guest.command(hash)).split('\n');
    expect(echoed).toBe(sent);
    const many =
      '(for i in $(seq 50); do (echo $i | /tools/vsock connect 1000 > /tmp/e$i) & done; wait); cat /tmp/e* | sort -n | md5sum; seq 50 | md5sum';
    const [got, wanted] = (await guest.command(many)).split('\n').slice(-2);
    expect(got).toBe(wanted);
    // Nobody there, and one who goes at once.
    expect(await guest.command('/tools/vsock connect 999')).toContain('Connection reset by peer');
    await guest.command('sleep 1 | /tools/vsock connect 1001');

    // A program of this machine connects to the guest.
    guest.type(
      'cat /tmp/r | /tools/vsock listen 2000 > /tmp/from-host; sha256sum < /tmp/from-host; echo "LI""STENED"\n',
    );
    const payload = randomBytes(2_000_000);
    // Until somebody listens, the guest refuses.
    let reply: Buffer = Buffer.alloc(0);
    for (let tries = 0; tries < 100 && reply.length === 0; tries++) {
      await setTimeout(500);
      const visitor = connect(path);
      visitor.write('CONNECT 2000\n');
      reply = await collect(visitor, () => visitor.end(payload));
    }
    expect(reply.subarray(0, 3).toString()).toBe('OK ');
    const newline = reply.indexOf('\n');
    expect(sha256(reply.subarray(newline + 1))).toBe(sent.split(' ')[0]);
    expect(await guest.expect('LISTENED')).toContain(sha256(payload));
    const nobody = connect(path);
    nobody.write('CONNECT 2001\n');
    expect(await collect(nobody, () => {})).toHaveLength(0);

    // A reader that stalls holds the guest up, and gets everything in the end; then one that leaves in the middle.
    const stalled: Socket[] = [];
    servers.push(createServer({ pauseOnConnect: true }, (socket) => stalled.push(socket)).listen(`${path}_1002`));
    guest.type('/tools/vsock flood 1002 8388608; echo "FLO""ODED"\n');
    await until(() => stalled.length === 1);
    await setTimeout(3000);
    expect(guest.transcript).not.toContain('FLOODED');
    const flood = await collect(stalled[0], () => {});
    await guest.expect('FLOODED');
    expect(flood).toHaveLength(8_388_608);
    for (let word = 0; word < flood.length / 4; word += 997) expect(flood.readUInt32LE(4 * word)).toBe(word);
    guest.type('/tools/vsock flood 1002 80000000; echo "BRO""KEN"\n');
    await until(() => stalled.length === 2);
    stalled[1].destroy();
    await guest.expect('BROKEN');

    // Connections that the guest leaves open are gone when their program is killed.
    guest.type('/tools/vsock idle 1000 1000 & sleep 1; kill $!; wait; echo "IDL""ED"\n');
    await guest.expect('IDLED');
    await until(() => device!.inUse.connections === 0);
    expect(device!.inUse).toEqual({ connections: 0, lingering: 0, resets: 0 });
    for (const server of servers) server.close();
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
    expect(guest.machine.report().warnings).toEqual([]);
  });
});

/** All that a socket sends; `begin` is called with the first of it. */
async function collect(socket: Socket, begin: () => void): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.once('data', begin);
  socket.on('data', (bytes) => parts.push(bytes));
  socket.on('error', () => {});
  const late = setTimeout(120_000, undefined, { ref: false }).then(() => socket.destroy());
  const over = Promise.race([once(socket, 'end'), once(socket, 'close'), late]);
  socket.resume();
  await over;
  return Buffer.concat(parts);
}

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 3000 && !condition(); n++) await setTimeout(10);
  expect(condition()).toBe(true);
}
