// `stream`: Ethernet frames over a Unix or TCP socket, each behind its length as a 32-bit big-endian number. This is what
// QEMU's stream netdev, passt and gvproxy speak.
//
// As a client it connects, and when the peer goes away takes the cable out and tries again after a moment, for as long as
// the machine lives. As a server it takes one peer at a time; a further one is turned away. Frames that find no peer, or a
// peer that does not read, are dropped and counted, as on a wire. A length no frame can have ends the connection.

import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { HostEvents } from '../../../device/ports.ts';
import { PowervisorError } from '../../../util/errors.ts';
import {
  COMPLETE,
  type FrameHints,
  MAX_FRAME_BYTES,
  MIN_FRAME_BYTES,
  type NetBackend,
  type NetPort,
  NO_OFFLOADS,
} from '../../net/net-backend.ts';
import { wireFrames } from '../../net/offload.ts';
import type { Bytes } from '../../net/packet.ts';

export type StreamAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export interface StreamBackendOptions {
  readonly address: StreamAddress;
  readonly events: HostEvents;
  readonly warn: (message: string) => void;
  /** Default false: connects. */
  readonly listen?: boolean;
  /** Milliseconds between two attempts to connect. */
  readonly retryMs?: number;
}

/** Bytes that may wait for a peer that does not read. */
const MAX_QUEUED_BYTES = 4 * 2 ** 20;
const RETRY_MS = 500;
const MAX_WARNINGS = 8;

export class StreamBackend implements NetBackend {
  readonly name = 'stream';
  readonly offloads = NO_OFFLOADS;
  readonly counters = { malformed: 0, dropped: 0, connections: 0 };
  private readonly options: StreamBackendOptions;
  private readonly frames = new FrameReader();
  private port: NetPort | undefined;
  private peer: Socket | undefined;
  private server: Server | undefined;
  private retry: NodeJS.Timeout | undefined;
  private linkUp = true;
  private paused = false;
  private closed = false;
  private warnings = 0;
  /** Frames to the peer behind the one being written. */
  private queue: Buffer[] = [];
  private queuedBytes = 0;
  private writing = false;
  /** Received and not yet at a turn boundary. */
  private waitingBytes = 0;

  constructor(options: StreamBackendOptions) {
    this.options = options;
  }

