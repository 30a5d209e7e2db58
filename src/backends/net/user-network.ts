// `user`: a small IPv4 network behind a NAT, without privileges on any host. The guest's TCP connections end here and go on
// as sockets of the host; UDP likewise; DHCP, ARP and echo requests to the network's own hosts are answered here.
//
//   10.0.2.0/24   the network        10.0.2.2   gateway; TCP and UDP to it reach the host's loopback address
//   10.0.2.3      name server: queries go to the host's own                 10.0.2.15  the first guest, then .16 ...
//
// Left out: IPv6 (counted and dropped), echo to the world beyond (needs a privileged socket; answered with "administratively
// prohibited"), inbound UDP from peers the guest has not written to, except through forwarded ports.

import type { DeviceClock, HostEvents } from '../../device/ports.ts';
import { PowervisorError } from '../../util/errors.ts';
import { DhcpServer } from './dhcp.ts';
import { datagramFrames, Reassembly } from './fragments.ts';
import type { HostListener, HostSockets } from './host-sockets.ts';
import { COMPLETE, type FrameHints, type NetBackend, type NetPort, type Offloads, VERIFIED } from './net-backend.ts';
import { completeChecksum, hintsFit } from './offload.ts';
import {
  addToSum,
  BROADCAST_MAC,
  type Bytes,
  ETHERTYPE,
  foldSum,
  formatIpv4,
  type Ipv4Packet,
  PROTOCOL,
  parseIpv4,
  parseIpv4Packet,
  parseTcp,
  parseUdp,
  pseudoSum,
  putEthernet,
  putU16,
  putU32,
  transportSumRight,
  UDP_BYTES,
  u16,
  u32,
} from './packet.ts';
import { TcpTable } from './tcp-table.ts';
import { UdpFlows } from './udp-flows.ts';
import {
  FIRST_GUEST,
  GATEWAY,
  GATEWAY_MAC,
  type HostPlace,
  MTU,
  NAME_SERVER,
  NETWORK,
  NETWORK_MASK,
  UNREACHABLE,
} from './user-layout.ts';

const MAX_GUESTS = 32;
const MAX_NEIGHBOURS = 64;
const LOOPBACK = '127.0.0.1';
const ICMP_ECHO = 8;
const DNS_PORT = 53;

/** A port of the host whose connections reach the guest. */
export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  /** Of the host; 0 takes a free port. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestAddress: string;
  readonly guestPort: number;
}

export interface UserNetworkOptions {
  readonly clock: DeviceClock;
  readonly events: HostEvents;
  readonly sockets: HostSockets;
  readonly warn: (message: string) => void;
  readonly forwards?: readonly PortForward[];
  /** Name server instead of the host's own. */
  readonly nameServer?: { readonly address: string; readonly port: number };
}

export class UserNetwork implements NetBackend {
  readonly name = 'user';
  readonly offloads: Offloads = { checksum: true, tcp4: true };
  /** Frames of the guest that were dropped, by why. */
  readonly counters = { malformed: 0, unsupported: 0, prohibited: 0, dropped: 0 };
  private readonly options: UserNetworkOptions;
  private readonly dhcp = new DhcpServer({
    server: GATEWAY,
    mask: NETWORK_MASK,
    router: GATEWAY,
    nameServer: NAME_SERVER,
    firstAddress: FIRST_GUEST,
    addressCount: MAX_GUESTS,
  });
  private readonly neighbours = new Map<number, Bytes>();
  private readonly reassembly: Reassembly;
  private readonly tcp: TcpTable;
  private readonly udp: UdpFlows;
  private readonly listeners = new Map<PortForward, HostListener>();
  private port: NetPort | undefined;
  private nextId = 1;
  private closed = false;

