// The common configuration of a modern virtio PCI device (VIRTIO 1.2 4.1.4.3): registers as data, and what they do.

import type { MmioHandler } from '../../device/address-map.ts';
import { RegisterMap } from '../../device/register-map.ts';
import { busAddress } from '../../pci/bus-address.ts';
import { STATUS, type VirtioDevice } from '../core/device.ts';
import { featureWord, VIRTIO_F_RING_RESET } from '../core/features.ts';

/** In a vector register: no vector. */
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

export const COMMON_BYTES = 64;

const COMMON = new RegisterMap(COMMON_BYTES, [
  ['device_feature_select', 4, 'rw'],
  ['device_feature', 4, 'ro'],
  ['driver_feature_select', 4, 'rw'],
  ['driver_feature', 4, 'rw'],
  ['config_msix_vector', 2, 'rw'],
  ['num_queues', 2, 'ro'],
  ['device_status', 1, 'rw'],
  ['config_generation', 1, 'ro'],
  ['queue_select', 2, 'rw'],
  ['queue_size', 2, 'rw'],
  ['queue_msix_vector', 2, 'rw'],
  ['queue_enable', 2, 'rw'],
  ['queue_notify_off', 2, 'ro'],
  ['queue_desc_low', 4, 'rw'],
  ['queue_desc_high', 4, 'rw'],
  ['queue_driver_low', 4, 'rw'],
  ['queue_driver_high', 4, 'rw'],
  ['queue_device_low', 4, 'rw'],
  ['queue_device_high', 4, 'rw'],
  ['queue_notify_data', 2, 'ro'],
  ['queue_reset', 2, 'rw'],
  ['', 4, 'reserved'],
] as const);

type CommonRegister = Exclude<Parameters<(typeof COMMON)['offsetOf']>[0], ''>;
type AddressRegister = Extract<CommonRegister, `queue_${'desc' | 'driver' | 'device'}_${'low' | 'high'}`>;

/** What the driver has written about a queue that may not be enabled yet. */
class QueueRegisters {
  size: number;
  vector = VIRTIO_MSI_NO_VECTOR;
  readonly addresses: Record<AddressRegister, number> = {
    queue_desc_low: 0,
    queue_desc_high: 0,
    queue_driver_low: 0,
    queue_driver_high: 0,
    queue_device_low: 0,
    queue_device_high: 0,
  };

  constructor(size: number) {
    this.size = size;
  }
}

export class CommonConfig {
  readonly handler: MmioHandler;
  configVector = VIRTIO_MSI_NO_VECTOR;
  queueSelect = 0;
  private readonly device: VirtioDevice;
  private readonly vectors: number;
  private readonly resetAll: () => void;
  private deviceFeatureSelect = 0;
  private driverFeatureSelect = 0;
  private queues: QueueRegisters[] = [];

  /** `vectors`: MSI-X vectors of the function. `reset` is called when the driver resets the device. */
  constructor(device: VirtioDevice, vectors: number, reset: () => void) {
    this.device = device;
    this.vectors = vectors;
    this.resetAll = reset;
    this.handler = COMMON.handler({
      readRegister: (name) => this.read(name as CommonRegister),
      writeRegister: (name, value) => this.write(name as CommonRegister, value),
    });
    this.reset();
  }

  /** Registers as after a device reset. */
  reset(): void {
    this.configVector = VIRTIO_MSI_NO_VECTOR;
    this.queueSelect = 0;
    this.deviceFeatureSelect = 0;
    this.driverFeatureSelect = 0;
    this.queues = this.device.kind.queueSizes.map((size) => new QueueRegisters(size));
  }

  queueVector(index: number): number {
    return this.queues[index]?.vector ?? VIRTIO_MSI_NO_VECTOR;
  }

  /** Sets the vector of the selected queue; what is no vector becomes none (4.1.5.1.2). */
  setQueueVector(value: number): void {
    const queue = this.queues[this.queueSelect];
    if (queue) queue.vector = this.vectorOrNone(value);
  }

