// A hub: what one of its ports sends, all others get. For machines in one process, and for several backends on one wire.
// A frame is cut or summed for those ports that cannot take it as it is.

import type { FrameHints, NetBackend, NetPort, Offloads } from './net-backend.ts';
import { adaptFrame } from './offload.ts';
import type { Bytes } from './packet.ts';

const ALL: Offloads = { checksum: true, tcp4: true };
/** Frames that may be on their way in the hub; more are dropped. */
const MAX_UNDERWAY = 1024;

/** Hands a frame over at the receiver's next turn boundary. */
export type Post = (action: () => void) => void;

class HubPort implements NetBackend {
  readonly name = 'hub';
  readonly offloads = ALL;
  port: NetPort | undefined;
  dropped = 0;
  underway = 0;
  private readonly hub: Hub;
  private readonly post: Post;

  constructor(hub: Hub, post: Post) {
    this.hub = hub;
    this.post = post;
  }

  connect(port: NetPort): void {
    this.port = port;
  }

  send(frame: Bytes, hints: FrameHints): void {
    this.hub.forward(this, frame, hints);
  }

  deliver(frame: Bytes, hints: FrameHints): void {
    if (this.underway >= MAX_UNDERWAY) {
      this.dropped++;
      return;
    }
    this.underway++;
    this.post(() => {
      this.underway--;
      if (!this.port) return;
      // Each receiver may finish the frame in place, so each has its own.
      for (const each of adaptFrame(frame, hints, this.port.offloads)) {
        if (!this.port.receive(each.frame, each.hints)) this.dropped++;
      }
    });
  }

  close(): void {
    this.port = undefined;
    this.hub.remove(this);
  }

  statistics(): Readonly<Record<string, number>> {
    return { dropped: this.dropped };
  }
}

export class Hub {
  private readonly ports = new Set<HubPort>();

  /** A backend for one more device. `post` brings frames into that device's machine (HostEvents.post). */
  plug(post: Post): NetBackend {
    const port = new HubPort(this, post);
    this.ports.add(port);
    return port;
  }

  /**
   * Puts another backend, such as the built-in network, on the wire. `post` brings frames into the machine whose time and
   * events that backend was made with.
   */
  attach(backend: NetBackend, post: Post): void {
    const port = this.plug(post);
    port.connect({
      offloads: backend.offloads,
      ready: true,
      receive: (frame, hints) => {
        backend.send(frame, hints);
        backend.sent?.();
        return true;
      },
      setLink() {},
    });
    backend.connect({
      offloads: ALL,
      ready: true,
      receive: (frame, hints) => {
        port.send(frame, hints);
        return true;
      },
      setLink() {},
    });
  }

  remove(port: NetBackend): void {
    this.ports.delete(port as HubPort);
  }

  forward(from: NetBackend, frame: Bytes, hints: FrameHints): void {
    for (const port of this.ports) if (port !== from) port.deliver(frame.slice(), hints);
  }
}
