// A flattened device tree with nodes below the root whose properties are single cells.

export class FdtBuilder {
  private readonly bootCpu: number;
  private readonly structure: number[] = [1, 0];
  private strings = '';

  constructor(bootCpu: number) {
    this.bootCpu = bootCpu;
  }

  node(name: string, cells: ReadonlyMap<string, number>): void {
    this.structure.push(1, ...words(name));
    for (const [property, value] of cells) {
      this.structure.push(3, 4, this.strings.length, value);
      this.strings += `${property}\0`;
    }
    this.structure.push(2);
  }

  /** Packed, or as prom_init of Linux lays it out: strings, and the structure from a page of its own on. */
  bytes(makersPageBytes?: number): Uint8Array {
    const structure = [...this.structure, 2, 9];
    const up = (size: number) => Math.ceil(size / makersPageBytes!) * makersPageBytes!;
    const packed = makersPageBytes === undefined;
    const stringsAt = packed ? 56 + 4 * structure.length : 56;
    const structureAt = packed ? 56 : up(stringsAt + this.strings.length);
    const total = packed ? stringsAt + this.strings.length : up(structureAt + 4 * structure.length);
    const header = [0xd00dfeed, total, structureAt, stringsAt, 40, 17, 16, this.bootCpu, this.strings.length];
    const out = new DataView(new ArrayBuffer(total));
    [...header, 4 * structure.length, 0, 0, 0, 0].forEach((word, i) => {
      out.setUint32(4 * i, word);
    });
    structure.forEach((word, i) => {
      out.setUint32(structureAt + 4 * i, word);
    });
    const bytes = new Uint8Array(out.buffer);
    bytes.set(new TextEncoder().encode(this.strings), stringsAt);
    return bytes;
  }
}

function words(name: string): number[] {
  const bytes = new TextEncoder().encode(name);
  const padded = new Uint8Array((bytes.length + 4) & ~3);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  return Array.from({ length: padded.length / 4 }, (_, i) => view.getUint32(4 * i));
}
