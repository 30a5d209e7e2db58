// The parts of an ELF file that a listing needs: executable sections and function symbols (System V ABI, chapter 4).
// Both classes and both byte orders, any machine. Relocations are not applied.

import { PowervisorError } from '../util/errors.ts';

export interface ElfSection {
  readonly name: string;
  readonly address: bigint;
  readonly data: Uint8Array;
}

export interface ElfListing {
  readonly littleEndian: boolean;
  /** Those with instructions, in file order. */
  readonly sections: readonly ElfSection[];
  /** Address to name; where several symbols share one, the first global function. */
  readonly symbols: ReadonlyMap<bigint, string>;
}

const SHF_EXECINSTR = 4n;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHT_DYNSYM = 11;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STB_GLOBAL = 1;
const EM_PPC = 20;
const EM_PPC64 = 21;

export function isElf(file: Uint8Array): boolean {
  return file.length >= 16 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

/** Throws a PowervisorError for a damaged file, one of another processor, or one without section headers. */
export function readElfListing(file: Uint8Array, path: string): ElfListing {
  try {
    return new ElfReader(file).listing();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PowervisorError('BAD_ELF', `${path} is a damaged or truncated ELF file.`, { cause: error });
  }
}

interface SectionHeader {
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: bigint;
  readonly address: bigint;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly link: number;
  readonly entryBytes: number;
}

class ElfReader {
  private readonly file: Uint8Array;
  private readonly view: DataView;
  private readonly wide: boolean;
  private readonly little: boolean;

  constructor(file: Uint8Array) {
    this.file = file;
    this.view = new DataView(file.buffer, file.byteOffset, file.length);
    this.wide = file[4] === 2;
    this.little = file[5] === 1;
  }

  listing(): ElfListing {
    const machine = this.u16(18);
    if (machine !== EM_PPC64 && machine !== EM_PPC) {
      throw new PowervisorError('BAD_ELF', `The ELF file is for another processor (e_machine ${machine}), not Power.`);
    }
    const headers = this.sectionHeaders();
    const names = headers[this.u16(this.wide ? 62 : 50)];
    const code = headers.filter(({ type, flags }) => (flags & SHF_EXECINSTR) !== 0n && type !== SHT_NOBITS);
    if (code.length === 0) throw new PowervisorError('BAD_ELF', 'The ELF file has no executable sections.');
    const sections = code.map((header) => ({
      name: names === undefined ? '' : this.string(names, header.nameOffset),
      address: header.address,
      data: this.bytes(header.offset, header.sizeBytes),
    }));
    return { littleEndian: this.little, sections, symbols: this.symbols(headers) };
  }

  private sectionHeaders(): SectionHeader[] {
    const start = this.word(this.wide ? 40 : 32);
    const entryBytes = this.u16(this.wide ? 58 : 46);
    const count = this.u16(this.wide ? 60 : 48);
    return Array.from({ length: count }, (_, index) => {
      const at = Number(start) + index * entryBytes;
      const field = (wide: number, narrow: number) => this.word(at + (this.wide ? wide : narrow));
      return {
        nameOffset: this.u32(at),
        type: this.u32(at + 4),
        flags: field(8, 8),
        address: field(16, 12),
        offset: Number(field(24, 16)),
        sizeBytes: Number(field(32, 20)),
        link: this.u32(at + (this.wide ? 40 : 24)),
        entryBytes: Number(field(56, 36)),
      };
    });
  }

  private symbols(headers: readonly SectionHeader[]): Map<bigint, string> {
    const found = new Map<bigint, string>();
    const ranks = new Map<bigint, number>();
    const table = headers.find(({ type }) => type === SHT_SYMTAB) ?? headers.find(({ type }) => type === SHT_DYNSYM);
    const strings = table === undefined ? undefined : headers[table.link];
    if (table === undefined || strings === undefined || table.entryBytes === 0) return found;
    for (let at = table.offset; at < table.offset + table.sizeBytes; at += table.entryBytes) {
      const info = this.u8(at + (this.wide ? 4 : 12));
      const section = this.u16(at + (this.wide ? 6 : 14));
      const type = info & 15;
      if (section === 0 || section >= 0xff00 || (type !== STT_FUNC && type !== STT_NOTYPE)) continue;
      const address = this.word(at + (this.wide ? 8 : 4));
      const rank = (type === STT_FUNC ? 2 : 0) + (info >> 4 === STB_GLOBAL ? 1 : 0);
      if (rank <= (ranks.get(address) ?? -1)) continue;
      const name = this.string(strings, this.u32(at));
      if (name === '') continue;
      found.set(address, name);
      ranks.set(address, rank);
    }
    return found;
  }

  private bytes(offset: number, lenBytes: number): Uint8Array {
    if (offset + lenBytes > this.file.length) throw new RangeError('section outside of the file');
    return this.file.subarray(offset, offset + lenBytes);
  }

  private string(section: SectionHeader, offset: number): string {
    const start = section.offset + offset;
    const end = this.file.indexOf(0, start);
    return Buffer.from(this.bytes(start, Math.max(end, start) - start)).toString();
  }

  /** A field as wide as the class's addresses. */
  private word(offset: number): bigint {
    return this.wide ? this.view.getBigUint64(offset, this.little) : BigInt(this.u32(offset));
  }

  private u32(offset: number): number {
    return this.view.getUint32(offset, this.little);
  }

  private u16(offset: number): number {
    return this.view.getUint16(offset, this.little);
  }

  private u8(offset: number): number {
    return this.view.getUint8(offset);
  }
}
