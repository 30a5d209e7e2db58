// A PCI host bridge of pseries: one bus of 32 devices, three windows of guest real addresses onto it, DMA windows of its
// own, and a doorbell page that turns devices' messages into interrupts. LoPAR, PCI Host Bridges; PCI 3.0.
//
// Guest real addresses of bridge n, as QEMU lays them out, so that images and habits carry over:
//   I/O ports 0 to 0xffff               0x2000_0000_0000 + n * 64 KiB
//   bus 0x8000_0000, 2 GiB              0x2000_0000_0000 + (n + 1) * 2 GiB
//   64-bit memory, bus address the same 0x2000_0000_0000 + (n + 1) * 1 TiB
//
// Guests assign BARs. A BAR is decoded where it lies wholly in its window; where BARs overlap, the function with the
// lowest configuration address answers.

import type { AddressMap, AddressRange } from '../device/address-map.ts';
import { type InterruptLine, SharedInterruptLine } from '../device/interrupt-line.ts';
import type { HostView } from '../memory/host-view.ts';
import { assert } from '../util/errors.ts';
import type { DmaEvents } from './dma-space.ts';
import { DmaWindowSet } from './dma-windows.ts';
import type { BarConfig, PciBus, PciFunction } from './function.ts';

export const MAX_HOST_BRIDGES = 2;
export const DEVICES_PER_BUS = 32;
const FUNCTIONS_PER_DEVICE = 8;
const PINS = 4;

const WINDOWS_BASE = 0x2000_0000_0000;
const BUID_BASE_HIGH = 0x0800_0000;
const BUID_BASE_LOW = 0x2000_0000;
const LIOBN_BASE = 0x8000_0000;
const LIOBNS_PER_BRIDGE = 0x100;

/** The doorbell page, a bus address: a device that writes a source number there signals that source. */
export const MSI_ADDRESS = { high: 0x400, low: 0 } as const;
const MSI_WINDOW_BYTES = 0x1000;

/** A window of the bridge: bus addresses as guest real addresses. */
export interface BridgeWindow {
  readonly busBase: number;
  readonly gra: number;
  readonly sizeBytes: number;
}

/** Where bridge interrupts go. */
export interface PciInterrupts {
  /** An edge on a message-signalled source. */
  pulse(irq: number): void;
  /** The level of a pin's source. */
  setLevel(irq: number, asserted: boolean): void;
  /** First of the four sources of the bridge's pins. */
  readonly pinIrqFirst: number;
  /** Sources that messages may signal. */
  readonly messageIrqFirst: number;
  readonly messageIrqCount: number;
}

export interface HostBridgeOptions {
  /** 0 or 1; decides BUID, windows and LIOBNs. */
  readonly index: number;
  readonly view: HostView;
  readonly map: AddressMap;
  readonly interrupts: PciInterrupts;
  /** Size of the default DMA window, 1 GiB unless given. */
  readonly dmaWindowBytes?: number;
  /** In place of it, the only window: see DmaWindowOptions.only. */
  readonly onlyDmaWindow?: { readonly gra: number; readonly lenBytes: number };
  /** Told of what a driver or device got wrong, once for each kind. */
  readonly warn?: (message: string) => void;
}

export class HostBridge implements PciBus {
  readonly index: number;
  /** Bus unit ID, two 32-bit words: how RTAS calls and the device tree name the bridge. */
  readonly buid: { readonly high: number; readonly low: number };
  readonly windows: Readonly<Record<'io' | 'mem32' | 'mem64', BridgeWindow>>;
  readonly view: HostView;
  readonly dmaWindows: DmaWindowSet;
  readonly dmaEvents: DmaEvents = {};
  readonly interrupts: PciInterrupts;
  /** Messages that went to no interrupt source. */
  strayMessages = 0;
  private readonly map: AddressMap;
  private readonly warn: (message: string) => void;
  /** By device and function number. */
  private readonly functions = new Map<number, PciFunction>();
  private readonly places = new Map<PciFunction, { readonly devfn: number; readonly pin: InterruptLine | undefined }>();
  private readonly decoded = new Map<PciFunction, AddressRange[]>();
  private readonly pins: readonly SharedInterruptLine[];

  constructor(options: HostBridgeOptions) {
    const { index, interrupts } = options;
    assert(index >= 0 && index < MAX_HOST_BRIDGES, `host bridge ${index}`);
    this.index = index;
    this.view = options.view;
    this.map = options.map;
    this.interrupts = interrupts;
    this.warn = options.warn ?? (() => {});
    this.buid = { high: BUID_BASE_HIGH, low: BUID_BASE_LOW + index };
    const mem32 = 2 ** 31;
    const mem64 = 2 ** 40;
    this.windows = {
      io: { busBase: 0, gra: WINDOWS_BASE + index * 0x10000, sizeBytes: 0x10000 },
      mem32: { busBase: 0x8000_0000, gra: WINDOWS_BASE + (index + 1) * mem32, sizeBytes: mem32 },
      mem64: {
        busBase: WINDOWS_BASE + (index + 1) * mem64,
        gra: WINDOWS_BASE + (index + 1) * mem64,
        sizeBytes: mem64,
      },
    };
    this.dmaWindows = new DmaWindowSet({
      liobn: LIOBN_BASE + index * LIOBNS_PER_BRIDGE,
      defaultBytes: options.dmaWindowBytes ?? 2 ** 30,
      ...(options.onlyDmaWindow && { only: options.onlyDmaWindow }),
      memoryBytes: options.view.sizeBytes,
    });
    this.pins = Array.from({ length: PINS }, (_, line) => {
      const irq = interrupts.pinIrqFirst + line;
      return new SharedInterruptLine({ setLevel: (asserted) => interrupts.setLevel(irq, asserted) });
    });
  }

