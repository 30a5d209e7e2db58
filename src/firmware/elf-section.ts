// One section of an ELF file by name (System V ABI, chapter 4), and files with one more: how an ESM blob travels with a
// kernel. Linux's own wrapper for zImages uses the same section name.

import { PowervisorError } from '../util/errors.ts';

export const ESM_BLOB_SECTION = '.kernel:esm_blob';

const SHT_PROGBITS = 1;
const SHT_STRTAB = 3;
const SHT_NOBITS = 8;
const MAX_SECTIONS = 0xff00;
const ALIGNMENT = 4096;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The content of the section, or undefined if there is none or the section headers are damaged. */
export function findElfSection(file: Uint8Array, name: string): Uint8Array | undefined {
  const found = new Sections(file).all()?.find((section) => section.name === name);
  if (!found || found.type === SHT_NOBITS || found.offset + found.sizeBytes > file.length) return undefined;
  return file.subarray(found.offset, found.offset + found.sizeBytes);
}

/**
 * The file with a section that is not loaded by itself; nothing else in it moves. `what` names the file in errors. Throws a
 * PowervisorError (`ELF_SECTION`) if the file is no ELF file or has a section of that name.
 */
export function withElfSection(file: Uint8Array, name: string, content: Uint8Array, what: string): Uint8Array {
  const sections = new Sections(file);
  const all = sections.all();
  if (!all) throw new PowervisorError('ELF_SECTION', `${what} is no ELF file with section headers that can be read.`);
  if (all.some((section) => section.name === name)) {
    throw new PowervisorError('ELF_SECTION', `${what} has a section ${name} already.`);
  }
  return sections.extended(name, content);
}

/** Offsets in the ELF header and in a section header, by class. */
const WIDE = {
  wordBytes: 8,
  table: 40,
  entryBytes: 58,
  count: 60,
  names: 62,
  entry: 64,
  offset: 24,
  size: 32,
  align: 48,
};
const NARROW = {
  wordBytes: 4,
  table: 32,
  entryBytes: 46,
  count: 48,
  names: 50,
  entry: 40,
  offset: 16,
  size: 20,
  align: 32,
};

class Sections {
  private readonly file: Uint8Array;
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly layout: typeof WIDE;

  constructor(file: Uint8Array) {
    this.file = file;
    this.view = new DataView(file.buffer, file.byteOffset, file.length);
    this.little = file[5] === 1;
    this.layout = file[4] === 2 ? WIDE : NARROW;
  }

  /** Undefined if this is no ELF file or its headers are outside of it. */
  all(): Section[] | undefined {
    const { file, layout } = this;
    const isElf = file.length >= 64 && [0x7f, 0x45, 0x4c, 0x46].every((byte, i) => file[i] === byte);
    if (!isElf) return undefined;
    const table = this.word(layout.table);
    const count = this.u16(layout.count);
    if (count === 0) return [];
    if (this.u16(layout.entryBytes) !== layout.entry || count >= MAX_SECTIONS) return undefined;
    if (table + count * layout.entry > file.length) return undefined;
    const at = (index: number) => {
      const header = table + index * layout.entry;
      return {
        nameAt: this.view.getUint32(header, this.little),
        type: this.view.getUint32(header + 4, this.little),
        offset: this.word(header + layout.offset),
        sizeBytes: this.word(header + layout.size),
      };
    };
    const namesIndex = this.u16(layout.names);
    const names = namesIndex < count ? at(namesIndex) : { offset: 0, sizeBytes: 0 };
    if (names.offset + names.sizeBytes > file.length) return undefined;
    const text = file.subarray(names.offset, names.offset + names.sizeBytes);
    return Array.from({ length: count }, (_, index) => {
      const { nameAt, ...section } = at(index);
      const end = text.indexOf(0, nameAt);
      const bytes = end < 0 ? new Uint8Array() : text.subarray(nameAt, Math.min(end, nameAt + 256));
      return { name: String.fromCharCode(...bytes), ...section };
    });
  }

  /** New names and headers stand at the end; the old ones stay where they were, unused. */
  extended(name: string, content: Uint8Array): Uint8Array {
    const { file, layout } = this;
    const count = this.u16(layout.count);
    const oldTable = file.slice(this.word(layout.table), this.word(layout.table) + count * layout.entry);
    const oldNamesIndex = count === 0 ? 0 : this.u16(layout.names);
    const oldNames = count === 0 ? Uint8Array.of(0) : this.contentOf(oldNamesIndex);
    const added = new TextEncoder().encode(`${name}\0.shstrtab\0`);
    const names = new Uint8Array(oldNames.length + added.length);
    names.set(oldNames);
    names.set(added, oldNames.length);

    const contentAt = alignUp(file.length, ALIGNMENT);
    const namesAt = alignUp(contentAt + content.length, 8);
    const tableAt = alignUp(namesAt + names.length, 8);
    const first = Math.max(count, 1);
    const total = first + 2;
    const out = new Uint8Array(tableAt + total * layout.entry);
    out.set(file);
    out.set(content, contentAt);
    out.set(names, namesAt);
    out.set(oldTable, tableAt);
    const view = new DataView(out.buffer);
    const word = (at: number, value: number) => {
      if (layout.wordBytes === 8) view.setBigUint64(at, BigInt(value), this.little);
      else view.setUint32(at, value, this.little);
    };
    const header = (index: number, nameAt: number, type: number, offset: number, sizeBytes: number, align: number) => {
      const at = tableAt + index * layout.entry;
      view.setUint32(at, nameAt, this.little);
      view.setUint32(at + 4, type, this.little);
      word(at + layout.offset, offset);
      word(at + layout.size, sizeBytes);
      word(at + layout.align, align);
    };
    header(first, oldNames.length, SHT_PROGBITS, contentAt, content.length, ALIGNMENT);
    header(first + 1, oldNames.length + name.length + 1, SHT_STRTAB, namesAt, names.length, 1);
    word(layout.table, tableAt);
    view.setUint16(layout.entryBytes, layout.entry, this.little);
    view.setUint16(layout.count, total, this.little);
    view.setUint16(layout.names, first + 1, this.little);
    return out;
  }

  private contentOf(index: number): Uint8Array {
    const header = this.word(this.layout.table) + index * this.layout.entry;
    const offset = this.word(header + this.layout.offset);
    return this.file.subarray(offset, offset + this.word(header + this.layout.size));
  }

  private u16(at: number): number {
    return this.view.getUint16(at, this.little);
  }

  private word(at: number): number {
    if (this.layout.wordBytes === 4) return this.view.getUint32(at, this.little);
    return Number(this.view.getBigUint64(at, this.little));
  }
}

function alignUp(at: number, alignment: number): number {
  return Math.ceil(at / alignment) * alignment;
}
