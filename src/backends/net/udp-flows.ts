// UDP through the NAT: a socket of the host for each pair of ports the guest uses, for as long as something is said, and
// forwarded ports of the host. Name-server queries that nobody answers because there is nobody get SERVFAIL at once.

import type { DeviceClock } from '../../device/ports.ts';
import type { HostDatagramServer, HostListener, HostSocketFailure, HostSockets } from './host-sockets.ts';
import type { Ipv4Packet, UdpDatagram } from './packet.ts';
import type { NetworkPort } from './tcp-table.ts';
import { GATEWAY, NAME_SERVER, UNREACHABLE, unreachableCode } from './user-layout.ts';

/** Flows at a time; a new one takes the place of the longest silent. */
const MAX_FLOWS = 512;
const IDLE_NS = 60e9;
const SWEEP_NS = 10e9;
const FIRST_PORT = 32768;
const PORTS = 16384;
/** Datagrams that may wait for a turn boundary. */
const MAX_WAITING = 1024;

interface Flow {
  readonly key: string;
  send(payload: Uint8Array): void;
  close(): void;
  lastNs: number;
  /** The latest datagram of the guest, for the errors it may cause. */
  last: Ipv4Packet | undefined;
}

interface Place {
  readonly address: number;
  readonly port: number;
}

export interface UdpFlowsOptions {
  readonly clock: DeviceClock;
  readonly post: (action: () => void) => void;
  readonly sockets: HostSockets;
  readonly network: NetworkPort & { sendUdp(from: Place, to: Place, payload: Uint8Array): void };
}

export class UdpFlows {
  private readonly options: UdpFlowsOptions;
  /** By key, the longest silent first. */
  private readonly flows = new Map<string, Flow>();
  private cancelSweep: (() => void) | undefined;
  private nextPort = 0;
  private waiting = 0;

  constructor(options: UdpFlowsOptions) {
    this.options = options;
  }

  get size(): number {
    return this.flows.size;
  }

  /** A datagram of the guest. */
  datagram(packet: Ipv4Packet, { sourcePort, destinationPort, payload }: UdpDatagram): void {
    const guest = { address: packet.source, port: sourcePort };
    const remote = { address: packet.destination, port: destinationPort };
    const flow = this.flows.get(keyOf(guest, remote)) ?? this.open(guest, remote, packet, payload);
    if (!flow) return;
    flow.last = packet;
    this.touch(flow);
    flow.send(payload);
  }

  private open(guest: Place, remote: Place, packet: Ipv4Packet, payload: Uint8Array): Flow | undefined {
    const { network, sockets } = this.options;
    const place = network.placeOf(remote.address, remote.port);
    if (place === 'prohibited' || remote.port === 0) {
      if (remote.address === NAME_SERVER && remote.port === 53) this.failQuery(guest, remote, payload);
      else network.sendUnreachable(packet, UNREACHABLE.prohibited);
      return undefined;
    }
    const key = keyOf(guest, remote);
    let query: Uint8Array = payload;
    const answer = (bytes: Uint8Array) => {
      const flow = this.flows.get(key);
      if (flow?.send !== send) return;
      this.touch(flow);
      network.sendUdp(remote, guest, bytes);
    };
    const failed = (reason: HostSocketFailure) => {
      const flow = this.flows.get(key);
      if (flow?.send !== send) return;
      if (remote.address === NAME_SERVER) this.failQuery(guest, remote, query);
      else if (flow.last) network.sendUnreachable(flow.last, unreachableCode(reason));
      this.drop(flow);
    };
    const socket = sockets.connectUdp(place.address, place.port, {
      data: (bytes) => this.post(() => answer(bytes)),
      failed: (reason) => this.post(() => failed(reason)),
    });
    const send = (bytes: Uint8Array) => {
      query = bytes;
      socket.send(bytes);
    };
    return this.add({ key, send, close: () => socket.close(), lastNs: 0, last: undefined });
  }

  /** Answers a query with "server failure" (RFC 1035 4.1.1), so that the guest need not wait. */
  private failQuery(guest: Place, server: Place, query: Uint8Array): void {
    if (query.length < 12 || query[2] & 0x80) return;
    const answer = query.slice();
    answer[2] |= 0x80;
    answer[3] = 0x80 | 2;
    this.options.network.sendUdp(server, guest, answer);
  }

  /** A port of the host whose datagrams go to the guest. Rejects as HostSockets.bindUdp. */
  async listen(hostAddress: string, hostPort: number, guestAddress: number, guestPort: number): Promise<HostListener> {
    const guest = { address: guestAddress, port: guestPort };
    /** Flow of each peer of the host. */
    const peers = new Map<string, { flow: Flow; remote: Place }>();
    let server: (HostListener & HostDatagramServer) | undefined;
    const arrived = (bytes: Uint8Array, address: string, port: number) => {
      const name = `${address}:${port}`;
      let peer = peers.get(name);
      if (!peer) {
        const remote = { address: GATEWAY, port: this.freePort(guest) };
        const flow = this.add({
          key: keyOf(guest, remote),
          send: (payload) => server?.send(payload, address, port),
          close: () => peers.delete(name),
          lastNs: 0,
          last: undefined,
        });
        peer = { flow, remote };
        peers.set(name, peer);
      }
      this.touch(peer.flow);
      this.options.network.sendUdp(peer.remote, guest, bytes);
    };
    server = await this.options.sockets.bindUdp(hostAddress, hostPort, (bytes, address, port) =>
      this.post(() => arrived(bytes, address, port)),
    );
    return server;
  }

  clear(): void {
    for (const flow of [...this.flows.values()]) this.drop(flow);
    this.cancelSweep?.();
    this.cancelSweep = undefined;
  }

  /** Brings what the host has to a turn boundary; while none comes, a bounded number waits and the rest is lost. */
  private post(action: () => void): void {
    if (this.waiting >= MAX_WAITING) return;
    this.waiting++;
    this.options.post(() => {
      this.waiting--;
      action();
    });
  }

  private freePort(guest: Place): number {
    let port = FIRST_PORT;
    for (let tries = 0; tries < PORTS; tries++) {
      port = FIRST_PORT + (this.nextPort++ % PORTS);
      if (!this.flows.has(keyOf(guest, { address: GATEWAY, port }))) return port;
    }
    return port;
  }

  private add(flow: Flow): Flow {
    if (this.flows.size >= MAX_FLOWS) this.drop(this.flows.values().next().value!);
    this.flows.set(flow.key, flow);
    this.scheduleSweep();
    return flow;
  }

  /** Moves the flow behind all others. */
  private touch(flow: Flow): void {
    flow.lastNs = this.options.clock.nowNs();
    if (!this.flows.delete(flow.key)) this.scheduleSweep();
    this.flows.set(flow.key, flow);
  }

  private drop(flow: Flow): void {
    if (this.flows.get(flow.key) === flow) this.flows.delete(flow.key);
    flow.close();
  }

  private scheduleSweep(): void {
    const { clock } = this.options;
    this.cancelSweep ??= clock.at(clock.nowNs() + SWEEP_NS, () => {
      this.cancelSweep = undefined;
      const now = clock.nowNs();
      for (const flow of [...this.flows.values()]) if (now - flow.lastNs > IDLE_NS) this.drop(flow);
      if (this.flows.size > 0) this.scheduleSweep();
    });
  }
}

function keyOf(guest: Place, remote: Place): string {
  return `${guest.address}:${guest.port}|${remote.address}:${remote.port}`;
}
