// What the hypervisor does for a partition that turns secure: it is told by H_SVM_INIT_START, hands its pages to the
// ultravisor one by one, and is told by H_SVM_INIT_DONE or INIT_ABORT how it went (UV-API, H_SVM_*; checks and their
// order as Linux has them in arch/powerpc/kvm). The calls come from the ultravisor: MSR[S] is set in them.

import { MSR } from '../../cpu/state/msr.ts';
import { H_PAGE_IN_SHARED, H_SVM, LPID, UV } from '../../ultravisor/calls.ts';
import { H_P2, H_P3, H_PARAMETER, H_STATE, H_SUCCESS, H_UNSUPPORTED } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import { HostPages } from './host-pages.ts';

/** The way to the ultravisor: `sc 2` of the hypervisor. Returns its code. */
export interface UltravisorPort {
  ultracall(token: number, args: readonly number[]): number;
}

export type SvmPhase = 'normal' | 'started' | 'secure';

export interface SecureGuestOptions {
  readonly ultravisor: UltravisorPort;
  readonly memoryBytes: number;
  /** log2 of the pages that the ultravisor asks for from H_SVM_INIT_START on: 16, or 12 for a guest with 4K pages. */
  readonly pageOrder: () => number;
  /** Told when the partition has become secure, or is normal again. */
  readonly transition?: (phase: SvmPhase) => void;
}

/** Kinds of page. */
const PAGE = { normal: 0, secure: 1, shared: 2, out: 3 } as const;

export class SecureGuest {
  private readonly options: SecureGuestOptions;
  /** What the hypervisor knows of each page. */
  private pages = new Uint8Array(0);
  private pageOrder = 16;
  /** What secure pages that are out were encrypted to. */
  hostPages = new HostPages(0x10000);
  /** Where in `hostPages` each page that is out has its contents: real address by page. */
  private readonly places = new Map<number, number>();
  private phaseNow: SvmPhase = 'normal';

  constructor(options: SecureGuestOptions) {
    this.options = options;
  }

  get phase(): SvmPhase {
    return this.phaseNow;
  }

  /** The partition starts anew, as a normal one. */
  reset(): void {
    if (this.phaseNow !== 'normal') this.release();
  }

  hcalls(): HcallDefinition[] {
    return [
      {
        token: H_SVM.PAGE_IN,
        name: 'H_SVM_PAGE_IN',
        inputs: 3,
        outputs: 0,
        handler: (call) => this.fromUltravisor(call) ?? this.pageIn(call.arg(0), call.arg(1), call.arg(2)),
        ref: 'UV-API H_SVM_PAGE_IN',
      },
      {
        token: H_SVM.PAGE_OUT,
        name: 'H_SVM_PAGE_OUT',
        inputs: 3,
        outputs: 0,
        handler: (call) => this.fromUltravisor(call) ?? this.pageOut(call.arg(0), call.arg(1), call.arg(2)),
        ref: 'UV-API H_SVM_PAGE_OUT',
      },
      {
        token: H_SVM.INIT_START,
        name: 'H_SVM_INIT_START',
        inputs: 0,
        outputs: 0,
        handler: (call) => this.fromUltravisor(call) ?? this.initStart(),
        ref: 'UV-API H_SVM_INIT_START',
      },
      {
        token: H_SVM.INIT_DONE,
        name: 'H_SVM_INIT_DONE',
        inputs: 0,
        outputs: 0,
        handler: (call) => this.fromUltravisor(call) ?? this.initDone(),
        ref: 'UV-API H_SVM_INIT_DONE',
      },
      {
        token: H_SVM.INIT_ABORT,
        name: 'H_SVM_INIT_ABORT',
        inputs: 0,
        outputs: 0,
        handler: () => this.initAbort(),
        ref: 'UV-API H_SVM_INIT_ABORT',
      },
    ];
  }

  private fromUltravisor(call: Hcall): number | undefined {
    return call.vcpu.msr & MSR.S ? undefined : H_UNSUPPORTED;
  }

  private initStart(): number {
    if (this.phaseNow !== 'normal') return H_STATE;
    this.phaseNow = 'started';
    this.pageOrder = this.options.pageOrder();
    this.pages = new Uint8Array(this.options.memoryBytes / 2 ** this.pageOrder);
    this.hostPages = new HostPages(2 ** this.pageOrder);
    const status = this.ucall(UV.REGISTER_MEM_SLOT, 0, this.options.memoryBytes, 0, 0);
    if (status === H_SUCCESS) return H_SUCCESS;
    this.release();
    return H_PARAMETER;
  }

