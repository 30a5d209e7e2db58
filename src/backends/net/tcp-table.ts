// The TCP connections of the built-in network: who belongs to which segment, frames around segments, and connections from
// forwarded ports of the host.

import type { DeviceClock } from '../../device/ports.ts';
import type { HostListener, HostSockets, HostStream, HostStreamEvents } from './host-sockets.ts';
import { COMPLETE, type FrameHints, type Offloads, VERIFIED } from './net-backend.ts';
import {
  addToSum,
  type Bytes,
  ETHER_BYTES,
  ETHERTYPE,
  foldSum,
  IPV4_BYTES,
  type Ipv4Packet,
  PROTOCOL,
  pseudoSum,
  putEthernet,
  putIpv4,
  putU16,
  putU32,
  TCP_BYTES,
  TCP_FLAG,
  type TcpSegment,
} from './packet.ts';
import { type OutgoingSegment, TcpConnection, type TcpEndpoints, type TcpHost } from './tcp-connection.ts';
import { GATEWAY, GATEWAY_MAC, type HostPlace, MTU, UNREACHABLE } from './user-layout.ts';

/** Connections at a time. Beyond, one that is closing makes room, or a new one is refused. */
const MAX_CONNECTIONS = 1024;
const WIRE_MSS = MTU - IPV4_BYTES - TCP_BYTES;
const LARGEST_PAYLOAD = 65535 - IPV4_BYTES - TCP_BYTES;
const FIRST_PORT = 49152;
const PORTS = 16384;
const CHECKSUM_OF_TCP = 16;
/** Data of one connection that may wait for a turn boundary. */
const MAX_WAITING_BYTES = 512 * 1024;

/** What the tables use of the network. */
export interface NetworkPort {
  readonly guestOffloads: Offloads;
  readonly canEmit: boolean;
  placeOf(address: number, port: number): HostPlace;
  macOf(address: number): Bytes | undefined;
  emit(frame: Bytes, hints: FrameHints): void;
  sendUnreachable(packet: Ipv4Packet, code: number): void;
  takeId(): number;
}

export interface TcpTableOptions {
  readonly clock: DeviceClock;
  readonly post: (action: () => void) => void;
  readonly sockets: HostSockets;
  readonly network: NetworkPort;
}

export class TcpTable implements TcpHost {
  private readonly options: TcpTableOptions;
  private readonly connections = new Map<string, TcpConnection>();
  private readonly unflushed = new Set<TcpConnection>();
  /** Accepted on a forwarded port, and not yet told to the machine, which may never come to that. */
  private readonly arriving = new Set<HostStream>();
  private ended = 0;
  private closed = false;
  private nextPort = 0;
  private nextIss = 1;

  constructor(options: TcpTableOptions) {
    this.options = options;
  }

  get size(): number {
    return this.connections.size;
  }

  get retransmissions(): number {
    let sum = this.ended;
    for (const connection of this.connections.values()) sum += connection.retransmissions;
    return sum;
  }

  // --- the guest's segments ---------------------------------------------------------------------------------------

  segment(packet: Ipv4Packet, segment: TcpSegment): void {
    const endpoints: TcpEndpoints = {
      guestAddress: packet.source,
      guestPort: segment.sourcePort,
      address: packet.destination,
      port: segment.destinationPort,
    };
    const known = this.connections.get(keyOf(endpoints));
    const isSyn = (segment.flags & (TCP_FLAG.syn | TCP_FLAG.ack | TCP_FLAG.rst)) === TCP_FLAG.syn;
    if (known && isSyn && known.state === 'time-wait') known.drop();
    else if (known && isSyn && known.state === 'connecting') return;
    else if (known) {
      known.segment(segment);
      return;
    }
    if (isSyn) this.connect(endpoints, packet, segment);
    else this.refuse(endpoints, segment);
  }

