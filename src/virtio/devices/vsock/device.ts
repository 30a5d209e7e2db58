// virtio-vsock: stream sockets between programs of the guest and of the host (VIRTIO 1.2 5.10). A packet for what is no
// connection is answered with a reset, and so is everything out of turn. Datagrams and SOCK_SEQPACKET are left out.
//
// The event queue stays silent: its one event tells of a migration.

import type { HostStreamEvents } from '../../../backends/net/host-sockets.ts';
import type { VsockBackend, VsockVisitor } from '../../../backends/vsock-backend.ts';
import type { HostEvents } from '../../../device/ports.ts';
import { assert } from '../../../util/errors.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import {
  HOST_CID,
  MAX_GUEST_CID,
  MIN_GUEST_CID,
  RX_QUEUE,
  TX_QUEUE,
  VIRTIO_ID_VSOCK,
  VSOCK_CONFIG,
  VSOCK_CONFIG_BYTES,
  VSOCK_FEATURES,
  VSOCK_QUEUE_SIZES,
} from './config.ts';
import { Connection } from './connection.ts';
import { HEADER_BYTES, OP, type PacketHeader, packetBytes, parsePacket, TYPE_STREAM } from './packet.ts';

export const MAX_CONNECTIONS = 1024;
/** Streams that the guest has closed and whose last bytes the host has not taken; the oldest goes first. */
const MAX_LINGERING = 64;
/** Resets that wait for buffers of the driver; beyond that its packets wait. */
const MAX_RESETS = 256;
/** Data of one packet to the guest. */
const MAX_DATA_BYTES = 65536;
/** Numbers that visitors get, so that they are not those of services. */
const FIRST_VISITOR_PORT = 2 ** 30;

export interface VirtioVsockOptions {
  readonly backend: VsockBackend;
  readonly events: HostEvents;
  /** The guest's number, 3 to 2^32 - 2. Default 3. */
  readonly guestCid?: number;
}

interface Reset {
  readonly sourceCid: bigint;
  readonly sourcePort: number;
  readonly targetPort: number;
}

export class VirtioVsock implements DeviceKind {
  readonly name = 'virtio-vsock';
  readonly deviceType = VIRTIO_ID_VSOCK;
  readonly features = VSOCK_FEATURES;
  readonly queueSizes = VSOCK_QUEUE_SIZES;
  readonly configBytes = VSOCK_CONFIG_BYTES;
  readonly config;
  private readonly backend: VsockBackend;
  private readonly events: HostEvents;
  private readonly guestCid: bigint;
  private device: VirtioDevice | undefined;
  private readonly connections = new Map<string, Connection>();
  /** Connections that may have something to send, in the order of their turns. */
  private readonly ready = new Set<Connection>();
  private readonly lingering = new Set<Connection>();
  private resets: Reset[] = [];
  private nextVisitorPort = FIRST_VISITOR_PORT;

  constructor({ backend, events, guestCid = MIN_GUEST_CID }: VirtioVsockOptions) {
    assert(guestCid >= MIN_GUEST_CID && guestCid <= MAX_GUEST_CID, `${guestCid} is no number for a guest`);
    this.backend = backend;
    this.events = events;
    this.guestCid = BigInt(guestCid);
    this.config = VSOCK_CONFIG.handler({ readRegister: () => guestCid, writeRegister() {} });
    backend.listen((visitor) => this.visit(visitor));
  }

