// ELF files as far as a boot loader reads them: header, program headers, notes (System V ABI, chapters 4 and 5). Every
// offset is checked against the file; errors name what is wrong in a sentence for the person who gave the file.

import { PowervisorError } from '../util/errors.ts';

export const EM_PPC = 20;
export const EM_PPC64 = 21;
export const ET_EXEC = 2;
export const ET_DYN = 3;

/** A PT_LOAD segment. Addresses and sizes are exact: files with fields beyond 2^53 are refused. */
export interface ElfSegment {
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly bytes: Uint8Array;
  /** At least `bytes.length`; the rest is zero. */
  readonly memoryBytes: number;
}

export interface ElfNote {
  readonly owner: string;
  readonly type: number;
}

export interface ElfFile {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly type: number;
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
  /** True if the file asks for an interpreter, as dynamically linked programs do. */
  readonly hasInterpreter: boolean;
}

const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_NOTE = 4;
const MAX_PROGRAM_HEADERS = 256;
const MAX_NOTES = 64;

/** True if the bytes start with the ELF magic number. */
export function isElf(bytes: Uint8Array): boolean {
  return [0x7f, 0x45, 0x4c, 0x46].every((byte, index) => bytes[index] === byte);
}

/** Reads a file for which `isElf` holds. `what` names it in errors (`KERNEL_TRUNCATED`, `KERNEL_MALFORMED`). */
export function parseElf(bytes: Uint8Array, what: string): ElfFile {
  const reader = new ElfReader(bytes, what);
  const { is64 } = reader;
  const headerCount = reader.u16(is64 ? 56 : 44);
  const headerBytes = reader.u16(is64 ? 54 : 42);
  if (headerBytes !== (is64 ? 56 : 32) || headerCount > MAX_PROGRAM_HEADERS) {
    throw malformed(what, `it has ${headerCount} program headers of ${headerBytes} bytes`);
  }
  const tableOffset = reader.offset(is64 ? 32 : 28);
  const headers = Array.from({ length: headerCount }, (_, index) =>
    reader.programHeader(tableOffset + index * headerBytes),
  );
  return {
    is64,
    littleEndian: reader.littleEndian,
    type: reader.u16(16),
    machine: reader.u16(18),
    entry: reader.address(24),
    segments: headers.filter(({ type }) => type === PT_LOAD).map((header) => reader.segment(header)),
    notes: headers.filter(({ type }) => type === PT_NOTE).flatMap((header) => reader.notes(header)),
    hasInterpreter: headers.some(({ type }) => type === PT_INTERP),
  };
}

interface ProgramHeader {
  readonly type: number;
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

class ElfReader {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly what: string;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.what = what;
    const [elfClass, elfData] = [bytes[4], bytes[5]];
    this.is64 = elfClass === 2;
    this.littleEndian = elfData === 1;
    this.require(0, this.is64 ? 64 : 52, 'ELF header');
    if ((elfClass !== 1 && elfClass !== 2) || (elfData !== 1 && elfData !== 2)) {
      throw malformed(what, `its ELF class is ${elfClass} and its byte order ${elfData}`);
    }
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.littleEndian);
  }

  u32(at: number): number {
    return this.view.getUint32(at, this.littleEndian);
  }

  /** An address field, 4 or 8 bytes by the class of the file. */
  address(at: number): bigint {
    return this.is64 ? this.view.getBigUint64(at, this.littleEndian) : BigInt(this.u32(at));
  }

  /** An offset or size field. */
  offset(at: number): number {
    const value = this.address(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(this.what, `it has a size of 0x${value.toString(16)}`);
    return Number(value);
  }

  programHeader(at: number): ProgramHeader {
    this.require(at, this.is64 ? 56 : 32, 'program headers');
    const fields = this.is64
      ? { offset: 8, virtual: 16, physical: 24, fileBytes: 32, memoryBytes: 40 }
      : { offset: 4, virtual: 8, physical: 12, fileBytes: 16, memoryBytes: 20 };
    return {
      type: this.u32(at),
      offset: this.offset(at + fields.offset),
      virtualAddress: this.address(at + fields.virtual),
      physicalAddress: this.address(at + fields.physical),
      fileBytes: this.offset(at + fields.fileBytes),
      memoryBytes: this.offset(at + fields.memoryBytes),
    };
  }

  segment(header: ProgramHeader): ElfSegment {
    if (header.memoryBytes < header.fileBytes) {
      throw malformed(
        this.what,
        `a LOAD segment of ${header.memoryBytes} bytes has ${header.fileBytes} bytes of content`,
      );
    }
    return {
      virtualAddress: header.virtualAddress,
      physicalAddress: header.physicalAddress,
      bytes: this.content(header, 'LOAD segments'),
      memoryBytes: header.memoryBytes,
    };
  }

  notes(header: ProgramHeader): ElfNote[] {
    const content = this.content(header, 'NOTE segments');
    const view = new DataView(content.buffer, content.byteOffset, content.length);
    const notes: ElfNote[] = [];
    for (let at = 0; at + 12 <= content.length && notes.length < MAX_NOTES; ) {
      const [nameBytes, descriptorBytes, type] = [0, 4, 8].map((offset) =>
        view.getUint32(at + offset, this.littleEndian),
      ) as [number, number, number];
      const name = content.subarray(at + 12, at + 12 + nameBytes);
      notes.push({ owner: String.fromCharCode(...name.subarray(0, 32)).split('\0', 1)[0]!, type });
      at += 12 + Math.ceil(nameBytes / 4) * 4 + Math.ceil(descriptorBytes / 4) * 4;
    }
    return notes;
  }

  private content({ offset, fileBytes }: ProgramHeader, part: string): Uint8Array {
    this.require(offset, fileBytes, part);
    return this.bytes.subarray(offset, offset + fileBytes);
  }

  private require(offset: number, lenBytes: number, part: string): void {
    if (offset + lenBytes <= this.bytes.length) return;
    throw new PowervisorError(
      'KERNEL_TRUNCATED',
      `${this.what} is truncated: its ${part} reach to byte ${offset + lenBytes} but the file has ${this.bytes.length}. Fetch or copy it again.`,
    );
  }
}

function malformed(what: string, reason: string): PowervisorError {
  return new PowervisorError('KERNEL_MALFORMED', `${what} is a damaged ELF file: ${reason}.`);
}
