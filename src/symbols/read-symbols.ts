// Reading symbols from the files that people have: System.map (what `nm` prints) or an ELF file, 64 bits, either byte
// order (System V ABI, chapter 4). Every offset is checked against the file.

import { PowervisorError } from '../util/errors.ts';
import { type SymbolEntry, SymbolTable } from './symbol-table.ts';

const SHT_SYMTAB = 2;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;
const SHF_ALLOC = 2n;
const SHF_EXECINSTR = 4n;
const STT_SECTION = 3;
const STT_FILE = 4;
const STT_TLS = 6;
const STB_LOCAL = 0;
const EM_PPC64 = 21;
const SYMBOL_BYTES = 24;

/**
 * Symbols of a System.map or a vmlinux. `what` names the file in errors. Throws a PowervisorError `SYMBOLS` if it is
 * neither, or has none.
 */
export function readSymbols(file: Uint8Array, what: string): SymbolTable {
  const entries = isElf(file) ? elfSymbols(file, what) : mapSymbols(file, what);
  if (entries.length > 0) return new SymbolTable(entries);
  const hint = isElf(file) ? 'it has been stripped; take the System.map of the same build' : 'it is empty';
  throw new PowervisorError('SYMBOLS', `There are no symbols in ${what}: ${hint}.`);
}

/** Symbols of a kernel itself, if it is a vmlinux that has not been stripped. */
export function symbolsOfKernel(kernel: Uint8Array): SymbolTable | undefined {
  if (!isElf(kernel)) return undefined;
  try {
    // A boot wrapper has symbols too, but they are the wrapper's: 32 bits, or linked low.
    const entries = elfSymbols(kernel, 'the kernel').filter(({ address }) => address >= 0xc000_0000_0000_0000n);
    return entries.length > 0 ? new SymbolTable(entries) : undefined;
  } catch (error) {
    if (error instanceof PowervisorError) return undefined;
    throw error;
  }
}

function isElf(file: Uint8Array): boolean {
  return [0x7f, 0x45, 0x4c, 0x46].every((byte, index) => file[index] === byte);
}

function mapSymbols(file: Uint8Array, what: string): SymbolEntry[] {
  const entries: SymbolEntry[] = [];
  let line = 0;
  for (const text of new TextDecoder().decode(file).split('\n')) {
    line++;
    if (text === '') continue;
    const [, address, type, name] = /^([0-9a-f]{8,16}) ([a-zA-Z?]) (\S+)/.exec(text) ?? [];
    if (name === undefined) {
      throw new PowervisorError('SYMBOLS', `Line ${line} of ${what} is none of a System.map, nor is it an ELF file.`);
    }
    // Absolute values are no places.
    if (type === 'A' || type === 'a') continue;
    const code = 'tTwW'.includes(type);
    entries.push({ address: BigInt(`0x${address}`), name, code, global: type !== type.toLowerCase() });
  }
  return entries;
}

function elfSymbols(file: Uint8Array, what: string): SymbolEntry[] {
  try {
    return readElf(file, what);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PowervisorError('SYMBOLS', `${what} is a damaged or truncated ELF file.`, { cause: error });
  }
}

/** Throws RangeError for what lies outside of the file. */
function readElf(file: Uint8Array, what: string): SymbolEntry[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const little = file[5] === 1;
  if (file[4] !== 2 || view.getUint16(18, little) !== EM_PPC64) {
    throw new PowervisorError('SYMBOLS', `${what} is an ELF file, but none of 64-bit Power.`);
  }
  const u16 = (at: number) => view.getUint16(at, little);
  const u32 = (at: number) => view.getUint32(at, little);
  const offset = (at: number) => Number(view.getBigUint64(at, little));
  const headersAt = offset(40);
  const headerBytes = u16(58);
  const header = (index: number) => headersAt + index * headerBytes;
  const count = u16(60);
  const table = Array.from({ length: count }, (_, index) => header(index)).find((at) => u32(at + 4) === SHT_SYMTAB);
  if (table === undefined) return [];
  const strings = header(u32(table + 40));
  const stringsAt = offset(strings + 24);
  const stringsEnd = stringsAt + offset(strings + 32);
  const decoder = new TextDecoder();
  const entries: SymbolEntry[] = [];
  const end = offset(table + 24) + offset(table + 32);
  for (let at = offset(table + 24); at + SYMBOL_BYTES <= end; at += SYMBOL_BYTES) {
    const type = file[at + 4] & 15;
    const section = u16(at + 6);
    if (section === SHN_UNDEF || section >= SHN_LORESERVE || section >= count) continue;
    if (type === STT_SECTION || type === STT_FILE || type === STT_TLS) continue;
    const flags = view.getBigUint64(header(section) + 8, little);
    if ((flags & SHF_ALLOC) === 0n) continue;
    const nameAt = stringsAt + u32(at);
    const nameEnd = file.indexOf(0, nameAt);
    if (nameEnd < 0 || nameEnd >= stringsEnd) throw new RangeError('a name outside of the string table');
    const name = decoder.decode(file.subarray(nameAt, nameEnd));
    // Labels of the compiler's.
    if (name === '' || name.startsWith('.L') || name.startsWith('L0')) continue;
    const code = (flags & SHF_EXECINSTR) !== 0n;
    entries.push({ address: view.getBigUint64(at + 8, little), name, code, global: file[at + 4] >> 4 !== STB_LOCAL });
  }
  return entries;
}
