// PCI in the device tree: a node for each host bridge and one for each function (PAPR B.6.2; PCI Bus Binding to
// IEEE 1275). Linux on pseries finds devices and the sizes of their BARs here and does not scan the bus.
//
// BARs are left unassigned (no `assigned-addresses`), and /chosen says so with `linux,pci-probe-only` = 0: the guest
// places them. Left out: hot-plug (`ibm,drc-*`), NUMA (`ibm,associativity`), error recovery (`ibm,eeh-*`).

import type { DeviceTree } from '../firmware/device-tree.ts';
import { cells, cells64, empty, type PropertyBytes, text } from '../firmware/property.ts';
import { WINDOW_SERVICES } from '../hypervisor/pci/window-services.ts';
import { headerOffset } from '../pci/config-space.ts';
import type { BarConfig, BarKind, PciFunction } from '../pci/function.ts';
import { DEVICES_PER_BUS, type HostBridge } from '../pci/host-bridge.ts';
import { assert } from '../util/errors.ts';

/** The RTAS token of a service that exists. */
export type TokenOf = (service: string) => number;

/** Space codes of an address's first cell. */
const SPACE: Readonly<Record<BarKind, number>> = { io: 0x0100_0000, mem32: 0x0200_0000, mem64: 0x0300_0000 };
const PREFETCHABLE = 0x4000_0000;
/** Second cell of an interrupt specifier of the controller. */
const LEVEL = 1;
const PINS = [1, 2, 3, 4] as const;

/** Node names by base class and subclass (PCI Bus Binding 2.5); others are named by their IDs. */
const CLASS_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0001, 'display'],
  [0x0100, 'scsi'],
  [0x0101, 'ide'],
  [0x0180, 'mass-storage'],
  [0x0200, 'ethernet'],
  [0x0280, 'network'],
  [0x0300, 'display'],
  [0x0500, 'memory'],
  [0x0700, 'serial'],
  [0x0780, 'communication-controller'],
  [0x0c03, 'usb'],
]);

/** Adds the bridge and its functions below the root. The interrupt controller's node must be in the tree. */
export function addHostBridgeNode(tree: DeviceTree, bridge: HostBridge, tokenOf: TokenOf): void {
  const { buid, windows, interrupts, dmaWindows } = bridge;
  const [window] = dmaWindows.all();
  const { query, create, remove, reset } = WINDOW_SERVICES;
  const unit = `${buid.high.toString(16)}${buid.low.toString(16).padStart(8, '0')}`;
  const node = tree.root.add(`pci@${unit}`, {
    device_type: text('pci'),
    compatible: text('IBM,Logical_PHB'),
    // The BUID; not an address.
    reg: cells(buid.high, buid.low, 0, 0),
    '#address-cells': cells(3),
    '#size-cells': cells(2),
    '#interrupt-cells': cells(1),
    'bus-range': cells(0, 0xff),
    ranges: joined(
      (['io', 'mem32', 'mem64'] as const).map((kind) => {
        const { busBase, gra, sizeBytes } = windows[kind];
        return joined([cells(SPACE[kind]), cells64(busBase, gra, sizeBytes)]);
      }),
    ),
    'interrupt-map-mask': cells(0xf800, 0, 0, 0xffff_ffff),
    'interrupt-map': interruptMap(tree, bridge),
    'ibm,pe-total-#msi': cells(interrupts.messageIrqCount),
    'ibm,pci-config-space-type': cells(1),
    'ibm,#dma-address-cells': cells(2),
    'ibm,#dma-size-cells': cells(2),
    'ibm,dma-window': joined([cells(window.liobn), cells64(window.base, window.sizeBytes)]),
    ...(dmaWindows.dynamic
      ? {
          'ibm,ddw-applicable': cells(tokenOf(query), tokenOf(create), tokenOf(remove)),
          // Count, then extensions 1 (the reset service) and 2 (a query may have six outputs).
          'ibm,ddw-extensions': cells(2, tokenOf(reset), 1),
        }
      : // One 32-bit memory range of the bus, at the same address in memory.
        { 'dma-ranges': joined([cells(SPACE.mem32), cells64(window.base, window.base, window.sizeBytes)]) }),
  });
  for (const { device, number, pciFunction } of bridge.allFunctions()) {
    const place = number === 0 ? device.toString(16) : `${device.toString(16)},${number.toString(16)}`;
    node.add(`${nodeName(pciFunction)}@${place}`, functionProperties(pciFunction, device, number));
  }
}

