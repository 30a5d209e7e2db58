// Small ELF files for tests of loaders: header, program headers and what they point to, nothing else.

export interface ElfPart {
  readonly type: number;
  readonly virtualAddress?: bigint;
  readonly physicalAddress?: bigint;
  readonly bytes?: Uint8Array;
  readonly memoryBytes?: number;
}

export interface ElfRecipe {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly type?: number;
  readonly machine: number;
  readonly entry: bigint;
  readonly parts: readonly ElfPart[];
}

export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_NOTE = 4;

/** The bytes of the file. Parts lie one after the other behind the program headers. */
export function buildElf(recipe: ElfRecipe): Uint8Array {
  const { is64, littleEndian: le, parts } = recipe;
  const headerBytes = is64 ? 64 : 52;
  const entryBytes = is64 ? 56 : 32;
  const start = headerBytes + parts.length * entryBytes;
  const total = parts.reduce((sum, part) => sum + (part.bytes?.length ?? 0), start);
  const file = new Uint8Array(total);
  const view = new DataView(file.buffer);
  const word = (at: number, value: bigint) => {
    if (is64) view.setBigUint64(at, value, le);
    else view.setUint32(at, Number(value), le);
  };
  file.set([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, le ? 1 : 2, 1]);
  view.setUint16(16, recipe.type ?? 2, le);
  view.setUint16(18, recipe.machine, le);
  view.setUint32(20, 1, le);
  word(24, recipe.entry);
  word(is64 ? 32 : 28, BigInt(headerBytes));
  view.setUint16(is64 ? 52 : 40, headerBytes, le);
  view.setUint16(is64 ? 54 : 42, entryBytes, le);
  view.setUint16(is64 ? 56 : 44, parts.length, le);
  let offset = start;
  parts.forEach((part, index) => {
    const at = headerBytes + index * entryBytes;
    const bytes = part.bytes ?? new Uint8Array(0);
    view.setUint32(at, part.type, le);
    const fields = is64 ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20];
    const values = [
      BigInt(offset),
      part.virtualAddress ?? part.physicalAddress ?? 0n,
      part.physicalAddress ?? part.virtualAddress ?? 0n,
      BigInt(bytes.length),
      BigInt(part.memoryBytes ?? bytes.length),
    ];
    fields.forEach((field, n) => {
      word(at + field, values[n]!);
    });
    file.set(bytes, offset);
    offset += bytes.length;
  });
  return file;
}

/** An ELF note with this owner and type and a descriptor of zeros. */
export function elfNote(owner: string, type: number, descriptorBytes: number, littleEndian: boolean): Uint8Array {
  const nameBytes = owner.length + 1;
  const note = new Uint8Array(12 + Math.ceil(nameBytes / 4) * 4 + Math.ceil(descriptorBytes / 4) * 4);
  const view = new DataView(note.buffer);
  [nameBytes, descriptorBytes, type].forEach((value, index) => {
    view.setUint32(index * 4, value, littleEndian);
  });
  note.set(new TextEncoder().encode(owner), 12);
  return note;
}
