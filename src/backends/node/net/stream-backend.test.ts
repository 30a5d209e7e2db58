// Frames over a socket: framing, a peer that comes, goes and comes again, and one that sends rubbish or reads nothing.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COMPLETE, type NetPort, NO_OFFLOADS } from '../../net/net-backend.ts';
import { FrameReader, StreamBackend } from './stream-backend.ts';

const events = {
  post: (action: () => void) => void setImmediate(action),
  finish: () => {
    throw new Error('not used');
  },
};

class TestPort implements NetPort {
  readonly offloads = NO_OFFLOADS;
  readonly frames: Uint8Array[] = [];
  readonly links: boolean[] = [];
  ready = true;
  receive(frame: Uint8Array): boolean {
    this.frames.push(frame);
    return true;
  }
  setLink(up: boolean): void {
    this.links.push(up);
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 1000) throw new Error('it never happens');
    await new Promise((next) => setTimeout(next, 5));
  }
}

const message = (lenBytes: number, fill = 1) => {
  const bytes = new Uint8Array(4 + lenBytes).fill(fill);
  new DataView(bytes.buffer).setUint32(0, lenBytes);
  return bytes;
};

describe('framing', () => {
  it('finds frames however the bytes are cut', () => {
    const all = Buffer.concat([message(60, 1), message(14, 2), message(65553, 3)]);
    for (const step of [1, 3, 64, 70, 100_000]) {
      const reader = new FrameReader();
      const found: Uint8Array[] = [];
      for (let at = 0; at < all.length; at += step)
        found.push(...(reader.add(all.subarray(at, at + step)) as Uint8Array[]));
      expect(found.map((frame) => [frame.length, frame[0], frame.at(-1)])).toEqual([
        [60, 1, 1],
        [14, 2, 2],
        [65553, 3, 3],
      ]);
    }
  });

  it('refuses lengths that no frame has', () => {
    for (const lenBytes of [0, 65554, 0xffff_ffff]) {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, lenBytes);
      expect(new FrameReader().add(bytes)).toBe('malformed');
    }
  });
});

describe('stream', () => {
  let directory: string;
  let path: string;
  let server: Server | undefined;
  let peers: Socket[] = [];
  let backends: StreamBackend[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'powervisor-stream-'));
    path = join(directory, 'socket');
  });

  afterEach(async () => {
    for (const backend of backends) backend.close();
    for (const peer of peers) peer.destroy();
    server?.close();
    server = undefined;
    peers = [];
    backends = [];
    rmSync(directory, { recursive: true, force: true });
  });

  const serve = () =>
    new Promise<void>((resolve) => {
      server = createServer((socket) => {
        socket.on('error', () => {});
        peers.push(socket);
      });
      server.listen(path, resolve);
    });

  function make(options: Partial<ConstructorParameters<typeof StreamBackend>[0]> = {}) {
    const backend = new StreamBackend({ address: { path }, events, warn: () => {}, retryMs: 20, ...options });
    const port = new TestPort();
    backend.connect(port);
    backends.push(backend);
    return { backend, port };
  }

  it('carries frames both ways and comes back after the peer has gone', async () => {
    await serve();
    const { backend, port } = make();
    await backend.open();
    await until(() => peers.length === 1);
    const got: Buffer[] = [];
    peers[0].on('data', (bytes) => got.push(bytes));
    backend.send(new Uint8Array(60).fill(9), COMPLETE);
    peers[0].write(message(100, 5));
    await until(() => port.frames.length === 1 && Buffer.concat(got).length === 64);
    expect(Buffer.concat(got).readUInt32BE(0)).toBe(60);
    expect(port.frames[0].length).toBe(100);
    peers[0].destroy();
    await until(() => port.links.at(-1) === false);
    backend.send(new Uint8Array(60), COMPLETE);
    await until(() => peers.length === 2 && port.links.at(-1) === true);
    peers[1].write(message(60, 6));
    await until(() => port.frames.length === 2);
    expect(backend.statistics().connections).toBe(2);
  });

  it('says what is wrong with an address nobody is at', async () => {
    const { backend } = make();
    await expect(backend.open()).rejects.toThrow(`Cannot connect the network to ${path}`);
  });

  it('drops a peer that sends rubbish, and frames too short to be any', async () => {
    await serve();
    const { backend, port } = make();
    await backend.open();
    await until(() => peers.length === 1);
    peers[0].write(message(5));
    await until(() => backend.statistics().malformed === 1);
    peers[0].write(Uint8Array.of(255, 255, 255, 255));
    await until(() => peers.length === 2);
    expect(backend.statistics().malformed).toBe(2);
    expect(port.frames).toEqual([]);
  });

  it('holds a bounded amount for a peer that reads nothing', async () => {
    await serve();
    const { backend } = make();
    await backend.open();
    await until(() => peers.length === 1);
    peers[0].pause();
    for (let n = 0; n < 1000; n++) backend.send(new Uint8Array(60_000), COMPLETE);
    expect(backend.statistics().dropped).toBeGreaterThan(800);
  });

  it('lets a peer wait while the guest has no room', async () => {
    await serve();
    const { backend, port } = make();
    await backend.open();
    await until(() => peers.length === 1);
    port.ready = false;
    let written = 0;
    const chunk = message(60_000);
    while (peers[0].writableLength < 8e6) {
      peers[0].write(chunk);
      written++;
    }
    await until(() => port.frames.length > 0);
    await new Promise((next) => setTimeout(next, 50));
    expect(port.frames.length).toBeLessThan(written / 2);
    port.ready = true;
    backend.ready();
    await until(() => port.frames.length === written);
  });

  it('waits for a peer as a server, one at a time, and with another instance at the other end', async () => {
    const { backend, port } = make({ listen: true });
    await backend.open();
    expect(port.links).toEqual([false]);
    const other = make();
    await other.backend.open();
    await until(() => port.links.at(-1) === true);
    const third = connect(path);
    await new Promise<void>((resolve) => third.once('close', () => resolve()));
    other.backend.send(new Uint8Array(60).fill(3), COMPLETE);
    backend.send(new Uint8Array(61).fill(4), COMPLETE);
    await until(() => port.frames.length === 1 && other.port.frames.length === 1);
    expect([port.frames[0].length, other.port.frames[0].length]).toEqual([60, 61]);
  });
});
