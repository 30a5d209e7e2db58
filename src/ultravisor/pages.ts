// The pages of the partition: memory slots, and what becomes of each page when guest or hypervisor ask (UV-API,
// UV_PAGE_IN to UV_UNSHARE_ALL_PAGES). Guest RAM is stored once, in the clear, and the ownership table says who may touch
// it; so a page that the hypervisor hands over or takes back need not move. A secure page that is paged out does: it is
// encrypted into memory of the hypervisor's own, and RAM there is cleared.
//
// Deviation: the hypervisor's real address of a page of the partition is its guest real address.
// Absent: the flag UV_SNAPSHOT of UV_PAGE_OUT, which has no documented number.

import type { PageCipherFactory } from '../backends/page-cipher.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { PageOwnership, PageState } from '../memory/ownership.ts';
import { H_PAGE_IN_SHARED, H_SVM, U_P2, U_P3, U_P4, U_P5, U_PARAMETER, U_STATE, U_SUCCESS } from './calls.ts';
import { PageVault, type TamperingKind } from './page-vault.ts';
import type { HypervisorPort, Residency } from './ports.ts';
import { SecureFrames } from './secure-frames.ts';

const MAX_SLOTS = 512;
const SLOT_ALIGNMENT = 0x10000;

interface MemorySlot {
  readonly id: number;
  readonly first: number;
  /** One past the last page. */
  readonly end: number;
}

/** A page on its way between secure and shared. */
interface Handover {
  readonly page: number;
  supplied: boolean;
}

/** The hypervisor has done something to a page that it was entrusted with. */
export interface Tampering {
  /** Start of the page, guest real. */
  readonly gra: number;
  readonly kind: TamperingKind;
  readonly detail: string;
}

/** Pages that went and came so far, for reports. */
export interface PagingReport {
  /** Undefined: as many secure pages as there are pages. */
  readonly limitPages: number | undefined;
  readonly pagedOut: number;
  readonly pagedIn: number;
}

export interface PagesOptions {
  readonly memory: GuestMemory;
  readonly ownership: PageOwnership;
  readonly hypervisor: HypervisorPort;
  readonly residency: Residency;
  /** Secure memory of the VM once it is secure; undefined: enough for all of it. */
  readonly limitBytes: number | undefined;
  readonly cipherFor: PageCipherFactory;
  readonly random: () => bigint;
  /** The VM must end. */
  readonly tampered: (tampering: Tampering) => void;
}

export class Pages {
  private readonly options: PagesOptions;
  private readonly memory: GuestMemory;
  private readonly ownership: PageOwnership;
  private readonly hypervisor: HypervisorPort;
  private readonly slots = new Map<number, MemorySlot>();
  private readonly frames: SecureFrames;
  /** Made when the first page leaves. */
  private vault: PageVault | undefined;
  private handover: Handover | undefined;
  private pagedOut = 0;
  private pagedIn = 0;

  constructor(options: PagesOptions) {
    this.options = options;
    this.memory = options.memory;
    this.ownership = options.ownership;
    this.hypervisor = options.hypervisor;
    this.frames = new SecureFrames(options.ownership, options.residency, options.limitBytes);
  }

  /** log2 of the page size: the `order` of calls, and the unit of the guest's frame numbers. */
  get order(): number {
    return Math.log2(this.ownership.pageBytes);
  }

  get paging(): PagingReport {
    return { limitPages: this.frames.limit, pagedOut: this.pagedOut, pagedIn: this.pagedIn };
  }

  get hasSlots(): boolean {
    return this.slots.size > 0;
  }

  /** True if every page of RAM is secure. */
  get allSecure(): boolean {
    return this.hasSlots && this.ownership.counts().secure === this.ownership.pages;
  }

