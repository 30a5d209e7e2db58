// virtio-blk: a disk (VIRTIO 1.2 5.2). Requests are handed to the backend as they come, from all queues, and returned as
// the host finishes them, at turn boundaries of the machine.
//
// After a reset, requests of the earlier life may still be under way on the host; new ones wait until they are over, so
// that no old write lands on top of a new one.

import type { BlockBackend, BlockOutcome } from '../../../backends/block-backend.ts';
import { type DeviceLog, Done, type HostEvents } from '../../../device/ports.ts';
import { BufferPool } from '../../core/buffer-pool.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import {
  BLOCK_CONFIG,
  BLOCK_CONFIG_BYTES,
  BLOCK_QUEUE_SIZE,
  type BlockGeometry,
  blockFeatures,
  blockRegister,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_ID_BLOCK,
} from './config.ts';
import {
  type BlockRange,
  type BlockRequest,
  HEADER_BYTES,
  ID_BYTES,
  parseBlockRequest,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
} from './request.ts';

/** Data of requests under way that the device holds in the host's memory before it lets further ones wait. */
const MAX_BYTES_UNDER_WAY = 64 * 2 ** 20;
/** Lines about failures of the host that one device writes. */
const MAX_FAILURE_LINES = 8;

export interface VirtioBlockOptions {
  readonly backend: BlockBackend;
  readonly events: HostEvents;
  readonly log: DeviceLog;
  /** 1 to 16. Default 1. */
  readonly queues?: number;
  /** At most 20 bytes. */
  readonly serial?: string;
  /** Default 512. */
  readonly logicalBytes?: number;
  /** Default 4096. */
  readonly physicalBytes?: number;
}

export const MAX_BLOCK_QUEUES = 16;

/** Done: what to tell the guest. */
interface Finished {
  readonly status: number;
  /** For the guest, in front of the status. */
  readonly data?: Uint8Array;
}

export class VirtioBlock implements DeviceKind {
  readonly name = 'virtio-blk';
  readonly deviceType = VIRTIO_ID_BLOCK;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly configBytes = BLOCK_CONFIG_BYTES;
  readonly config;
  /** Requests so far by kind. */
  readonly counts = { read: 0, write: 0, flush: 0, id: 0, discard: 0, zero: 0, refused: 0 };
  private readonly backend: BlockBackend;
  private readonly events: HostEvents;
  private readonly log: DeviceLog;
  private readonly geometry: BlockGeometry;
  private readonly serial: Uint8Array;
  private readonly buffers = new BufferPool();
  private device: VirtioDevice | undefined;
  private writeback = 1;
  /** Counts lives: what was begun in an earlier one is not answered. */
  private life = 0;
  private bytesUnderWay = 0;
  private underWay = 0;
  /** Requests of earlier lives that the host still works on. */
  private leftOver = 0;
  private failureLines = 0;

