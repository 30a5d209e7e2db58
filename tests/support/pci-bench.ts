// A PCI host bridge over small RAM, with what it did written down; and functions for its slots.

import { AddressMap, type MmioBytes, type MmioHandler, type UnassignedAccess } from '../../src/device/address-map.ts';
import type { PciDevice } from '../../src/pci/device.ts';
import { type PciBus, PciFunction, type PciFunctionConfig } from '../../src/pci/function.ts';
import { HostBridge, type HostBridgeOptions } from '../../src/pci/host-bridge.ts';
import { Bench, testMemory } from './hypervisor-fakes.ts';

/** Memory behind a BAR; every access is noted. */
export class RamHandler implements MmioHandler {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly log: string[] = [];
  private readonly view: DataView;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.view = new DataView(this.bytes.buffer);
  }
  load(offset: number, lenBytes: MmioBytes): number {
    this.log.push(`load ${offset.toString(16)}/${lenBytes}`);
    if (lenBytes === 4) return this.view.getUint32(offset, true);
    return lenBytes === 2 ? this.view.getUint16(offset, true) : this.view.getUint8(offset);
  }
  store(offset: number, lenBytes: MmioBytes, value: number): void {
    this.log.push(`store ${offset.toString(16)}/${lenBytes}=${value.toString(16)}`);
    if (lenBytes === 4) this.view.setUint32(offset, value, true);
    else if (lenBytes === 2) this.view.setUint16(offset, value, true);
    else this.view.setUint8(offset, value);
  }
}

/** Where interrupts of bridge `index` go, and the numbers they have in the machine. */
function interruptNumbers(index: number) {
  return { pinIrqFirst: 0x1200 + 4 * index, messageIrqFirst: 0x1300, messageIrqCount: 0xd00 };
}

/** A function with nothing in particular; `overrides` replaces parts. */
export function scratchConfig(overrides: Partial<PciFunctionConfig> = {}): PciFunctionConfig {
  return {
    name: 'scratch',
    vendorId: 0x1234,
    deviceId: 0x5678,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
    classCode: 0x00ff00,
    revisionId: 1,
    bars: [
      { index: 0, kind: 'io', sizeBytes: 0x20, handler: new RamHandler(0x20) },
      { index: 1, kind: 'mem32', sizeBytes: 0x1000, handler: new RamHandler(0x1000) },
      { index: 4, kind: 'mem64', sizeBytes: 0x4000, prefetchable: true, handler: new RamHandler(0x4000) },
    ],
    interruptPin: 1,
    dma: 'bypass',
    ...overrides,
  };
}

/** A device of one function that does nothing. */
export function scratchDevice(bus: PciBus, overrides: Partial<PciFunctionConfig> = {}): PciDevice {
  const pciFunction = new PciFunction(scratchConfig(overrides), bus);
  return { kind: 'scratch', functions: [pciFunction], reset: () => pciFunction.reset() };
}

export class BridgeBench {
  readonly view = testMemory();
  readonly unassigned: UnassignedAccess[] = [];
  readonly map = new AddressMap((access) => this.unassigned.push(access));
  /** What reached the interrupt controller, in order. */
  readonly interrupts: string[] = [];
  readonly warnings: string[] = [];
  readonly bridge: HostBridge;

  constructor(options: Partial<HostBridgeOptions> = {}) {
    this.bridge = new HostBridge({
      index: 0,
      view: this.view,
      map: this.map,
      interrupts: {
        pulse: (irq) => this.interrupts.push(`pulse ${irq.toString(16)}`),
        setLevel: (irq, asserted) => this.interrupts.push(`${irq.toString(16)} ${asserted ? 'up' : 'down'}`),
        ...interruptNumbers(options.index ?? 0),
      },
      warn: (message) => this.warnings.push(message),
      ...options,
    });
  }

  /** Plugs a scratch function into `slot`. */
  plug(slot: number, overrides: Partial<PciFunctionConfig> = {}): PciFunction {
    const pciFunction = new PciFunction(scratchConfig(overrides), this.bridge);
    this.bridge.plug(slot, [pciFunction]);
    return pciFunction;
  }
}

/** A hypervisor over fakes with `count` host bridges. */
export class HypervisorPciBench extends Bench {
  override readonly view: ReturnType<typeof testMemory>;
  override readonly warnings: string[];
  readonly map: AddressMap;
  readonly bridges: readonly HostBridge[];

  constructor(count = 1) {
    const map = new AddressMap();
    const warnings: string[] = [];
    const view = testMemory();
    const bridges = Array.from(
      { length: count },
      (_, index) =>
        new HostBridge({
          index,
          view,
          map,
          interrupts: {
            pulse: (irq) => this.hypervisor.xics.sources.pulse(irq),
            setLevel: (irq, asserted) => this.hypervisor.xics.sources.setLevel(irq, asserted),
            ...interruptNumbers(index),
          },
          warn: (message) => warnings.push(message),
        }),
    );
    super(1, { view, bridges, log: { warn: (message) => warnings.push(message) } });
    this.warnings = warnings;
    this.view = view;
    this.map = map;
    this.bridges = bridges;
  }

  /** Plugs a scratch function into `slot` of a bridge. */
  plug(slot: number, overrides: Partial<PciFunctionConfig> = {}, bridge = 0): PciFunction {
    const pciFunction = new PciFunction(scratchConfig(overrides), this.bridges[bridge]);
    this.bridges[bridge].plug(slot, [pciFunction]);
    return pciFunction;
  }
}
