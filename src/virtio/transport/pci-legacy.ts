// The legacy interface of a transitional virtio PCI device (VIRTIO 1.2 4.1.4.10): registers in I/O BAR 0, then the
// device-specific configuration. All little-endian, as a little-endian guest wants it (see split-queue.ts).

import type { MmioBytes, MmioHandler } from '../../device/address-map.ts';
import { type RegisterAccess, RegisterMap } from '../../device/register-map.ts';
import { busAddress } from '../../pci/bus-address.ts';
import type { VirtioDevice } from '../core/device.ts';
import { featureWord } from '../core/features.ts';
import type { CommonConfig } from './pci-common.ts';

/** Queues lie at multiples of this, and so does the used ring in them. */
const PAGE_BYTES = 4096;

type LegacyRegister =
  | 'device_features'
  | 'guest_features'
  | 'queue_pfn'
  | 'queue_size'
  | 'queue_select'
  | 'queue_notify'
  | 'device_status'
  | 'isr_status'
  | 'config_vector'
  | 'queue_vector';

const HEADER: readonly (readonly [LegacyRegister, number, RegisterAccess])[] = [
  ['device_features', 4, 'ro'],
  ['guest_features', 4, 'rw'],
  ['queue_pfn', 4, 'rw'],
  ['queue_size', 2, 'ro'],
  ['queue_select', 2, 'rw'],
  ['queue_notify', 2, 'wo'],
  ['device_status', 1, 'rw'],
  ['isr_status', 1, 'ro'],
];
const PLAIN = new RegisterMap<LegacyRegister>(20, HEADER);
/** With MSI-X enabled two more registers push the device's configuration back. */
const WITH_VECTORS = new RegisterMap<LegacyRegister>(24, [
  ...HEADER,
  ['config_vector', 2, 'rw'],
  ['queue_vector', 2, 'rw'],
]);

export interface LegacyPorts {
  readonly device: VirtioDevice;
  /** Holds the registers that both interfaces share: selected queue, vectors. */
  readonly common: CommonConfig;
  msixEnabled(): boolean;
  /** Reads and clears the interrupt status. */
  takeIsr(): number;
  reset(): void;
}

/** Size of the BAR for a kind with so many bytes of configuration. */
export function legacyBarBytes(configBytes: number): number {
  return Math.max(32, 2 ** Math.ceil(Math.log2(WITH_VECTORS.sizeBytes + configBytes)));
}

export class LegacyInterface implements MmioHandler {
  private readonly ports: LegacyPorts;
  private readonly plain: MmioHandler;
  private readonly withVectors: MmioHandler;
  /** Page frame of each queue. */
  private pages: number[] = [];

  constructor(ports: LegacyPorts) {
    this.ports = ports;
    const port = {
      readRegister: (name: LegacyRegister) => this.read(name),
      writeRegister: (name: LegacyRegister, value: number) => this.write(name, value),
    };
    this.plain = PLAIN.handler(port);
    this.withVectors = WITH_VECTORS.handler(port);
  }

  reset(): void {
    this.pages = [];
  }

  load(offset: number, lenBytes: MmioBytes): number {
    const { header, handler } = this.layout();
    if (offset < header) return handler.load(offset, lenBytes);
    return this.ports.device.kind.config.load(offset - header, lenBytes);
  }

  store(offset: number, lenBytes: MmioBytes, value: number): void {
    const { header, handler } = this.layout();
    if (offset < header) handler.store(offset, lenBytes, value);
    else this.ports.device.kind.config.store(offset - header, lenBytes, value);
  }

  private layout(): { header: number; handler: MmioHandler } {
    return this.ports.msixEnabled()
      ? { header: WITH_VECTORS.sizeBytes, handler: this.withVectors }
      : { header: PLAIN.sizeBytes, handler: this.plain };
  }

  private read(name: LegacyRegister): number {
    const { device, common } = this.ports;
    const selected = common.queueSelect;
    switch (name) {
      case 'device_features':
        return featureWord(device.offered('legacy'), 0);
      case 'guest_features':
        return device.driverFeatureWord(0);
      case 'queue_pfn':
        return this.pages[selected] ?? 0;
      case 'queue_size':
        return device.kind.queueSizes[selected] ?? 0;
      case 'queue_select':
        return selected;
      case 'device_status':
        return device.status;
      case 'isr_status':
        return this.ports.takeIsr();
      case 'config_vector':
        return common.configVector;
      case 'queue_vector':
        return common.queueVector(selected);
      case 'queue_notify':
        return 0;
    }
  }

  private write(name: LegacyRegister, value: number): void {
    const { device, common } = this.ports;
    switch (name) {
      case 'guest_features':
        device.setDriverFeatureWord(0, value);
        return;
      case 'queue_pfn':
        this.place(common.queueSelect, value);
        return;
      case 'queue_select':
        common.queueSelect = value;
        return;
      case 'queue_notify':
        device.notify(value);
        return;
      case 'device_status':
        if (value === 0) this.ports.reset();
        else device.writeStatus(value, 'legacy');
        return;
      case 'config_vector':
        common.setConfigVector(value);
        return;
      case 'queue_vector':
        common.setQueueVector(value);
        return;
      default:
    }
  }

  /** Puts the queue at a page frame (2.7.2), or takes it away with 0. */
  private place(index: number, page: number): void {
    const { device } = this.ports;
    const size = device.kind.queueSizes[index];
    // A device on the platform's DMA has no legacy interface.
    if (size === undefined || device.accessPlatform) return;
    this.pages[index] = page;
    device.disableQueue(index);
    if (page === 0) return;
    const base = page * PAGE_BYTES;
    const descriptorArea = busAddress(Math.floor(base / 2 ** 32), base % 2 ** 32);
    const driverArea = descriptorArea + 16 * size;
    const driverEnd = driverArea + 6 + 2 * size;
    const deviceArea = Math.ceil(driverEnd / PAGE_BYTES) * PAGE_BYTES;
    device.driverFeatures &= device.offered('legacy');
    device.enableQueue({ index, size, descriptorArea, driverArea, deviceArea }, 'legacy');
  }
}
