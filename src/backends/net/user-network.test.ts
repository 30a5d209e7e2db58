// The built-in network against a guest written apart from it, with a clock that the test moves and a host that is not
// there: what both sides get is what the other sent, whatever the wire loses, and nothing is left behind.

import { describe, expect, it } from 'vitest';
import {
  FakeClock,
  FakeGuest,
  type FakeGuestOptions,
  FakeSockets,
  GUEST_ADDRESS,
  GUEST_MAC,
} from '../../../tests/support/net-guest.ts';
import { randomWords } from '../../../tests/support/random.ts';
import { COMPLETE } from './net-backend.ts';
import { u16, u32 } from './packet.ts';
import { GATEWAY, NAME_SERVER } from './user-layout.ts';
import { type PortForward, UserNetwork } from './user-network.ts';

const WORLD = 0x5db8d822; // 93.184.216.34

function setUp(options: FakeGuestOptions = {}, forwards: readonly PortForward[] = []) {
  const clock = new FakeClock();
  const sockets = new FakeSockets();
  const warnings: string[] = [];
  const network = new UserNetwork({
    clock,
    events: clock,
    sockets,
    forwards,
    warn: (message) => warnings.push(message),
  });
  const guest = new FakeGuest(network, clock, options);
  return { clock, sockets, network, guest, warnings };
}

function noise(seed: number, lenBytes: number): Uint8Array<ArrayBuffer> {
  const word = randomWords(seed);
  return Uint8Array.from({ length: lenBytes }, () => word() & 0xff);
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe('neighbours and addresses', () => {
  it('answers for the gateway and the name server, and for nobody else', () => {
    const { guest, clock } = setUp();
    for (const target of [GATEWAY, NAME_SERVER, GATEWAY + 7, WORLD]) guest.sendArp(1, target);
    clock.settle();
    expect(guest.arpReplies.map((frame) => u32(frame, 28))).toEqual([GATEWAY, NAME_SERVER]);
    expect([...guest.arpReplies[0].subarray(0, 6)]).toEqual([...GUEST_MAC]);
  });

  it('leases an address', () => {
    const { guest, clock } = setUp();
    const message = (type: number, requested?: number) => {
      const bytes = new Uint8Array(300);
      bytes.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
      bytes.set(GUEST_MAC, 28);
      bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, type], 236);
      if (requested !== undefined) bytes.set([50, 4, 10, 0, 2, requested & 0xff], 243);
      bytes[250] = 255;
      return bytes;
    };
    guest.sendUdp(0xffffffff, 68, 67, message(1), 0);
    clock.settle();
    guest.sendUdp(0xffffffff, 68, 67, message(3, 15), 0);
    guest.sendUdp(0xffffffff, 68, 67, message(3, 99), 0);
    clock.settle();
    const types = guest.datagrams.map(({ payload }) => payload[242]);
    expect(types).toEqual([2, 5, 6]);
    const [offer, ack, nak] = guest.datagrams;
    expect(u32(offer.payload, 16)).toBe(GUEST_ADDRESS);
    expect(u32(offer.payload, 4)).toBe(0xdeadbeef);
    expect(ack.source).toBe(GATEWAY);
    expect(ack.destinationPort).toBe(68);
    expect(nak.destination).toBe(0xffffffff);
    expect([...ack.payload].join()).toContain([3, 4, 10, 0, 2, 2].join()); // router
    expect([...ack.payload].join()).toContain([6, 4, 10, 0, 2, 3].join()); // name server
  });

  it('answers echo requests to its own hosts and says that others are out of reach', () => {
    const { guest, clock, network } = setUp();
    const echo = Uint8Array.of(8, 0, 0, 0, 0, 7, 0, 1, 1, 2, 3, 4);
    const sum = 0xffff ^ (0x0800 + 7 + 1 + 0x0102 + 0x0304);
    echo.set([sum >> 8, sum & 0xff], 2);
    guest.emit(guest.ipFrame(GATEWAY, 1, echo));
    guest.emit(guest.ipFrame(WORLD, 1, echo));
    clock.settle();
    expect([...guest.icmp[0].subarray(4)]).toEqual([...echo.subarray(4)]);
    expect(guest.icmp[0][0]).toBe(0);
    expect([...guest.icmp[1].subarray(0, 2)]).toEqual([3, 13]);
    expect(network.counters.prohibited).toBe(1);
  });
});