  /** Inputs of UV_REGISTER_MEM_SLOT after the partition: start, bytes, flags, slot. */
  registerSlot(startGra: number, lenBytes: number, flags: number, id: number): number {
    if (startGra % SLOT_ALIGNMENT !== 0 || !this.memory.contains(startGra, 1)) return U_P2;
    if (lenBytes === 0 || lenBytes % SLOT_ALIGNMENT !== 0 || !this.memory.contains(startGra, lenBytes)) return U_P3;
    if (flags !== 0) return U_P4;
    if (!(id >= 0 && id < MAX_SLOTS) || this.slots.has(id)) return U_P5;
    const slot = { id, first: this.pageAt(startGra), end: this.pageAt(startGra + lenBytes) };
    for (const other of this.slots.values()) if (slot.first < other.end && other.first < slot.end) return U_P2;
    this.slots.set(id, slot);
    return U_SUCCESS;
  }

  /** Of a VM that is not committed: the pages are the hypervisor's as they were. */
  unregisterSlot(id: number): number {
    const slot = this.slots.get(id);
    if (!slot) return U_P2;
    for (let page = slot.first; page < slot.end; page++) this.ownership.set(page, 'normal', 'UV_UNREGISTER_MEM_SLOT');
    this.slots.delete(id);
    return U_SUCCESS;
  }

  /** Asks the hypervisor for every page of every slot. False if it does not give one. */
  secureAll(): boolean {
    for (const { first, end } of this.slots.values()) {
      for (let page = first; page < end; page++) {
        if (this.ownership.state(page) === 'secure') continue;
        if (this.hypervisor.hcall(H_SVM.PAGE_IN, [this.graOf(page), 0, this.order]) !== 0) return false;
        if (this.ownership.state(page) !== 'secure') return false;
      }
    }
    return true;
  }

  /** UV_PAGE_IN: `source` is where the hypervisor has the page, `committed` whether the VM is secure by now. */
  pageIn(source: number, gra: number, flags: number, order: number, committed: boolean): number {
    const page = this.slotPage(gra);
    if (page === undefined) return U_P3;
    if (flags !== 0) return U_P4;
    if (order !== this.order) return U_P5;
    if (this.ownership.state(page) === 'paged-out' && this.handover?.page !== page) return this.bringIn(page, source);
    if (source !== gra) return U_P2;
    if (this.handover?.page === page) {
      this.handover.supplied = true;
      return U_SUCCESS;
    }
    if (this.ownership.state(page) === 'shared') return U_SUCCESS;
    if (committed) return U_P2;
    this.ownership.set(page, 'secure', 'UV_ESM');
    return U_SUCCESS;
  }

  /**
   * UV_PAGE_OUT. Of a secure VM, the page is encrypted to `destination`. Before the VM is committed, it goes back as it is:
   * the hypervisor had it until now.
   */
  pageOut(destination: number, gra: number, flags: number, order: number, committed: boolean): number {
    const page = this.slotPage(gra);
    if (page === undefined) return U_P3;
    if (flags !== 0) return U_P4;
    if (order !== this.order) return U_P5;
    if (this.ownership.state(page) !== 'secure') return U_PARAMETER;
    if (committed) return this.sendOut(page, destination);
    if (destination !== gra) return U_P2;
    this.ownership.set(page, 'normal', 'UV_PAGE_OUT');
    return U_SUCCESS;
  }

  /** UV_PAGE_INVAL: the hypervisor takes the backing of a shared page away for a while. */
  invalidate(gra: number, order: number): number {
    const page = this.slotPage(gra);
    if (page === undefined) return U_P2;
    if (order !== this.order) return U_P3;
    return this.ownership.state(page) === 'shared' ? U_SUCCESS : U_P2;
  }

