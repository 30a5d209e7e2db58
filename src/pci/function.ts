// One PCI function: what a configuration literal says of it, its configuration space, BARs, interrupts and its way to
// memory. PCI 3.0. A device makes one for each of its functions and keeps its own registers behind the BARs' handlers.
// Left out: expansion ROMs, power management, function-level reset, hot-unplug, bridges behind the host bridge.

import type { MmioBytes, MmioHandler } from '../device/address-map.ts';
import type { InterruptLine } from '../device/interrupt-line.ts';
import type { HostView } from '../memory/host-view.ts';
import { assert } from '../util/errors.ts';
import { COMMAND, CONFIG_BYTES, ConfigSpace, headerOffset, STATUS } from './config-space.ts';
import { type DmaEvents, type DmaMode, DmaSpace, type DmaWindows } from './dma-space.ts';
import { MsiUnit } from './msi.ts';
import { MSIX_BODY_BYTES, MSIX_CAPABILITY, MSIX_CONTROL_WRITABLE, MsixUnit } from './msix.ts';

export type BarIndex = 0 | 1 | 2 | 3 | 4 | 5;
/** `mem64` takes the BAR after it as well. */
export type BarKind = 'io' | 'mem32' | 'mem64';

export interface BarConfig {
  readonly index: BarIndex;
  readonly kind: BarKind;
  /** A power of two: 4 to 256 for `io`, 16 and up for memory. */
  readonly sizeBytes: number;
  readonly prefetchable?: boolean;
  /** Serves the whole BAR; offsets count from its start. */
  readonly handler: MmioHandler;
}

/** A capability of the device's own, such as virtio's vendor-specific ones. */
export interface CapabilityConfig {
  readonly id: number;
  /** The bytes after ID and next pointer; for ID 9 they start with the length of the whole. */
  readonly body: Uint8Array;
  /** As long as `body`: the bits software may change. Without it, none. */
  readonly writable?: Uint8Array;
  /** Offset in configuration space, a multiple of 4 from 0x40; without it, wherever there is room. */
  readonly at?: number;
  /** Bytes of the body that are not memory: accesses to them go to `handler`, offsets from the start of these bytes. */
  readonly live?: { readonly offset: number; readonly lenBytes: number; readonly handler: MmioHandler };
}

export interface PciFunctionConfig {
  /** For messages, access records and the tree of devices. */
  readonly name: string;
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
  /** 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  readonly revisionId: number;
  readonly bars: readonly BarConfig[];
  /** In the order of the chain. */
  readonly capabilities?: readonly CapabilityConfig[];
  /** Adds the capability, in front of the others, and 32-bit memory BAR `bar` for the table. */
  readonly msix?: { readonly vectors: number; readonly bar: BarIndex; readonly at?: number };
  /** 1, 2, 4, 8, 16 or 32 vectors. */
  readonly msi?: { readonly vectors: number; readonly at?: number };
  /** 1 to 4 for INTA to INTD; without it the function has no pin. */
  readonly interruptPin?: 1 | 2 | 3 | 4;
  /** How its DMA starts out. */
  readonly dma: DmaMode;
}

/** The part of a header that can change: see `setIdentity`. */
export interface PciIdentity {
  readonly deviceId: number;
  readonly subsystemId: number;
  readonly revisionId: number;
}

/** What a function needs of the bus it is on; a HostBridge is one. */
export interface PciBus {
  readonly view: HostView;
  readonly dmaWindows: DmaWindows;
  readonly dmaEvents: DmaEvents;
  /** BARs or decoding of `pciFunction` have changed. */
  decodingChanged(pciFunction: PciFunction): void;
  /** The pin of `pciFunction` has a new level. */
  pinChanged(pciFunction: PciFunction, asserted: boolean): void;
  /** `pciFunction` writes 32 bits to a bus address, as a message-signalled interrupt. */
  message(pciFunction: PciFunction, addressHigh: number, addressLow: number, data: number): void;
}

const IO_BAR = 1;
const MEMORY_64_BAR = 4;
const PREFETCHABLE_BAR = 8;

