// virtio-balloon: asks the guest to give memory back (VIRTIO 1.2 5.5). Page numbers are guest real whatever the device's
// DMA does, so the device has nothing to do with ACCESS_PLATFORM (spec 5.5.5 and Linux clear it).
//
// The memory of a machine is one allocation of the host, so pages that the guest gives back are counted and no more:
// nothing returns to the host. Left out: free page hints, page poison.

import { assert } from '../../../util/errors.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import {
  BALLOON_CONFIG,
  BALLOON_CONFIG_BYTES,
  BALLOON_FEATURES,
  BALLOON_PAGE_BYTES,
  BALLOON_QUEUE_SIZE,
  balloonQueue,
  VIRTIO_BALLOON_F_STATS_VQ,
  VIRTIO_ID_BALLOON,
} from './config.ts';
import { type BalloonStats, parsePages, parseStats } from './request.ts';

export class VirtioBalloon implements DeviceKind {
  readonly name = 'virtio-balloon';
  readonly deviceType = VIRTIO_ID_BALLOON;
  readonly features = BALLOON_FEATURES;
  readonly queueSizes = [BALLOON_QUEUE_SIZE, BALLOON_QUEUE_SIZE, BALLOON_QUEUE_SIZE, BALLOON_QUEUE_SIZE];
  readonly configBytes = BALLOON_CONFIG_BYTES;
  readonly config;
  readonly ignoresPlatform = true;
  /** What the guest last told about its memory; undefined before that. */
  stats: BalloonStats | undefined;
  /** Bytes of free pages that the guest has reported since power-on. */
  reportedBytes = 0;
  private readonly pages: Uint8Array;
  private inflated = 0;
  private target = 0;
  private actual = 0;
  private device: VirtioDevice | undefined;
  private statsBuffer: DescriptorChain | undefined;

  /** `memoryBytes` of guest memory. */
  constructor(memoryBytes: number) {
    this.pages = new Uint8Array(Math.ceil(memoryBytes / BALLOON_PAGE_BYTES));
    this.config = BALLOON_CONFIG.handler({
      readRegister: (name) => (name === 'num_pages' ? this.target : this.actual),
      writeRegister: (name, value) => {
        if (name === 'actual') this.actual = value;
      },
    });
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  /** Bytes the guest has given up, as the device has been told page by page. */
  get inflatedBytes(): number {
    return this.inflated * BALLOON_PAGE_BYTES;
  }

  /** Asks the guest to give up so many bytes, a multiple of 4096. It does so when it gets round to it. */
  setTargetBytes(bytes: number): void {
    assert(bytes % BALLOON_PAGE_BYTES === 0, 'a balloon counts in pages of 4096 bytes');
    this.target = Math.min(bytes / BALLOON_PAGE_BYTES, this.pages.length);
    this.device?.configChanged();
  }

  /** Asks the guest for new statistics; false if it has not offered to give any. */
  requestStats(): boolean {
    const queue = this.device?.queues[2];
    const { statsBuffer } = this;
    if (!statsBuffer?.live || !queue) return false;
    this.statsBuffer = undefined;
    queue.complete(statsBuffer);
    queue.signal();
    return true;
  }

  notified(queue: Virtqueue): void {
    const role = balloonQueue(queue.index, this.device?.negotiated(VIRTIO_BALLOON_F_STATS_VQ) ?? false);
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const wrong = this.serve(role, queue, chain);
      if (wrong === undefined) continue;
      queue.fail('request', wrong, chain.id);
      return;
    }
    queue.signal();
  }

  reset(): void {
    this.pages.fill(0);
    this.inflated = 0;
    this.actual = 0;
    this.statsBuffer = undefined;
    this.stats = undefined;
  }

  /** What is wrong with the request, if anything is. */
  private serve(role: ReturnType<typeof balloonQueue>, queue: Virtqueue, chain: DescriptorChain): string | undefined {
    if (role === 'stats') {
      // The buffer stays with the device until somebody asks for newer numbers (5.5.6.3).
      if (this.statsBuffer?.live) return 'a second buffer of statistics';
      const stats = parseStats(chain);
      if (typeof stats === 'string') return stats;
      if (stats) this.stats = stats;
      this.statsBuffer = chain;
      return undefined;
    }
    if (role === 'reporting') {
      // The buffers are the free pages themselves.
      this.reportedBytes += chain.writableBytes;
    } else {
      const pages = parsePages(chain);
      if (typeof pages === 'string') return pages;
      if (pages) this.count(pages, role === 'inflate' ? 1 : 0);
    }
    queue.complete(chain);
    return undefined;
  }

  /** Page numbers beyond memory are nobody's and ignored. */
  private count(numbers: Uint32Array, state: 0 | 1): void {
    const { pages } = this;
    for (const number of numbers) {
      if (number >= pages.length || pages[number] === state) continue;
      pages[number] = state;
      this.inflated += state === 1 ? 1 : -1;
    }
  }
}
