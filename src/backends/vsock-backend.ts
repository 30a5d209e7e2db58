// What virtio-vsock needs of its host: streams to and from programs of the host by port number. Filled by backends/node with
// unix sockets. Callbacks come at any time; the device brings them into the machine at a turn boundary itself.

import type { HostStream, HostStreamEvents } from './net/host-sockets.ts';

/** A program of the host that wants to talk to `port` of the guest. */
export interface VsockVisitor {
  readonly port: number;
  readonly stream: HostStream;
  /** The guest has taken the connection; `hostPort` is the number it knows the visitor by. Data may flow from now on. */
  accepted(hostPort: number): void;
}

export interface VsockBackend {
  /** The guest connects to `port` of the host; `events.failed` if nobody is there. */
  connect(port: number, events: HostStreamEvents): HostStream;
  /** Called once: who is asked about visitors. What is answered is told about the stream; undefined sends it away. */
  listen(visit: (visitor: VsockVisitor) => HostStreamEvents | undefined): void;
  close?(): void;
}
