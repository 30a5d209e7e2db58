// A guest for tests of the built-in network: a small ARP, UDP and TCP stack, written apart from the one under test and
// simpler: it sends one window, waits, and starts over from the first unacknowledged byte. Also a clock that tests move, and
// sockets of a host that is not there.

import type { HostSockets, HostStream, HostStreamEvents } from '../../src/backends/net/host-sockets.ts';
import type { FrameHints, NetBackend, NetPort, Offloads } from '../../src/backends/net/net-backend.ts';
import { COMPLETE } from '../../src/backends/net/net-backend.ts';
import { wireFrames } from '../../src/backends/net/offload.ts';
import {
  addToSum,
  type Bytes,
  foldSum,
  parseIpv4Packet,
  parseTcp,
  parseUdp,
  pseudoSum,
  putEthernet,
  putIpv4,
  putU16,
  putU32,
  type TcpSegment,
  transportSumRight,
  type UdpDatagram,
  u16,
  u32,
} from '../../src/backends/net/packet.ts';
import { type DeviceClock, Done, type HostEvents } from '../../src/device/ports.ts';

export class FakeClock implements DeviceClock, HostEvents {
  now = 0;
  private timers: { deadline: number; action: () => void }[] = [];
  private posted: (() => void)[] = [];

  nowNs(): number {
    return this.now;
  }

  at(deadline: number, action: () => void): () => void {
    const timer = { deadline, action };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  atOrIdle(deadline: number, action: () => void): () => void {
    return this.at(deadline, action);
  }

  post(action: () => void): void {
    this.posted.push(action);
  }

  finish<Result>(work: Promise<Result> | Done<Result>, action: (result: Result) => void): void {
    const done = work instanceof Done ? Promise.resolve(work.result) : work;
    void done.then((result) => this.post(() => action(result)));
  }

  get timerCount(): number {
    return this.timers.length;
  }

  /** Runs what was posted, and what that posts. */
  settle(): void {
    for (let rounds = 0; this.posted.length > 0; rounds++) {
      if (rounds > 1e6) throw new Error('events without end');
      this.posted.shift()!();
    }
  }

  /** Time passes; timers fire in order. */
  pass(ms: number): void {
    const end = this.now + ms * 1e6;
    for (;;) {
      this.settle();
      const next = this.timers.filter(({ deadline }) => deadline <= end).sort((a, b) => a.deadline - b.deadline)[0];
      if (!next) break;
      this.now = Math.max(this.now, next.deadline);
      this.timers = this.timers.filter((other) => other !== next);
      next.action();
    }
    this.now = end;
    this.settle();
  }
}

/** The host's end of a connection of the fake host. */
export class FakeStream implements HostStream {
  readonly events: HostStreamEvents;
  readonly address: string;
  readonly port: number;
  received: Bytes[] = [];
  receivedBytes = 0;
  ended = false;
  paused = false;
  destroyed = false;
  /** False: written bytes stay with the socket until `drain`. */
  taking = true;
  private held = 0;

  constructor(address: string, port: number, events: HostStreamEvents) {
    this.address = address;
    this.port = port;
    this.events = events;
  }

  write(bytes: Bytes): void {
    this.received.push(bytes.slice());
    this.receivedBytes += bytes.length;
    if (this.taking) this.events.written(bytes.length);
    else this.held += bytes.length;
  }

  get heldBytes(): number {
    return this.held;
  }

  drain(): void {
    this.taking = true;
    const { held } = this;
    this.held = 0;
    this.events.written(held);
  }

  all(): Bytes {
    return joined(this.received);
  }

