// The network card and what its wire can end in, with a Linux guest and this machine's loopback: DHCP, names, echo,
// transfers both ways with equal hashes, many connections, forwarded ports, connections that go wrong, passt, and two
// machines on a hub.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Hub } from '../../src/backends/net/hub.ts';
import type { NetBackend } from '../../src/backends/net/net-backend.ts';
import { capture } from '../../src/backends/net/pcap.ts';
import { type PortForward, UserNetwork } from '../../src/backends/net/user-network.ts';
import { nodeSockets } from '../../src/backends/node/net/node-sockets.ts';
import { StreamBackend } from '../../src/backends/node/net/stream-backend.ts';
import type { DevicePorts } from '../../src/device/ports.ts';
import { type TransportOptions, virtioNet } from '../../src/vmm/virtio-devices.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
/** Bytes of a transfer each way: enough for the sequence numbers and windows to go round many times. */
const TRANSFER_BYTES = Number(process.env.POWERVISOR_NET_TRANSFER_MB ?? 16) * 1e6;
const SMALL_BYTES = 100_000;

const guestFiles = await filesOf('linux-svm', 'busybox');

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A web server, a name server that knows one address, and a server that misbehaves; all on the loopback address. */
class TestHost {
  readonly big = randomBytes(TRANSFER_BYTES);
  readonly small = randomBytes(SMALL_BYTES);
  readonly web = createHttpServer((request, response) => this.serve(request, response));
  readonly rude: Server = createServer((socket) => this.misbehave(socket));
  readonly names: DatagramSocket = createSocket('udp4');
  readonly stalled: Socket[] = [];

  async open(): Promise<void> {
    for (const server of [this.web, this.rude]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    }
    this.names.on('message', (query, peer) => {
      // The one question, and for an IPv4 address the one answer: 10.0.2.2.
      const wantsAddress = query.readUInt16BE(query.length - 4) === 1;
      const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 2]);
      const reply = Buffer.concat([query, wantsAddress ? answer : Buffer.alloc(0)]);
      reply.writeUInt16BE(0x8180, 2);
      reply.writeUInt16BE(wantsAddress ? 1 : 0, 6);
      this.names.send(reply, peer.port, peer.address);
    });
    await new Promise<void>((resolve) => this.names.bind(0, '127.0.0.1', () => resolve()));
  }

  close(): void {
    this.web.close();
    this.web.closeAllConnections();
    this.rude.close();
    for (const socket of this.stalled) socket.destroy();
    this.names.close();
  }

  get webPort(): number {
    return (this.web.address() as AddressInfo).port;
  }

  get rudePort(): number {
    return (this.rude.address() as AddressInfo).port;
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'POST') {
      const hash = createHash('sha256');
      request.on('data', (bytes: Uint8Array) => hash.update(bytes));
      request.on('end', () => response.end(`${hash.digest('hex')}\n`));
      return;
    }
    const body = request.url === '/big' ? this.big : this.small;
    response.setHeader('content-length', body.length);
    response.end(body);
  }

  private misbehave(socket: Socket): void {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      if (bytes.toString().startsWith('reset')) socket.resetAndDestroy();
      else {
        socket.pause();
        this.stalled.push(socket);
      }
    });
  }
}

/** A guest on the built-in network. */
async function startOnUser(options: {
  host: TestHost;
  forwards?: readonly PortForward[];
  pairs?: number;
  cpus?: number;
  transport?: TransportOptions;
  record?: (bytes: Uint8Array) => void;
}): Promise<{ guest: GuestSession; network: UserNetwork }> {
  let network: UserNetwork | undefined;
  const { host, forwards, transport, pairs, record } = options;
  const makeBackend = (ports: DevicePorts): NetBackend => {
    network = new UserNetwork({
      ...ports,
      sockets: nodeSockets,
      warn: () => {},
      nameServer: { address: '127.0.0.1', port: host.names.address().port },
      forwards,
    });
    return record ? capture(network, record, () => ports.clock.nowNs() / 1000) : network;
  };
  const guest = await start(virtioNet(makeBackend, { mac: MAC, pairs }, transport), options.cpus);
  await network!.listen();
  return { guest, network: network! };
}