  setConfigVector(value: number): void {
    this.configVector = this.vectorOrNone(value);
  }

  private vectorOrNone(value: number): number {
    return value < this.vectors ? value : VIRTIO_MSI_NO_VECTOR;
  }

  private read(name: CommonRegister): number {
    const { device } = this;
    const queue = this.queues[this.queueSelect];
    switch (name) {
      case 'device_feature_select':
        return this.deviceFeatureSelect;
      case 'device_feature':
        return featureWord(device.offered('modern'), this.deviceFeatureSelect);
      case 'driver_feature_select':
        return this.driverFeatureSelect;
      case 'driver_feature':
        return device.driverFeatureWord(this.driverFeatureSelect);
      case 'config_msix_vector':
        return this.configVector;
      case 'num_queues':
        return this.queues.length;
      case 'device_status':
        return device.status;
      case 'config_generation':
        return device.configGeneration;
      case 'queue_select':
        return this.queueSelect;
      // A queue that does not exist has size 0 (4.1.4.3.1).
      case 'queue_size':
        return queue?.size ?? 0;
      case 'queue_msix_vector':
        return queue?.vector ?? VIRTIO_MSI_NO_VECTOR;
      case 'queue_enable':
        return device.queues[this.queueSelect] ? 1 : 0;
      case 'queue_notify_off':
      case 'queue_notify_data':
        return this.queueSelect;
      case 'queue_reset':
        return 0; // a reset is over before the driver can look
      default:
        return queue?.addresses[name] ?? 0;
    }
  }

  private write(name: CommonRegister, value: number): void {
    const { device } = this;
    const queue = this.queues[this.queueSelect];
    const settable = queue && !device.queues[this.queueSelect];
    switch (name) {
      case 'device_feature_select':
        this.deviceFeatureSelect = value;
        return;
      case 'driver_feature_select':
        this.driverFeatureSelect = value;
        return;
      case 'driver_feature':
        device.setDriverFeatureWord(this.driverFeatureSelect, value);
        return;
      case 'config_msix_vector':
        this.setConfigVector(value);
        return;
      case 'device_status':
        if (value === 0) this.resetAll();
        else device.writeStatus(value, 'modern');
        return;
      case 'queue_select':
        this.queueSelect = value;
        return;
      case 'queue_size':
        if (settable) queue.size = value;
        return;
      case 'queue_msix_vector':
        this.setQueueVector(value);
        return;
      case 'queue_enable':
        if (settable && value === 1) this.enable(this.queueSelect, queue);
        return;
      case 'queue_reset':
        if (queue && value === 1) this.resetQueue(this.queueSelect);
        return;
      case 'device_feature':
      case 'num_queues':
      case 'config_generation':
      case 'queue_notify_off':
      case 'queue_notify_data':
        return;
      default:
        if (settable) queue.addresses[name] = value;
    }
  }

  private enable(index: number, { size, addresses }: QueueRegisters): void {
    this.device.enableQueue(
      {
        index,
        size,
        descriptorArea: busAddress(addresses.queue_desc_high, addresses.queue_desc_low),
        driverArea: busAddress(addresses.queue_driver_high, addresses.queue_driver_low),
        deviceArea: busAddress(addresses.queue_device_high, addresses.queue_device_low),
      },
      'modern',
    );
  }

  /** RING_RESET (4.1.4.3.1); without the feature the register does nothing. */
  private resetQueue(index: number): void {
    const { device } = this;
    if ((device.status & STATUS.FEATURES_OK) === 0 || !device.negotiated(VIRTIO_F_RING_RESET)) return;
    device.disableQueue(index);
    const { vector } = this.queues[index];
    this.queues[index] = new QueueRegisters(device.kind.queueSizes[index]);
    this.queues[index].vector = vector;
  }
}
