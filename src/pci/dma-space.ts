// The way of a device to memory: device -> DmaSpace -> HostView. There is no other: a device is handed a DmaSpace, and
// the HostView inside checks each page against its owner, with the device's name on the access.
//
// `bypass`: an address is a guest real address. `platform`: it is a bus address that the TCE tables of the host bridge
// translate, page by page. The mode is one field, so that a device can be switched while the machine runs.
//
// Every address comes from the guest. What is wrong with one is a DmaFault, a value; bytes in front of the fault have
// been transferred then. The order of multi-byte accesses is in their names: virtio's is little-endian.

import type { AccessOrigin, HostView } from '../memory/host-view.ts';
import { type BusAddress, busAddress, busAddressText, NO_BUS_ADDRESS } from './bus-address.ts';
import { type DmaAccess, NOT_PERMITTED, type TceTable } from './tce-table.ts';

export type DmaMode = 'bypass' | 'platform';

/**
 * Who reaches for memory. A device makes one of these for each of its queues (`deviceOrigin`) and updates `descriptor`
 * as it goes; `busAddress` is the DmaSpace's. So who keeps an origin beyond the call copies it.
 */
export interface DeviceOrigin extends AccessOrigin {
  readonly kind: 'device';
  /** Number of the virtqueue, or -1. */
  readonly queue: number;
  /** Index of the descriptor, or -1 for the rings themselves and for what is not a queue. */
  descriptor: number;
  /** The address the device used. */
  busAddress: BusAddress;
  /** What the device is at: its queue (rings and descriptors), or what the driver put into it. */
  use: DmaUse;
}

export type DmaUse = 'queue' | 'indirect table' | 'buffer';

export function deviceOrigin(name: string, queue = -1): DeviceOrigin {
  return { kind: 'device', name, queue, descriptor: -1, busAddress: 0, use: 'queue', cause: undefined };
}

export type DmaFaultReason =
  /** The function's bus master bit is off. */
  | 'bus-master-off'
  /** The guest real address, or part of the range, is not RAM. */
  | 'outside-ram'
  /** No DMA window has this bus address. */
  | 'no-window'
  /** The window has no page there. */
  | 'not-mapped'
  /** The page may be read only, or written only. */
  | 'not-permitted';

/** Why a device's access did not happen. */
export interface DmaFault {
  readonly reason: DmaFaultReason;
  readonly access: DmaAccess;
  /** First address at which it went wrong. */
  readonly address: BusAddress;
  readonly mode: DmaMode;
}

/** A sentence for logs and reports. */
export function dmaFaultText(fault: DmaFault): string {
  const where = fault.mode === 'bypass' ? 'guest real address' : 'bus address';
  return `${fault.access} of ${where} ${busAddressText(fault.address)}: ${reasonText[fault.reason]}`;
}

const reasonText: Readonly<Record<DmaFaultReason, string>> = {
  'bus-master-off': 'the bus master bit of the function is off',
  'outside-ram': 'there is no RAM',
  'no-window': 'no DMA window has it',
  'not-mapped': 'no page is mapped there',
  'not-permitted': 'the page is not mapped for that',
};

/** One access that happened, for traces. */
export interface DmaAccessEvent {
  readonly origin: DeviceOrigin;
  readonly access: DmaAccess;
  readonly mode: DmaMode;
  readonly gra: number;
  readonly lenBytes: number;
}

/** Assign or clear members at any time; an access costs one property test when nobody listens. */
export interface DmaEvents {
  access?: ((event: DmaAccessEvent) => void) | undefined;
  fault?: ((fault: DmaFault, origin: DeviceOrigin) => void) | undefined;
}

/** The DMA windows of a host bridge. */
export interface DmaWindows {
  /** The window that contains `address`. */
  windowAt(address: BusAddress): TceTable | undefined;
}

export interface DmaSpaceOptions {
  readonly view: HostView;
  readonly windows: DmaWindows;
  readonly mode: DmaMode;
  readonly events?: DmaEvents;
}

