// Sockets of Node as the built-in network uses them, on the loopback address.

import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { HostStreamEvents } from '../../net/host-sockets.ts';
import { nodeSockets } from './node-sockets.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 1000) throw new Error('it never happens');
    await new Promise((next) => setTimeout(next, 5));
  }
}

function recorder() {
  const log: string[] = [];
  const parts: Uint8Array[] = [];
  let written = 0;
  const events: HostStreamEvents = {
    connected: () => log.push('connected'),
    data: (bytes) => parts.push(bytes),
    written: (lenBytes) => {
      written += lenBytes;
    },
    ended: () => log.push('ended'),
    failed: (reason) => log.push(`failed ${reason}`),
  };
  return { log, parts, events, written: () => written, bytes: () => Buffer.concat(parts) };
}

function serve(onSocket: (socket: Socket) => void): Promise<number> {
  return new Promise((resolve) => {
    const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      onSocket(socket);
    });
    closing.push(() => server.close());
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

describe('TCP', () => {
  it('carries bytes and half closes', async () => {
    const port = await serve((socket) => {
      socket.on('data', (bytes) => socket.write(bytes));
      socket.on('end', () => socket.end('bye'));
    });
    const { log, events, written, bytes } = recorder();
    const stream = nodeSockets.connectTcp('127.0.0.1', port, events);
    stream.write(new Uint8Array(1000).fill(65));
    await until(() => bytes().length === 1000 && written() === 1000);
    stream.end();
    await until(() => log.includes('ended'));
    expect(bytes().subarray(1000).toString()).toBe('bye');
    expect(log).toEqual(['connected', 'ended']);
  });

  it('says why there is no connection', async () => {
    const port = await serve(() => {});
    closing.splice(0)[0]();
    const { log, events } = recorder();
    nodeSockets.connectTcp('127.0.0.1', port, events);
    await until(() => log.length === 1);
    expect(log).toEqual(['failed refused']);
  });

  it('tells of a reset, and resets', async () => {
    const sockets: Socket[] = [];
    const errors: string[] = [];
    const port = await serve((socket) => {
      sockets.push(socket);
      socket.on('error', (error: Error & { code?: string }) => errors.push(error.code ?? ''));
    });
    const one = recorder();
    nodeSockets.connectTcp('127.0.0.1', port, one.events);
    await until(() => sockets.length === 1);
    sockets[0].resetAndDestroy();
    await until(() => one.log.includes('failed reset'));
    const two = recorder();
    const stream = nodeSockets.connectTcp('127.0.0.1', port, two.events);
    await until(() => sockets.length === 2 && two.log.length === 1);
    stream.destroy();
    await until(() => errors.includes('ECONNRESET'));
    expect(two.log).toEqual(['connected']);
  });

  it('pauses', async () => {
    const port = await serve((socket) => socket.write(new Uint8Array(20e6)));
    const { events, bytes, parts } = recorder();
    const stream = nodeSockets.connectTcp('127.0.0.1', port, events);
    await until(() => parts.length > 0);
    stream.pause();
    await new Promise((next) => setTimeout(next, 100));
    const before = bytes().length;
    await new Promise((next) => setTimeout(next, 50));
    expect(bytes().length).toBe(before);
    expect(before).toBeLessThan(20e6);
    stream.resume();
    await until(() => bytes().length === 20e6);
    stream.destroy();
  });

  it('listens, and names a port that is taken', async () => {
    const { log, events, bytes } = recorder();
    const listener = await nodeSockets.listenTcp('127.0.0.1', 0, (stream) => {
      stream.write(Uint8Array.of(72, 105));
      stream.end();
      return events;
    });
    closing.push(() => listener.close());
    const client = connect(listener.port, '127.0.0.1');
    const got: Buffer[] = [];
    client.on('data', (part) => got.push(part));
    client.end('hello');
    await until(() => log.includes('ended') && Buffer.concat(got).toString() === 'Hi');
    expect(bytes().toString()).toBe('hello');
    await expect(nodeSockets.listenTcp('127.0.0.1', listener.port, () => events)).rejects.toThrow(
      `Cannot listen on TCP port ${listener.port} of 127.0.0.1: it is in use`,
    );
  });
});

describe('UDP', () => {
  it('talks to a peer and hears of one that is not there', async () => {
    const peer = createSocket('udp4');
    peer.on('message', (bytes, from) => peer.send(bytes, from.port, from.address));
    await new Promise<void>((resolve) => peer.bind(0, '127.0.0.1', () => resolve()));
    const { port } = peer.address();
    const got: Uint8Array[] = [];
    const failures: string[] = [];
    const events = { data: (bytes: Uint8Array) => got.push(bytes), failed: (reason: string) => failures.push(reason) };
    const socket = nodeSockets.connectUdp('127.0.0.1', port, events);
    socket.send(Uint8Array.of(1, 2));
    await until(() => got.length === 1);
    await new Promise<void>((resolve) => peer.close(() => resolve()));
    socket.send(Uint8Array.of(3));
    await until(() => failures.length > 0);
    expect(failures[0]).toBe('refused');
    socket.close();
    socket.close();
  });

  it('closes before it is open', async () => {
    nodeSockets.connectUdp('127.0.0.1', 9, { data() {}, failed() {} }).close();
    await new Promise((next) => setTimeout(next, 20));
  });

  it('serves anybody', async () => {
    const got: [number, string, number][] = [];
    const server = await nodeSockets.bindUdp('127.0.0.1', 0, (bytes, address, port) => {
      got.push([bytes[0], address, port]);
      server.send(Uint8Array.of(9), address, port);
    });
    closing.push(() => server.close());
    const client = createSocket('udp4');
    closing.push(() => client.close());
    const answer = new Promise<Buffer>((resolve) => client.once('message', resolve));
    client.send(Uint8Array.of(7), server.port, '127.0.0.1');
    expect((await answer)[0]).toBe(9);
    expect(got).toEqual([[7, '127.0.0.1', client.address().port]]);
  });
});

it('name servers are addresses with ports', () => {
  for (const { address, port } of nodeSockets.nameServers()) {
    expect(address).toMatch(/^[\d.]+$|^[\da-f:%]+/i);
    expect(port).toBeGreaterThan(0);
  }
});