  /**
   * Has every page of `[gra, gra + lenBytes)`, in RAM, in secure memory if it is the guest's alone. False if the hypervisor
   * does not bring one back, which is the end of the VM.
   */
  bringBack(gra: number, lenBytes: number): boolean {
    const { pageBytes } = this.ownership;
    for (let page = Math.floor(gra / pageBytes); page * pageBytes < gra + lenBytes; page++) {
      if (this.ownership.state(page) !== 'paged-out') continue;
      if (!this.makeRoom(1)) return false;
      const status = this.hypervisor.hcall(H_SVM.PAGE_IN, [this.graOf(page), 0, this.order]);
      const state: PageState = this.ownership.state(page);
      if (state === 'secure') continue;
      // Anything else has been reported by now.
      if (state === 'paged-out') this.tampered(page, 'dropped', `H_SVM_PAGE_IN answered ${status} and brought nothing`);
      return false;
    }
    return true;
  }

  /** Has pages leave until there is room for `wanted` more. False if the hypervisor does not take them. */
  makeRoom(wanted: number): boolean {
    while (this.frames.excess(wanted) > 0) {
      const page = this.frames.victim();
      const status = this.hypervisor.hcall(H_SVM.PAGE_OUT, [this.graOf(page), 0, this.order]);
      if (this.ownership.state(page) !== 'secure') continue;
      this.tampered(page, 'refused', `secure memory is full, and H_SVM_PAGE_OUT answered ${status} and took nothing`);
      return false;
    }
    return true;
  }

  /** UV_SHARE_PAGE: all of the pages, or none. Contents are not carried over, so one that is out need not come back. */
  share(frame: bigint, count: bigint): number {
    const range = this.range(frame, count);
    if (!range) return U_P2;
    const done: number[] = [];
    for (let page = range.first; page < range.end; page++) {
      if (this.ownership.state(page) === 'shared') continue;
      if (!this.handOver(page, H_PAGE_IN_SHARED)) {
        for (const undone of done) this.secure(undone, 'UV_SHARE_PAGE, undone');
        return U_P2;
      }
      this.vault?.forget(page);
      this.options.residency.restore(this.graOf(page), this.ownership.pageBytes);
      this.clear(page);
      this.ownership.set(page, 'shared', 'UV_SHARE_PAGE');
      done.push(page);
    }
    return U_SUCCESS;
  }

  /** UV_UNSHARE_PAGE. A page becomes secure even if the hypervisor does not want to hear of it. */
  unshare(frame: bigint, count: bigint): number {
    const range = this.range(frame, count);
    if (!range) return U_P2;
    for (let page = range.first; page < range.end; page++) {
      if (this.ownership.state(page) === 'shared') this.secure(page, 'UV_UNSHARE_PAGE');
    }
    return U_SUCCESS;
  }

  unshareAll(): number {
    for (const { first, end } of this.slots.values()) {
      for (let page = first; page < end; page++) {
        if (this.ownership.state(page) === 'shared') this.secure(page, 'UV_UNSHARE_ALL_PAGES');
      }
    }
    return U_SUCCESS;
  }

  /** Clears what is secure, but for the ranges. Memory that is zero already is not written. */
  clearExcept(keep: readonly { readonly gra: number; readonly lenBytes: number }[]): void {
    const { pageBytes } = this.ownership;
    const kept = keep
      .filter(({ lenBytes }) => lenBytes > 0)
      .map(({ gra, lenBytes }) => ({ start: gra, end: gra + lenBytes }))
      .sort((a, b) => a.start - b.start);
    for (let page = 0; page < this.ownership.pages; page++) {
      if (this.ownership.state(page) !== 'secure') continue;
      const end = this.graOf(page) + pageBytes;
      let at = this.graOf(page);
      for (const range of kept) {
        if (range.start >= end || range.end <= at) continue;
        if (range.start > at) this.clearRange(at, range.start);
        at = Math.min(end, range.end);
      }
      if (at < end) this.clearRange(at, end);
    }
  }

  /** The end of the VM: slots are forgotten, and nothing secret stays. `keep`: of a VM that was never committed. */
  release(keep: boolean): void {
    for (let page = 0; page < this.ownership.pages; page++) {
      if (!keep && !this.ownership.hostMayTouch(page)) this.clear(page);
    }
    this.ownership.setAll('normal', 'UV_SVM_TERMINATE');
    this.options.residency.restore(0, this.memory.sizeBytes);
    this.frames.reset();
    this.vault = undefined;
    this.slots.clear();
    this.handover = undefined;
  }