  private connect(endpoints: TcpEndpoints, packet: Ipv4Packet, segment: TcpSegment): void {
    const place = this.options.network.placeOf(endpoints.address, endpoints.port);
    if (place === 'prohibited' || endpoints.port === 0 || !this.makeRoom()) {
      this.refuse(endpoints, segment);
      return;
    }
    const connection = new TcpConnection(this, endpoints, this.newIss(), WIRE_MSS, 'connecting');
    connection.takeSyn(segment);
    this.connections.set(keyOf(endpoints), connection);
    connection.stream = this.options.sockets.connectTcp(
      place.address,
      place.port,
      this.eventsFor(connection, (reason) => {
        if (connection.state === 'connecting' && reason !== 'refused' && reason !== 'reset') {
          this.options.network.sendUnreachable(packet, UNREACHABLE.host);
          connection.drop();
        } else connection.hostFailed(reason);
      }),
    );
  }

  /** The host's events, brought to a turn boundary. */
  private eventsFor(
    connection: TcpConnection,
    failed: HostStreamEvents['failed'] = (reason) => connection.hostFailed(reason),
  ): HostStreamEvents {
    const { post } = this.options;
    // While no turn boundary comes, as in a machine that is paused, a bounded amount waits for it.
    let waitingBytes = 0;
    let held = false;
    return {
      connected: () => post(() => connection.hostConnected()),
      data: (bytes) => {
        waitingBytes += bytes.length;
        if (!held && waitingBytes > MAX_WAITING_BYTES) {
          held = true;
          connection.stream?.pause();
        }
        post(() => {
          waitingBytes -= bytes.length;
          connection.hostData(bytes);
          if (!held || waitingBytes > 0) return;
          held = false;
          connection.resumeStream();
        });
      },
      written: (lenBytes) => post(() => connection.hostWritten(lenBytes)),
      ended: () => post(() => connection.hostEnded()),
      failed: (reason) => post(() => failed(reason)),
    };
  }

  /** True if there is room for one more connection. */
  private makeRoom(): boolean {
    if (this.connections.size < MAX_CONNECTIONS) return true;
    for (const connection of this.connections.values()) {
      if (!connection.expendable) continue;
      connection.abort();
      return true;
    }
    return false;
  }

  /** Answers a segment that belongs to no connection (RFC 9293 3.10.7.1). */
  private refuse(endpoints: TcpEndpoints, segment: TcpSegment): void {
    const { flags, seq, ack, payload } = segment;
    if (flags & TCP_FLAG.rst) return;
    const length = payload.length + (flags & TCP_FLAG.syn ? 1 : 0) + (flags & TCP_FLAG.fin ? 1 : 0);
    const acked = (flags & TCP_FLAG.ack) !== 0;
    this.put(endpoints, WIRE_MSS, {
      seq: acked ? ack : 0,
      ack: acked ? 0 : (seq + length) >>> 0,
      flags: acked ? TCP_FLAG.rst : TCP_FLAG.rst | TCP_FLAG.ack,
      window: 0,
      payloadBytes: 0,
      fill: undefined,
      windowScale: -1,
    });
  }

  flush(): void {
    if (this.unflushed.size === 0) return;
    const waiting = [...this.unflushed];
    this.unflushed.clear();
    for (const connection of waiting) connection.flush();
  }

  wake(): void {
    for (const connection of [...this.connections.values()]) {
      if (!this.ready) return;
      connection.wake();
    }
  }

  clear(): void {
    for (const connection of [...this.connections.values()]) connection.drop();
  }

  /** Nothing more is taken on. */
  close(): void {
    this.closed = true;
    this.clear();
    for (const stream of this.arriving) stream.destroy();
    this.arriving.clear();
  }

  /** A port of the host whose connections go to the guest. Rejects as HostSockets.listenTcp. */
  listen(hostAddress: string, hostPort: number, guestAddress: number, guestPort: number): Promise<HostListener> {
    return this.options.sockets.listenTcp(hostAddress, hostPort, (stream) => {
      if (this.closed) stream.destroy();
      else this.arriving.add(stream);
      const port = this.freePort(guestAddress, guestPort);
      const endpoints = { guestAddress, guestPort, address: GATEWAY, port };
      const connection = new TcpConnection(this, endpoints, this.newIss(), WIRE_MSS, 'syn-sent');
      this.options.post(() => {
        // Closed meanwhile: it is destroyed.
        if (!this.arriving.delete(stream)) return;
        if (this.connections.has(keyOf(endpoints)) || !this.makeRoom()) {
          stream.destroy();
          return;
        }
        this.connections.set(keyOf(endpoints), connection);
        connection.open(stream);
      });
      return this.eventsFor(connection);
    });
  }