  constructor(options: UserNetworkOptions) {
    this.options = options;
    const { clock, events, sockets } = options;
    const post = (action: () => void) => events.post(action);
    this.reassembly = new Reassembly(clock);
    this.tcp = new TcpTable({ clock, post, sockets, network: this });
    this.udp = new UdpFlows({ clock, post, sockets, network: this });
  }

  connect(port: NetPort): void {
    this.port = port;
  }

  /** Opens the forwarded ports. Rejects with a PowervisorError that names one that cannot be had. */
  async listen(): Promise<void> {
    for (const forward of this.options.forwards ?? []) {
      const guest = parseIpv4(forward.guestAddress);
      if (
        guest === undefined ||
        (guest & NETWORK_MASK) >>> 0 !== NETWORK ||
        guest === GATEWAY ||
        guest === NAME_SERVER
      ) {
        throw new PowervisorError(
          'NET',
          `A port cannot be forwarded to ${forward.guestAddress}: a guest is in 10.0.2.0/24.`,
        );
      }
      const table = forward.protocol === 'tcp' ? this.tcp : this.udp;
      this.listeners.set(forward, await table.listen(forward.hostAddress, forward.hostPort, guest, forward.guestPort));
    }
  }

  /** The port of the host that a forward listens on. */
  portOf(forward: PortForward): number | undefined {
    return this.listeners.get(forward)?.port;
  }

  // --- frames of the guest ----------------------------------------------------------------------------------------

  send(frame: Bytes, hints: FrameHints): void {
    if (this.closed) return;
    const type = u16(frame, 12);
    if (type === ETHERTYPE.arp) this.takeArp(frame);
    else if (type === ETHERTYPE.ipv4) this.takeIpv4(frame, hints);
    else this.counters.unsupported++;
  }

  sent(): void {
    this.tcp.flush();
  }

  ready(): void {
    this.tcp.wake();
  }

  reset(): void {
    this.tcp.clear();
    this.udp.clear();
    this.reassembly.clear();
  }

  close(): void {
    this.closed = true;
    this.tcp.close();
    this.udp.clear();
    for (const listener of this.listeners.values()) listener.close();
    this.listeners.clear();
  }

  statistics(): Readonly<Record<string, number>> {
    return {
      ...this.counters,
      tcpConnections: this.tcp.size,
      tcpRetransmissions: this.tcp.retransmissions,
      udpFlows: this.udp.size,
    };
  }

  private takeArp(frame: Bytes): void {
    if (frame.length < 42 || u32(frame, 14) !== 0x00010800 || u16(frame, 18) !== 0x0604) {
      this.counters.malformed++;
      return;
    }
    const [operation, senderMac, sender, target] = [
      u16(frame, 20),
      frame.slice(22, 28),
      u32(frame, 28),
      u32(frame, 38),
    ];
    this.learn(sender, senderMac);
    const ours = target === GATEWAY || target === NAME_SERVER;
    if (operation !== 1 || !ours || sender === target) return;
    this.sendArp(2, senderMac, target, senderMac, sender);
  }

  private sendArp(operation: number, to: Uint8Array, source: number, targetMac: Uint8Array, target: number): void {
    const frame = new Uint8Array(42);
    putEthernet(frame, to, GATEWAY_MAC, ETHERTYPE.arp);
    putU32(frame, 14, 0x00010800);
    putU16(frame, 18, 0x0604);
    putU16(frame, 20, operation);
    frame.set(GATEWAY_MAC, 22);
    putU32(frame, 28, source);
    frame.set(targetMac, 32);
    putU32(frame, 38, target);
    this.emit(frame, COMPLETE);
  }

  private learn(address: number, mac: Bytes): void {
    if ((address & NETWORK_MASK) >>> 0 !== NETWORK || address === GATEWAY || address === NAME_SERVER || mac[0] & 1)
      return;
    const known = this.neighbours.get(address);
    if (known?.every((byte, at) => byte === mac[at])) return;
    if (!known && this.neighbours.size >= MAX_NEIGHBOURS) this.neighbours.delete(this.neighbours.keys().next().value!);
    this.neighbours.set(address, mac.slice());
  }

