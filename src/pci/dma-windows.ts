// The DMA windows of one host bridge: the default window of 32-bit addresses, and the dynamic windows that a guest
// creates to map more or larger pages (LoPAR, Dynamic DMA Windows). At most two exist at a time.

import { type BusAddress, DYNAMIC_WINDOW_BASE } from './bus-address.ts';
import type { DmaWindows } from './dma-space.ts';
import { MAX_TCES, TCE_READ, TCE_WRITE, TceTable } from './tce-table.ts';

const MAX_WINDOWS = 2;
const READ_WRITE = TCE_READ | TCE_WRITE;
/** Distance of dynamic windows: no window is larger (MAX_TCES pages of 256 MiB). */
const DYNAMIC_WINDOW_STRIDE = 2 ** 50;
const DEFAULT_PAGE_SHIFT = 12;

/** Bits of the page size mask of ibm,query-pe-dma-window, by log2 of the page size. */
const PAGE_SIZE_BITS: ReadonlyMap<number, number> = new Map([
  [12, 0x001],
  [16, 0x002],
  [21, 0x100],
  [24, 0x004],
  [28, 0x040],
]);

export interface DmaWindowOptions {
  /** LIOBN of the default window; dynamic windows have the numbers after it. */
  readonly liobn: number;
  /** Size of the default window, which starts at bus address 0; a multiple of 4096 up to 2^32. */
  readonly defaultBytes: number;
  /**
   * In place of that, the only window: these bytes of memory, a multiple of 4096 below 2^32, each page mapped from the
   * start at its own address. The guest may map others there, and can create no further window.
   */
  readonly only?: { readonly gra: number; readonly lenBytes: number };
  /**
   * Pages larger than 64 KiB are offered only if they divide this. Linux maps all of memory through one window in the
   * largest pages it is offered, and leaves out a last page that memory does not fill.
   */
  readonly memoryBytes: number;
}

/** What ibm,query-pe-dma-window tells. */
export interface WindowQuery {
  readonly windowsAvailable: number;
  /** The most entries a new window can have. */
  readonly maxTces: number;
  readonly pageSizeMask: number;
}

export class DmaWindowSet implements DmaWindows {
  private readonly options: DmaWindowOptions;
  private readonly defaultWindow: TceTable;
  private readonly pageShifts: readonly number[];
  private windows: TceTable[];

  constructor(options: DmaWindowOptions) {
    this.options = options;
    const { gra: base, lenBytes } = options.only ?? { gra: 0, lenBytes: options.defaultBytes };
    const entries = lenBytes / 2 ** DEFAULT_PAGE_SHIFT;
    this.defaultWindow = new TceTable({ liobn: options.liobn, base, pageShift: DEFAULT_PAGE_SHIFT, entries });
    this.pageShifts = [...PAGE_SIZE_BITS.keys()].filter(
      (shift) => shift <= 16 || options.memoryBytes % 2 ** shift === 0,
    );
    this.windows = [];
    this.reset();
  }

  /** Whether windows can be created at all. */
  get dynamic(): boolean {
    return this.options.only === undefined;
  }

  windowAt(address: BusAddress): TceTable | undefined {
    for (const window of this.windows) if (window.contains(address)) return window;
    return undefined;
  }

  find(liobn: number): TceTable | undefined {
    return this.windows.find((window) => window.liobn === liobn);
  }

  /** The windows that exist, the default one first. */
  all(): readonly TceTable[] {
    return this.windows;
  }

  query(): WindowQuery {
    return {
      windowsAvailable: this.maxWindows - this.windows.length,
      maxTces: MAX_TCES,
      pageSizeMask: this.pageShifts.reduce((mask, shift) => mask | PAGE_SIZE_BITS.get(shift)!, 0),
    };
  }

  /**
   * A new window of 2^windowShift bytes in pages of 2^pageShift, with no page mapped; any numbers. `parameter`: a page size
   * that is not offered or a size that is too small or too large; `full`: there are two windows already.
   */
  create(pageShift: number, windowShift: number): TceTable | 'parameter' | 'full' {
    const entries = 2 ** (windowShift - pageShift);
    if (!this.pageShifts.includes(pageShift) || windowShift < pageShift || entries > MAX_TCES) return 'parameter';
    const liobn = [1, 2].map((n) => this.options.liobn + n).find((number) => !this.find(number));
    if (this.windows.length >= this.maxWindows || liobn === undefined) return 'full';
    const base = DYNAMIC_WINDOW_BASE + (liobn - this.options.liobn - 1) * DYNAMIC_WINDOW_STRIDE;
    const window = new TceTable({ liobn, base, pageShift, entries });
    this.windows.push(window);
    return window;
  }

  /** Removes a window, the default one too, with all its mappings. False if there is none of that number. */
  remove(liobn: number): boolean {
    const before = this.windows.length;
    this.windows = this.windows.filter((window) => window.liobn !== liobn);
    return this.windows.length < before;
  }

  /** ibm,reset-pe-dma-windows: the default window alone, as at power-on. */
  reset(): void {
    const { defaultWindow, options } = this;
    defaultWindow.clear();
    this.windows = [defaultWindow];
    if (!options.only) return;
    for (let n = 0; n < defaultWindow.entries; n++) {
      defaultWindow.set(n, 0, options.only.gra + n * defaultWindow.pageBytes + READ_WRITE);
    }
  }

  private get maxWindows(): number {
    return this.dynamic ? MAX_WINDOWS : 1;
  }
}
