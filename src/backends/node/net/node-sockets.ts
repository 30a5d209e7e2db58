// Sockets of Node as the host of the built-in network.

import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import { PowervisorError } from '../../../util/errors.ts';
import type {
  HostDatagrams,
  HostListener,
  HostSocketFailure,
  HostSockets,
  HostStream,
  HostStreamEvents,
} from '../../net/host-sockets.ts';

const DNS_PORT = 53;
/** A host that does not answer is given up after this, long before its kernel would. */
const CONNECT_TIMEOUT_MS = 30_000;
/** Datagrams to send that may wait for the socket's address to be known. */
const MAX_EARLY_DATAGRAMS = 16;

export const nodeSockets: HostSockets = {
  connectTcp(address, port, events) {
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(() => socket.destroy(coded('ETIMEDOUT')), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      events.connected();
    });
    socket.once('close', () => clearTimeout(timer));
    return streamOf(socket, () => events);
  },

  listenTcp(address, port, accept) {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
        let events: HostStreamEvents | undefined;
        const stream = streamOf(socket, () => events);
        events = accept(stream);
        socket.resume();
      });
      server.once('error', (cause) => reject(cannotListen('TCP', address, port, cause)));
      server.listen({ host: address, port, exclusive: true }, () => {
        server.removeAllListeners('error');
        // Out of descriptors, for one: the connection is lost, the port stays.
        server.on('error', () => {});
        resolve(listener(portOf(server.address()), () => server.close()));
      });
    });
  },

  connectUdp(address, port, events) {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    let ready = false;
    let closed = false;
    let early: Uint8Array[] = [];
    const fail = (error: Error) => {
      if (!closed) events.failed(failureOf(error));
    };
    socket.on('error', fail);
    socket.on('message', (bytes) => {
      if (!closed) events.data(ownBytes(bytes));
    });
    socket.connect(port, address, () => {
      if (closed) return;
      ready = true;
      for (const bytes of early) socket.send(bytes, ignoreSendError);
      early = [];
    });
    const datagrams: HostDatagrams = {
      send(bytes) {
        if (closed) return;
        if (ready) socket.send(bytes, ignoreSendError);
        else if (early.length < MAX_EARLY_DATAGRAMS) early.push(bytes);
      },
      close() {
        if (closed) return;
        closed = true;
        closeDatagrams(socket);
      },
    };
    return datagrams;
  },

  bindUdp(address, port, data) {
    return new Promise((resolve, reject) => {
      const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
      socket.once('error', (cause) => reject(cannotListen('UDP', address, port, cause)));
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        socket.on('error', () => {});
        socket.on('message', (bytes, peer) => data(ownBytes(bytes), peer.address, peer.port));
        const { port: bound, close } = listener(socket.address().port, () => closeDatagrams(socket));
        resolve({
          port: bound,
          close,
          send: (bytes, toAddress, toPort) => socket.send(bytes, toPort, toAddress, ignoreSendError),
        });
      });
    });
  },

  nameServers() {
    return getServers().map((text) => {
      const match = /^\[?([^\]]+?)\]?(?:(?<=\]):(\d+))?$/.exec(text)!;
      const withPort = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(text);
      if (withPort) return { address: withPort[1], port: Number(withPort[2]) };
      return { address: match[1], port: match[2] ? Number(match[2]) : DNS_PORT };
    });
  },
};

/** A refused datagram shows as an 'error' event of the socket; what sending itself says adds nothing. */
function ignoreSendError(): void {}

function streamOf(socket: Socket, events: () => HostStreamEvents | undefined): HostStream {
  let destroyed = false;
  socket.on('data', (bytes) => events()?.data(ownBytes(bytes)));
  socket.on('end', () => {
    if (!destroyed) events()?.ended();
  });
  socket.on('error', (error) => {
    if (!destroyed) events()?.failed(failureOf(error));
  });
  return {
    write(bytes) {
      if (destroyed || socket.destroyed) return;
      socket.write(bytes, (error) => {
        if (!error && !destroyed) events()?.written(bytes.length);
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
      // A reset where there is a connection, so that the peer does not take it for an orderly end.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    },
  };
}

/** Node's small messages share a pool; what we keep must not. */
function ownBytes(bytes: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function closeDatagrams(socket: DatagramSocket): void {
  socket.removeAllListeners('message');
  try {
    socket.close();
  } catch {
    // It had not come up yet, or is closed already.
  }
}

function listener(port: number, close: () => void): HostListener {
  let open = true;
  return {
    port,
    close() {
      if (open) close();
      open = false;
    },
  };
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function failureOf(error: Error & { code?: string }): HostSocketFailure {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'reset';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'unreachable';
    default:
      return 'other';
  }
}

function cannotListen(
  protocol: string,
  address: string,
  port: number,
  cause: Error & { code?: string },
): PowervisorError {
  const why =
    cause.code === 'EADDRINUSE'
      ? 'it is in use; choose another port'
      : cause.code === 'EACCES'
        ? 'ports below 1024 need privileges here; choose another'
        : cause.message;
  return new PowervisorError('NET', `Cannot listen on ${protocol} port ${port} of ${address}: ${why}.`, { cause });
}
