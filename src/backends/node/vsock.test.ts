import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HostStreamEvents } from '../net/host-sockets.ts';
import type { VsockVisitor } from '../vsock-backend.ts';
import { UnixVsock } from './vsock.ts';

let folder: string;
let path: string;
let backend: UnixVsock;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'powervisor-vsock-'));
  path = join(folder, 'v.sock');
  backend = await UnixVsock.listen(path);
});
afterEach(() => {
  backend.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Collects what a stream says. */
function listener() {
  const log: string[] = [];
  const events: HostStreamEvents = {
    connected: () => log.push('connected'),
    data: (bytes) => log.push(`data ${Buffer.from(bytes)}`),
    written: (lenBytes) => log.push(`written ${lenBytes}`),
    ended: () => log.push('ended'),
    failed: (reason) => log.push(`failed ${reason}`),
  };
  return { log, events };
}

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !condition(); n++) await setTimeout(10);
  expect(condition()).toBe(true);
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

it('connects the guest to PATH_PORT', async () => {
  const server = createServer({ allowHalfOpen: true });
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  server.listen(`${path}_80`);
  await once(server, 'listening');
  const { log, events } = listener();
  const stream = backend.connect(80, events);
  const [socket] = await accepted;
  await until(() => log.includes('connected'));
  stream.write(bytes('hello'));
  expect(String((await once(socket, 'data'))[0])).toBe('hello');
  socket.end('bye');
  await until(() => log.includes('ended'));
  expect(log).toEqual(expect.arrayContaining(['written 5', 'data bye', 'ended']));
  stream.end();
  await once(socket, 'end');
  stream.destroy();
  server.close();
});

it('says that nobody is there', async () => {
  const { log, events } = listener();
  backend.connect(81, events);
  await until(() => log.length > 0);
  expect(log).toEqual(['failed refused']);
});

it('lets visitors in by CONNECT', async () => {
  const visits: VsockVisitor[] = [];
  const { log, events } = listener();
  backend.listen((visitor) => {
    visits.push(visitor);
    return visitor.port === 1024 ? events : undefined;
  });
  const client = connect(path);
  client.write('CONN');
  await setTimeout(20);
  client.write('ECT 1024\nearly');
  await until(() => visits.length === 1);
  expect(log).toEqual([]);
  visits[0].accepted(70_000);
  expect(String((await once(client, 'data'))[0])).toBe('OK 70000\n');
  client.write(' data');
  await until(() => log.join('').includes(' data'));
  expect(log).toEqual(['data early', 'data  data']);
  visits[0].stream.write(bytes('answer'));
  expect(String((await once(client, 'data'))[0])).toBe('answer');
  visits[0].stream.destroy();
  await once(client, 'close');
});

it.each(['GET / HTTP/1.1\r\n', 'CONNECT\n', 'CONNECT 5000000000\n', 'CONNECT 7\n', `CONNECT ${' '.repeat(40)}`])(
  'sends away a visitor who says %j',
  async (line) => {
    const asked: number[] = [];
    backend.listen(({ port }) => {
      asked.push(port);
      return undefined;
    });
    const client = connect(path);
    client.resume();
    client.write(line);
    client.on('error', () => {});
    await once(client, 'close');
    expect(asked).toEqual(line === 'CONNECT 7\n' ? [7] : []);
  },
);

it('replaces a socket that was left behind, and nothing else', async () => {
  await expect(UnixVsock.listen(path)).rejects.toThrow(/somebody listens there already/);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(UnixVsock.listen(file)).rejects.toThrow(/Cannot listen/);
  backend.close();
  expect(existsSync(path)).toBe(false);
  backend = await UnixVsock.listen(path);
});