async function start(make: ReturnType<typeof virtioNet>, cpus = 1): Promise<GuestSession> {
  const guest = await GuestSession.start({
    ...(guestFiles as { kernel: Uint8Array }),
    append: 'console=hvc0 quiet',
    clock: 'host',
    memoryBytes: 512 * 2 ** 20,
    cpus,
    devices: [{ make }],
  });
  await guest.expect('# ');
  await guest.command('ip link set lo up; mkdir -p /tmp /etc; mount -t tmpfs none /tmp; cd /tmp');
  return guest;
}

const LEASE_SCRIPT = [
  '#!/bin/sh',
  '[ "$1" = bound ] || exit 0',
  'ip addr add $ip/$mask dev $interface',
  'ip route add default via $router',
  'echo nameserver $dns > /etc/resolv.conf',
];

/** Gets an address by DHCP. */
async function lease(guest: GuestSession): Promise<string> {
  await guest.command(`printf '%s\\n' ${LEASE_SCRIPT.map((line) => `'${line}'`).join(' ')} > u.sh; chmod +x u.sh`);
  await guest.command('ip link set eth0 up; udhcpc -i eth0 -s /tmp/u.sh -n -q');
  return guest.command('ip addr show eth0');
}

/** `stay`: seconds before the guest closes its side; else it does so before the answer comes. */
const upload = (file: string, lenBytes: number, port: number, stay = 0) =>
  `(printf 'POST / HTTP/1.0\\r\\nContent-Length: ${lenBytes}\\r\\n\\r\\n'; cat ${file}; sleep ${stay}) | nc 10.0.2.2 ${port} | tail -1`;

