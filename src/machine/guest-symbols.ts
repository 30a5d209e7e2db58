// The symbols of the kernel that runs: from the user's file, or the kernel's own. A guest may run another kernel than it
// was started with (kexec), and users mix files up; so names are given only while the kernel's banner is where the
// symbols say.

import { readSymbols, symbolsOfKernel } from '../symbols/read-symbols.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { GuestReader } from './call-chain.ts';

const BANNER_SYMBOL = 'linux_banner';
/** How every Linux begins its banner: "Linux ve", as two words of either byte order. */
const BANNERS = [
  [0x756e694c, 0x65762078],
  [0x4c696e75, 0x78207665],
] as const;

export class GuestSymbols {
  private readonly kernel: Uint8Array;
  private readonly misfit: () => void;
  /** Undefined until the kernel's own symbols are asked for. */
  private table: SymbolTable | 'none' | undefined;
  private told = false;

  /**
   * `file` is a System.map or vmlinux, if the user gave one: throws a PowervisorError if it has no symbols. `misfit` is
   * called once if they are another kernel's.
   */
  constructor(kernel: Uint8Array, file: Uint8Array | undefined, misfit: () => void) {
    this.kernel = kernel;
    this.misfit = file ? misfit : () => {};
    this.table = file && readSymbols(file, 'the file of symbols');
  }

  /** Symbols for the kernel whose memory `reader` reads, if there are any. */
  fitting(reader: GuestReader): SymbolTable | undefined {
    this.table ??= symbolsOfKernel(this.kernel) ?? 'none';
    const { table } = this;
    if (table === 'none') return undefined;
    const at = table.addressOf(BANNER_SYMBOL);
    if (at === undefined || hasBanner(reader, at)) return table;
    if (!this.told) this.misfit();
    this.told = true;
    return undefined;
  }
}

function hasBanner(reader: GuestReader, at: bigint): boolean {
  return BANNERS.some((words) => words.every((word, i) => reader.load32(at + BigInt(4 * i)) === word));
}