  /** U_STATE for a call that comes while there is nothing to act on. */
  requireSlots(): number | undefined {
    return this.hasSlots ? undefined : U_STATE;
  }

  private clearRange(start: number, end: number): void {
    if (!isZero(this.memory.read(start, end - start))) this.memory.fill(start, end - start);
  }

  private sendOut(page: number, destination: number): number {
    const gra = this.graOf(page);
    const { pageBytes } = this.ownership;
    const target = this.hypervisor.hostPage(destination);
    if (target?.length !== pageBytes) return U_P2;
    this.vault ??= new PageVault(this.options.cipherFor, this.options.random);
    target.set(this.vault.seal(page, this.memory.read(gra, pageBytes)));
    this.ownership.set(page, 'paged-out', 'UV_PAGE_OUT');
    this.options.residency.remove(gra, pageBytes);
    this.clear(page);
    this.pagedOut++;
    return U_SUCCESS;
  }

  /** UV_PAGE_IN of a page that is out. */
  private bringIn(page: number, source: number): number {
    const found = this.hypervisor.hostPage(source);
    if (found?.length !== this.ownership.pageBytes) return U_P2;
    if (!this.makeRoom(1)) return U_P3;
    const opened = this.vault!.open(page, found);
    if (!opened.ok) {
      this.tampered(page, opened.kind, opened.detail);
      return U_P3;
    }
    this.vault!.forget(page);
    this.memory.write(this.graOf(page), opened.contents);
    this.options.residency.restore(this.graOf(page), this.ownership.pageBytes);
    this.ownership.set(page, 'secure', 'UV_PAGE_IN');
    this.pagedIn++;
    return U_SUCCESS;
  }

  private tampered(page: number, kind: TamperingKind, detail: string): void {
    this.options.tampered({ gra: this.graOf(page), kind, detail });
  }

  private secure(page: number, cause: string): void {
    // Nobody can be told here if there is no room; the guest's next page-in will tell.
    this.makeRoom(1);
    this.handOver(page, 0);
    this.clear(page);
    this.ownership.set(page, 'secure', cause);
  }

  /** Tells the hypervisor, which answers with UV_PAGE_IN. True if it did as it was asked. */
  private handOver(page: number, flags: number): boolean {
    const handover = { page, supplied: false };
    this.handover = handover;
    const status = this.hypervisor.hcall(H_SVM.PAGE_IN, [this.graOf(page), flags, this.order]);
    this.handover = undefined;
    return status === 0 && handover.supplied;
  }

  private clear(page: number): void {
    this.memory.fill(this.graOf(page), this.ownership.pageBytes, 0);
  }
  private graOf(page: number): number {
    return page * this.ownership.pageBytes;
  }
  private pageAt(gra: number): number {
    return gra / this.ownership.pageBytes;
  }

  /** The page at `gra`, if it is aligned and in a slot. */
  private slotPage(gra: number): number | undefined {
    const page = this.pageAt(gra);
    return Number.isInteger(page) && this.inSlot(page, page + 1) ? page : undefined;
  }
  private inSlot(first: number, end: number): boolean {
    // Slots that meet could hold a range together; a partition has one.
    for (const slot of this.slots.values()) if (first >= slot.first && end <= slot.end) return true;
    return false;
  }
  private range(frame: bigint, count: bigint): { first: number; end: number } | undefined {
    const pages = BigInt(this.ownership.pages);
    if (frame >= pages || count > pages) return undefined;
    const first = Number(frame);
    const end = first + Number(count);
    return this.inSlot(first, Math.max(end, first + 1)) ? { first, end } : undefined;
  }
}

function isZero(bytes: Uint8Array<ArrayBuffer>): boolean {
  const words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return bytes.subarray(4 * words.length).every((byte) => byte === 0);
}
