// virtio-9p: a folder of the host that the guest mounts (`mount -t 9p -o trans=virtio TAG DIR`). One queue; each buffer
// holds a 9P message and room for its answer. Answers come as the host has them, at turn boundaries of the machine.

import type { ShareBackend } from '../../../backends/share-backend.ts';
import type { HostEvents } from '../../../device/ports.ts';
import { assert } from '../../../util/errors.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import { MAX_TAG_BYTES, NINE_P_FEATURES, NINE_P_QUEUE_SIZE, tagConfig, VIRTIO_ID_9P } from './config.ts';
import { type NinePRequest, parseRequest } from './request.ts';
import { NinePServer } from './server.ts';

/** Messages and answers under way that the device holds in the host's memory before it lets further ones wait. */
const MAX_BYTES_UNDER_WAY = 16 * 2 ** 20;

export interface VirtioNinePOptions {
  /** What the guest mounts it by, 1 to 31 bytes. */
  readonly tag: string;
  readonly backend: ShareBackend;
  readonly events: HostEvents;
}

export class VirtioNineP implements DeviceKind {
  readonly name = 'virtio-9p';
  readonly deviceType = VIRTIO_ID_9P;
  readonly features = NINE_P_FEATURES;
  readonly queueSizes = [NINE_P_QUEUE_SIZE];
  readonly config;
  readonly configBytes: number;
  readonly server: NinePServer;
  private readonly backend: ShareBackend;
  private readonly events: HostEvents;
  private device: VirtioDevice | undefined;
  private life = 0;
  private bytesUnderWay = 0;
  private underWay = 0;
  /** Requests of earlier lives that the host still works on; new ones wait until they are over. */
  private leftOver = 0;

  constructor({ tag, backend, events }: VirtioNinePOptions) {
    const { bytes, handler } = tagConfig(tag);
    assert(bytes > 2 && bytes <= 2 + MAX_TAG_BYTES, `a mount tag has 1 to ${MAX_TAG_BYTES} bytes`);
    this.config = handler;
    this.configBytes = bytes;
    this.backend = backend;
    this.events = events;
    this.server = new NinePServer(backend);
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  notified(queue: Virtqueue): void {
    while (this.leftOver === 0 && this.bytesUnderWay < MAX_BYTES_UNDER_WAY) {
      const chain = queue.take();
      if (!chain) break;
      const request = parseRequest(chain);
      if (request === undefined) return;
      if (typeof request === 'string') {
        queue.fail('request', request, chain.id);
        return;
      }
      this.begin(queue, chain, request);
    }
    queue.signal();
  }

  reset(): void {
    this.life++;
    this.leftOver += this.underWay;
    this.underWay = 0;
    this.bytesUnderWay = 0;
    this.server.reset();
  }

  close(): void {
    this.server.reset();
    this.backend.close?.();
  }

  private begin(queue: Virtqueue, chain: DescriptorChain, { message, roomBytes }: NinePRequest): void {
    const { life } = this;
    const held = message.length + roomBytes;
    this.bytesUnderWay += held;
    this.underWay++;
    this.events.finish(this.server.handle(message, roomBytes), (answer) => {
      if (life !== this.life) {
        this.leftOver--;
        if (this.leftOver === 0) this.lookAtQueue();
        return;
      }
      this.underWay--;
      this.bytesUnderWay -= held;
      if (chain.write(0, answer)) queue.complete(chain, answer.length);
      queue.signal();
      this.lookAtQueue();
    });
  }

  /** Room has come free: takes on what had to wait. */
  private lookAtQueue(): void {
    const queue = this.device?.running ? this.device.queues[0] : undefined;
    if (queue) this.notified(queue);
  }
}
