import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fakeHost } from '../../tests/support/fake-host.ts';
import { listing } from './disasm.ts';
import { main } from './main.ts';

const addi = 0x38600001; // addi r3,0,1
const blr = 0x4e800020;
const branch = 0x4bfffff8; // 8 bytes back

interface Symbol {
  readonly name: string;
  readonly value: number;
  readonly info: number;
}

/** An ELF file with one code section at 0x1000, one data section, and symbols, of either class and byte order. */
function makeElf(wide: boolean, little: boolean, words: readonly number[], symbols: readonly Symbol[]): Buffer {
  const file = Buffer.alloc(4096);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const word = (at: number, value: number) =>
    wide ? view.setBigUint64(at, BigInt(value), little) : view.setUint32(at, value, little);
  file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, little ? 1 : 2, 1]);
  view.setUint16(18, wide ? 21 : 20, little);
  const headers = 2048;
  word(wide ? 40 : 32, headers);
  const [entryBytes, symbolBytes] = wide ? [64, 24] : [40, 16];
  view.setUint16(wide ? 58 : 46, entryBytes, little);
  view.setUint16(wide ? 60 : 48, 5, little);
  view.setUint16(wide ? 62 : 50, 4, little);
  const strings = `\0.text\0.data\0${symbols.map(({ name }) => `${name}\0`).join('')}`;
  file.write(strings, 1024);
  words.forEach((each, index) => {
    view.setUint32(256 + 4 * index, each, little);
  });
  symbols.forEach(({ name, value, info }, index) => {
    const at = 512 + symbolBytes * (index + 1);
    view.setUint32(at, strings.indexOf(`\0${name}\0`) + 1, little);
    view.setUint8(at + (wide ? 4 : 12), info);
    view.setUint16(at + (wide ? 6 : 14), 1, little);
    word(at + (wide ? 8 : 4), value);
  });
  const section = (
    index: number,
    name: number,
    type: number,
    flags: number,
    rest: number[],
    link: number,
    entry: number,
  ) => {
    const at = headers + index * entryBytes;
    const size = wide ? 8 : 4;
    view.setUint32(at, name, little);
    view.setUint32(at + 4, type, little);
    [flags, ...rest].forEach((value, field) => {
      word(at + 8 + field * size, value);
    });
    view.setUint32(at + 8 + 4 * size, link, little);
    word(at + (wide ? 56 : 36), entry);
  };
  section(1, 1, 1, 6, [0x1000, 256, 4 * words.length], 0, 0);
  section(2, 7, 1, 3, [0x2000, 256, 4], 0, 0);
  section(3, 0, 2, 0, [0, 512, symbolBytes * (symbols.length + 1)], 4, symbolBytes);
  section(4, 0, 3, 0, [0, 1024, strings.length], 0, 0);
  return file;
}

const symbols = [
  { name: 'local_label', value: 0x1000, info: 0 },
  { name: 'start', value: 0x1000, info: 0x12 },
  { name: 'table', value: 0x1004, info: 0x11 },
];

it.each([
  ['ELF64 little-endian', true, true],
  ['ELF64 big-endian', true, false],
  ['ELF32 big-endian', false, false],
])('lists the code of %s', (_name, wide, little) => {
  const lines = [...listing(makeElf(wide, little, [addi, blr, branch], symbols), 'x.elf', {})];
  expect(lines.slice(0, 3)).toEqual(['', 'section .text', '\n0000000000001000 <start>:']);
  expect(lines.slice(3)).toEqual([
    expect.stringMatching(/^0000000000001000: {2}38600001 {2}addi +r3,0,1$/),
    expect.stringMatching(/^0000000000001004: {2}4e800020 {2}bclr/),
    expect.stringMatching(/^0000000000001008: {2}4bfffff8 {2}b +0x1000$/),
  ]);
});

it('lists part of a file', () => {
  const elf = makeElf(true, true, [addi, blr, branch], []);
  const lines = [...listing(elf, 'x.elf', { section: '.text', start: 0x1004n, stop: 0x1008n })];
  expect(lines.slice(2)).toEqual([expect.stringContaining('1004:  4e800020')]);
  expect(() => [...listing(elf, 'x.elf', { section: '.init' })]).toThrow('no executable section .init; it has: .text.');
});

it('lists bare words, and what is left over', () => {
  const words = Buffer.from([0x01, 0x00, 0x60, 0x38, 0x20, 0x00]);
  expect([...listing(words, 'x', { address: 0x100n })]).toEqual([
    expect.stringMatching(/^0000000000000100: {2}38600001 {2}addi +r3,0,1$/),
    '0000000000000104:  20 00  (not a whole word)',
  ]);
  const big = Buffer.from([0x38, 0x60, 0x00, 0x01]);
  expect([...listing(big, 'x', { endian: 'big' })]).toEqual([expect.stringContaining('38600001  addi')]);
});

it('shows a word that is no instruction as such', () => {
  expect([...listing(Buffer.alloc(4), 'x', {})]).toEqual([expect.stringMatching(/00000000 {2}\.long +0x0$/)]);
});

it.each([
  ['cut short', (elf: Buffer) => elf.subarray(0, 2100), 'damaged or truncated ELF file'],
  ['of another processor', (elf: Buffer) => Buffer.from(elf).fill(62, 18, 19), 'for another processor (e_machine 62)'],
])('refuses an ELF file %s', (_name, change, message) => {
  expect(() => [...listing(change(makeElf(true, true, [addi], [])), 'x.elf', {})]).toThrow(message);
});

it('runs as a command, and stops without complaint when nobody reads on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'powervisor-disasm-'));
  try {
    const path = join(directory, 'words');
    await writeFile(path, Buffer.alloc(1 << 20));
    const host = fakeHost();
    expect(await main(['disasm', path, '--address', '0x10', '--stop', '0x18'], host)).toBe(0);
    expect(host.output().trimEnd().split('\n')).toHaveLength(2);
    const closed = fakeHost();
    // The reader is gone when the first piece arrives.
    closed.stdout.write = () => {
      process.nextTick(() => closed.stdout.emit('error', new Error('EPIPE')));
      return false;
    };
    expect(await main(['disasm', path], closed)).toBe(0);
    const missing = fakeHost();
    expect(await main(['disasm', '/nowhere'], missing)).toBe(1);
    expect(missing.errors()).toBe('powervisor: Cannot read the file /nowhere: there is no such file.\n');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
