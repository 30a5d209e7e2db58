// Interrupt source numbers of the machine, as the device tree states them. One range of 4096 sources from 0x1000.

/** The inter-processor interrupt, presented by each server on its own; 0 means none. */
export const IPI_IRQ = 2;

export const EPOW_IRQ = 0x1000;
export const HOTPLUG_IRQ = 0x1001;
/** Virtual I/O devices, one each, edge. */
export const VIO_IRQ_FIRST = 0x1100;
/** PCI pins, four to a host bridge, level. */
export const LSI_IRQ_FIRST = 0x1200;
/** Message-signalled interrupts, edge. */
export const MSI_IRQ_FIRST = 0x1300;
export const IRQ_FIRST = 0x1000;
export const IRQ_COUNT = 0x1000;

export const MSI_IRQ_COUNT = IRQ_FIRST + IRQ_COUNT - MSI_IRQ_FIRST;

export function isLevelIrq(irq: number): boolean {
  return irq >= LSI_IRQ_FIRST && irq < MSI_IRQ_FIRST;
}
