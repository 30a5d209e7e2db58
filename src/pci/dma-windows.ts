// The DMA windows of one host bridge: the default window of 32-bit addresses, and the dynamic windows that a guest
// creates to map more or larger pages (LoPAR, Dynamic DMA Windows). At most two exist at a time.

import { type BusAddress, DYNAMIC_WINDOW_BASE } from './bus-address.ts';
import type { DmaWindows } from './dma-space.ts';
import { MAX_TCES, TceTable } from './tce-table.ts';

const MAX_WINDOWS = 2;
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
    const entries = options.defaultBytes / 2 ** DEFAULT_PAGE_SHIFT;
    this.defaultWindow = new TceTable({ liobn: options.liobn, base: 0, pageShift: DEFAULT_PAGE_SHIFT, entries });
    this.pageShifts = [...PAGE_SIZE_BITS.keys()].filter(
      (shift) => shift <= 16 || options.memoryBytes % 2 ** shift === 0,
    );
    this.windows = [this.defaultWindow];
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
      windowsAvailable: MAX_WINDOWS - this.windows.length,
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
    if (this.windows.length >= MAX_WINDOWS || liobn === undefined) return 'full';
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

  /** ibm,reset-pe-dma-windows: the default window alone, with no page mapped. */
  reset(): void {
    this.defaultWindow.clear();
    this.windows = [this.defaultWindow];
  }
}
