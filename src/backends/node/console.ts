// Other ends of console ports: a file that keeps what the guest writes, and a unix socket where one client at a time
// listens and types.

import { createWriteStream, rmSync, type WriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { PowervisorError } from '../../util/errors.ts';
import type { ConsoleBackend, ConsoleInput, PostAction } from '../console-backend.ts';

/** A client that leaves so much unread is disconnected. */
const MAX_BACKLOG_BYTES = 16 * 2 ** 20;

export class FileConsole implements ConsoleBackend {
  readonly connected = true;
  private readonly stream: WriteStream;

  /** Empties the file or creates it. Throws PowervisorError if that cannot be done. */
  static async open(path: string): Promise<FileConsole> {
    try {
      await (await open(path, 'w')).close();
    } catch (cause) {
      const { message } = cause as Error;
      throw new PowervisorError('CONSOLE', `Cannot write the console file ${path}: ${message}.`, { cause });
    }
    return new FileConsole(path);
  }

  private constructor(path: string) {
    this.stream = createWriteStream(path);
    // A full disk must not end the machine; what does not fit is lost.
    this.stream.on('error', () => {});
  }

  write(bytes: Uint8Array): void {
    this.stream.write(bytes);
  }

  close(): void {
    this.stream.end();
  }
}

export class SocketConsole implements ConsoleBackend {
  readonly connected = false;
  private readonly server: Server;
  private readonly path: string;
  private client: Socket | undefined;
  private input: ConsoleInput | undefined;
  private post: PostAction | undefined;
  private waiting: Uint8Array | undefined;

  /** Listens at `path`, which must not exist or be a socket. Throws PowervisorError if that cannot be done. */
  static async listen(path: string): Promise<SocketConsole> {
    const present = await stat(path).catch(() => undefined);
    if (present?.isSocket()) rmSync(path);
    const server = createServer({ pauseOnConnect: true });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
    } catch (cause) {
      const { message } = cause as Error;
      throw new PowervisorError('CONSOLE', `Cannot listen at the socket ${path}: ${message}.`, { cause });
    }
    server.unref();
    return new SocketConsole(path, server);
  }

  private constructor(path: string, server: Server) {
    this.path = path;
    this.server = server;
    server.on('connection', (socket) => this.accept(socket));
    server.on('error', () => {});
  }

  connect(input: ConsoleInput, post: PostAction): void {
    this.input = input;
    this.post = post;
  }

  write(bytes: Uint8Array): void {
    const { client } = this;
    if (!client) return;
    client.write(bytes);
    if (client.writableLength > MAX_BACKLOG_BYTES) client.destroy();
  }

  roomAgain(): void {
    if (this.waiting) this.post?.(() => this.send());
  }

  close(): void {
    this.client?.destroy();
    this.server.close();
    rmSync(this.path, { force: true });
  }

  private accept(socket: Socket): void {
    if (this.client) {
      socket.destroy();
      return;
    }
    this.client = socket;
    socket.unref();
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      socket.pause();
      this.waiting = bytes;
      this.post?.(() => this.send());
    });
    socket.on('close', () => {
      this.client = undefined;
      this.post?.(() => this.input?.setConnected(false));
    });
    this.post?.(() => this.input?.setConnected(true));
    socket.resume();
  }

  private send(): void {
    if (!this.waiting) return;
    const taken = this.input!.receive(this.waiting);
    this.waiting = taken < this.waiting.length ? this.waiting.subarray(taken) : undefined;
    if (!this.waiting) this.client?.resume();
  }
}
