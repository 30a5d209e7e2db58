// A virtio device as a PCI function (VIRTIO 1.2 4.1), modern or transitional:
//   BAR 0   I/O ports of the legacy interface; transitional only
//   BAR 1   MSI-X table and pending bits
//   BAR 4   common configuration, interrupt status, device configuration, notification; a page of 4096 bytes each
// The vendor capabilities say where each is; one more lets configuration accesses reach the BARs.

import type { MmioBytes, MmioHandler } from '../../device/address-map.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { DmaMode } from '../../pci/dma-space.ts';
import { type CapabilityConfig, type PciBus, PciFunction } from '../../pci/function.ts';
import { assert } from '../../util/errors.ts';
import { type DeviceKind, type LiveReset, type ResetReason, VirtioDevice } from '../core/device.ts';
import type { RingOffer } from '../core/features.ts';
import { COMMON_BYTES, CommonConfig, VIRTIO_MSI_NO_VECTOR } from './pci-common.ts';
import { classCode, modernId, transitionalId, VIRTIO_VENDOR } from './pci-ids.ts';
import { LegacyInterface, legacyBarBytes } from './pci-legacy.ts';

const LEGACY_BAR = 0;
const MSIX_BAR = 1;
const MODERN_BAR = 4;
const PART_BYTES = 0x1000;
const MODERN_BAR_BYTES = 4 * PART_BYTES;
/** Distance of two queues' notification registers: one each. */
const NOTIFY_OFF_MULTIPLIER = 4;

const VENDOR_CAPABILITY = 0x09;
/** cfg_type (4.1.4). */
const CFG = { common: 1, notify: 2, isr: 3, device: 4, pci: 5, vendor: 9 } as const;
/** Offsets in the body of a vendor capability, which starts behind ID and next pointer. */
const BODY = { length: 0, type: 1, bar: 2, offset: 6, lenBytes: 10, extra: 14 } as const;

const ISR_QUEUE = 1;
const ISR_CONFIG = 2;

/** Functions have one vector for each queue and one for the configuration, up to this many. */
const MAX_VECTORS = 65;

/**
 * The vendor data capability (4.1.4.10) with which a guest switches the device: cap_len 12, then the vendor's ID and, at
 * offset 8, 32 bits of which bit 0 is ACCESS_PLATFORM's way to memory.
 */
const DMA_CAPABILITY = { bodyBytes: 10, vendor: 2, register: 6 } as const;
const DMA_PLATFORM = 1;

/** Subsystem ID of modern devices: any but those that could be taken for a transitional one's. */
const MODERN_SUBSYSTEM = 0x1100;
const MODERN_REVISION = 1;

export interface VirtioPciOptions {
  /** For messages and access records; the kind's name unless given. */
  readonly name?: string;
  /** Legacy interface too; the kind must have had one. Default false. */
  readonly transitional?: boolean;
  readonly rings?: RingOffer;
  readonly accessPlatform?: boolean;
  /** Default true; without, the pin is all there is. */
  readonly msix?: boolean;
  readonly warn: (message: string) => void;
}

export class VirtioPci implements PciDevice {
  readonly kind: string;
  readonly pciFunction: PciFunction;
  readonly functions: readonly PciFunction[];
  readonly device: VirtioDevice;
  private readonly common: CommonConfig;
  private readonly legacy: LegacyInterface | undefined;
  private isr = 0;

