// Who owns each page of guest RAM: the ultravisor's table, which every access of the hypervisor and of devices is
// checked against (UV-API, page states; docs/ultravisor.md). Pages are 64 KiB, the unit in which a hypervisor hands over
// memory, or 4 KiB for a guest that shares in that unit.

import { assert } from '../util/errors.ts';

/**
 * `normal`: nobody has secured it. `secure`: the guest and the ultravisor only. `shared`: a secure guest lets the host
 * in. `paged-out`: secure, its contents encrypted with the host.
 */
export type PageState = 'normal' | 'secure' | 'shared' | 'paged-out';

const STATES: readonly PageState[] = ['normal', 'secure', 'shared', 'paged-out'];
const CODES: Readonly<Record<PageState, number>> = { normal: 0, secure: 1, shared: 2, 'paged-out': 3 };

export type OwnedPageBytes = 0x10000 | 0x1000;

export class PageOwnership {
  /** Told of each page whose state changes to or from `shared`; of `setAll` as -1, false. */
  onShare: ((page: number, shared: boolean) => void) | undefined;
  private readonly ramBytes: number;
  private unit: OwnedPageBytes;
  private states: Uint8Array;
  /** Index into `causes`: what made the page what it is. */
  private reasons: Uint8Array;
  private readonly causes: string[] = ['power-on'];
  private readonly counters = [0, 0, 0, 0];

  /** `ramBytes` is a multiple of 64 KiB. */
  constructor(ramBytes: number, pageBytes: OwnedPageBytes = 0x10000) {
    assert(ramBytes % pageBytes === 0, 'RAM is a whole number of pages');
    this.ramBytes = ramBytes;
    this.unit = pageBytes;
    this.states = new Uint8Array(this.pages);
    this.reasons = new Uint8Array(this.pages);
    this.counters[CODES.normal] = this.pages;
  }

  get pageBytes(): OwnedPageBytes {
    return this.unit;
  }
  get pages(): number {
    return this.ramBytes / this.unit;
  }

  /** Counts in pages of another size from now on. Every page is normal. */
  divide(pageBytes: OwnedPageBytes): void {
    assert(this.counters[CODES.normal] === this.pages, 'pages are in use');
    if (pageBytes === this.unit) return;
    this.unit = pageBytes;
    this.states = new Uint8Array(this.pages);
    this.reasons = new Uint8Array(this.pages);
    this.setAll('normal', 'power-on');
  }

  /** True if the host may touch everything: the check of each access is this one comparison then. */
  get open(): boolean {
    return this.counters[CODES.secure] === 0 && this.counters[CODES['paged-out']] === 0;
  }

  /** `page` counts from 0 in units of `pageBytes`; it exists. */
  state(page: number): PageState {
    return STATES[this.states[page]];
  }

  /** The call that made the page what it is. */
  cause(page: number): string {
    return this.causes[this.reasons[page]];
  }

  /** Whether the host may touch the page. */
  hostMayTouch(page: number): boolean {
    const code = this.states[page];
    return code === CODES.normal || code === CODES.shared;
  }

  /** `cause` names the call behind it, e.g. `UV_SHARE_PAGE`. */
  set(page: number, state: PageState, cause: string): void {
    assert(page >= 0 && page < this.pages, 'page outside RAM');
    const before = this.states[page];
    this.counters[before]--;
    this.counters[CODES[state]]++;
    this.states[page] = CODES[state];
    this.reasons[page] = this.causeNumber(cause);
    if (before === CODES.shared || state === 'shared') this.onShare?.(page, state === 'shared');
  }

  setAll(state: PageState, cause: string): void {
    this.states.fill(CODES[state]);
    this.reasons.fill(this.causeNumber(cause));
    this.counters.fill(0);
    this.counters[CODES[state]] = this.pages;
    this.onShare?.(-1, false);
  }

  /** Pages in each state. */
  counts(): Readonly<Record<PageState, number>> {
    const [normal, secure, shared, pagedOut] = this.counters;
    return { normal, secure, shared, 'paged-out': pagedOut };
  }

  private causeNumber(cause: string): number {
    const known = this.causes.indexOf(cause);
    if (known >= 0) return known;
    assert(this.causes.length < 256, 'causes are the names of calls: few');
    return this.causes.push(cause) - 1;
  }
}