/** What the scalar loads give instead of a value when they fault; the fault is in `lastFault`. */
export const DMA_FAULTED = -1;

export class DmaSpace {
  /** How addresses are understood, from the next access on. */
  mode: DmaMode;
  /** False while the function may not master the bus: every access faults. */
  enabled = false;
  /** The latest fault. */
  lastFault: DmaFault | undefined;
  private readonly view: HostView;
  private readonly windows: DmaWindows;
  private readonly events: DmaEvents;
  /** For scalars that cross a page, and 64-bit ones. */
  private readonly scalar = new Uint8Array(8);
  private readonly scalarView = new DataView(this.scalar.buffer);
  /** By length. */
  private readonly scalars = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((bytes) => this.scalar.subarray(0, bytes));
  /** Set by `locate`: how many bytes from the located one on are contiguous in guest real memory, at most those wanted. */
  private partBytes = 0;
  /** Set by `arrive`. */
  private gra = 0;

  constructor(options: DmaSpaceOptions) {
    this.view = options.view;
    this.windows = options.windows;
    this.mode = options.mode;
    this.events = options.events ?? {};
  }

  /** The driver has just told the device that there is work for `origin`; for reports on what comes of it. */
  told(origin: DeviceOrigin): void {
    this.view.told(origin);
  }

  /** Fills `target` from memory at `address`. */
  readInto(address: BusAddress, target: Uint8Array, origin: DeviceOrigin): DmaFault | undefined {
    return this.transfer(address, target, 'read', origin);
  }

  /** A copy of `lenBytes` bytes; undefined on a fault (`lastFault`). The caller has bounded `lenBytes`. */
  read(address: BusAddress, lenBytes: number, origin: DeviceOrigin): Uint8Array<ArrayBuffer> | undefined {
    const target = new Uint8Array(lenBytes);
    return this.transfer(address, target, 'read', origin) ? undefined : target;
  }

  /** Writes all of `source` to memory at `address`. */
  write(address: BusAddress, source: Uint8Array, origin: DeviceOrigin): DmaFault | undefined {
    return this.transfer(address, source, 'write', origin);
  }

  /** Whether `lenBytes` bytes at `address` could be transferred now; touches nothing. */
  check(address: BusAddress, lenBytes: number, access: DmaAccess): DmaFault | undefined {
    for (let done = 0; done < lenBytes; ) {
      if (this.locate(address + done, lenBytes - done, access) < 0) return this.lastFault;
      done += this.partBytes;
    }
    return undefined;
  }

  /** The scalar loads give DMA_FAULTED on a fault. */
  loadU8(address: BusAddress, origin: DeviceOrigin): number {
    return this.arrive(address, 1, 'read', origin) ? this.view.loadU8(this.gra, origin) : DMA_FAULTED;
  }
  loadU16LE(address: BusAddress, origin: DeviceOrigin): number {
    if (this.arrive(address, 2, 'read', origin)) return swap16(this.view.loadU16BE(this.gra, origin));
    return this.loadSplit(address, 2, origin) ? this.scalarView.getUint16(0, true) : DMA_FAULTED;
  }
  loadU32LE(address: BusAddress, origin: DeviceOrigin): number {
    if (this.arrive(address, 4, 'read', origin)) return swap32(this.view.loadU32BE(this.gra, origin));
    return this.loadSplit(address, 4, origin) ? this.scalarView.getUint32(0, true) : DMA_FAULTED;
  }
  /** A bus address that stands in memory; NO_BUS_ADDRESS on a fault as well as for one that leads nowhere. */
  loadAddressLE(address: BusAddress, origin: DeviceOrigin): BusAddress {
    if (!this.loadSplit(address, 8, origin)) return NO_BUS_ADDRESS;
    return busAddress(this.scalarView.getUint32(4, true), this.scalarView.getUint32(0, true));
  }