  /**
   * Connects or listens. Rejects with a PowervisorError if there is nobody at the address now, or if it cannot be listened
   * on: later failures are retried, a wrong path is not.
   */
  async open(): Promise<void> {
    const { address } = this.options;
    if (this.options.listen) {
      this.server = await this.startServer();
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const socket = connect(address);
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        this.join(socket);
        resolve();
      });
      socket.once('error', (cause: Error) => {
        reject(
          new PowervisorError('NET', `Cannot connect the network to ${place(address)}: ${cause.message}.`, { cause }),
        );
      });
    });
  }

  /** The TCP port a server got. */
  get boundPort(): number | undefined {
    const address = this.server?.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  }

  connect(port: NetPort): void {
    this.port = port;
    this.showLink();
  }

  send(frame: Bytes, hints: FrameHints): void {
    const { peer } = this;
    for (const each of wireFrames(frame, hints)) {
      if (!peer || this.queuedBytes > MAX_QUEUED_BYTES) {
        this.counters.dropped++;
        continue;
      }
      const message = Buffer.allocUnsafe(4 + each.length);
      message.writeUInt32BE(each.length, 0);
      message.set(each, 4);
      this.queue.push(message);
      this.queuedBytes += message.length;
    }
    this.writeNext();
  }

  /**
   * One frame a write: joined ones are cut where the socket's buffer ends, in a frame's length too, and not every reader
   * expects that.
   */
  private writeNext(): void {
    const { peer } = this;
    if (this.writing || !peer) return;
    const message = this.queue.shift();
    if (!message) return;
    this.writing = true;
    this.queuedBytes -= message.length;
    peer.write(message, () => {
      if (this.peer !== peer) return;
      this.writing = false;
      this.writeNext();
    });
  }

  /** The guest takes frames again: the peer may go on. */
  ready(): void {
    if (!this.paused) return;
    this.paused = false;
    this.peer?.resume();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.peer?.destroy();
    this.peer = undefined;
    this.server?.close();
  }

  statistics(): Readonly<Record<string, number>> {
    return this.counters;
  }

  private startServer(): Promise<Server> {
    const { address } = this.options;
    return new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        if (this.peer || this.closed) socket.destroy();
        else this.join(socket);
      });
      server.once('error', (cause: Error & { code?: string }) => {
        const why =
          cause.code === 'EADDRINUSE' ? 'it is in use, or a file of that name is left over; remove it' : cause.message;
        reject(new PowervisorError('NET', `Cannot wait for a network peer at ${place(address)}: ${why}.`, { cause }));
      });
      server.listen('path' in address ? address.path : address, () => {
        server.removeAllListeners('error');
        server.on('error', () => {});
        if ('path' in address) server.once('close', () => rmSync(address.path, { force: true }));
        resolve(server);
      });
    });
  }

  private join(socket: Socket): void {
    this.peer = socket;
    this.counters.connections++;
    this.frames.clear();
    this.queue = [];
    this.queuedBytes = 0;
    this.writing = false;
    this.paused = false;
    if ('setNoDelay' in socket) socket.setNoDelay();
    socket.on('data', (bytes) => this.arrived(socket, bytes));
    socket.on('error', () => {});
    socket.on('close', () => this.left(socket));
    this.setLink(true);
  }

  private left(socket: Socket): void {
    if (this.peer !== socket || this.closed) return;
    this.peer = undefined;
    this.setLink(false);
    this.warn(`the network peer at ${place(this.options.address)} has gone`);
    if (!this.options.listen) this.reconnect();
  }

  private reconnect(): void {
    this.retry = setTimeout(() => {
      const socket = connect(this.options.address);
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        if (this.closed) socket.destroy();
        else this.join(socket);
      });
      socket.once('error', () => {
        if (!this.closed) this.reconnect();
      });
    }, this.options.retryMs ?? RETRY_MS);
    this.retry.unref();
  }

  private arrived(socket: Socket, bytes: Buffer): void {
    const found = this.frames.add(bytes);
    if (found === 'malformed') {
      this.counters.malformed++;
      socket.destroy();
      return;
    }
    if (found.length === 0) return;
    this.waitingBytes += bytes.length;
    if (this.waitingBytes > MAX_QUEUED_BYTES && !this.paused) {
      this.paused = true;
      socket.pause();
    }
    this.options.events.post(() => {
      this.waitingBytes -= bytes.length;
      for (const frame of found) {
        if (frame.length < MIN_FRAME_BYTES) this.counters.malformed++;
        else if (this.closed || !this.port?.receive(frame, COMPLETE)) this.counters.dropped++;
      }
      if (this.closed) return;
      if (!this.port?.ready) {
        this.paused = true;
        this.peer?.pause();
      } else if (this.waitingBytes === 0) this.ready();
    });
  }

  private setLink(up: boolean): void {
    this.linkUp = up;
    this.options.events.post(() => {
      // Back to what is so now, whatever has happened since.
      if (!this.closed) this.showLink();
    });
  }

  private showLink(): void {
    this.port?.setLink(this.options.listen ? this.peer !== undefined : this.linkUp);
  }

  private warn(message: string): void {
    if (this.warnings++ < MAX_WARNINGS) this.options.warn(message);
  }
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  private readonly header = new Uint8Array(4);
  private headerBytes = 0;
  private frame: Bytes | undefined;
  private done = 0;

  clear(): void {
    this.headerBytes = 0;
    this.frame = undefined;
  }

  /** Frames that `bytes` complete, or `malformed` for a length that no frame has: the rest cannot be understood. */
  add(bytes: Uint8Array): Bytes[] | 'malformed' {
    const found: Bytes[] = [];
    for (let at = 0; at < bytes.length; ) {
      if (!this.frame) {
        this.header[this.headerBytes++] = bytes[at++];
        if (this.headerBytes < 4) continue;
        this.headerBytes = 0;
        const lenBytes = new DataView(this.header.buffer).getUint32(0);
        if (lenBytes === 0 || lenBytes > MAX_FRAME_BYTES) return 'malformed';
        this.frame = new Uint8Array(lenBytes);
        this.done = 0;
        continue;
      }
      const part = bytes.subarray(at, at + this.frame.length - this.done);
      this.frame.set(part, this.done);
      this.done += part.length;
      at += part.length;
      if (this.done === this.frame.length) {
        found.push(this.frame);
        this.frame = undefined;
      }
    }
    return found;
  }
}

function place(address: StreamAddress): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`;
}
