// The hub and the capture: who gets a frame, in what shape, and what is written down about it.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FakeClock, FakeGuest, FakeSockets, joined } from '../../../tests/support/net-guest.ts';
import { Hub } from './hub.ts';
import { COMPLETE, type FrameHints, type NetPort, NO_OFFLOADS, type Offloads, VERIFIED } from './net-backend.ts';
import { parseIpv4Packet, putEthernet, putIpv4, transportSumRight } from './packet.ts';
import { capture } from './pcap.ts';
import { GATEWAY } from './user-layout.ts';
import { UserNetwork } from './user-network.ts';

class TestPort implements NetPort {
  readonly offloads: Offloads;
  readonly frames: { frame: Uint8Array<ArrayBuffer>; hints: FrameHints }[] = [];
  ready = true;
  room = Number.POSITIVE_INFINITY;
  constructor(offloads: Offloads = NO_OFFLOADS) {
    this.offloads = offloads;
  }
  receive(frame: Uint8Array<ArrayBuffer>, hints: FrameHints): boolean {
    if (this.room-- <= 0) return false;
    this.frames.push({ frame, hints });
    return true;
  }
  setLink(): void {}
}

function largeSegment(): { frame: Uint8Array<ArrayBuffer>; hints: FrameHints } {
  const frame = new Uint8Array(54 + 3000).fill(7);
  putEthernet(frame, new Uint8Array(6).fill(2), new Uint8Array(6).fill(4), 0x0800);
  frame[46] = 0x50;
  putIpv4(frame, 14, { source: 1, destination: 2, protocol: 6, id: 1 });
  return { frame, hints: { checksum: 'partial', checksumStart: 34, checksumOffset: 16, segmentBytes: 1448 } };
}

describe('hub', () => {
  it('gives a frame to all others, each in the shape it takes', () => {
    const clock = new FakeClock();
    const hub = new Hub();
    const post = (action: () => void) => clock.post(action);
    const ports = [new TestPort(), new TestPort(), new TestPort({ checksum: true, tcp4: true })];
    const plugs = ports.map((port) => {
      const plug = hub.plug(post);
      plug.connect(port);
      return plug;
    });
    const { frame, hints } = largeSegment();
    plugs[0].send(frame, hints);
    expect(ports[1].frames).toEqual([]); // not before the turn boundary
    clock.settle();
    expect(ports.map(({ frames }) => frames.length)).toEqual([0, 3, 1]);
    expect(ports[2].frames[0].hints).toEqual(hints);
    for (const { frame: part } of ports[1].frames) expect(transportSumRight(parseIpv4Packet(part)!)).toBe(true);
    plugs[1].close();
    plugs[0].send(new Uint8Array(60), COMPLETE);
    clock.settle();
    expect(ports.map(({ frames }) => frames.length)).toEqual([0, 3, 2]);
  });

  it('drops what a port cannot take, and bounds what is on its way', () => {
    const clock = new FakeClock();
    const hub = new Hub();
    const [from, to] = [hub.plug(() => {}), hub.plug((action) => clock.post(action))];
    const port = new TestPort();
    port.room = 10;
    to.connect(port);
    for (let n = 0; n < 3000; n++) from.send(new Uint8Array(60), COMPLETE);
    clock.settle();
    expect(port.frames.length).toBe(10);
    expect(to.statistics?.()).toEqual({ dropped: 2990 });
  });

  it('carries the built-in network', () => {
    const clock = new FakeClock();
    const hub = new Hub();
    const post = (action: () => void) => clock.post(action);
    const network = new UserNetwork({ clock, events: clock, sockets: new FakeSockets(), warn: () => {} });
    hub.attach(network, post);
    const guest = new FakeGuest(hub.plug(post), clock);
    guest.sendArp(1, GATEWAY);
    clock.settle();
    expect(guest.arpReplies.length).toBe(1);
    const socket = guest.connect(GATEWAY, 80);
    clock.pass(10);
    expect(socket.state).toBe('open');
    network.close();
  });
});

describe('capture', () => {
  const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;

  it('writes what tcpdump reads', () => {
    const clock = new FakeClock();
    const parts: Uint8Array[] = [];
    const network = new UserNetwork({ clock, events: clock, sockets: new FakeSockets(), warn: () => {} });
    const guest = new FakeGuest(
      capture(
        network,
        (bytes) => parts.push(bytes.slice()),
        () => 1_800_000_000e6 + clock.now / 1000,
      ),
      clock,
    );
    guest.sendArp(1, GATEWAY);
    clock.pass(1500);
    guest.sendUdp(GATEWAY, 5000, 7777, Uint8Array.of(1, 2, 3));
    clock.settle();
    network.close();
    const file = joined(parts);
    const view = new DataView(file.buffer);
    expect(view.getUint32(0, true)).toBe(0xa1b2c3d4);
    const found: [number, number, number][] = [];
    for (let at = 24; at < file.length; at += 16 + view.getUint32(at + 8, true)) {
      expect(view.getUint32(at + 8, true)).toBe(view.getUint32(at + 12, true));
      found.push([view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true)]);
    }
    expect(found).toEqual([
      [1_800_000_000, 0, 60],
      [1_800_000_000, 0, 42],
      [1_800_000_001, 500_000, 45],
    ]);
    if (!hasTcpdump) return;
    const directory = mkdtempSync(join(tmpdir(), 'powervisor-pcap-'));
    try {
      writeFileSync(join(directory, 'x.pcap'), file);
      const { stdout } = spawnSync('tcpdump', ['-nr', join(directory, 'x.pcap')], { encoding: 'utf8' });
      expect(stdout).toContain('ARP, Request who-has 10.0.2.2 tell 10.0.2.15');
      expect(stdout).toContain('10.0.2.15.5000 > 10.0.2.2.7777: UDP, length 3');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('leaves frames and hints as they are', () => {
    const port = new TestPort({ checksum: true, tcp4: true });
    const inner = {
      name: 'x',
      offloads: NO_OFFLOADS,
      port: undefined as NetPort | undefined,
      connect(p: NetPort) {
        this.port = p;
      },
      send() {},
      close() {},
    };
    const outer = capture(
      inner,
      () => {},
      () => 0,
    );
    outer.connect(port);
    expect(inner.port!.offloads).toEqual(port.offloads);
    inner.port!.receive(new Uint8Array(60), VERIFIED);
    expect(port.frames[0].hints).toBe(VERIFIED);
    port.ready = false;
    expect(inner.port!.ready).toBe(false);
  });
});
