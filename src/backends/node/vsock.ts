// Unix sockets as the host's side of virtio-vsock, in the way that users of Firecracker and vhost-user-vsock know:
// when the guest connects to port N of the host, the socket PATH_N is connected to; a program of the host connects to PATH,
// writes `CONNECT N` and a newline, and reads `OK M` and a newline once port N of the guest has taken the connection.

import { rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { PowervisorError } from '../../util/errors.ts';
import type { HostSocketFailure, HostStream, HostStreamEvents } from '../net/host-sockets.ts';
import type { VsockBackend, VsockVisitor } from '../vsock-backend.ts';

/** `CONNECT 4294967295` and a newline, and some blanks. */
const MAX_LINE_BYTES = 32;
const CONNECT_LINE = /^CONNECT +(\d{1,10}) *\r?$/;
/** A visitor that does not say what it wants is sent away. */
const LINE_TIMEOUT_MS = 5000;
/** Visitors that have not said what they want. */
const MAX_UNDECIDED = 64;

export class UnixVsock implements VsockBackend {
  private readonly path: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private undecided = 0;
  private visit: ((visitor: VsockVisitor) => HostStreamEvents | undefined) | undefined;

  /** Listens at `path`, which must not exist or be a socket that nobody listens at. Throws PowervisorError. */
  static async listen(path: string): Promise<UnixVsock> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    try {
      await removeStale(path);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
    } catch (cause) {
      const { message } = cause as Error;
      throw new PowervisorError('VSOCK', `Cannot listen at the socket ${path}: ${message}.`, { cause });
    }
    server.removeAllListeners('error');
    server.on('error', () => {});
    return new UnixVsock(path, server);
  }

  private constructor(path: string, server: Server) {
    this.path = path;
    this.server = server;
    server.unref();
    server.on('connection', (socket) => this.welcome(socket));
  }

  listen(visit: (visitor: VsockVisitor) => HostStreamEvents | undefined): void {
    this.visit = visit;
  }

  connect(port: number, events: HostStreamEvents): HostStream {
    const socket = this.keep(connect({ path: `${this.path}_${port}`, allowHalfOpen: true }));
    socket.once('connect', () => events.connected());
    return streamOf(socket, events);
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }

  private keep(socket: Socket): Socket {
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    return socket;
  }

  /** Reads the first line of a visitor, and no byte more than there is of it. */
  private welcome(socket: Socket): void {
    this.keep(socket);
    if (this.undecided >= MAX_UNDECIDED) {
      socket.destroy();
      return;
    }
    this.undecided++;
    let line = '';
    const decided = () => {
      clearTimeout(timer);
      this.undecided--;
      socket.off('data', read).off('error', away).off('end', away).off('close', decided);
    };
    const away = () => {
      decided();
      discard(socket);
    };
    const read = (bytes: Buffer) => {
      const end = bytes.indexOf(0x0a);
      line += bytes.subarray(0, end < 0 ? bytes.length : end).toString('latin1');
      if (line.length > MAX_LINE_BYTES) away();
      else if (end >= 0) {
        socket.pause();
        decided();
        this.letIn(socket, line, bytes.subarray(end + 1));
      }
    };
    const timer = setTimeout(away, LINE_TIMEOUT_MS);
    timer.unref();
    socket.on('data', read).once('error', away).once('end', away).once('close', decided);
    socket.resume();
  }

  private letIn(socket: Socket, line: string, rest: Buffer): void {
    const port = Number(CONNECT_LINE.exec(line)?.[1] ?? -1);
    const visitor: VsockVisitor = {
      port,
      stream: {
        write: (bytes) => stream?.write(bytes),
        end: () => stream?.end(),
        pause: () => stream?.pause(),
        resume: () => stream?.resume(),
        destroy: () => (stream ? stream.destroy() : socket.destroy()),
      },
      accepted: (hostPort) => {
        socket.write(`OK ${hostPort}\n`);
        if (rest.length > 0) events?.data(new Uint8Array(rest));
        socket.resume();
      },
    };
    let stream: HostStream | undefined;
    const events = port < 0 || port > 0xffff_ffff ? undefined : this.visit?.(visitor);
    if (events) stream = streamOf(socket, events);
    else discard(socket);
  }
}

function discard(socket: Socket): void {
  socket.on('error', () => {});
  socket.destroy();
}

/** Takes away a socket that a process left behind when it ended; one that somebody listens at stays. */
async function removeStale(path: string): Promise<void> {
  const present = await stat(path).catch(() => undefined);
  if (!present?.isSocket()) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) throw new Error('somebody listens there already');
  rmSync(path, { force: true });
}

function streamOf(socket: Socket, events: HostStreamEvents): HostStream {
  let destroyed = false;
  socket.on('data', (bytes) => events.data(new Uint8Array(bytes)));
  socket.on('end', () => {
    if (!destroyed) events.ended();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!destroyed) events.failed(failureOf(error));
  });
  return {
    write(bytes) {
      if (destroyed || socket.destroyed) return;
      socket.write(bytes, (error) => {
        if (!error && !destroyed) events.written(bytes.length);
      });
    },
    end() {
      if (!destroyed) socket.end();
    },
    pause() {
      socket.pause();
    },
    resume() {
      if (!destroyed) socket.resume();
    },
    destroy() {
      destroyed = true;
      socket.destroy();
    },
  };
}

function failureOf({ code }: NodeJS.ErrnoException): HostSocketFailure {
  if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'EACCES') return 'refused';
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : 'other';
}