  constructor(kind: DeviceKind, bus: PciBus, options: VirtioPciOptions) {
    this.kind = kind.name;
    const { transitional = false, msix = true } = options;
    const vectors = msix ? Math.min(kind.queueSizes.length + 1, MAX_VECTORS) : 0;
    assert(kind.queueSizes.length * NOTIFY_OFF_MULTIPLIER <= PART_BYTES, `${kind.name} has too many queues`);
    const legacyId = transitionalId(kind.deviceType);
    assert(!transitional || legacyId !== undefined, `${kind.name} never had a legacy interface`);
    const lazy = (get: () => MmioHandler): MmioHandler => ({
      load: (offset, lenBytes) => get().load(offset, lenBytes),
      store: (offset, lenBytes, value) => get().store(offset, lenBytes, value),
    });
    this.pciFunction = new PciFunction(
      {
        name: options.name ?? kind.name,
        vendorId: VIRTIO_VENDOR,
        deviceId: transitional ? legacyId! : modernId(kind.deviceType),
        subsystemVendorId: VIRTIO_VENDOR,
        subsystemId: transitional ? kind.deviceType : MODERN_SUBSYSTEM,
        classCode: classCode(kind.deviceType),
        revisionId: transitional ? 0 : MODERN_REVISION,
        bars: [
          ...(transitional
            ? [
                {
                  index: LEGACY_BAR,
                  kind: 'io',
                  sizeBytes: legacyBarBytes(kind.configBytes),
                  handler: lazy(() => this.legacy!),
                } as const,
              ]
            : []),
          {
            index: MODERN_BAR,
            kind: 'mem64',
            sizeBytes: MODERN_BAR_BYTES,
            prefetchable: true,
            handler: { load: (...access) => this.load(...access), store: (...access) => this.store(...access) },
          },
        ],
        capabilities: this.capabilities(kind),
        ...(vectors > 0 && { msix: { vectors, bar: MSIX_BAR } }),
        interruptPin: 1,
        dma: 'bypass',
      },
      bus,
    );
    this.functions = [this.pciFunction];
    this.device = new VirtioDevice({
      kind,
      name: this.pciFunction.name,
      dma: this.pciFunction.dma,
      interrupts: { queue: (index) => this.interruptQueue(index), config: () => this.interruptConfig() },
      warn: options.warn,
      rings: options.rings,
      accessPlatform: options.accessPlatform,
    });
    this.common = new CommonConfig(this.device, vectors, () => this.resetDevice());
    if (transitional) {
      this.legacy = new LegacyInterface({
        device: this.device,
        common: this.common,
        msixEnabled: () => this.pciFunction.msix?.enabled ?? false,
        takeIsr: () => this.takeIsr(),
        reset: () => this.resetDevice(),
      });
      this.showLegacy(!this.device.accessPlatform);
    }
  }

  reset(): void {
    this.resetDevice('power-on');
    this.pciFunction.reset();
  }

  async close(): Promise<void> {
    await this.device.kind.close?.();
  }

  get dmaMode(): DmaMode {
    return this.device.dma.mode;
  }

  /** It has a legacy interface when it is plain. */
  get transitional(): boolean {
    return this.legacy !== undefined;
  }

  /**
   * Switches the device between going around the platform's translation and through it. A device that a driver has is
   * reset first, with reason `dma-switch`; what was reset is returned. On the platform there is no legacy interface: its
   * BAR is gone and the function identifies itself as modern. A device that is there already is left alone; one whose
   * kind ignores the platform is reset and stays plain.
   */
  switchDma(mode: DmaMode): LiveReset | undefined {
    if (this.dmaMode === mode) return undefined;
    const { device } = this;
    const { live } = device;
    if (live) this.resetDevice('dma-switch');
    device.setAccessPlatform(mode === 'platform');
    this.showLegacy(!device.accessPlatform);
    return live ? device.lastReset : undefined;
  }

  /**
   * Adds a capability through which the guest switches the device itself; `poked` is told what it wants. Before the
   * function is plugged.
   */
  offerDmaRegister(poked: (mode: DmaMode) => void): void {
    const body = new Uint8Array(DMA_CAPABILITY.bodyBytes);
    const view = new DataView(body.buffer);
    body[BODY.length] = body.length + 2;
    body[BODY.type] = CFG.vendor;
    view.setUint16(DMA_CAPABILITY.vendor, VIRTIO_VENDOR, true);
    const live = {
      offset: DMA_CAPABILITY.register,
      lenBytes: 4,
      handler: {
        load: (offset: number) => (offset === 0 && this.dmaMode === 'platform' ? DMA_PLATFORM : 0),
        store: (offset: number, _lenBytes: MmioBytes, value: number) => {
          if (offset === 0) poked(value & DMA_PLATFORM ? 'platform' : 'bypass');
        },
      },
    };
    this.pciFunction.addCapability({ id: VENDOR_CAPABILITY, body, live });
  }

  private showLegacy(shown: boolean): void {
    if (!this.legacy) return;
    const { config } = this.pciFunction;
    this.pciFunction.setIdentity(
      shown
        ? config
        : {
            deviceId: modernId(this.device.kind.deviceType),
            subsystemId: MODERN_SUBSYSTEM,
            revisionId: MODERN_REVISION,
          },
    );
    this.pciFunction.setBarPresent(LEGACY_BAR, shown);
  }

  private resetDevice(reason: ResetReason = 'driver'): void {
    this.device.reset(reason);
    this.common.reset();
    this.legacy?.reset();
    this.takeIsr();
  }