describe.skipIf('reason' in guestFiles)('network', () => {
  const host = new TestHost();
  let directory = '';

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'powervisor-net-'));
    // passt started by root goes on as nobody, and makes its socket then.
    await chmod(directory, 0o777);
    await host.open();
  });

  afterAll(async () => {
    host.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('serves a guest behind the built-in NAT', { timeout: 590_000 }, async () => {
    const forwards: PortForward[] = [
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 0, guestAddress: '10.0.2.15', guestPort: 8080 },
    ];
    const { guest, network } = await startOnUser({ host, forwards });
    await using _guest = guest;

    expect(await lease(guest)).toContain('inet 10.0.2.15/24');
    expect(await guest.command('ping -c 2 10.0.2.2')).toContain('2 packets received');
    expect(await guest.command('nslookup big.test')).toContain('Address: 10.0.2.2');

    await guest.command(`wget -q -O big http://big.test:${host.webPort}/big`);
    expect(await guest.command('sha256sum big')).toContain(sha256(host.big));
    expect(await guest.command(upload('big', TRANSFER_BYTES, host.webPort))).toContain(sha256(host.big));

    await guest.command(
      `for i in $(seq 50); do wget -q -O p$i http://10.0.2.2:${host.webPort}/small & done; wait; sha256sum p* > sums`,
    );
    expect(await guest.command(`grep -c ${sha256(host.small)} sums`)).toBe('50');

    await guest.command('httpd -p 8080 -h /tmp');
    const response = await fetch(`http://127.0.0.1:${network.portOf(forwards[0])}/p7`);
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(sha256(host.small));

    // A host that resets, one that reads nothing, and a port where nobody is.
    await guest.command(`(echo reset; sleep 5) | timeout 20 nc 10.0.2.2 ${host.rudePort}`);
    await guest.command(`(echo stall; cat big) | timeout 5 nc 10.0.2.2 ${host.rudePort}`);
    expect(host.stalled.length).toBe(1);
    expect(await guest.command('nc 10.0.2.2 1; echo status $?')).toContain('status 1');
    for (const socket of host.stalled) socket.destroy();
    for (let tries = 0; tries < 20 && network.statistics().tcpConnections > 0; tries++) await guest.command('sleep 1');

    const { malformed, tcpConnections, tcpRetransmissions } = network.statistics();
    expect({ malformed, tcpConnections, tcpRetransmissions }).toMatchObject({ malformed: 0, tcpConnections: 0 });
  });

  it.each([
    ['packed rings', {}, 1],
    [
      'split rings, no event index, DMA through the platform',
      { rings: { packed: false, eventIdx: false }, accessPlatform: true },
      1,
    ],
    ['the legacy interface', { transitional: true, rings: { packed: false } }, 1],
    ['several queues', {}, 2],
  ] as const)('transfers with %s', { timeout: 300_000 }, async (_name, transport, pairs) => {
    const { guest, network } = await startOnUser({ host, transport, pairs, cpus: pairs });
    await using _guest = guest;
    await lease(guest);
    if (pairs > 1) expect(await guest.command('ls -d /sys/class/net/eth0/queues/rx-* | wc -l')).toBe(String(pairs));
    await guest.command(`for i in 1 2 3 4 5; do wget -q -O p$i http://10.0.2.2:${host.webPort}/small & done; wait`);
    expect(await guest.command(`sha256sum p* | grep -c ${sha256(host.small)}`)).toBe('5');
    expect(await guest.command(upload('p3', SMALL_BYTES, host.webPort))).toContain(sha256(host.small));
    expect(network.statistics().malformed).toBe(0);
  });

  const passt = existsSync('/usr/bin/passt');
  it.skipIf(!passt)('serves a guest through passt', { timeout: 400_000 }, async () => {
    const path = join(directory, 'passt.socket');
    const child = await startPasst(path);
    try {
      let stream: StreamBackend | undefined;
      const make = virtioNet(
        ({ events }) => {
          stream = new StreamBackend({ address: { path }, events, warn: () => {} });
          return stream;
        },
        { mac: MAC },
      );
      await using guest = await start(make);
      await stream!.open();
      expect(await lease(guest)).toContain('inet 10.0.2.15/24');
      await guest.command(`wget -q -O small http://10.0.2.2:${host.webPort}/small`);
      expect(await guest.command('sha256sum small')).toContain(sha256(host.small));
      await guest.command('for i in $(seq 100); do cat small; done > much');
      const much = Buffer.concat(Array.from({ length: 100 }, () => host.small));
      // Seen with passt of Debian 12: no answer comes any more once the guest has closed its side.
      expect(await guest.command(upload('much', much.length, host.webPort, 20))).toContain(sha256(much));
      expect(stream!.statistics()).toMatchObject({ malformed: 0, connections: 1 });
    } finally {
      child.kill();
    }
  });

  it('connects two machines with a hub', { timeout: 400_000 }, async () => {
    const hub = new Hub();
    const make = (last: number) =>
      virtioNet(({ events }) => hub.plug((action) => events.post(action)), {
        mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, last),
      });
    await using one = await start(make(1));
    await using two = await start(make(2));
    await one.command('ip addr add 192.168.7.1/24 dev eth0; ip link set eth0 up');
    await two.command('ip addr add 192.168.7.2/24 dev eth0; ip link set eth0 up');
    expect(await one.command('ping -c 3 192.168.7.2')).toContain('3 packets received');
    const sum = await two.command('dd if=/dev/urandom of=data bs=65536 count=160 2>/dev/null; sha256sum data');
    await two.command('httpd -p 80 -h /tmp');
    await one.command('wget -q -O data http://192.168.7.2/data');
    expect(await one.command('sha256sum data')).toBe(sum);
  });
});

async function startPasst(path: string): Promise<ChildProcess> {
  const network = ['-4', '-a', '10.0.2.15', '-n', '24', '-g', '10.0.2.2', '-D', '10.0.2.3'];
  const child = spawn('passt', ['-f', '-1', '-s', path, ...network], { stdio: 'ignore' });
  for (let tries = 0; tries < 100 && !existsSync(path); tries++) await new Promise((next) => setTimeout(next, 50));
  return child;
}
