// Names for addresses of a guest kernel, from what its build left: a System.map or the symbol table of its vmlinux.
//
// A symbol reaches to the next one, as in the kernel's own traces; so both files give the same answers, and an address
// behind the last symbol (a module's, say) has no name. Kernels are taken to run where they are linked, as Linux does
// on POWER unless it is a crash kernel.

/** One line of a map. */
export interface SymbolEntry {
  /** Effective address, unsigned 64 bits. */
  readonly address: bigint;
  readonly name: string;
  readonly code: boolean;
  readonly global: boolean;
}

/** An address as a place in what a symbol names. */
export interface SymbolPlace {
  readonly name: string;
  /** Bytes from the start of the symbol. */
  readonly offset: number;
  /** Bytes to the next symbol. */
  readonly sizeBytes: number;
  readonly code: boolean;
}

export class SymbolTable {
  /** Distinct addresses, ascending. */
  private readonly addresses: BigUint64Array;
  /** For each address the name that says most. */
  private readonly best: readonly SymbolEntry[];
  private readonly byName = new Map<string, bigint>();

  /** `entries` in any order. */
  constructor(entries: Iterable<SymbolEntry>) {
    const best = new Map<bigint, SymbolEntry>();
    for (const entry of entries) {
      const other = best.get(entry.address);
      if (!other || isBetter(entry, other)) best.set(entry.address, entry);
      // Local names may repeat: the first one stands, unless a global one comes.
      if (entry.global || !this.byName.has(entry.name)) this.byName.set(entry.name, entry.address);
    }
    this.addresses = BigUint64Array.from(best.keys()).sort();
    this.best = Array.from(this.addresses, (address) => best.get(address)!);
  }

  /** Distinct addresses with a name. */
  get size(): number {
    return this.addresses.length;
  }

  /** What lies at an effective address; undefined outside of the kernel. */
  lookup(address: bigint): SymbolPlace | undefined {
    const { addresses } = this;
    let low = 0;
    let high = addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (addresses[middle] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const start = addresses[low - 1];
    const end = low < addresses.length ? addresses[low] : start + 1n;
    if (address >= end) return undefined;
    const { name, code } = this.best[low - 1];
    return { name, offset: Number(address - start), sizeBytes: Number(end - start), code };
  }

  /** `name+0x10/0x80`, as the kernel prints it and its tools read it; undefined outside of the kernel. */
  describe(address: bigint): string | undefined {
    const place = this.lookup(address);
    return place && `${place.name}+0x${place.offset.toString(16)}/0x${place.sizeBytes.toString(16)}`;
  }

  /** Address of a symbol. */
  addressOf(name: string): bigint | undefined {
    return this.byName.get(name);
  }
}

/** Of equal rank the first of the alphabet, so that the order of the file does not matter. */
function isBetter(a: SymbolEntry, b: SymbolEntry): boolean {
  const difference = rank(a) - rank(b);
  return difference > 0 || (difference === 0 && a.name < b.name);
}

/** Of several names for an address: code before data, global before local, plain before underscored. */
function rank({ name, code, global }: SymbolEntry): number {
  const underscores = name.length - name.replace(/^_+/, '').length;
  return (code ? 32 : 0) + (global ? 16 : 0) - Math.min(underscores, 8);
}