  constructor(options: VirtioBlockOptions) {
    const { backend, queues = 1, logicalBytes = 512, physicalBytes = 4096 } = options;
    this.backend = backend;
    this.events = options.events;
    this.log = options.log;
    this.geometry = { sizeBytes: backend.sizeBytes, queues, logicalBytes, physicalBytes };
    this.features = blockFeatures(backend.readOnly, queues);
    this.queueSizes = Array.from({ length: queues }, () => BLOCK_QUEUE_SIZE);
    this.serial = new Uint8Array(ID_BYTES);
    this.serial.set(new TextEncoder().encode(options.serial ?? '').subarray(0, ID_BYTES));
    this.config = BLOCK_CONFIG.handler({
      readRegister: (name) => (name === 'writeback' ? this.writeback : blockRegister(name, this.geometry)),
      writeRegister: (name, value) => {
        if (name === 'writeback' && this.device?.negotiated(VIRTIO_BLK_F_CONFIG_WCE)) this.writeback = value & 1;
      },
    });
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  notified(queue: Virtqueue): void {
    while (this.leftOver === 0 && this.bytesUnderWay < MAX_BYTES_UNDER_WAY) {
      const chain = queue.take();
      if (!chain) break;
      this.begin(queue, chain);
    }
    queue.signal();
  }

  reset(): void {
    this.life++;
    this.leftOver += this.underWay;
    this.underWay = 0;
    this.bytesUnderWay = 0;
    this.writeback = 1;
  }

  close(): Promise<void> {
    return this.backend.close();
  }

  /** Without FLUSH, or when the driver has said so, a write is only done when it is safe (5.2.5, 5.2.6.2). */
  private get writeThrough(): boolean {
    const { device } = this;
    return !device?.negotiated(VIRTIO_BLK_F_FLUSH) || this.writeback === 0;
  }

  private begin(queue: Virtqueue, chain: DescriptorChain): void {
    const { backend, geometry } = this;
    const { sizeBytes, logicalBytes } = geometry;
    const request = parseBlockRequest(chain, { sizeBytes, readOnly: backend.readOnly, logicalBytes });
    if (request === undefined) return;
    if (typeof request === 'string') {
      queue.fail('request', request, chain.id);
      return;
    }
    this.counts[request.kind]++;
    switch (request.kind) {
      case 'refused':
        this.answer(queue, chain, { status: request.status });
        return;
      case 'id':
        this.answer(queue, chain, { status: VIRTIO_BLK_S_OK, data: this.serial.subarray(0, request.lenBytes) });
        return;
      case 'write': {
        const data = this.buffers.take(request.lenBytes);
        if (chain.read(HEADER_BYTES, data)) this.run(queue, chain, request, data);
        return;
      }
      case 'read':
        this.run(queue, chain, request, this.buffers.take(request.lenBytes));
        return;
      default:
        this.run(queue, chain, request, undefined);
    }
  }

  private run(
    queue: Virtqueue,
    chain: DescriptorChain,
    request: BlockRequest,
    data: Uint8Array<ArrayBuffer> | undefined,
  ): void {
    const { life } = this;
    const held = data?.length ?? 0;
    this.bytesUnderWay += held;
    this.underWay++;
    this.events.finish(this.performNow(request, data) ?? this.perform(request, data), (failure) => {
      if (failure) this.report(request, failure.message);
      if (life !== this.life) {
        if (data) this.buffers.give(data);
        this.leftOver--;
        if (this.leftOver === 0) this.lookAtQueues();
        return;
      }
      this.underWay--;
      this.bytesUnderWay -= held;
      const status = failure ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
      this.answer(queue, chain, { status, ...(request.kind === 'read' && !failure && { data }) });
      if (data) this.buffers.give(data);
      queue.signal();
      this.lookAtQueues();
    });
  }

  /** Where the backend is as fast as that: on return it is done. The guest hears of it at the next turn boundary, as of all. */
  private performNow(request: BlockRequest, data: Uint8Array | undefined): Done<BlockOutcome> | undefined {
    const { backend } = this;
    let outcome: BlockOutcome | 'later' = 'later';
    if (request.kind === 'read' && backend.readNow) outcome = backend.readNow(request.offset, data!);
    if (request.kind === 'write' && backend.writeNow && !this.writeThrough) {
      outcome = backend.writeNow(request.offset, data!);
    }
    return outcome === 'later' ? undefined : new Done(outcome);
  }

  private async perform(request: BlockRequest, data: Uint8Array | undefined): Promise<BlockOutcome> {
    const { backend } = this;
    const safe = (outcome: BlockOutcome) => outcome ?? (this.writeThrough ? backend.flush() : undefined);
    switch (request.kind) {
      case 'read':
        return backend.read(request.offset, data!);
      case 'write':
        return safe(await backend.write(request.offset, data!));
      case 'flush':
        return backend.readOnly ? undefined : backend.flush();
      case 'discard':
        return this.each(request.ranges, (range) => backend.discard(range.offset, range.lenBytes));
      case 'zero':
        return safe(
          await this.each(request.ranges, (range) => backend.writeZeroes(range.offset, range.lenBytes, range.unmap)),
        );
      default:
        return undefined;
    }
  }

  private async each(ranges: readonly BlockRange[], action: (range: BlockRange) => Promise<BlockOutcome>) {
    for (const range of ranges) {
      const failure = await action(range);
      if (failure) return failure;
    }
    return undefined;
  }

  private answer(queue: Virtqueue, chain: DescriptorChain, { status, data }: Finished): void {
    if (data && !chain.write(0, data)) return;
    if (!chain.write(chain.writableBytes - 1, Uint8Array.of(status))) return;
    // The status is the last byte: all up to it counts as written if there was data, and else the byte alone can be said
    // to be written only where nothing lies before it.
    queue.complete(chain, data || chain.writableBytes === 1 ? chain.writableBytes : 0);
  }

  /** Room has come free: takes on what had to wait. */
  private lookAtQueues(): void {
    const { device } = this;
    if (!device?.running) return;
    for (const queue of device.queues) if (queue && device.running) this.notified(queue);
  }

  private report(request: BlockRequest, message: string): void {
    if (++this.failureLines > MAX_FAILURE_LINES) return;
    const last = this.failureLines === MAX_FAILURE_LINES ? '; further failures are not shown' : '';
    this.log.warn(`${this.backend.name}: ${request.kind} failed, the guest gets an I/O error: ${message}${last}`);
  }
}
