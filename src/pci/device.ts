// A device on a PCI bus, as those see it who plug and reset it.

import type { PciFunction } from './function.ts';

export interface PciDevice {
  /** The kind of device, as in `virtio-blk`; several devices may share it. */
  readonly kind: string;
  /** Function 0 first; at most 8. */
  readonly functions: readonly PciFunction[];
  /** Power-on state, the functions' included. */
  reset(): void;
  /** The machine is disposed of: lets go of what it has of the host. */
  close?(): void | Promise<void>;
}