  private takeIpv4(frame: Bytes, hints: FrameHints): void {
    const parsed = parseIpv4Packet(frame);
    if (!parsed || !hintsFit(frame, hints)) {
      this.counters.malformed++;
      return;
    }
    const { source, destination } = parsed;
    if (source !== 0) {
      if ((source & NETWORK_MASK) >>> 0 !== NETWORK) {
        this.counters.prohibited++;
        return;
      }
      this.learn(source, frame.subarray(6, 12));
    }
    const local =
      (destination & NETWORK_MASK) >>> 0 === NETWORK && destination !== GATEWAY && destination !== NAME_SERVER;
    // What is for the neighbours of the guest reaches them over the hub; here is nobody.
    if (local && destination !== NETWORK + 255) return;
    let packet: Ipv4Packet = parsed;
    let summed = hints.checksum === 'complete';
    if (parsed.moreFragments || parsed.fragmentOffset > 0) {
      // A partial sum covers the first fragment only, so it means nothing.
      const whole = this.reassembly.add(parsed);
      if (whole === 'malformed') this.counters.malformed++;
      if (typeof whole === 'string') return;
      packet = whole;
      summed = true;
    }
    switch (packet.protocol) {
      case PROTOCOL.icmp:
        this.takeIcmp(hints.checksum === 'partial' ? this.finished(packet, hints) : packet);
        return;
      case PROTOCOL.udp:
        this.takeUdp(packet, summed);
        return;
      case PROTOCOL.tcp:
        this.takeTcp(packet, summed);
        return;
      default:
        this.counters.unsupported++;
        this.sendUnreachable(packet, UNREACHABLE.protocol);
    }
  }

  private finished(packet: Ipv4Packet, hints: FrameHints): Ipv4Packet {
    completeChecksum(packet.frame, hints);
    return packet;
  }

  private takeTcp(packet: Ipv4Packet, summed: boolean): void {
    const segment = parseTcp(packet);
    if (!segment || packet.source === 0 || (summed && !transportSumRight(packet))) {
      this.counters.malformed++;
      return;
    }
    this.tcp.segment(packet, segment);
  }

  private takeUdp(packet: Ipv4Packet, summed: boolean): void {
    const datagram = parseUdp(packet);
    if (!datagram || (summed && !datagram.unsummed && !transportSumRight(packet))) {
      this.counters.malformed++;
      return;
    }
    const toServer =
      packet.destination === 0xffffffff || packet.destination === GATEWAY || packet.destination === NETWORK + 255;
    if (datagram.destinationPort === 67 && toServer) {
      const reply = this.dhcp.answer(datagram.payload);
      if (!reply) return;
      const mac = reply.destination === 0xffffffff ? BROADCAST_MAC : packet.frame.slice(6, 12);
      this.sendUdp({ address: GATEWAY, port: 67 }, { address: reply.destination, port: 68 }, reply.message, mac);
      return;
    }
    if (packet.source === 0) return;
    this.udp.datagram(packet, datagram);
  }

  private takeIcmp(packet: Ipv4Packet): void {
    const { frame, from, to, destination, source } = packet;
    if (to - from < 8 || foldSum(addToSum(0, frame, from, to)) !== 0xffff) {
      this.counters.malformed++;
      return;
    }
    if (frame[from] !== ICMP_ECHO || source === 0) return;
    if (destination !== GATEWAY && destination !== NAME_SERVER) {
      this.counters.prohibited++;
      this.sendUnreachable(packet, UNREACHABLE.prohibited);
      return;
    }
    const answer = frame.slice(from, to);
    answer[0] = 0;
    this.sendIcmp(destination, source, answer);
  }

  // --- frames to the guest ----------------------------------------------------------------------------------------

