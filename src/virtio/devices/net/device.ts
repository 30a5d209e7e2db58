// virtio-net: a network card (VIRTIO 1.2 5.1). What its wire ends in is a NetBackend; the driver may leave checksums and
// the cutting of TCP segments to it, and take frames that need the same.
//
// A frame that cannot be sent or does not pass the filter is dropped and counted, as a card does; only what breaks the
// queues, or a command without room for an answer, stops the device.

import {
  type FrameHints,
  MAX_FRAME_BYTES,
  MIN_FRAME_BYTES,
  type NetBackend,
  type NetPort,
  NO_OFFLOADS,
  type Offloads,
} from '../../../backends/net/net-backend.ts';
import { adaptFrame } from '../../../backends/net/offload.ts';
import type { DeviceClock } from '../../../device/ports.ts';
import { assert } from '../../../util/errors.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import { featureSet, hasFeature, VIRTIO_F_VERSION_1 } from '../../core/features.ts';
import type { Virtqueue } from '../../core/queue.ts';
import {
  MAX_NET_PAIRS,
  NET_CONFIG,
  NET_CONFIG_BYTES,
  NET_CONTROL_QUEUE_SIZE,
  NET_QUEUE_SIZE,
  VIRTIO_ID_NET,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
  VIRTIO_NET_S_LINK_UP,
} from './config.ts';
import {
  type ControlCommand,
  HEADER_BYTES,
  macKey,
  parseControl,
  parseSend,
  type RxMode,
  receiveHeader,
  SHORT_HEADER_BYTES,
} from './request.ts';

export interface VirtioNetOptions {
  readonly backend: NetBackend;
  /** 6 bytes, not a multicast address. */
  readonly mac: Uint8Array;
  /** Pairs of queues, 1 (default) to 16. */
  readonly pairs?: number;
  /** Offers checksums and segmentation, default true. */
  readonly offloads?: boolean;
  /** Offers receive buffers that hold parts of frames, default true. */
  readonly mergeable?: boolean;
  /** With it, frames to send are gathered for a moment; without, each notification is served at once. */
  readonly clock?: DeviceClock;
}

/**
 * How long the device gathers frames after a notification while the guest has other things to do. The driver does not
 * notify again meanwhile, and the answers of the other side come together: for small frames that is most of the work.
 */
const GATHER_NS = 2_000_000;

/** Bytes of frames that may wait for buffers of the driver: above the first the backend is asked to wait, above the second they are dropped. */
const ENOUGH_WAITING_BYTES = 256 * 1024;
const MAX_WAITING_BYTES = 2 ** 20;
/** Remembered flows, for receiving on the pair that sends. */
const STEERING_ENTRIES = 256;
const BROADCAST = '255:255:255:255:255:255';

interface WaitingFrame {
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly hints: FrameHints;
}

/** The receiving half of a pair. */
interface Receiver {
  waiting: WaitingFrame[];
  /** Buffers taken from the queue for a frame that needs more. */
  chains: DescriptorChain[];
}

export class VirtioNet implements DeviceKind, NetPort {
  readonly name = 'virtio-net';
  readonly deviceType = VIRTIO_ID_NET;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly configBytes = NET_CONFIG_BYTES;
  readonly config;
  readonly counters = { sent: 0, received: 0, sendErrors: 0, receiveDropped: 0, filtered: 0 };
  private readonly backend: NetBackend;
  private readonly clock: DeviceClock | undefined;
  /** By pair: what calls off the sending that is to come. */
  private readonly gathering: ((() => void) | undefined)[] = [];
  private readonly burnedMac: Uint8Array;
  private readonly mac = new Uint8Array(6);
  private readonly maxPairs: number;
  private readonly receivers: readonly Receiver[];
  private readonly steering = new Uint8Array(STEERING_ENTRIES);
  private readonly modes = new Set<RxMode>();
  private unicast: ReadonlySet<string> = new Set();
  private multicast: ReadonlySet<string> = new Set();
  private device: VirtioDevice | undefined;
  private pairs = 1;
  private waitingBytes = 0;
  private linkUp = true;
  private toldToWait = false;