export class PciFunction {
  readonly config: PciFunctionConfig;
  /** All BARs there are now, the MSI-X table's included, by index. */
  bars: readonly BarConfig[];
  /** The function's way to memory. */
  readonly dma: DmaSpace;
  readonly msix: MsixUnit | undefined;
  readonly msi: MsiUnit | undefined;
  /** The pin, as the device drives it; it stays low while the driver has disabled it or uses messages. */
  readonly intx: InterruptLine;
  private readonly bus: PciBus;
  private readonly everyBar: readonly BarConfig[];
  private readonly space = new ConfigSpace();
  private readonly capabilities: CapabilityConfig[];
  private readonly capabilityOffsets: number[] = [];
  private readonly live: { offset: number; end: number; handler: MmioHandler }[] = [];
  private msixControlOffset = 0;
  private pinWanted = false;
  private pinDriven = false;

  constructor(config: PciFunctionConfig, bus: PciBus) {
    this.config = config;
    this.bus = bus;
    this.dma = new DmaSpace({ view: bus.view, windows: bus.dmaWindows, mode: config.dma, events: bus.dmaEvents });
    const send = (high: number, low: number, data: number) => {
      if (this.busMaster) bus.message(this, high, low, data);
    };
    if (config.msix) this.msix = new MsixUnit(config.msix.vectors, send, () => this.drivePin());
    this.everyBar = this.allBars();
    this.bars = this.everyBar;
    this.intx = {
      setLevel: (asserted) => {
        this.pinWanted = asserted;
        this.drivePin();
      },
    };
    this.writeHeader();
    this.addMsixCapability();
    if (config.msi) {
      this.msi = new MsiUnit(this.space, { ...config.msi, send, changed: () => this.drivePin() });
    }
    this.capabilities = [...(config.capabilities ?? [])];
    for (const capability of this.capabilities) this.placeCapability(capability);
  }

  get name(): string {
    return this.config.name;
  }

  /** The function may reach memory and send messages. */
  get busMaster(): boolean {
    return (this.command & COMMAND.busMaster) !== 0;
  }

  /** `lenBytes` is 1, 2 or 4 and `offset` a multiple of it; all ones beyond the 256 bytes of the space. */
  readConfig(offset: number, lenBytes: MmioBytes): number {
    if (offset >= CONFIG_BYTES) return 2 ** (8 * lenBytes) - 1;
    const live = this.liveAt(offset, lenBytes);
    return live ? live.handler.load(offset - live.offset, lenBytes) : this.space.load(offset, lenBytes);
  }

  writeConfig(offset: number, lenBytes: MmioBytes, value: number): void {
    if (offset >= CONFIG_BYTES) return;
    const live = this.liveAt(offset, lenBytes);
    if (live) {
      live.handler.store(offset - live.offset, lenBytes, value);
      return;
    }
    const end = offset + lenBytes;
    const touches = (start: number, bytes: number) => offset < start + bytes && start < end;
    this.space.store(offset, lenBytes, value);
    const commandTouched = touches(headerOffset.command, 2);
    if (commandTouched) {
      this.dma.enabled = this.busMaster;
      this.drivePin();
    }
    if (commandTouched || touches(headerOffset.bars, 24)) this.bus.decodingChanged(this);
    if (this.msix && touches(this.msixControlOffset, 2)) {
      this.msix.setControl(this.space.load(this.msixControlOffset, 2));
    }
    this.msi?.configChanged(offset);
  }

  /**
   * Where BAR `index` starts on its bus (I/O ports for `io`, memory addresses else), whether or not it is decoded;
   * undefined beyond 2^53.
   */
  barAddress(index: BarIndex): number | undefined {
    const bar = this.bars.find((candidate) => candidate.index === index);
    if (!bar) return undefined;
    const low = this.space.load(barOffset(index), 4);
    if (bar.kind === 'io') return low - (low & 3);
    const base = low - (low & 15);
    if (bar.kind === 'mem32') return base;
    const high = this.space.load(barOffset(index) + 4, 4);
    return high < 2 ** 21 ? high * 2 ** 32 + base : undefined;
  }

  /** The function answers in its BARs of this kind. */
  decodes(kind: BarKind): boolean {
    return (this.command & (kind === 'io' ? COMMAND.io : COMMAND.memory)) !== 0;
  }

