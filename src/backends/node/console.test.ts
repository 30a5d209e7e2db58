import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileConsole, SocketConsole } from './console.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-console-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const text = (string: string) => new TextEncoder().encode(string);

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a console in a file', () => {
  it('starts empty and keeps what the guest writes', async () => {
    const path = join(directory, 'out');
    await writeFile(path, 'of the last run');
    const console = await FileConsole.open(path);
    console.write(text('one '));
    console.write(text('two'));
    console.close();
    await until(async () => (await readFile(path, 'utf8')) === 'one two');
    await expect(FileConsole.open(directory)).rejects.toThrow('Cannot write the console file');
  });
});

describe('a console at a socket', () => {
  it('serves one client at a time, and waits for a slow guest', async () => {
    const path = join(directory, 'socket');
    const console = await SocketConsole.listen(path);
    const seen: string[] = [];
    let room = 3;
    let received = '';
    console.connect(
      {
        setConnected: (connected) => seen.push(connected ? 'connected' : 'gone'),
        receive: (bytes) => {
          const taken = Math.min(room, bytes.length);
          received += new TextDecoder().decode(bytes.subarray(0, taken));
          room -= taken;
          return taken;
        },
      },
      (action) => action(),
    );
    console.write(text('nobody hears this'));
    const client = await connected(path);
    await until(() => seen.length === 1);
    const second = createConnection(path);
    await once(second, 'close');
    client.write('hello');
    await until(() => received === 'hel');
    room = 100;
    console.roomAgain();
    await until(() => received === 'hello');
    client.write(', world');
    await until(() => received === 'hello, world');
    let heard = '';
    client.on('data', (bytes) => {
      heard += bytes;
    });
    console.write(text('welcome'));
    await until(() => heard === 'welcome');
    client.destroy();
    await until(() => seen.length === 2);
    const next = await connected(path);
    await until(() => seen.length === 3);
    expect(seen).toEqual(['connected', 'gone', 'connected']);
    next.destroy();
    console.close();
    expect(existsSync(path)).toBe(false);
  });

  it('does not take the place of a file', async () => {
    const path = join(directory, 'file');
    await writeFile(path, 'precious');
    await expect(SocketConsole.listen(path)).rejects.toThrow('Cannot listen at the socket');
    expect(await readFile(path, 'utf8')).toBe('precious');
  });
});

async function connected(path: string): Promise<Socket> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  return socket;
}