  constructor(options: VirtioNetOptions) {
    const { backend, mac, pairs = 1, offloads = true, mergeable = true } = options;
    assert(mac.length === 6 && (mac[0] & 1) === 0, 'a network card has a unicast address of 6 bytes');
    assert(pairs >= 1 && pairs <= MAX_NET_PAIRS, 'a network card has 1 to 16 pairs of queues');
    this.backend = backend;
    this.clock = options.clock;
    this.burnedMac = mac.slice();
    this.mac.set(mac);
    this.maxPairs = pairs;
    this.features = featureSet(
      VIRTIO_NET_F_MAC,
      VIRTIO_NET_F_STATUS,
      VIRTIO_NET_F_CTRL_VQ,
      VIRTIO_NET_F_CTRL_RX,
      VIRTIO_NET_F_CTRL_RX_EXTRA,
      VIRTIO_NET_F_CTRL_MAC_ADDR,
      ...(pairs > 1 ? [VIRTIO_NET_F_MQ] : []),
      ...(mergeable ? [VIRTIO_NET_F_MRG_RXBUF] : []),
      ...(offloads
        ? [VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4]
        : []),
    );
    // A driver without MQ has its control queue where the second pair would be; both are large enough for either.
    const sizes = Array.from({ length: 2 * pairs }, () => NET_QUEUE_SIZE);
    this.queueSizes = [...sizes, NET_CONTROL_QUEUE_SIZE];
    this.receivers = Array.from({ length: pairs }, () => ({ waiting: [], chains: [] }));
    this.config = NET_CONFIG.handler({
      readRegister: (name) => {
        if (name === 'status') return this.linkUp ? VIRTIO_NET_S_LINK_UP : 0;
        if (name === 'max_virtqueue_pairs') return pairs;
        return this.mac[Number(name.slice(3))];
      },
      writeRegister: (name, value) => {
        // Only legacy drivers set the address this way (5.1.4.2).
        if (!this.negotiated(VIRTIO_F_VERSION_1) && name.startsWith('mac')) this.mac[Number(name.slice(3))] = value;
      },
    });
    backend.connect(this);
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  /** Dependencies of 5.1.3.1 that would leave the device with nonsense to do. */
  accepts(features: bigint): boolean {
    const needs = (bit: number, other: number) => !hasFeature(features, bit) || hasFeature(features, other);
    return (
      needs(VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM) &&
      needs(VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM) &&
      needs(VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ) &&
      needs(VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VQ) &&
      needs(VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ) &&
      needs(VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ)
    );
  }

  started(): void {
    this.offerRoom();
  }

  notified(queue: Virtqueue): void {
    const { index } = queue;
    if (index === this.controlIndex) this.serveControl(queue);
    else if (index >= 2 * this.maxPairs) return;
    else if (index % 2 === 1) this.gather(queue, (index - 1) / 2);
    else {
      this.deliver(index / 2);
      this.offerRoom();
    }
  }

  reset(): void {
    for (const callOff of this.gathering) callOff?.();
    this.gathering.length = 0;
    for (const receiver of this.receivers) {
      receiver.waiting = [];
      receiver.chains = [];
    }
    this.waitingBytes = 0;
    this.mac.set(this.burnedMac);
    this.modes.clear();
    this.unicast = new Set();
    this.multicast = new Set();
    this.pairs = 1;
    this.steering.fill(0);
    this.toldToWait = true;
    this.backend.reset?.();
  }

  close(): void {
    this.backend.close();
  }

  // --- the port that the backend sees -----------------------------------------------------------------------------

  get offloads(): Offloads {
    const checksum = this.negotiated(VIRTIO_NET_F_GUEST_CSUM);
    return checksum ? { checksum, tcp4: this.negotiated(VIRTIO_NET_F_GUEST_TSO4) } : NO_OFFLOADS;
  }

  get ready(): boolean {
    const ready = this.running && this.waitingBytes < ENOUGH_WAITING_BYTES;
    if (!ready) this.toldToWait = true;
    return ready;
  }

  receive(frame: Uint8Array<ArrayBuffer>, hints: FrameHints): boolean {
    if (!this.running || frame.length < MIN_FRAME_BYTES || frame.length > MAX_FRAME_BYTES) return false;
    if (!this.passes(frame)) {
      this.counters.filtered++;
      return true;
    }
    if (this.waitingBytes + frame.length > MAX_WAITING_BYTES) {
      this.counters.receiveDropped++;
      return false;
    }
    const pair = this.pairs === 1 ? 0 : this.steering[flowHash(frame)] % this.pairs;
    this.receivers[pair].waiting.push({ frame, hints });
    this.waitingBytes += frame.length;
    this.deliver(pair);
    return true;
  }

  setLink(up: boolean): void {
    if (up === this.linkUp) return;
    this.linkUp = up;
    this.device?.configChanged();
  }

  // --- receiving --------------------------------------------------------------------------------------------------

  private deliver(pair: number): void {
    const queue = this.device?.queues[2 * pair];
    const receiver = this.receivers[pair];
    if (!queue || receiver.waiting.length === 0) return;
    let sent = 0;
    for (const waiting of receiver.waiting) {
      if (!this.put(queue, receiver, waiting)) break;
      this.waitingBytes -= waiting.frame.length;
      sent++;
    }
    // After a reset in between there is nothing of this left.
    if (sent > 0) receiver.waiting.splice(0, sent);
    queue.signal();
  }

  /** False if the driver has not given enough buffers yet. A frame that they can never hold is dropped. */
  private put(queue: Virtqueue, receiver: Receiver, { frame, hints }: WaitingFrame): boolean {
    const mergeable = this.negotiated(VIRTIO_NET_F_MRG_RXBUF);
    const headerBytes = this.headerBytes;
    const wanted = headerBytes + frame.length;
    const chains = receiver.chains.filter((chain) => chain.live);
    let room = chains.reduce((sum, chain) => sum + chain.writableBytes, 0);
    while (room < wanted && (mergeable || chains.length === 0)) {
      if (chains.length >= queue.size) break;
      const chain = queue.take();
      if (!chain) break;
      chains.push(chain);
      room += chain.writableBytes;
    }
    receiver.chains = chains;
    if (chains.length > 0 && chains[0].writableBytes < headerBytes) {
      queue.fail('request', `a receive buffer of ${chains[0].writableBytes} bytes`, chains[0].id);
      return false;
    }
    if (room < wanted) {
      const never = mergeable ? queue.slotsTaken >= queue.size : chains.length > 0;
      if (never) this.counters.receiveDropped++;
      return never;
    }
    this.fill(queue, receiver, frame, hints);
    return true;
  }

  private fill(queue: Virtqueue, receiver: Receiver, frame: Uint8Array<ArrayBuffer>, hints: FrameHints): void {
    const headerBytes = this.headerBytes;
    const used: { chain: DescriptorChain; bytes: number }[] = [];
    let done = 0;
    for (const chain of receiver.chains) {
      const start = used.length === 0 ? headerBytes : 0;
      const bytes = Math.min(chain.writableBytes - start, frame.length - done);
      if (bytes > 0 && !chain.write(start, frame.subarray(done, done + bytes))) return;
      used.push({ chain, bytes: start + bytes });
      done += bytes;
      if (done === frame.length) break;
    }
    const headersBytes = hints.segmentBytes > 0 ? hints.checksumStart + (frame[hints.checksumStart + 12] >> 4) * 4 : 0;
    const tells = this.negotiated(VIRTIO_NET_F_GUEST_CSUM);
    const header = receiveHeader(headerBytes, hints, headersBytes, used.length, tells);
    if (!used[0].chain.write(0, header)) return;
    receiver.chains = receiver.chains.slice(used.length);
    // None before all are written: the driver takes them together.
    for (const { chain, bytes } of used) queue.complete(chain, bytes);
    this.counters.received++;
  }

  private passes(frame: Uint8Array): boolean {
    const { modes } = this;
    if (modes.has('promiscuous')) return true;
    const key = macKey(frame, 0);
    if (key === BROADCAST) return !modes.has('no-broadcast');
    if (frame[0] & 1) return !modes.has('no-multicast') && (modes.has('all-multicast') || this.multicast.has(key));
    if (modes.has('no-unicast')) return false;
    return modes.has('all-unicast') || key === macKey(this.mac, 0) || this.unicast.has(key);
  }

  /** Tells a backend that was asked to wait that it need not any more. */
  private offerRoom(): void {
    if (!this.toldToWait || !this.running || this.waitingBytes >= ENOUGH_WAITING_BYTES / 2) return;
    this.toldToWait = false;
    this.backend.ready?.();
  }

  // --- sending ----------------------------------------------------------------------------------------------------

  /** Sends what is in the queue, a moment from now. */
  private gather(queue: Virtqueue, pair: number): void {
    const { clock } = this;
    // What a device does with a secure guest's memory is reported with what the guest did: there, each time at once.
    if (!clock || this.device?.accessPlatform) {
      this.transmit(queue, pair);
      return;
    }
    this.gathering[pair] ??= clock.atOrIdle(clock.nowNs() + GATHER_NS, () => {
      this.gathering[pair] = undefined;
      const current = this.device?.queues[queue.index];
      if (current && this.running) this.transmit(current, pair);
    });
  }

  private transmit(queue: Virtqueue, pair: number): void {
    const rules = {
      headerBytes: this.headerBytes,
      checksum: this.negotiated(VIRTIO_NET_F_CSUM),
      tcp4: this.negotiated(VIRTIO_NET_F_HOST_TSO4),
    };
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const sent = parseSend(chain, rules);
      if (sent === undefined) return;
      queue.complete(chain);
      if (typeof sent === 'number' || !this.linkUp) {
        this.counters.sendErrors++;
        continue;
      }
      this.counters.sent++;
      if (this.maxPairs > 1) this.steering[flowHash(sent.frame)] = pair;
      for (const { frame, hints } of adaptFrame(sent.frame, sent.hints, this.backend.offloads)) {
        this.backend.send(frame, hints);
      }
    }
    queue.signal();
    this.backend.sent?.();
  }