  private capabilities(kind: DeviceKind): CapabilityConfig[] {
    const part = (type: number, index: number, lenBytes: number, extra?: number): CapabilityConfig => {
      const body = new Uint8Array(extra === undefined ? BODY.extra : BODY.extra + 4);
      const view = new DataView(body.buffer);
      body[BODY.length] = body.length + 2;
      body[BODY.type] = type;
      body[BODY.bar] = MODERN_BAR;
      view.setUint32(BODY.offset, index * PART_BYTES, true);
      view.setUint32(BODY.lenBytes, lenBytes, true);
      if (extra !== undefined) view.setUint32(BODY.extra, extra, true);
      return { id: VENDOR_CAPABILITY, body };
    };
    const list = [
      part(CFG.common, 0, COMMON_BYTES),
      part(CFG.isr, 1, 4),
      ...(kind.configBytes > 0 ? [part(CFG.device, 2, kind.configBytes)] : []),
      part(CFG.notify, 3, kind.queueSizes.length * NOTIFY_OFF_MULTIPLIER, NOTIFY_OFF_MULTIPLIER),
    ];
    return [...list, this.windowCapability(list.length)];
  }

  /** The capability through which configuration accesses reach the BARs (4.1.4.9). */
  private windowCapability(index: number): CapabilityConfig {
    const body = new Uint8Array(BODY.extra + 4);
    body[BODY.length] = body.length + 2;
    body[BODY.type] = CFG.pci;
    const writable = new Uint8Array(body.length);
    writable[BODY.bar] = 0xff;
    writable.fill(0xff, BODY.offset, BODY.extra);
    const target = (): { bar: number; offset: number; lenBytes: MmioBytes | undefined } => {
      const now = this.pciFunction.capabilityBody(index);
      const view = new DataView(now.buffer, now.byteOffset, now.length);
      const lenBytes = view.getUint32(BODY.lenBytes, true);
      return {
        bar: now[BODY.bar],
        offset: view.getUint32(BODY.offset, true),
        lenBytes: lenBytes === 1 || lenBytes === 2 || lenBytes === 4 ? lenBytes : undefined,
      };
    };
    const handler: MmioHandler = {
      load: (at) => {
        const { bar, offset, lenBytes } = target();
        return at !== 0 || lenBytes === undefined ? 0 : this.pciFunction.loadBar(bar, offset, lenBytes);
      },
      store: (at, _lenBytes, value) => {
        const { bar, offset, lenBytes } = target();
        if (at !== 0 || lenBytes === undefined) return;
        this.pciFunction.storeBar(bar, offset, lenBytes, lenBytes === 4 ? value : value & (2 ** (8 * lenBytes) - 1));
      },
    };
    return { id: VENDOR_CAPABILITY, body, writable, live: { offset: BODY.extra, lenBytes: 4, handler } };
  }

  private load(offset: number, lenBytes: MmioBytes): number {
    const within = offset % PART_BYTES;
    switch (Math.floor(offset / PART_BYTES)) {
      case 0:
        return within < COMMON_BYTES ? this.common.handler.load(within, lenBytes) : 0;
      case 1:
        return within === 0 ? this.takeIsr() : 0;
      case 2:
        return within < this.device.kind.configBytes ? this.device.kind.config.load(within, lenBytes) : 0;
      default:
        return 0;
    }
  }

  private store(offset: number, lenBytes: MmioBytes, value: number): void {
    const within = offset % PART_BYTES;
    switch (Math.floor(offset / PART_BYTES)) {
      case 0:
        if (within < COMMON_BYTES) this.common.handler.store(within, lenBytes, value);
        return;
      case 2:
        if (within < this.device.kind.configBytes) this.device.kind.config.store(within, lenBytes, value);
        return;
      case 3:
        // The register's place names the queue.
        this.device.notify(Math.floor(within / NOTIFY_OFF_MULTIPLIER));
        return;
      default:
    }
  }

  private takeIsr(): number {
    const { isr } = this;
    this.isr = 0;
    this.pciFunction.intx.setLevel(false);
    return isr;
  }

  private interruptQueue(index: number): void {
    const { msix } = this.pciFunction;
    if (msix?.enabled) {
      const vector = this.common.queueVector(index);
      if (vector !== VIRTIO_MSI_NO_VECTOR) msix.notify(vector);
      return;
    }
    this.isr |= ISR_QUEUE;
    this.pciFunction.intx.setLevel(true);
  }

  private interruptConfig(): void {
    const { msix } = this.pciFunction;
    this.isr |= ISR_CONFIG;
    if (msix?.enabled) {
      if (this.common.configVector !== VIRTIO_MSI_NO_VECTOR) msix.notify(this.common.configVector);
      return;
    }
    this.pciFunction.intx.setLevel(true);
  }
}