  end(): void {
    this.ended = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

export class FakeSockets implements HostSockets {
  readonly streams: FakeStream[] = [];
  /** What becomes of a connection attempt. */
  answer: (stream: FakeStream) => void = (stream) => stream.events.connected();
  readonly datagrams: { address: string; port: number; bytes: Bytes; reply: (bytes: Bytes) => void }[] = [];
  refuseUdp = false;
  openUdp = 0;
  accept: ((stream: HostStream) => HostStreamEvents) | undefined;
  udpServer: ((bytes: Bytes, address: string, port: number) => void) | undefined;
  readonly udpReplies: { bytes: Bytes; address: string; port: number }[] = [];

  connectTcp(address: string, port: number, events: HostStreamEvents): HostStream {
    const stream = new FakeStream(address, port, events);
    this.streams.push(stream);
    this.answer(stream);
    return stream;
  }

  async listenTcp(_address: string, port: number, accept: (stream: HostStream) => HostStreamEvents) {
    this.accept = accept;
    return { port, close() {} };
  }

  /** Somebody connects to the forwarded port. */
  arrive(): FakeStream {
    const holder: { events?: HostStreamEvents } = {};
    const stream = new FakeStream('127.0.0.1', 1, {
      connected() {},
      data: (bytes) => holder.events?.data(bytes),
      written: (lenBytes) => holder.events?.written(lenBytes),
      ended: () => holder.events?.ended(),
      failed: (reason) => holder.events?.failed(reason),
    });
    holder.events = this.accept!(stream);
    return stream;
  }

  connectUdp(address: string, port: number, events: { data(bytes: Bytes): void; failed(reason: 'refused'): void }) {
    this.openUdp++;
    return {
      send: (bytes: Uint8Array) => {
        if (this.refuseUdp) events.failed('refused');
        else this.datagrams.push({ address, port, bytes: new Uint8Array(bytes), reply: (back) => events.data(back) });
      },
      close: () => {
        this.openUdp--;
      },
    };
  }

  async bindUdp(_address: string, port: number, data: (bytes: Bytes, address: string, port: number) => void) {
    this.udpServer = data;
    return {
      port,
      close() {},
      send: (bytes: Uint8Array, address: string, toPort: number) => {
        this.udpReplies.push({ bytes: new Uint8Array(bytes), address, port: toPort });
      },
    };
  }

  nameServers() {
    return [{ address: '127.0.0.1', port: 5300 }];
  }
}

export const GUEST_MAC: Bytes = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
export const GUEST_ADDRESS = 0x0a00020f;
const HOST_MAC: Bytes = Uint8Array.of(0x52, 0x55, 0x0a, 0, 2, 2);

export interface FakeGuestOptions {
  readonly offloads?: Offloads;
  /** True loses the frame. */
  readonly lose?: (toGuest: boolean) => boolean;
  /** A number of milliseconds to be late. */
  readonly delay?: (toGuest: boolean) => number;
  readonly window?: number;
  readonly mss?: number;
}

export class FakeGuest implements NetPort {
  readonly offloads: Offloads;
  ready = true;
  readonly network: NetBackend;
  readonly clock: FakeClock;
  readonly options: FakeGuestOptions;
  readonly frames: { frame: Bytes; hints: FrameHints }[] = [];
  readonly datagrams: (UdpDatagram & { source: number; destination: number })[] = [];
  readonly icmp: Bytes[] = [];
  readonly arpReplies: Bytes[] = [];
  readonly sockets = new Map<string, FakeSocket>();
  /** Ports that take connections. */
  readonly listening = new Set<number>();
  wrongSums = 0;
  private id = 1;

  constructor(network: NetBackend, clock: FakeClock, options: FakeGuestOptions = {}) {
    this.network = network;
    this.clock = clock;
    this.options = options;
    this.offloads = options.offloads ?? { checksum: false, tcp4: false };
    network.connect(this);
  }

  setLink(): void {}

  receive(frame: Bytes, hints: FrameHints): boolean {
    this.frames.push({ frame, hints });
    if (this.frames.length > 200) this.frames.shift();
    if (hints.segmentBytes > 0 && !this.offloads.tcp4) throw new Error('a large segment was not asked for');
    if (hints.checksum === 'partial' && !this.offloads.checksum) throw new Error('a partial sum was not asked for');
    for (const each of wireFrames(frame, hints)) {
      if (each.length > 1514) throw new Error(`a frame of ${each.length} bytes on the wire`);
      this.travel(true, () => this.take(each));
    }
    return true;
  }

  /** A frame to the network, on its way. */
  emit(frame: Bytes, hints: FrameHints = COMPLETE): void {
    this.travel(false, () => {
      this.network.send(frame, hints);
      this.network.sent?.();
    });
  }

  private travel(toGuest: boolean, arrive: () => void): void {
    if (this.options.lose?.(toGuest)) return;
    const late = this.options.delay?.(toGuest) ?? 0;
    if (late > 0) this.clock.at(this.clock.now + late * 1e6, arrive);
    else this.clock.post(arrive);
  }

  private take(frame: Bytes): void {
    if (u16(frame, 12) === 0x0806) {
      if (u16(frame, 20) === 2) this.arpReplies.push(frame);
      else if (u32(frame, 38) === GUEST_ADDRESS) this.sendArp(2, u32(frame, 28));
      return;
    }
    const packet = parseIpv4Packet(frame);
    if (!packet) throw new Error('the network sent a malformed packet');
    if (packet.protocol !== 1 && !packet.moreFragments && !packet.fragmentOffset && !transportSumRight(packet)) {
      this.wrongSums++;
      return;
    }
    if (packet.protocol === 1) this.icmp.push(frame.slice(packet.from, packet.to));
    else if (packet.protocol === 17) {
      const datagram = parseUdp(packet);
      if (datagram) this.datagrams.push({ ...datagram, source: packet.source, destination: packet.destination });
    } else {
      const segment = parseTcp(packet)!;
      const key = `${segment.destinationPort}|${packet.source}:${segment.sourcePort}`;
      let socket = this.sockets.get(key);
      if (!socket && segment.flags === 2 && this.listening.has(segment.destinationPort)) {
        socket = new FakeSocket(this, segment.destinationPort, packet.source, segment.sourcePort);
        this.sockets.set(key, socket);
      }
      socket?.segment(segment);
    }
  }

  sendArp(operation: number, target: number): void {
    const frame = new Uint8Array(60);
    putEthernet(frame, operation === 1 ? new Uint8Array(6).fill(255) : HOST_MAC, GUEST_MAC, 0x0806);
    frame.set([0, 1, 8, 0, 6, 4, 0, operation], 14);
    frame.set(GUEST_MAC, 22);
    putU32(frame, 28, GUEST_ADDRESS);
    putU32(frame, 38, target);
    this.emit(frame);
  }

  ipFrame(destination: number, protocol: number, payload: Bytes, source = GUEST_ADDRESS, fragment = 0): Bytes {
    const frame = new Uint8Array(34 + payload.length);
    putEthernet(frame, HOST_MAC, GUEST_MAC, 0x0800);
    frame.set(payload, 34);
    putIpv4(frame, 14, { source, destination, protocol, id: fragment === 0 ? this.id++ : this.id, fragment });
    return frame;
  }

  udpPayload(source: number, destination: number, from: number, to: number, payload: Uint8Array): Bytes {
    const datagram = new Uint8Array(8 + payload.length);
    putU16(datagram, 0, from);
    putU16(datagram, 2, to);
    putU16(datagram, 4, datagram.length);
    datagram.set(payload, 8);
    const sum = addToSum(pseudoSum(source, destination, 17, datagram.length), datagram, 0, datagram.length);
    putU16(datagram, 6, 0xffff ^ foldSum(sum) || 0xffff);
    return datagram;
  }

  sendUdp(destination: number, from: number, to: number, payload: Uint8Array, source = GUEST_ADDRESS): void {
    this.emit(this.ipFrame(destination, 17, this.udpPayload(source, destination, from, to, payload), source));
  }

  connect(destination: number, port: number, from = 40000): FakeSocket {
    const socket = new FakeSocket(this, from, destination, port);
    this.sockets.set(`${from}|${destination}:${port}`, socket);
    socket.open();
    return socket;
  }
}

/** One connection of the fake guest. */
export class FakeSocket {
  state: 'closed' | 'syn-sent' | 'syn-received' | 'open' | 'reset' = 'closed';
  received: Bytes[] = [];
  receivedBytes = 0;
  /** The other side has sent its FIN. */
  ended = false;
  /** Our FIN is acknowledged. */
  finished = false;
  window: number;
  segments = 0;
  peerWindow = 0;
  private readonly guest: FakeGuest;
  private readonly port: number;
  private readonly address: number;
  private readonly remotePort: number;
  private iss = 1000;
  private una = 1000;
  private nxt = 1000;
  private rcv = 0;
  private data: Bytes = new Uint8Array(0);
  private sent = 0;
  private finWanted = false;
  private scale = 0;
  private peerMss = 536;
  private timer: (() => void) | undefined;

  constructor(guest: FakeGuest, port: number, address: number, remotePort: number) {
    this.guest = guest;
    this.port = port;
    this.address = address;
    this.remotePort = remotePort;
    this.window = guest.options.window ?? 60000;
  }

  all(): Bytes {
    return joined(this.received);
  }

  /** Bytes that the other side has acknowledged. */
  get acknowledged(): number {
    return Math.max(0, (this.una - this.iss - 1) | 0);
  }

  open(): void {
    this.state = 'syn-sent';
    this.put(2, this.iss, undefined, true);
    this.arm();
  }

  send(bytes: Uint8Array): void {
    this.data = joined([this.data, new Uint8Array(bytes)]);
    this.push();
  }

  close(): void {
    this.finWanted = true;
    this.push();
  }

  reset(): void {
    this.put(4 | 16, this.nxt);
    this.state = 'reset';
    this.timer?.();
  }

  /** Says how much room there is now. */
  setWindow(bytes: number): void {
    this.window = bytes;
    if (this.state === 'open') this.put(16, this.nxt);
  }

  segment(segment: TcpSegment): void {
    this.segments++;
    if (this.state === 'reset') return;
    if (segment.flags & 4) {
      this.state = 'reset';
      this.timer?.();
      return;
    }
    if (segment.flags & 2) {
      this.rcv = (segment.seq + 1) >>> 0;
      this.peerMss = segment.mss ?? 536;
      this.scale = segment.windowScale ?? 0;
      if (this.state === 'closed' || this.state === 'syn-received') {
        this.state = 'syn-received';
        this.put(2 | 16, this.iss, undefined, true);
        this.nxt = this.iss + 1;
        return;
      }
      if (this.state === 'syn-sent') {
        this.una = this.nxt = this.iss + 1;
        this.state = 'open';
      }
      this.peerWindow = segment.window;
      this.put(16, this.nxt);
      this.push();
      return;
    }
    if (this.state === 'syn-received' && segment.ack === this.iss + 1) {
      this.una = this.nxt;
      this.state = 'open';
    }
    if (this.state !== 'open') return;
    const gained = (segment.ack - this.una) | 0;
    if (gained >= 0) {
      this.peerWindow = segment.window * 2 ** this.scale;
      this.una = segment.ack;
      if (((this.nxt - this.una) | 0) < 0) this.nxt = this.una;
      const data = Math.min(gained, this.data.length);
      if (gained > data && this.finWanted) this.finished = true;
      this.data = this.data.slice(data);
      this.sent += data;
    }
    const length = segment.payload.length + (segment.flags & 1);
    if (length > 0) {
      const skip = (this.rcv - segment.seq) | 0;
      const room = Math.min(segment.payload.length, Math.max(0, skip) + this.window);
      // Like any small stack: what comes early or does not fit is thrown away.
      if (skip >= 0 && skip <= segment.payload.length && !this.ended) {
        const fresh = segment.payload.slice(skip, room);
        this.received.push(fresh);
        this.receivedBytes += fresh.length;
        this.rcv = (this.rcv + fresh.length) >>> 0;
        if (segment.flags & 1 && room === segment.payload.length) {
          this.rcv = (this.rcv + 1) >>> 0;
          this.ended = true;
        }
      }
      this.put(16, this.nxt);
    }
    this.push();
  }

  private push(): void {
    if (this.state !== 'open') return;
    const end = this.una + Math.min(this.data.length, this.peerWindow);
    while (this.nxt < end) {
      const at = this.nxt - this.una;
      const part = this.data.slice(
        at,
        Math.min(at + Math.min(this.peerMss, this.guest.options.mss ?? 1460), end - this.una),
      );
      this.put(16, this.nxt, part);
      this.nxt += part.length;
    }
    if (this.finWanted && !this.finished && this.nxt === this.una + this.data.length) {
      this.put(17, this.nxt);
      this.nxt++;
    }
    this.arm();
  }

  private arm(): void {
    this.timer?.();
    this.timer = undefined;
    const idle = this.state === 'open' && this.nxt === this.una && this.data.length === 0;
    if (idle || this.state === 'reset') return;
    this.timer = this.guest.clock.at(this.guest.clock.now + 400e6, () => {
      this.timer = undefined;
      if (this.state === 'syn-sent') this.put(2, this.iss, undefined, true);
      else if (this.state === 'open') {
        this.nxt = this.una;
        if (this.peerWindow === 0 && this.data.length > 0) this.put(16, this.una, this.data.slice(0, 1));
        this.push();
      }
      this.arm();
    });
  }

  private put(flags: number, seq: number, payload: Bytes = new Uint8Array(0), syn = false): void {
    const options = syn ? 4 : 0;
    const tcp = new Uint8Array(20 + options + payload.length);
    putU16(tcp, 0, this.port);
    putU16(tcp, 2, this.remotePort);
    putU32(tcp, 4, seq);
    putU32(tcp, 8, flags & 16 ? this.rcv : 0);
    tcp[12] = ((20 + options) / 4) << 4;
    tcp[13] = flags;
    putU16(tcp, 14, Math.min(65535, this.window));
    // Large windows towards us stay below 64 KiB: the guest scales its own by 0, so that ours is scaled too.
    if (syn) tcp.set([3, 3, 0, 1], 20);
    tcp.set(payload, 20 + options);
    const sum = addToSum(pseudoSum(GUEST_ADDRESS, this.address, 6, tcp.length), tcp, 0, tcp.length);
    putU16(tcp, 16, 0xffff ^ foldSum(sum));
    this.guest.emit(this.guest.ipFrame(this.address, 6, tcp));
  }
}

export function joined(parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