  storeU8(address: BusAddress, value: number, origin: DeviceOrigin): DmaFault | undefined {
    if (!this.arrive(address, 1, 'write', origin)) return this.lastFault;
    this.view.storeU8(this.gra, value & 0xff, origin);
    return undefined;
  }
  storeU16LE(address: BusAddress, value: number, origin: DeviceOrigin): DmaFault | undefined {
    if (this.arrive(address, 2, 'write', origin)) {
      this.view.storeU16BE(this.gra, swap16(value), origin);
      return undefined;
    }
    this.scalarView.setUint16(0, value, true);
    return this.transfer(address, this.scalars[2], 'write', origin);
  }
  storeU32LE(address: BusAddress, value: number, origin: DeviceOrigin): DmaFault | undefined {
    if (this.arrive(address, 4, 'write', origin)) {
      this.view.storeU32BE(this.gra, swap32(value), origin);
      return undefined;
    }
    this.scalarView.setUint32(0, value, true);
    return this.transfer(address, this.scalars[4], 'write', origin);
  }

  /**
   * True if a scalar lies in one piece, at `gra`; it has been announced then and is touched next. False for one that
   * crosses a page or faults: both are left to `transfer`.
   */
  private arrive(address: BusAddress, lenBytes: number, access: DmaAccess, origin: DeviceOrigin): boolean {
    const gra = this.locate(address, lenBytes, access);
    if (gra < 0 || this.partBytes < lenBytes) {
      if (gra < 0 && lenBytes === 1) this.events.fault?.(this.lastFault!, origin);
      return false;
    }
    this.gra = gra;
    origin.busAddress = address;
    this.events.access?.({ origin, access, mode: this.mode, gra, lenBytes });
    return true;
  }

  private loadSplit(address: BusAddress, lenBytes: number, origin: DeviceOrigin): boolean {
    return this.transfer(address, this.scalars[lenBytes], 'read', origin) === undefined;
  }

  private transfer(
    address: BusAddress,
    buffer: Uint8Array,
    access: DmaAccess,
    origin: DeviceOrigin,
  ): DmaFault | undefined {
    const lenBytes = buffer.length;
    for (let done = 0; done < lenBytes; ) {
      const gra = this.locate(address + done, lenBytes - done, access);
      if (gra < 0) {
        this.events.fault?.(this.lastFault!, origin);
        return this.lastFault;
      }
      const partBytes = this.partBytes;
      const part = partBytes === lenBytes ? buffer : buffer.subarray(done, done + partBytes);
      origin.busAddress = address + done;
      this.events.access?.({ origin, access, mode: this.mode, gra, lenBytes: partBytes });
      if (access === 'read') this.view.readInto(gra, part, origin);
      else this.view.write(gra, part, origin);
      done += partBytes;
    }
    return undefined;
  }

  /** Guest real address of `address`, or -1 with `lastFault` set. `lenBytes` is at least 1. */
  private locate(address: BusAddress, lenBytes: number, access: DmaAccess): number {
    if (!this.enabled) return this.fault('bus-master-off', access, address);
    if (this.mode === 'bypass') {
      this.partBytes = lenBytes;
      if (this.view.contains(address, lenBytes)) return address;
      return this.fault('outside-ram', access, address);
    }
    const window = this.windows.windowAt(address);
    if (!window) return this.fault('no-window', access, address);
    const gra = window.translate(address, access);
    if (gra < 0) return this.fault(gra === NOT_PERMITTED ? 'not-permitted' : 'not-mapped', access, address);
    this.partBytes = Math.min(lenBytes, window.leftInPage(address));
    if (!this.view.contains(gra, this.partBytes)) return this.fault('outside-ram', access, address);
    return gra;
  }

  private fault(reason: DmaFaultReason, access: DmaAccess, address: BusAddress): -1 {
    this.lastFault = { reason, access, address, mode: this.mode };
    return -1;
  }
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

function swap32(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
