// A host without sockets for virtio-vsock, and packets as a driver writes and reads them (VIRTIO 1.2 5.10.6).

import type { HostStream, HostStreamEvents } from '../../src/backends/net/host-sockets.ts';
import type { VsockBackend, VsockVisitor } from '../../src/backends/vsock-backend.ts';

class FakeStream implements HostStream {
  /** What was asked of it, but for data. */
  readonly log: string[] = [];
  events!: HostStreamEvents;
  private written: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    this.written.push(bytes);
  }
  end(): void {
    this.log.push('end');
  }
  pause(): void {
    this.log.push('pause');
  }
  resume(): void {
    this.log.push('resume');
  }
  destroy(): void {
    this.log.push('destroy');
  }
  /** Takes the first `count` writes, or all, and says so. */
  taken(count = this.written.length): Uint8Array {
    const parts = this.written.splice(0, count);
    for (const part of parts) this.events.written(part.length);
    return new Uint8Array(parts.flatMap((part) => [...part]));
  }
}

class FakeVisitor extends FakeStream {
  acceptedAs: number | undefined;
}

export class FakeVsock implements VsockBackend {
  readonly ports: number[] = [];
  readonly streams: FakeStream[] = [];
  private visit: ((visitor: VsockVisitor) => HostStreamEvents | undefined) | undefined;

  connect(port: number, events: HostStreamEvents): HostStream {
    const stream = new FakeStream();
    stream.events = events;
    this.ports.push(port);
    this.streams.push(stream);
    return stream;
  }
  listen(visit: (visitor: VsockVisitor) => HostStreamEvents | undefined): void {
    this.visit = visit;
  }
  /** Somebody who wants to talk to `port`. Without events if nobody lets it in. */
  visitor(port: number): Omit<FakeVisitor, 'events'> & { events: HostStreamEvents | undefined } {
    const stream = new FakeVisitor();
    const accepted = (hostPort: number) => {
      stream.acceptedAs = hostPort;
    };
    stream.events = this.visit!({ port, stream, accepted })!;
    return stream;
  }
}

export interface PacketFields {
  readonly sourceCid?: number;
  readonly targetCid?: number;
  readonly sourcePort?: number;
  readonly targetPort?: number;
  readonly lenBytes?: number;
  readonly type?: number;
  readonly flags?: number;
  readonly room?: number;
  readonly forwarded?: number;
}

export function vsockPacket(op: number, fields: PacketFields, data = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(44 + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(fields.sourceCid ?? 3), true);
  view.setBigUint64(8, BigInt(fields.targetCid ?? 2), true);
  const words = [fields.sourcePort ?? 0, fields.targetPort ?? 0, fields.lenBytes ?? data.length];
  words.forEach((word, n) => {
    view.setUint32(16 + 4 * n, word, true);
  });
  view.setUint16(28, fields.type ?? 1, true);
  view.setUint16(30, op, true);
  view.setUint32(32, fields.flags ?? 0, true);
  view.setUint32(36, fields.room ?? 0, true);
  view.setUint32(40, fields.forwarded ?? 0, true);
  bytes.set(data, 44);
  return bytes;
}

export function readPacket(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(24, true) !== bytes.length - 44) throw new Error('a packet of another length than it says');
  return {
    sourceCid: Number(view.getBigUint64(0, true)),
    targetCid: Number(view.getBigUint64(8, true)),
    sourcePort: view.getUint32(16, true),
    targetPort: view.getUint32(20, true),
    type: view.getUint16(28, true),
    op: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    room: view.getUint32(36, true),
    forwarded: view.getUint32(40, true),
    data: bytes.subarray(44),
  };
}