  /** The body of the device's own capability number `index` as it stands now; a live part reads as it was given. */
  capabilityBody(index: number): Uint8Array {
    const offset = this.capabilityOffsets[index];
    const { length } = this.capabilities[index].body;
    return this.space.bytes.subarray(offset + 2, offset + 2 + length);
  }

  /** A whole BAR access as if it came from the bus; 0 and nothing if the BAR has no such bytes. */
  loadBar(index: number, offset: number, lenBytes: MmioBytes): number {
    const bar = this.barFor(index, offset, lenBytes);
    return bar ? bar.handler.load(offset, lenBytes) : 0;
  }
  storeBar(index: number, offset: number, lenBytes: MmioBytes, value: number): void {
    this.barFor(index, offset, lenBytes)?.handler.store(offset, lenBytes, value);
  }

  /** Power-on state: nothing decoded, BARs at 0, no interrupt, no DMA. The DMA mode is the device's to choose. */
  reset(): void {
    this.pinWanted = false;
    this.msix?.reset();
    this.msi?.reset();
    this.space.set(headerOffset.command, 2, 0);
    this.space.set(headerOffset.cacheLineSize, 1, 0);
    this.space.set(headerOffset.interruptLine, 1, 0);
    this.space.bytes.fill(0, headerOffset.bars, headerOffset.bars + 24);
    for (const bar of this.bars) this.writeBar(bar);
    if (this.msix) {
      this.space.set(this.msixControlOffset, 2, this.msix.vectors - 1);
      this.msix.setControl(this.msix.vectors - 1);
    }
    this.capabilities.forEach(({ body }, index) => {
      this.capabilityBody(index).set(body);
    });
    this.dma.enabled = false;
    this.dma.lastFault = undefined;
    this.drivePin();
    this.bus.decodingChanged(this);
  }

  /** Appends a capability of the device's own, before the function is plugged. Returns its number. */
  addCapability(capability: CapabilityConfig): number {
    this.placeCapability(capability);
    return this.capabilities.push(capability) - 1;
  }

  get identity(): PciIdentity {
    const { space } = this;
    return {
      deviceId: space.load(headerOffset.deviceId, 2),
      subsystemId: space.load(headerOffset.subsystemId, 2),
      revisionId: space.load(headerOffset.revisionId, 1),
    };
  }

  /** Another identity, for a function that becomes another kind of device while the machine runs. */
  setIdentity(identity: PciIdentity): void {
    this.space.set(headerOffset.deviceId, 2, identity.deviceId);
    this.space.set(headerOffset.subsystemId, 2, identity.subsystemId);
    this.space.set(headerOffset.revisionId, 1, identity.revisionId);
  }

  /** Takes BAR `index` away: it reads as 0, keeps nothing and decodes nothing. Or gives it back, unassigned. */
  setBarPresent(index: BarIndex, present: boolean): void {
    const bar = this.everyBar.find((candidate) => candidate.index === index);
    if (!bar || this.bars.includes(bar) === present) return;
    this.bars = this.everyBar.filter((each) => (each === bar ? present : this.bars.includes(each)));
    const lenBytes = bar.kind === 'mem64' ? 8 : 4;
    this.space.bytes.fill(0, barOffset(index), barOffset(index) + lenBytes);
    this.space.writable.fill(0, barOffset(index), barOffset(index) + lenBytes);
    if (present) this.writeBar(bar);
    this.bus.decodingChanged(this);
  }

  /** Tells software that other functions share the device (bit 7 of the header type). */
  setMultifunction(): void {
    this.space.bytes[headerOffset.headerType] |= 0x80;
  }

  private get command(): number {
    return this.space.field('command');
  }

  private drivePin(): void {
    const { pinWanted } = this;
    const status = this.space.field('status');
    this.space.set(headerOffset.status, 2, pinWanted ? status | STATUS.interrupt : status & ~STATUS.interrupt);
    const off = (this.command & COMMAND.interruptDisable) !== 0 || this.msix?.enabled || this.msi?.enabled;
    const driven = pinWanted && !off && this.config.interruptPin !== undefined;
    if (driven === this.pinDriven) return;
    this.pinDriven = driven;
    this.bus.pinChanged(this, driven);
  }

