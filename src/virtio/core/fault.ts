// What a driver did wrong, as a value. A fault stops the device it happened on until the driver resets it
// (VIRTIO 1.2 2.1.2: DEVICE_NEEDS_RESET); the machine goes on.

import { type DmaFault, dmaFaultText } from '../../pci/dma-space.ts';

export type DriverFaultReason =
  /** The size of a queue is 0, too large, or not a power of two where it must be one. */
  | 'queue-size'
  /** An area of a queue is not aligned as VIRTIO 1.2 2.7, 2.8 want it, or has no address. */
  | 'queue-address'
  /** A queue was enabled before the features were settled, or DRIVER_OK was set before. */
  | 'out-of-turn'
  /** More buffers are available than the queue has room for. */
  | 'available-index'
  /** A descriptor or available-ring entry names a descriptor that does not exist. */
  | 'descriptor-index'
  /** A chain has more descriptors than there can be, as one with a loop has. */
  | 'chain-length'
  /** The bytes of a chain add up to 2^32 or more. */
  | 'chain-bytes'
  /** A buffer to read comes behind one to write. */
  | 'read-after-write'
  /** A table of indirect descriptors where none may be, of a size that is none, or with another one inside. */
  | 'indirect'
  /** The same buffer is made available again while the device has it. */
  | 'in-flight'
  /** An area or a buffer could not be reached. */
  | 'dma'
  /** A request that is too short, too long or malformed in a way that its own status cannot tell. */
  | 'request';

export interface DriverFault {
  readonly reason: DriverFaultReason;
  /** Number of the queue, or -1. */
  readonly queue: number;
  /** Index of the descriptor, or -1. */
  readonly descriptor: number;
  /** The rest of the sentence. */
  readonly detail: string;
  readonly dma?: DmaFault;
}

/** One line for logs: `queue 0, descriptor 3: ...`. */
export function driverFaultText(fault: DriverFault): string {
  const where = [
    ...(fault.queue < 0 ? [] : [`queue ${fault.queue}`]),
    ...(fault.descriptor < 0 ? [] : [`descriptor ${fault.descriptor}`]),
  ].join(', ');
  const what = fault.dma ? `${fault.detail}: ${dmaFaultText(fault.dma)}` : fault.detail;
  return where === '' ? what : `${where}: ${what}`;
}
