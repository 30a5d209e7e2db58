import { describe, expect, it } from 'vitest';
import { PowervisorError } from '../util/errors.ts';
import { readSymbols, symbolsOfKernel } from './read-symbols.ts';

const MAP = [
  'c000000000000000 T __start',
  'c000000000000000 T _stext',
  'c000000000000000 t start_first_256B',
  'c000000000000100 t helper',
  'c000000000000140 W weak_one',
  'c000000000000180 T _etext',
  'c000000000ae0000 ? __nosave_begin',
  'c000000000ae0010 d helper',
  'c000000000ae0020 B _end',
  '0000000000001000 A some_value',
  '',
].join('\n');
const bytes = (text: string) => new TextEncoder().encode(text);
const BASE = 0xc000_0000_0000_0000n;

/** A 64-bit little-endian ELF file with one code section at `BASE`, one data section, and these symbols. */
function elf(symbols: readonly { name: string; value: bigint; info: number; section: number }[], machine = 21) {
  const names = ['', ...symbols.map(({ name }) => name)];
  const strings = bytes(`${names.join('\0')}\0`);
  const symbolsAt = 64;
  const stringsAt = symbolsAt + 24 * (symbols.length + 1);
  const headersAt = Math.ceil((stringsAt + strings.length) / 8) * 8;
  const file = new Uint8Array(headersAt + 5 * 64);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, machine, true);
  view.setBigUint64(40, BigInt(headersAt), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 5, true);
  const header = (index: number, type: number, flags: bigint, offset: number, size: number, link = 0) => {
    const at = headersAt + 64 * index;
    view.setUint32(at + 4, type, true);
    view.setBigUint64(at + 8, flags, true);
    view.setBigUint64(at + 24, BigInt(offset), true);
    view.setBigUint64(at + 32, BigInt(size), true);
    view.setUint32(at + 40, link, true);
  };
  header(1, 1, 6n, 0, 0);
  header(2, 1, 3n, 0, 0);
  header(3, 2, 0n, symbolsAt, 24 * (symbols.length + 1), 4);
  header(4, 3, 0n, stringsAt, strings.length);
  file.set(strings, stringsAt);
  let nameAt = 1;
  symbols.forEach(({ name, value, info, section }, index) => {
    const at = symbolsAt + 24 * (index + 1);
    view.setUint32(at, nameAt, true);
    file[at + 4] = info;
    view.setUint16(at + 6, section, true);
    view.setBigUint64(at + 8, value, true);
    nameAt += name.length + 1;
  });
  return file;
}

const GLOBAL_FUNCTION = 0x12;
const LOCAL_LABEL = 0x00;
const FILE_NAME = 0x04;

describe('symbols', () => {
  it('names addresses of a System.map, each symbol reaching to the next', () => {
    const table = readSymbols(bytes(MAP), 'System.map');
    expect(table.describe(BASE)).toBe('_stext+0x0/0x100');
    expect(table.describe(BASE + 0xfcn)).toBe('_stext+0xfc/0x100');
    expect(table.describe(BASE + 0x104n)).toBe('helper+0x4/0x40');
    expect(table.lookup(BASE + 0x104n)?.code).toBe(true);
    expect(table.lookup(0xc000_0000_00ae_0014n)).toMatchObject({ name: 'helper', code: false });
    expect(table.describe(0xc000_0000_00ae_0020n)).toBe('_end+0x0/0x1');
    expect(table.describe(0xc000_0000_00ae_0021n)).toBeUndefined();
    expect(table.describe(0xc008_0000_0010_0000n)).toBeUndefined();
    expect(table.describe(0x1000n)).toBeUndefined();
    expect(table.addressOf('helper')).toBe(BASE + 0x100n);
    expect(table.addressOf('some_value')).toBeUndefined();
  });

  it('gives the same answers from an ELF symbol table', () => {
    const table = readSymbols(
      elf([
        { name: 'helper', value: BASE + 0x100n, info: 0x02, section: 1 },
        { name: '.Lnothing', value: BASE + 0x108n, info: LOCAL_LABEL, section: 1 },
        { name: 'file.c', value: BASE + 0x10cn, info: FILE_NAME, section: 1 },
        { name: 'undefined', value: BASE + 0x110n, info: GLOBAL_FUNCTION, section: 0 },
        { name: 'label', value: BASE, info: LOCAL_LABEL, section: 1 },
        { name: '__start', value: BASE, info: GLOBAL_FUNCTION, section: 1 },
        { name: '_etext', value: BASE + 0x140n, info: GLOBAL_FUNCTION, section: 1 },
        { name: 'datum', value: BASE + 0x1000n, info: 0x11, section: 2 },
      ]),
      'vmlinux',
    );
    expect(table.describe(BASE + 4n)).toBe('__start+0x4/0x100');
    expect(table.describe(BASE + 0x114n)).toBe('helper+0x14/0x40');
    expect(table.lookup(BASE + 0x1000n)).toEqual({ name: 'datum', offset: 0, sizeBytes: 1, code: false });
    expect(table.size).toBe(4);
  });

  it('takes the symbols of a kernel that has them, and not those of a boot wrapper', () => {
    const kernel = elf([{ name: 'f', value: BASE, info: GLOBAL_FUNCTION, section: 1 }]);
    expect(symbolsOfKernel(kernel)?.describe(BASE)).toBe('f+0x0/0x1');
    expect(symbolsOfKernel(elf([{ name: 'f', value: 0x4000n, info: GLOBAL_FUNCTION, section: 1 }]))).toBeUndefined();
    expect(symbolsOfKernel(elf([]))).toBeUndefined();
    expect(symbolsOfKernel(bytes('not a kernel'))).toBeUndefined();
    expect(symbolsOfKernel(kernel.subarray(0, 100))).toBeUndefined();
  });

  it.each([
    ['a text that is no map', bytes('hello\n'), /^Line 1 of f is none of a System.map/],
    ['a stripped file', elf([]), /it has been stripped/],
    ['nothing', new Uint8Array(0), /it is empty/],
    ['an ELF file of another processor', elf([], 62), /none of 64-bit Power/],
    [
      'a truncated ELF file',
      elf([{ name: 'f', value: BASE, info: GLOBAL_FUNCTION, section: 1 }]).subarray(0, 120),
      /damaged or truncated/,
    ],
  ])('refuses %s', (_what, file, message) => {
    expect(() => readSymbols(file, 'f')).toThrow(message);
    expect(() => readSymbols(file, 'f')).toThrow(PowervisorError);
  });
});