  private liveAt(offset: number, lenBytes: number) {
    for (const live of this.live) if (offset >= live.offset && offset + lenBytes <= live.end) return live;
    return undefined;
  }

  private barFor(index: number, offset: number, lenBytes: number): BarConfig | undefined {
    const bar = this.bars.find((candidate) => candidate.index === index);
    return bar && offset >= 0 && offset % lenBytes === 0 && offset + lenBytes <= bar.sizeBytes ? bar : undefined;
  }

  private allBars(): BarConfig[] {
    const { bars, msix, name } = this.config;
    const all = [...bars];
    if (msix && this.msix) {
      all.push({ index: msix.bar, kind: 'mem32', sizeBytes: this.msix.barBytes, handler: this.msix.handler });
    }
    all.sort((a, b) => a.index - b.index);
    let free = 0;
    for (const { index, kind, sizeBytes } of all) {
      assert(index >= free, `${name}: BAR ${index} is taken twice`);
      free = index + (kind === 'mem64' ? 2 : 1);
      assert(free <= 6, `${name}: there is no room for BAR ${index}`);
      const fits = kind === 'io' ? sizeBytes >= 4 && sizeBytes <= 256 : sizeBytes >= 16;
      assert(fits && Number.isInteger(Math.log2(sizeBytes)), `${name}: BAR ${index} has ${sizeBytes} bytes`);
      assert(kind === 'mem64' || sizeBytes < 2 ** 32, `${name}: BAR ${index} is too large for 32 bits`);
    }
    return all;
  }

  private writeHeader(): void {
    const { config, space } = this;
    space.set(headerOffset.vendorId, 2, config.vendorId);
    space.set(headerOffset.deviceId, 2, config.deviceId);
    space.set(headerOffset.revisionId, 1, config.revisionId);
    space.set(headerOffset.classCode, 3, config.classCode);
    space.set(headerOffset.subsystemVendorId, 2, config.subsystemVendorId);
    space.set(headerOffset.subsystemId, 2, config.subsystemId);
    space.set(headerOffset.interruptPin, 1, config.interruptPin ?? 0);
    for (const bar of this.bars) this.writeBar(bar);
  }

  /** A BAR as at power-on: its kind, no address, and the bits an address may have. */
  private writeBar({ index, kind, sizeBytes, prefetchable }: BarConfig): void {
    const { space } = this;
    const type = kind === 'io' ? IO_BAR : kind === 'mem64' ? MEMORY_64_BAR : 0;
    space.set(barOffset(index), 4, type | (prefetchable ? PREFETCHABLE_BAR : 0));
    space.setWritable(barOffset(index), 4, 2 ** 32 - (sizeBytes % 2 ** 32 || 2 ** 32));
    if (kind !== 'mem64') return;
    space.setWritable(barOffset(index) + 4, 4, 2 ** 32 - Math.max(1, sizeBytes / 2 ** 32));
  }

  private addMsixCapability(): void {
    const { msix, config, space } = this;
    if (!msix || !config.msix) return;
    const offset = space.addCapability(MSIX_CAPABILITY, MSIX_BODY_BYTES, config.msix.at);
    this.msixControlOffset = offset + 2;
    space.set(offset + 2, 2, msix.vectors - 1);
    space.setWritable(offset + 2, 2, MSIX_CONTROL_WRITABLE);
    space.set(offset + 4, 4, config.msix.bar);
    space.set(offset + 8, 4, msix.pendingOffset | config.msix.bar);
  }

  private placeCapability(capability: CapabilityConfig): void {
    const { id, body, writable, at, live } = capability;
    const offset = this.space.addCapability(id, body.length, at);
    this.capabilityOffsets.push(offset);
    this.space.bytes.set(body, offset + 2);
    if (writable) {
      assert(writable.length === body.length, `${this.name}: capability 0x${id.toString(16)} and its mask differ`);
      this.space.writable.set(writable, offset + 2);
    }
    if (live) {
      const start = offset + 2 + live.offset;
      assert(start % live.lenBytes === 0 && live.offset + live.lenBytes <= body.length, `${this.name}: live bytes`);
      this.live.push({ offset: start, end: start + live.lenBytes, handler: live.handler });
    }
  }
}

function barOffset(index: number): number {
  return headerOffset.bars + 4 * index;
}