  /** What is in use, for reports and tests of leaks. */
  get inUse(): { readonly connections: number; readonly lingering: number; readonly resets: number } {
    return { connections: this.connections.size, lingering: this.lingering.size, resets: this.resets.length };
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  notified(queue: Virtqueue): void {
    if (queue.index === TX_QUEUE) this.readPackets(queue);
    this.sendPackets();
  }

  reset(): void {
    for (const connection of [...this.connections.values(), ...this.lingering]) this.forget(connection);
    this.resets = [];
  }

  close(): void {
    this.reset();
    this.backend.close?.();
  }

  // From the host

  /** A program of the host asks for a port of the guest. Comes at any time. */
  private visit(visitor: VsockVisitor): HostStreamEvents | undefined {
    if (!this.device?.running || this.connections.size >= MAX_CONNECTIONS) return undefined;
    const hostPort = this.freeVisitorPort(visitor.port);
    const connection = new Connection(visitor.port, hostPort, 'host');
    connection.stream = visitor.stream;
    connection.accepted = () => visitor.accepted(hostPort);
    this.events.post(() => {
      // The guest may have gone meanwhile.
      if (!this.device?.running) this.forget(connection);
      if (connection.state === 'over') return;
      this.add(connection);
      this.sendPackets();
    });
    return this.eventsOf(connection);
  }

  private freeVisitorPort(guestPort: number): number {
    for (;;) {
      const port = this.nextVisitorPort;
      this.nextVisitorPort = port === 2 ** 31 - 1 ? FIRST_VISITOR_PORT : port + 1;
      if (!this.connections.has(key(guestPort, port))) return port;
    }
  }

  /** What a stream says, at turn boundaries. */
  private eventsOf(connection: Connection): HostStreamEvents {
    const post = (action: () => void) =>
      this.events.post(() => {
        action();
        this.wake(connection);
      });
    return {
      connected: () =>
        post(() => {
          if (connection.state === 'guest') connection.open();
        }),
      data: (bytes) => post(() => connection.hostSent(bytes)),
      written: (lenBytes) =>
        post(() => {
          connection.hostTook(lenBytes);
          if (this.lingering.has(connection) && connection.drained) this.forget(connection);
        }),
      ended: () =>
        post(() => {
          // A visitor that goes before it has been let in.
          if (connection.state === 'host') this.abort(connection);
          else connection.hostEnd();
        }),
      failed: () => post(() => this.abort(connection)),
    };
  }

  private wake(connection: Connection): void {
    const known = this.connections.get(key(connection.guestPort, connection.hostPort)) === connection;
    if (known) this.ready.add(connection);
    this.sendPackets();
  }

  // From the guest

  private readPackets(queue: Virtqueue): void {
    while (this.resets.length < MAX_RESETS) {
      const chain = queue.take();
      if (!chain) break;
      const header = parsePacket(chain);
      if (header === undefined) return;
      if (typeof header === 'string') {
        queue.fail('request', header, chain.id);
        return;
      }
      if (!this.serve(header, chain)) return;
      queue.complete(chain);
    }
    queue.signal();
  }

  /** False: memory could not be reached. */
  private serve(header: PacketHeader, chain: DescriptorChain): boolean {
    // A guest speaks for itself only (5.10.6.4.1).
    if (header.sourceCid !== this.guestCid) return true;
    const { sourcePort, targetPort, op } = header;
    const connection = this.connections.get(key(sourcePort, targetPort));
    if (header.targetCid !== BigInt(HOST_CID) || header.type !== TYPE_STREAM) {
      if (op !== OP.RST) this.refuse(header);
      return true;
    }
    connection?.heard(header.bufferBytes, header.forwarded);
    if (!connection) {
      if (op === OP.REQUEST && this.connections.size < MAX_CONNECTIONS) this.connect(header);
      else if (op !== OP.RST) this.refuse(header);
      return true;
    }
    if (!this.advance(connection, header, chain)) return false;
    if (connection.state !== 'over') this.ready.add(connection);
    return true;
  }

  /** False: memory could not be reached. */
  private advance(connection: Connection, header: PacketHeader, chain: DescriptorChain): boolean {
    const { op } = header;
    if (op === OP.RST) this.forget(connection);
    else if (op === OP.RESPONSE && connection.state === 'host') connection.open();
    else if (connection.state !== 'open') this.abort(connection);
    else if (op === OP.RW) {
      if (!connection.mayReceive(header.lenBytes)) {
        this.abort(connection);
        return true;
      }
      const data = chain.readBytes(HEADER_BYTES, header.lenBytes);
      if (!data) return false;
      if (data.length > 0) connection.guestSent(data);
    } else if (op === OP.SHUTDOWN) {
      if (connection.guestShutdown(header.flags)) this.finish(connection);
    } else if (op === OP.CREDIT_REQUEST) connection.creditWanted();
    else if (op !== OP.CREDIT_UPDATE) this.abort(connection);
    return true;
  }

  private connect({ sourcePort, targetPort, bufferBytes, forwarded }: PacketHeader): void {
    const connection = new Connection(sourcePort, targetPort, 'guest');
    connection.heard(bufferBytes, forwarded);
    this.add(connection);
    connection.stream = this.backend.connect(targetPort, this.eventsOf(connection));
  }

  private add(connection: Connection): void {
    this.connections.set(key(connection.guestPort, connection.hostPort), connection);
    this.ready.add(connection);
  }

  /** The guest has closed: confirmed at once, while the host still takes what was sent. */
  private finish(connection: Connection): void {
    this.resetGuest(connection);
    if (connection.drained) {
      this.forget(connection);
      return;
    }
    this.remove(connection);
    this.lingering.add(connection);
    const [oldest] = this.lingering;
    if (this.lingering.size > MAX_LINGERING) this.forget(oldest);
  }

  /** Something is wrong: both sides see a reset. */
  private abort(connection: Connection): void {
    if (connection.state === 'over') return;
    if (!this.lingering.has(connection) && !connection.unheard) this.resetGuest(connection);
    this.forget(connection);
  }

  private forget(connection: Connection): void {
    connection.state = 'over';
    this.remove(connection);
    this.lingering.delete(connection);
    connection.stream?.destroy();
  }

  private remove(connection: Connection): void {
    const name = key(connection.guestPort, connection.hostPort);
    if (this.connections.get(name) === connection) this.connections.delete(name);
    this.ready.delete(connection);
  }

  private refuse({ targetCid, sourcePort, targetPort }: PacketHeader): void {
    this.resets.push({ sourceCid: targetCid, sourcePort: targetPort, targetPort: sourcePort });
  }

  private resetGuest({ guestPort, hostPort }: Connection): void {
    this.resets.push({ sourceCid: BigInt(HOST_CID), sourcePort: hostPort, targetPort: guestPort });
  }

  // To the guest

  private sendPackets(): void {
    const queue = this.device?.running ? this.device.queues[RX_QUEUE] : undefined;
    if (!queue) return;
    const wereFull = this.resets.length >= MAX_RESETS;
    while (this.sendReset(queue) || this.sendOfConnection(queue));
    queue.signal();
    // Packets of the driver waited for room.
    const packets = this.device?.queues[TX_QUEUE];
    if (wereFull && this.resets.length < MAX_RESETS && packets) this.notified(packets);
  }

  private sendReset(queue: Virtqueue): boolean {
    const [reset] = this.resets;
    if (!reset) return false;
    const header = { ...this.header(OP.RST), ...reset };
    if (!this.put(queue, () => packetBytes(header))) return false;
    this.resets.shift();
    return true;
  }

  private sendOfConnection(queue: Virtqueue): boolean {
    for (const connection of this.ready) {
      this.ready.delete(connection);
      if (!connection.wantsToSend) continue;
      const sent = this.put(queue, (roomBytes) => {
        const { op, flags, lenBytes, data } = connection.next(Math.min(roomBytes, MAX_DATA_BYTES));
        const { bufferBytes, forwarded, hostPort, guestPort } = connection;
        const ports = { sourcePort: hostPort, targetPort: guestPort };
        return packetBytes({ ...this.header(op), ...ports, flags, lenBytes, bufferBytes, forwarded }, data);
      });
      // Behind the others, for what it has left.
      this.ready.add(connection);
      return sent;
    }
    return false;
  }

  private header(op: number): PacketHeader {
    return {
      sourceCid: BigInt(HOST_CID),
      targetCid: this.guestCid,
      sourcePort: 0,
      targetPort: 0,
      lenBytes: 0,
      type: TYPE_STREAM,
      op,
      flags: 0,
      bufferBytes: 0,
      forwarded: 0,
    };
  }

  /** Fills the next buffer of the driver with what `make` makes of the room in it. False if there is none. */
  private put(queue: Virtqueue, make: (dataRoomBytes: number) => Uint8Array): boolean {
    const chain = queue.take();
    if (!chain) return false;
    if (chain.writableBytes < HEADER_BYTES) {
      queue.fail('request', `a buffer of ${chain.writableBytes} bytes for a packet`, chain.id);
      return false;
    }
    const bytes = make(chain.writableBytes - HEADER_BYTES);
    if (!chain.write(0, bytes)) return false;
    queue.complete(chain, bytes.length);
    return true;
  }
}

function key(guestPort: number, hostPort: number): string {
  return `${guestPort}:${hostPort}`;
}
