// What the built-in network needs of the host: sockets. Filled by backends/node; a page in a browser has none. Callbacks
// come at any time; the network brings them into the machine at a turn boundary itself.

export type HostSocketFailure = 'refused' | 'unreachable' | 'timeout' | 'reset' | 'other';

/** A TCP connection of the host. */
export interface HostStream {
  /** Takes `bytes`, which the caller leaves alone from now on; `written` says when the host has them. */
  write(bytes: Uint8Array<ArrayBuffer>): void;
  /** No more will be written; what was is still delivered. */
  end(): void;
  /** No more `data` until `resume`, but for what is on its way. */
  pause(): void;
  resume(): void;
  /** Drops the connection and all that is on its way; no more events. The peer sees a reset where the host can send one. */
  destroy(): void;
}

export interface HostStreamEvents {
  connected(): void;
  data(bytes: Uint8Array<ArrayBuffer>): void;
  /** So many bytes more of what was written belong to the host now. */
  written(lenBytes: number): void;
  /** The peer will not send more. */
  ended(): void;
  /** The connection is gone, or never was. */
  failed(reason: HostSocketFailure): void;
}

/** A UDP socket that talks to one peer. */
export interface HostDatagrams {
  send(bytes: Uint8Array): void;
  close(): void;
}

export interface HostDatagramEvents {
  data(bytes: Uint8Array<ArrayBuffer>): void;
  failed(reason: HostSocketFailure): void;
}

/** A UDP socket that anybody may send to. */
export interface HostDatagramServer {
  send(bytes: Uint8Array, address: string, port: number): void;
  close(): void;
}

export interface HostListener {
  /** The port it got. */
  readonly port: number;
  close(): void;
}

export interface HostSockets {
  connectTcp(address: string, port: number, events: HostStreamEvents): HostStream;
  /** Rejects with a PowervisorError if the address cannot be had. `accept` answers with who is told about the stream. */
  listenTcp(address: string, port: number, accept: (stream: HostStream) => HostStreamEvents): Promise<HostListener>;
  connectUdp(address: string, port: number, events: HostDatagramEvents): HostDatagrams;
  /** Rejects as `listenTcp`. */
  bindUdp(
    address: string,
    port: number,
    data: (bytes: Uint8Array<ArrayBuffer>, address: string, port: number) => void,
  ): Promise<HostListener & HostDatagramServer>;
  /** The name servers that the host asks, best first. */
  nameServers(): readonly { readonly address: string; readonly port: number }[];
}