  /** Says why a packet of the guest went nowhere (RFC 792), as the gateway. */
  sendUnreachable(packet: Ipv4Packet, code: number): void {
    // Not about what was sent to many.
    if (packet.destination >>> 28 >= 14 || packet.destination === NETWORK + 255 || packet.at + 20 > packet.frame.length)
      return;
    // A reassembled packet has no header left to quote.
    if (packet.from === packet.at) return;
    const quote = packet.frame.subarray(packet.at, Math.min(packet.to, packet.from + 8));
    const message = new Uint8Array(8 + quote.length);
    message[0] = 3;
    message[1] = code;
    message.set(quote, 8);
    this.sendIcmp(GATEWAY, packet.source, message);
  }

  private sendIcmp(source: number, destination: number, message: Bytes): void {
    putU16(message, 2, 0);
    putU16(message, 2, 0xffff ^ foldSum(addToSum(0, message, 0, message.length)));
    this.sendDatagram(source, destination, PROTOCOL.icmp, message);
  }

  /** A datagram to the guest. Dropped if the guest's hardware address is unknown, and then asked for. */
  sendUdp(
    from: { readonly address: number; readonly port: number },
    to: { readonly address: number; readonly port: number },
    payload: Uint8Array,
    mac?: Bytes,
  ): void {
    const lenBytes = UDP_BYTES + payload.length;
    if (lenBytes > 65535 - 20) {
      this.counters.dropped++;
      return;
    }
    const datagram = new Uint8Array(lenBytes);
    putU16(datagram, 0, from.port);
    putU16(datagram, 2, to.port);
    putU16(datagram, 4, lenBytes);
    datagram.set(payload, UDP_BYTES);
    const sum = addToSum(pseudoSum(from.address, to.address, PROTOCOL.udp, lenBytes), datagram, 0, lenBytes);
    putU16(datagram, 6, 0xffff ^ foldSum(sum) || 0xffff);
    this.sendDatagram(from.address, to.address, PROTOCOL.udp, datagram, mac);
  }

  private sendDatagram(source: number, destination: number, protocol: number, payload: Bytes, mac?: Bytes): void {
    const target = mac ?? this.macOf(destination);
    if (!target) {
      this.counters.dropped++;
      return;
    }
    const fields = { source, destination, protocol, id: this.takeId() };
    for (const frame of datagramFrames({ source: GATEWAY_MAC, destination: target }, fields, payload, MTU)) {
      this.emit(frame, VERIFIED);
    }
  }

  takeId(): number {
    const id = this.nextId;
    this.nextId = (id + 1) & 0xffff;
    return id;
  }

  /** The guest's hardware address; if it is unknown, it is asked for and the caller tries again. */
  macOf(address: number): Bytes | undefined {
    const mac = this.neighbours.get(address);
    if (!mac) this.sendArp(1, BROADCAST_MAC, GATEWAY, new Uint8Array(6), address);
    return mac;
  }

  emit(frame: Bytes, hints: FrameHints): void {
    if (!this.port?.receive(frame, hints)) this.counters.dropped++;
  }

  get guestOffloads(): Offloads {
    return this.port?.offloads ?? { checksum: false, tcp4: false };
  }

  get canEmit(): boolean {
    return this.port?.ready ?? false;
  }

  /** Where on the host the guest's `address` is. */
  placeOf(address: number, port: number): HostPlace {
    if (address === GATEWAY) return { address: LOOPBACK, port };
    if (address === NAME_SERVER) {
      const server = this.options.nameServer ?? this.options.sockets.nameServers()[0];
      return port === DNS_PORT && server ? server : 'prohibited';
    }
    const first = address >>> 24;
    // Nowhere, this host, the network itself, many, reserved.
    if (first === 0 || first === 127 || (address & NETWORK_MASK) >>> 0 === NETWORK || first >= 224) return 'prohibited';
    return { address: formatIpv4(address), port };
  }
}