  private initDone(): number {
    if (this.phaseNow !== 'started') return H_UNSUPPORTED;
    for (let page = 0; page < this.pages.length; page++) {
      if (this.pages[page] === PAGE.normal) this.pages[page] = PAGE.secure;
    }
    this.phaseNow = 'secure';
    this.options.transition?.('secure');
    return H_SUCCESS;
  }

  /** The answer is for the guest: its UV_ESM has failed. */
  private initAbort(): number {
    if (this.phaseNow === 'normal') return H_UNSUPPORTED;
    if (this.phaseNow === 'secure') return H_STATE;
    for (let page = 0; page < this.pages.length; page++) {
      if (this.pages[page] === PAGE.secure) this.move(UV.PAGE_OUT, page, this.placeOf(page));
    }
    this.release();
    return H_PARAMETER;
  }

  private pageIn(gra: bigint, flags: bigint, order: bigint): number {
    if (this.phaseNow === 'normal') return H_UNSUPPORTED;
    if (order !== BigInt(this.pageOrder)) return H_P3;
    if (flags & ~BigInt(H_PAGE_IN_SHARED)) return H_P2;
    const page = this.pageAt(gra);
    if (page === undefined) return H_PARAMETER;
    const shared = (flags & BigInt(H_PAGE_IN_SHARED)) !== 0n;
    if (!shared && this.pages[page] === PAGE.secure) return H_PARAMETER;
    const place = this.places.get(page);
    const wasOut = this.pages[page] === PAGE.out && place !== undefined;
    const source = wasOut && !shared ? place : this.placeOf(page);
    if (this.move(UV.PAGE_IN, page, source) !== H_SUCCESS) return H_PARAMETER;
    if (wasOut) this.discard(page);
    this.pages[page] = shared ? PAGE.shared : PAGE.secure;
    return H_SUCCESS;
  }

  private pageOut(gra: bigint, flags: bigint, order: bigint): number {
    if (this.phaseNow === 'normal') return H_UNSUPPORTED;
    if (order !== BigInt(this.pageOrder)) return H_P3;
    if (flags !== 0n) return H_P2;
    const page = this.pageAt(gra);
    if (page === undefined) return H_PARAMETER;
    if (this.pages[page] !== PAGE.secure) return H_SUCCESS;
    return this.takeOut(page) ? H_SUCCESS : H_PARAMETER;
  }

  /**
   * The device-memory manager takes a secure page out, which the ultravisor need not have asked for. `gra` is its start.
   * False if the ultravisor does not let it go.
   */
  reclaim(gra: number): boolean {
    const page = this.pageAt(BigInt(gra));
    return page !== undefined && this.pages[page] === PAGE.secure && this.takeOut(page);
  }

  /** The contents of a page that is out, which the hypervisor can do anything to. */
  contentsOf(gra: number): Uint8Array | undefined {
    const place = this.places.get(this.pageAt(BigInt(gra)) ?? -1);
    return place === undefined ? undefined : this.hostPages.at(place);
  }

  /** Before H_SVM_INIT_DONE a page goes back to its place as it is; later it is encrypted to memory of our own. */
  private takeOut(page: number): boolean {
    if (this.phaseNow !== 'secure') {
      if (this.move(UV.PAGE_OUT, page, this.placeOf(page)) !== H_SUCCESS) return false;
      this.pages[page] = PAGE.normal;
      return true;
    }
    const place = this.hostPages.allocate();
    if (this.move(UV.PAGE_OUT, page, place) !== H_SUCCESS) {
      this.hostPages.release(place);
      return false;
    }
    this.places.set(page, place);
    this.pages[page] = PAGE.out;
    return true;
  }

  private discard(page: number): void {
    const place = this.places.get(page);
    if (place !== undefined) this.hostPages.release(place);
    this.places.delete(page);
  }

  private release(): void {
    this.ucall(UV.SVM_TERMINATE);
    for (const page of [...this.places.keys()]) this.discard(page);
    this.pages.fill(PAGE.normal);
    this.phaseNow = 'normal';
    this.options.transition?.('normal');
  }

  /** UV_PAGE_IN or UV_PAGE_OUT, from or to real address `ra`. */
  private move(token: number, page: number, ra: number): number {
    return this.ucall(token, ra, this.placeOf(page), 0, this.pageOrder);
  }
  /** Where a page of the partition is: the host's real address of it is its guest real address. */
  private placeOf(page: number): number {
    return page * 2 ** this.pageOrder;
  }
  private ucall(token: number, ...args: number[]): number {
    return this.options.ultravisor.ultracall(token, [LPID, ...args]);
  }
  private pageAt(gra: bigint): number | undefined {
    const size = 1n << BigInt(this.pageOrder);
    return gra % size === 0n && gra / size < BigInt(this.pages.length) ? Number(gra / size) : undefined;
  }
}
