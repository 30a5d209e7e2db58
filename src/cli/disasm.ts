// `powervisor disasm`: a listing of the executable sections of an ELF file, or of a file of bare instruction words.

import { once } from 'node:events';
import { type Command, Option } from 'commander';
import { disassemble } from '../cpu/isa/disassemble.ts';
import { PowervisorError } from '../util/errors.ts';
import { type ElfSection, isElf, readElfListing } from './elf-sections.ts';
import { readInput } from './guest-file.ts';
import type { CliHost } from './host.ts';
import { exitStatus } from './limits.ts';
import { parseAddress } from './option-values.ts';

export interface DisasmOptions {
  readonly raw?: boolean;
  readonly address?: bigint;
  readonly endian?: 'little' | 'big';
  readonly section?: string;
  readonly start?: bigint;
  readonly stop?: bigint;
}

export function addDisasmCommand(program: Command, host: CliHost, finish: (status: number) => void): void {
  program
    .command('disasm')
    .description('list the instructions of a file')
    .argument('<file>', 'an ELF file; any other is taken as bare instruction words')
    .option('--raw', 'take even an ELF file as bare words')
    .option('--address <address>', 'address of the first bare word (default 0)', parseAddress('--address'))
    .addOption(new Option('--endian <order>', 'byte order of bare words (default little)').choices(['little', 'big']))
    .option('--section <name>', 'only this section of an ELF file')
    .option('--start <address>', 'list from this address on', parseAddress('--start'))
    .option('--stop <address>', 'list up to, not including, this address', parseAddress('--stop'))
    .action(async (file: string, options: DisasmOptions) => finish(await disasm(file, options, host)));
}

export async function disasm(path: string, options: DisasmOptions, host: CliHost): Promise<number> {
  const file = await readInput(path, 'file');
  const closed = new AbortController();
  const onClosed = () => closed.abort(); // `| head` is no error
  host.stdout.on('error', onClosed);
  try {
    for (const chunk of inChunks(listing(file, path, options))) {
      if (closed.signal.aborted) break;
      if (!host.stdout.write(chunk)) await once(host.stdout, 'drain', { signal: closed.signal });
    }
  } catch (error) {
    if (!closed.signal.aborted) throw error;
  } finally {
    host.stdout.off('error', onClosed);
  }
  return exitStatus.poweredOff;
}

/** The lines of the listing, without line ends. */
export function* listing(file: Uint8Array, path: string, options: DisasmOptions): Generator<string> {
  if (options.raw === true || !isElf(file)) {
    const section = { name: '', address: options.address ?? 0n, data: file };
    yield* sectionLines(section, options.endian !== 'big', new Map(), options);
    return;
  }
  const elf = readElfListing(file, path);
  const chosen = elf.sections.filter(({ name }) => options.section === undefined || name === options.section);
  if (chosen.length === 0) {
    const names = elf.sections.map(({ name }) => name).join(', ');
    throw new PowervisorError('NO_SECTION', `${path} has no executable section ${options.section}; it has: ${names}.`);
  }
  for (const section of chosen) {
    yield '';
    yield `section ${section.name}`;
    yield* sectionLines(section, elf.littleEndian, elf.symbols, options);
  }
}

function* sectionLines(
  section: ElfSection,
  littleEndian: boolean,
  symbols: ReadonlyMap<bigint, string>,
  options: DisasmOptions,
): Generator<string> {
  const { data } = section;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const end = section.address + BigInt(data.length);
  const from = clamp(options.start ?? section.address, section.address, end);
  const to = clamp(options.stop ?? end, section.address, end);
  const firstWord = Number((from - section.address + 3n) & ~3n);
  const stop = Number(to - section.address);
  for (let offset = firstWord; offset < stop; offset += 4) {
    const address = section.address + BigInt(offset);
    const symbol = symbols.get(address);
    if (symbol !== undefined) yield `\n${hex(address, 16)} <${symbol}>:`;
    if (offset + 4 > data.length) {
      const rest = Array.from(data.subarray(offset), (byte) => hex(byte, 2)).join(' ');
      yield `${hex(address, 16)}:  ${rest}  (not a whole word)`;
      return;
    }
    const word = view.getUint32(offset, littleEndian);
    const { mnemonic, operands } = disassemble(word, { address });
    yield `${hex(address, 16)}:  ${hex(word, 8)}  ${`${mnemonic.padEnd(11)} ${operands}`.trimEnd()}`;
  }
}

const chunkChars = 1 << 16;

function* inChunks(lines: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const line of lines) {
    chunk += `${line}\n`;
    if (chunk.length < chunkChars) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}

function clamp(value: bigint, low: bigint, high: bigint): bigint {
  if (value < low) return low;
  return value > high ? high : value;
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