describe('UDP', () => {
  it('goes out through one socket a conversation and comes back', () => {
    const { guest, clock, sockets, network } = setUp();
    guest.sendUdp(GATEWAY, 5000, 7777, Uint8Array.of(1, 2));
    guest.sendUdp(GATEWAY, 5000, 7777, Uint8Array.of(3));
    guest.sendUdp(NAME_SERVER, 5001, 53, noise(1, 40));
    clock.settle();
    expect(sockets.datagrams.map(({ address, port }) => `${address}:${port}`)).toEqual([
      '127.0.0.1:7777',
      '127.0.0.1:7777',
      '127.0.0.1:5300',
    ]);
    expect(sockets.openUdp).toBe(2);
    sockets.datagrams[0].reply(Uint8Array.of(9));
    clock.settle();
    expect(guest.datagrams[0]).toMatchObject({ source: GATEWAY, sourcePort: 7777, destinationPort: 5000 });
    clock.pass(120_000);
    expect(sockets.openUdp).toBe(0);
    expect(network.statistics().udpFlows).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  it('answers for a name server that is not there, and says so of other ports', () => {
    const { guest, clock, sockets } = setUp();
    sockets.refuseUdp = true;
    guest.sendUdp(NAME_SERVER, 5001, 53, Uint8Array.of(0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    guest.sendUdp(GATEWAY, 5002, 99, Uint8Array.of(1));
    clock.settle();
    expect([...guest.datagrams[0].payload.subarray(0, 4)]).toEqual([0xab, 0xcd, 0x81, 0x82]);
    expect([...guest.icmp[0].subarray(0, 2)]).toEqual([3, 3]);
    expect(u16(guest.icmp[0], 8 + 20)).toBe(5002);
  });

  it('bounds its flows', () => {
    const { guest, clock, sockets, network } = setUp();
    for (let n = 0; n < 2000; n++) guest.sendUdp(GATEWAY, 1024 + n, 7777, Uint8Array.of(1));
    clock.settle();
    expect(sockets.openUdp).toBe(512);
    network.reset();
    expect(sockets.openUdp).toBe(0);
  });

  it('puts fragments together and takes large datagrams apart', () => {
    const { guest, clock, sockets } = setUp();
    const payload = noise(3, 4000);
    const datagram = guest.udpPayload(GUEST_ADDRESS, GATEWAY, 5000, 7777, payload);
    const parts = [
      [0, 1480],
      [2960, datagram.length],
      [1480, 2960],
    ].map(([from, to]) =>
      guest.ipFrame(
        GATEWAY,
        17,
        datagram.slice(from, to),
        GUEST_ADDRESS,
        (to < datagram.length ? 0x2000 : 0) | (from / 8),
      ),
    );
    for (const part of parts) guest.emit(part);
    clock.settle();
    expect(same(sockets.datagrams[0].bytes, payload)).toBe(true);
    sockets.datagrams[0].reply(payload);
    clock.settle();
    const frames = guest.frames.map(({ frame }) => frame);
    expect(frames.length).toBe(3);
    const offsets = frames.map((frame) => u16(frame, 20));
    expect(offsets).toEqual([0x2000, 0x2000 | (1480 / 8), 2960 / 8]);
  });

  it('forwards a port of the host', async () => {
    const { guest, clock, sockets, network } = setUp({}, [
      { protocol: 'udp', hostAddress: '127.0.0.1', hostPort: 1, guestAddress: '10.0.2.15', guestPort: 53 },
    ]);
    await network.listen();
    guest.sendArp(1, GATEWAY);
    clock.settle();
    sockets.udpServer!(Uint8Array.of(5), '127.0.0.1', 4444);
    clock.settle();
    const [question] = guest.datagrams;
    guest.sendUdp(question.source, 53, question.sourcePort, Uint8Array.of(6));
    clock.settle();
    expect(sockets.udpReplies).toMatchObject([{ address: '127.0.0.1', port: 4444, bytes: Uint8Array.of(6) }]);
  });
});

describe('TCP', () => {
  it.each([
    ['a plain guest', {}],
    ['a guest that takes partial sums', { offloads: { checksum: true, tcp4: false } }],
    ['a guest that takes large segments', { offloads: { checksum: true, tcp4: true } }],
    ['a guest with a small window', { window: 3000 }],
  ] as const)('carries bytes both ways and ends on both sides: %s', (_name, options) => {
    const { guest, clock, sockets, network } = setUp(options);
    const [up, down] = [noise(1, 300_000), noise(2, 400_000)];
    const socket = guest.connect(GATEWAY, 80);
    clock.settle();
    const [stream] = sockets.streams;
    expect(stream).toMatchObject({ address: '127.0.0.1', port: 80 });
    socket.send(up);
    for (let at = 0; at < down.length; at += 50_000) stream.events.data(down.slice(at, at + 50_000));
    stream.events.ended();
    clock.pass(1000);
    expect(same(stream.all(), up)).toBe(true);
    expect(same(socket.all(), down)).toBe(true);
    expect(socket.ended).toBe(true);
    expect(stream.ended).toBe(false);
    // Half closed: the guest may go on.
    socket.send(Uint8Array.of(42));
    socket.close();
    clock.pass(10);
    expect(stream.receivedBytes).toBe(up.length + 1);
    expect(stream.ended).toBe(true);
    expect(socket.finished).toBe(true);
    clock.pass(5000);
    expect(network.statistics().tcpConnections).toBe(0);
    expect(network.statistics().tcpRetransmissions).toBe(0);
    expect(guest.wrongSums).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  it('lets the guest close first and the host go on', () => {
    const { guest, clock, sockets, network } = setUp();
    const socket = guest.connect(WORLD, 443);
    clock.settle();
    const [stream] = sockets.streams;
    expect(stream.address).toBe('93.184.216.34');
    socket.send(noise(1, 10));
    socket.close();
    clock.settle();
    expect(stream.ended).toBe(true);
    const down = noise(2, 100_000);
    stream.events.data(down);
    stream.events.ended();
    clock.pass(5000);
    expect(same(socket.all(), down)).toBe(true);
    expect(socket.ended).toBe(true);
    expect(network.statistics().tcpConnections).toBe(0);
    expect(stream.destroyed).toBe(false);
  });

  it('survives loss, delay and reordering in both directions', () => {
    for (let seed = 1; seed <= 25; seed++) {
      const word = randomWords(seed * 7919);
      const rate = 2 + (word() % 15);
      const { guest, clock, sockets, network } = setUp({
        offloads: seed % 2 ? { checksum: true, tcp4: true } : { checksum: false, tcp4: false },
        lose: () => word() % 100 < rate,
        delay: () => (word() % 4 === 0 ? 1 + (word() % 30) : 0),
        window: 2000 + (word() % 60000),
      });
      const [up, down] = [noise(seed, 60_000 + (word() % 5000)), noise(seed + 1, 60_000 + (word() % 5000))];
      const socket = guest.connect(GATEWAY, 80);
      clock.pass(60_000);
      const [stream] = sockets.streams;
      socket.send(up);
      stream.events.data(down.slice(0, 30_000));
      stream.events.data(down.slice(30_000));
      stream.events.ended();
      socket.close();
      for (let rounds = 0; rounds < 600 && !(socket.ended && socket.finished); rounds++) clock.pass(1000);
      expect(same(stream.all(), up), `seed ${seed}`).toBe(true);
      expect(same(socket.all(), down), `seed ${seed}`).toBe(true);
      expect([socket.ended, socket.finished, stream.ended], `seed ${seed}`).toEqual([true, true, true]);
      expect(network.statistics().tcpRetransmissions, `seed ${seed}`).toBeGreaterThan(0);
      for (let rounds = 0; rounds < 600 && network.statistics().tcpConnections > 0; rounds++) clock.pass(1000);
      expect(network.statistics().tcpConnections, `seed ${seed}`).toBe(0);
    }
  });

  it('stops the host when the guest does not take, and goes on when it does', () => {
    const { guest, clock, sockets } = setUp();
    const socket = guest.connect(GATEWAY, 80);
    clock.settle();
    const [stream] = sockets.streams;
    socket.setWindow(0);
    clock.settle();
    const down = noise(5, 700_000);
    let at = 0;
    while (!stream.paused) {
      stream.events.data(down.slice(at, at + 50_000));
      at += 50_000;
      clock.settle();
      if (at > down.length) throw new Error('the host is never stopped');
    }
    expect(at).toBeLessThan(650_000);
    clock.pass(600_000); // probes, for ten minutes
    expect(socket.state).toBe('open');
    expect(socket.receivedBytes).toBe(0);
    socket.setWindow(50_000);
    clock.pass(120_000);
    expect(stream.paused).toBe(false);
    stream.events.data(down.slice(at));
    clock.pass(1000);
    expect(same(socket.all(), down)).toBe(true);
  });

  it('closes the window when the host does not take, and bounds what it holds', () => {
    const { guest, clock, sockets } = setUp();
    const socket = guest.connect(GATEWAY, 80);
    clock.settle();
    const [stream] = sockets.streams;
    stream.taking = false;
    const up = noise(6, 1_500_000);
    socket.send(up);
    clock.pass(20_000);
    expect(socket.peerWindow).toBe(0);
    expect(stream.heldBytes).toBeLessThanOrEqual(512 * 1024);
    expect(stream.heldBytes).toBeGreaterThan(500 * 1024);
    stream.drain();
    clock.pass(20_000);
    expect(same(stream.all(), up)).toBe(true);
  });

  it('answers refusals with a reset, and the unreachable with a message', () => {
    const { guest, clock, sockets, network } = setUp();
    sockets.answer = (stream) => stream.events.failed('refused');
    const refused = guest.connect(GATEWAY, 81, 40001);
    clock.settle();
    expect(refused.state).toBe('reset');
    sockets.answer = (stream) => stream.events.failed('unreachable');
    guest.connect(WORLD, 82, 40002);
    clock.settle();
    expect([...guest.icmp[0].subarray(0, 2)]).toEqual([3, 1]);
    for (const forbidden of [0x7f000001, GATEWAY + 5, 0xe0000001, 0]) guest.connect(forbidden, 83, 40003);
    clock.settle();
    expect(sockets.streams.length).toBe(2);
    expect(network.statistics().tcpConnections).toBe(0);
  });

  it('leaves nothing behind when either side resets', () => {
    const { guest, clock, sockets, network } = setUp();
    const [one, two] = [guest.connect(GATEWAY, 80, 40001), guest.connect(GATEWAY, 80, 40002)];
    clock.settle();
    one.reset();
    sockets.streams[1].events.failed('reset');
    clock.settle();
    expect(sockets.streams[0].destroyed).toBe(true);
    expect(two.state).toBe('reset');
    expect(network.statistics().tcpConnections).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  it('gives up a guest that vanishes, and a host that never takes the rest', () => {
    let gone = false;
    const { guest, clock, sockets, network } = setUp({ lose: () => gone });
    const stalled = guest.connect(GATEWAY, 80, 40001);
    guest.connect(GATEWAY, 80, 40002);
    clock.settle();
    sockets.streams[0].taking = false;
    stalled.send(noise(1, 1000));
    stalled.close();
    clock.pass(1000);
    expect(sockets.streams[0].ended).toBe(true);
    clock.pass(240_000);
    expect(sockets.streams[0].destroyed).toBe(true);
    gone = true;
    sockets.streams[1].events.data(noise(2, 1000));
    clock.pass(1_200_000);
    expect(sockets.streams[1].destroyed).toBe(true);
    expect(network.statistics().tcpConnections).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  it('bounds its connections', () => {
    const { guest, clock, network } = setUp();
    const sockets = Array.from({ length: 1100 }, (_, n) => guest.connect(GATEWAY, 80, 10_000 + n));
    clock.settle();
    expect(network.statistics().tcpConnections).toBe(1024);
    expect(sockets.filter(({ state }) => state === 'reset').length).toBe(76);
    network.close();
    expect(clock.timerCount).toBe(sockets.filter(({ state }) => state === 'syn-sent').length);
  });

  it('forwards a port of the host to a guest it has to look for', async () => {
    const { guest, clock, sockets, network } = setUp({}, [
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 2222, guestAddress: '10.0.2.15', guestPort: 22 },
    ]);
    await network.listen();
    guest.listening.add(22);
    const stream = sockets.arrive();
    const hello = noise(7, 5000);
    stream.events.data(hello);
    clock.pass(5000);
    const [socket] = [...guest.sockets.values()];
    expect(same(socket.all(), hello)).toBe(true);
    socket.send(hello);
    clock.pass(100);
    expect(same(stream.all(), hello)).toBe(true);
    socket.close();
    stream.events.ended();
    clock.pass(5000);
    expect([socket.ended, stream.ended, network.statistics().tcpConnections]).toEqual([true, true, 0]);
  });

  it('lets go of connections to a forwarded port that the machine never came to hear of', async () => {
    const { clock, sockets, network } = setUp({}, [
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 2222, guestAddress: '10.0.2.15', guestPort: 22 },
    ]);
    await network.listen();
    const early = sockets.arrive();
    network.close();
    expect(early.destroyed).toBe(true);
    const late = sockets.arrive();
    expect(late.destroyed).toBe(true);
    clock.settle();
    expect(network.statistics().tcpConnections).toBe(0);
  });

  it('hands the host small pieces of one batch together, before the end of the data', () => {
    const { guest, clock, sockets, network } = setUp();
    const socket = guest.connect(GATEWAY, 80);
    clock.settle();
    const [stream] = sockets.streams;
    const sent = network.sent.bind(network);
    network.sent = () => {};
    const data = noise(11, 4000);
    for (let at = 0; at < data.length; at += 500) socket.send(data.slice(at, at + 500));
    clock.settle();
    expect(stream.received).toEqual([]);
    sent();
    clock.settle();
    expect(stream.received.length).toBe(1);
    socket.send(data);
    clock.settle();
    socket.close();
    clock.settle();
    sent();
    clock.settle();
    network.sent = sent;
    clock.pass(3000);
    expect(same(stream.all(), Uint8Array.of(...data, ...data))).toBe(true);
    expect(stream.ended).toBe(true);
  });

  it('refuses a forward to somewhere else', async () => {
    const { network } = setUp({}, [
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 1, guestAddress: '192.168.0.1', guestPort: 22 },
    ]);
    await expect(network.listen()).rejects.toThrow('10.0.2.0/24');
  });
});

describe('hostile frames', () => {
  it('survives generated and damaged ones', () => {
    const { guest, clock, sockets, network } = setUp();
    sockets.answer = (stream) => {
      if (stream.port % 2) stream.events.connected();
    };
    const samples: Uint8Array<ArrayBuffer>[] = [];
    const record = { ...COMPLETE };
    const socket = guest.connect(GATEWAY, 81);
    const send = network.send.bind(network);
    network.send = (frame, hints) => {
      if (samples.length < 60) samples.push(frame.slice());
      send(frame, hints);
    };
    socket.send(noise(1, 5000));
    guest.sendArp(1, GATEWAY);
    guest.sendUdp(GATEWAY, 5000, 67, noise(2, 300));
    guest.emit(guest.ipFrame(GATEWAY, 17, noise(3, 80), GUEST_ADDRESS, 0x2000));
    clock.pass(10);
    const word = randomWords(99);
    for (let n = 0; n < 100_000; n++) {
      const sample = samples[word() % samples.length].slice(0, 14 + (word() % 120));
      for (let flips = word() % 6; flips > 0; flips--) sample[word() % sample.length] = word();
      if (sample.length >= 34 && word() % 2) {
        // A right header sum, so that the damage gets further in.
        sample.set([0, 0], 24);
        let sum = 0;
        for (let at = 14; at < 34; at += 2) sum += u16(sample, at);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = 0xffff ^ ((sum & 0xffff) + (sum >> 16));
        sample.set([sum >> 8, sum & 0xff], 24);
      }
      const partial = word() % 2 === 0;
      const hints = partial
        ? {
            checksum: 'partial' as const,
            checksumStart: word() % 200,
            checksumOffset: word() % 30,
            segmentBytes: word() % 300,
          }
        : record;
      network.send(sample, hints);
      if (n % 100 === 0) {
        network.sent();
        clock.pass(word() % 300);
      }
    }
    clock.settle();
    const { tcpConnections, udpFlows, malformed } = network.statistics();
    expect(malformed).toBeGreaterThan(10_000);
    expect(tcpConnections).toBeLessThanOrEqual(1024);
    expect(udpFlows).toBeLessThanOrEqual(512);
    network.close();
    expect(sockets.streams.filter(({ destroyed, ended }) => !destroyed && !ended)).toEqual([]);
  });
});