  // --- control ----------------------------------------------------------------------------------------------------

  /** The queue behind those of all pairs, or behind the only one of a driver that knows of no more (5.1.2). */
  private get controlIndex(): number {
    if (!this.negotiated(VIRTIO_NET_F_CTRL_VQ)) return -1;
    return this.negotiated(VIRTIO_NET_F_MQ) ? 2 * this.maxPairs : 2;
  }

  private serveControl(queue: Virtqueue): void {
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const command = parseControl(chain);
      if (command === undefined) return;
      if (command === 'malformed') {
        queue.fail('request', 'a command without room for an answer', chain.id);
        return;
      }
      const done = command !== 'refused' && this.obey(command);
      if (!chain.write(0, Uint8Array.of(done ? 0 : 1))) return;
      queue.complete(chain, 1);
    }
    queue.signal();
  }

  private obey(command: ControlCommand): boolean {
    switch (command.kind) {
      case 'rx-mode':
        if (command.on) this.modes.add(command.mode);
        else this.modes.delete(command.mode);
        return true;
      case 'mac-table':
        this.unicast = new Set(command.unicast);
        this.multicast = new Set(command.multicast);
        return true;
      case 'mac':
        if (command.mac[0] & 1) return false;
        this.mac.set(command.mac);
        return true;
      case 'pairs':
        if (!this.negotiated(VIRTIO_NET_F_MQ) || command.pairs > this.maxPairs) return false;
        this.pairs = command.pairs;
        return true;
    }
  }

  private get running(): boolean {
    return this.device?.running ?? false;
  }

  private get headerBytes(): number {
    const long = this.negotiated(VIRTIO_F_VERSION_1) || this.negotiated(VIRTIO_NET_F_MRG_RXBUF);
    return long ? HEADER_BYTES : SHORT_HEADER_BYTES;
  }

  private negotiated(bit: number): boolean {
    return this.device?.negotiated(bit) ?? false;
  }
}

/** A number for the conversation a frame belongs to, the same in both directions. */
function flowHash(frame: Uint8Array): number {
  let hash = 0;
  // IPv4 without options: addresses and ports. Other frames have their first bytes there, which is as good.
  if (frame.length >= 38) for (let at = 26; at < 38; at++) hash ^= frame[at];
  return hash % STEERING_ENTRIES;
}