  /** Puts functions that were made for this bus into slot `device`, function 0 first. The slot must be free. */
  plug(device: number, functions: readonly PciFunction[]): void {
    assert(device >= 0 && device < DEVICES_PER_BUS, `PCI device number ${device}`);
    assert(functions.length >= 1 && functions.length <= FUNCTIONS_PER_DEVICE, `${functions.length} functions`);
    functions.forEach((pciFunction, number) => {
      const devfn = device * FUNCTIONS_PER_DEVICE + number;
      assert(!this.functions.has(devfn), `PCI slot ${device} of bridge ${this.index} is taken`);
      const { interruptPin } = pciFunction.config;
      const pin = interruptPin === undefined ? undefined : this.pins[this.pinLine(device, interruptPin)].input();
      this.functions.set(devfn, pciFunction);
      this.places.set(pciFunction, { devfn, pin });
      if (functions.length > 1) pciFunction.setMultifunction();
    });
  }

  /** Which of the bridge's four lines `pin` (1 to 4) of `device` is wired to. */
  pinLine(device: number, pin: number): number {
    return (device + pin - 1) % PINS;
  }

  /** The lowest slot without a device, or undefined. */
  freeSlot(): number | undefined {
    for (let device = 0; device < DEVICES_PER_BUS; device++) {
      if (!this.functions.has(device * FUNCTIONS_PER_DEVICE)) return device;
    }
    return undefined;
  }

  /** The function with this device number (0 to 31) and function number (0 to 7) on the bridge's only bus, 0. */
  functionAt(device: number, number: number): PciFunction | undefined {
    return this.functions.get(device * FUNCTIONS_PER_DEVICE + number);
  }

  /** All functions with their numbers, in ascending order. */
  allFunctions(): { device: number; number: number; pciFunction: PciFunction }[] {
    return [...this.functions]
      .sort(([a], [b]) => a - b)
      .map(([devfn, pciFunction]) => ({
        device: Math.floor(devfn / FUNCTIONS_PER_DEVICE),
        number: devfn % FUNCTIONS_PER_DEVICE,
        pciFunction,
      }));
  }

  decodingChanged(pciFunction: PciFunction): void {
    const place = this.places.get(pciFunction);
    if (!place) return;
    const before = this.decoded.get(pciFunction) ?? [];
    const after = pciFunction.bars.flatMap((bar) => this.rangeOf(pciFunction, bar, place.devfn) ?? []);
    if (before.length === after.length && before.every((range, i) => sameRange(range, after[i]))) return;
    for (const range of before) this.map.remove(range);
    for (const range of after) this.map.add(range);
    this.decoded.set(pciFunction, after);
  }

  pinChanged(pciFunction: PciFunction, asserted: boolean): void {
    this.places.get(pciFunction)?.pin?.setLevel(asserted);
  }

  /** Deviation: a message to any other address than the doorbell page is lost instead of changing memory. */
  message(pciFunction: PciFunction, addressHigh: number, addressLow: number, data: number): void {
    const { messageIrqFirst, messageIrqCount } = this.interrupts;
    const inWindow = addressHigh === MSI_ADDRESS.high && addressLow - MSI_ADDRESS.low < MSI_WINDOW_BYTES;
    const isSource = data >= messageIrqFirst && data < messageIrqFirst + messageIrqCount;
    if (inWindow && isSource) {
      this.interrupts.pulse(data);
      return;
    }
    if (this.strayMessages++ > 0) return;
    const address = `0x${addressHigh.toString(16)}${addressLow.toString(16).padStart(8, '0')}`;
    this.warn(
      `${pciFunction.name} sent a message to ${address} with data 0x${data.toString(16)}, which is no interrupt; ` +
        'further ones are only counted',
    );
  }

  /** DMA windows as at power-on. The functions are reset by their devices. */
  reset(): void {
    this.dmaWindows.reset();
  }

  private rangeOf(pciFunction: PciFunction, bar: BarConfig, devfn: number): AddressRange | undefined {
    const bus = pciFunction.barAddress(bar.index);
    if (bus === undefined || !pciFunction.decodes(bar.kind)) return undefined;
    const candidates = bar.kind === 'io' ? [this.windows.io] : [this.windows.mem32, this.windows.mem64];
    const window = candidates.find(
      ({ busBase, sizeBytes }) => bus >= busBase && bus + bar.sizeBytes <= busBase + sizeBytes,
    );
    // An I/O BAR that was never assigned stands at port 0 and answers nobody, as on PCs' bridges.
    if (!window || (bar.kind === 'io' && bus === 0)) return undefined;
    return {
      base: window.gra + (bus - window.busBase),
      sizeBytes: bar.sizeBytes,
      name: `${pciFunction.name} BAR ${bar.index}`,
      handler: bar.handler,
      rank: (this.index * 256 + devfn) * 8 + bar.index,
    };
  }
}

function sameRange(a: AddressRange, b: AddressRange): boolean {
  return a.base === b.base && a.sizeBytes === b.sizeBytes && a.rank === b.rank;
}