  private freePort(guestAddress: number, guestPort: number): number {
    let port = FIRST_PORT;
    for (let tries = 0; tries < PORTS; tries++) {
      port = FIRST_PORT + (this.nextPort++ % PORTS);
      if (!this.connections.has(keyOf({ guestAddress, guestPort, address: GATEWAY, port }))) return port;
    }
    return port;
  }

  /** Any number does: who could guess it is on this side of the wire. */
  private newIss(): number {
    this.nextIss = (this.nextIss + 0x01000193 * 64) >>> 0;
    return this.nextIss;
  }

  // --- what connections need (TcpHost) ----------------------------------------------------------------------------

  nowNs(): number {
    return this.options.clock.nowNs();
  }

  at(deadlineNs: number, action: () => void): () => void {
    return this.options.clock.at(deadlineNs, action);
  }

  get ready(): boolean {
    return this.options.network.canEmit;
  }

  largestPayload(mss: number): number {
    const { checksum, tcp4 } = this.options.network.guestOffloads;
    return checksum && tcp4 ? LARGEST_PAYLOAD - (LARGEST_PAYLOAD % mss) : mss;
  }

  transmit(connection: TcpConnection, segment: OutgoingSegment): void {
    this.put(connection.endpoints, connection.mss, segment);
  }

  wantFlush(connection: TcpConnection): void {
    this.unflushed.add(connection);
  }

  removed(connection: TcpConnection): void {
    this.ended += connection.retransmissions;
    this.unflushed.delete(connection);
    const key = keyOf(connection.endpoints);
    if (this.connections.get(key) === connection) this.connections.delete(key);
  }

  private put({ guestAddress, guestPort, address, port }: TcpEndpoints, mss: number, segment: OutgoingSegment): void {
    const { network } = this.options;
    const mac = network.macOf(guestAddress);
    // Asked for; the retransmission will find it.
    if (!mac) return;
    const syn = (segment.flags & TCP_FLAG.syn) !== 0;
    const options = syn ? (segment.windowScale >= 0 ? 8 : 4) : 0;
    const tcp = ETHER_BYTES + IPV4_BYTES;
    const payload = tcp + TCP_BYTES + options;
    const frame = new Uint8Array(payload + segment.payloadBytes);
    putEthernet(frame, mac, GATEWAY_MAC, ETHERTYPE.ipv4);
    putIpv4(frame, ETHER_BYTES, {
      source: address,
      destination: guestAddress,
      protocol: PROTOCOL.tcp,
      id: network.takeId(),
    });
    putU16(frame, tcp, port);
    putU16(frame, tcp + 2, guestPort);
    putU32(frame, tcp + 4, segment.seq);
    putU32(frame, tcp + 8, segment.ack);
    frame[tcp + 12] = ((TCP_BYTES + options) / 4) << 4;
    frame[tcp + 13] = segment.flags;
    putU16(frame, tcp + 14, segment.window);
    if (syn) {
      putU32(frame, tcp + TCP_BYTES, 0x02040000 | WIRE_MSS);
      if (options === 8) putU32(frame, tcp + TCP_BYTES + 4, 0x01030300 | segment.windowScale);
    }
    segment.fill?.(frame.subarray(payload));
    const pseudo = pseudoSum(address, guestAddress, PROTOCOL.tcp, frame.length - tcp);
    if (segment.payloadBytes > 0 && network.guestOffloads.checksum) {
      putU16(frame, tcp + CHECKSUM_OF_TCP, foldSum(pseudo));
      network.emit(frame, {
        checksum: 'partial',
        checksumStart: tcp,
        checksumOffset: CHECKSUM_OF_TCP,
        segmentBytes: segment.payloadBytes > mss ? mss : 0,
      });
      return;
    }
    putU16(frame, tcp + CHECKSUM_OF_TCP, 0xffff ^ foldSum(addToSum(pseudo, frame, tcp, frame.length)));
    network.emit(frame, network.guestOffloads.checksum ? VERIFIED : COMPLETE);
  }
}

function keyOf({ guestAddress, guestPort, address, port }: TcpEndpoints): string {
  return `${guestAddress}:${guestPort}|${address}:${port}`;
}