/**
 * The memory behind the bridges' only DMA window (Devicetree Specification 3.5.2): the guest uses it for nothing else,
 * and the bridges name it.
 */
export function addBounceNode(tree: DeviceTree, area: { readonly gra: number; readonly lenBytes: number }): void {
  const parent = tree.root.add('reserved-memory', {
    '#address-cells': cells(2),
    '#size-cells': cells(2),
    ranges: empty(),
  });
  const node = parent.add(`dma-bounce@${area.gra.toString(16)}`, {
    compatible: text('restricted-dma-pool'),
    reg: cells64(area.gra, area.lenBytes),
  });
  for (const each of tree.root.children) {
    if (each.text('device_type') === 'pci') each.set('memory-region', cells(node.phandle));
  }
}

/** One entry for each pin of each slot: slot, pin, then controller, source, level. */
function interruptMap(tree: DeviceTree, bridge: HostBridge): PropertyBytes {
  const controller = tree.find('/interrupt-controller');
  assert(controller, 'the tree has an interrupt controller before it gets PCI');
  const entries: number[] = [];
  for (let device = 0; device < DEVICES_PER_BUS; device++) {
    for (const pin of PINS) {
      const irq = bridge.interrupts.pinIrqFirst + bridge.pinLine(device, pin);
      entries.push(device << 11, 0, 0, pin, controller.phandle, irq, LEVEL);
    }
  }
  return cells(...entries);
}

function functionProperties(pciFunction: PciFunction, device: number, number: number): Record<string, PropertyBytes> {
  const { config, identity, bars, msi, msix } = pciFunction;
  const place = (device << 11) | (number << 8);
  const properties: Record<string, PropertyBytes> = {
    reg: joined([cells(place, 0, 0, 0, 0), ...bars.map((bar) => barCells(bar, place))]),
    'vendor-id': cells(config.vendorId),
    'device-id': cells(identity.deviceId),
    'subsystem-vendor-id': cells(config.subsystemVendorId),
    'subsystem-id': cells(identity.subsystemId),
    'revision-id': cells(identity.revisionId),
    'class-code': cells(config.classCode),
    'cache-line-size': cells(0),
    'min-grant': cells(0),
    'max-latency': cells(0),
    'devsel-speed': cells(0),
  };
  if (config.interruptPin !== undefined) properties.interrupts = cells(config.interruptPin);
  if (msi) properties['ibm,req#msi'] = cells(msi.vectors);
  if (msix) properties['ibm,req#msi-x'] = cells(msix.vectors);
  return properties;
}

/** One entry of `reg`: where the BAR's register is, offset 0 in it, and the size of what it maps. */
function barCells(bar: BarConfig, place: number): PropertyBytes {
  const register = place | (headerOffset.bars + 4 * bar.index);
  const prefetchable = bar.prefetchable ? PREFETCHABLE : 0;
  return joined([cells(SPACE[bar.kind] | prefetchable | register, 0, 0), cells64(bar.sizeBytes)]);
}

function nodeName({ config, identity }: PciFunction): string {
  const known = CLASS_NAMES.get(config.classCode >>> 8);
  return known ?? `pci${config.vendorId.toString(16)},${identity.deviceId.toString(16)}`;
}

function joined(parts: readonly PropertyBytes[]): PropertyBytes {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
