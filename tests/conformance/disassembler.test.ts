// The disassembler against GNU objdump: a recorded list of words, then every distinct instruction word of a Linux kernel and
// a C library for ppc64el, and random words, with the objdump of this machine. Data between the instructions is
// compared as well: where objdump has no instruction for a word, neither may we.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cacheDirectory, GuestCache } from '../../src/backends/node/guest-cache.ts';
import { readElfListing } from '../../src/cli/elf-sections.ts';
import { disassemble } from '../../src/cpu/isa/disassemble.ts';
import { instructions } from '../../src/cpu/isa/table.ts';
import { gnuDisassembly, hasObjdump } from '../support/gnu-disassembler.ts';
import { randomWords } from '../support/random.ts';

/** Where objdump names an instruction and we print `.long`, by its mnemonic: none of them is one of POWER9. */
const knownDifferences: ReadonlyMap<string, string> = new Map([
  ['attn', 'support processor attention; primary opcode 0 is illegal as a whole in the architecture'],
  ...['hashst', 'hashstp', 'hashchk', 'hashchkp'].map((op) => [op, 'version 3.1; reserved no-op in 3.0B'] as const),
  ['icbt', 'with the reserved bit 6 set, which objdump reads as a part of CT'],
  ...['eciwx', 'ecowx'].map((op) => [op, 'external control, removed with version 2.07'] as const),
  ...['icswx', 'icswx.', 'pbt.'].map((op) => [op, 'coprocessors of POWER7 and POWER8'] as const),
  ...['mtsrd', 'mtsrdin', 'mtsle', 'tlbia'].map((op) => [op, 'segment registers of 64-bit bridges'] as const),
  ...['rfi', 'dcbi', 'tlbld', 'tlbli'].map((op) => [op, '32-bit implementations'] as const),
]);

interface Comparison {
  readonly compared: number;
  /** Words with an instruction, by both. */
  readonly instructions: number;
  readonly known: Readonly<Record<string, number>>;
  readonly differences: readonly string[];
}

async function compare(words: Uint32Array): Promise<Comparison> {
  const theirs = await gnuDisassembly(words);
  const known: Record<string, number> = {};
  const differences: string[] = [];
  let decoded = 0;
  words.forEach((word, i) => {
    const { mnemonic, operands } = disassemble(word, { address: BigInt(i * 4) });
    const ours = operands === '' ? mnemonic : `${mnemonic} ${operands}`;
    if (ours === theirs[i]) {
      if (mnemonic !== '.long') decoded++;
      return;
    }
    const theirName = theirs[i].split(' ')[0];
    if (mnemonic === '.long' && knownDifferences.has(theirName)) known[theirName] = (known[theirName] ?? 0) + 1;
    else differences.push(`${word.toString(16).padStart(8, '0')}: "${ours}", objdump "${theirs[i]}"`);
  });
  return { compared: words.length, instructions: decoded, known, differences: differences.slice(0, 20) };
}

/** The distinct words of the executable sections. */
function distinctWords(path: string): Uint32Array {
  const listing = readElfListing(readFileSync(path), path);
  const words = new Set<number>();
  for (const { data } of listing.sections) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (let at = 0; at + 4 <= data.length; at += 4) words.add(view.getUint32(at, listing.littleEndian));
  }
  return Uint32Array.from(words).sort();
}

const inCi = process.env.CI === 'true';

/** Why the test cannot run here; in CI that is a failure of its own. */
function missing(reasons: readonly (string | false)[]): string | undefined {
  const reason = reasons.filter((each) => each !== false).join(', ');
  return reason === '' ? undefined : reason;
}

function itNeeding(lack: string | undefined, name: string, body: () => Promise<void>): void {
  if (lack === undefined) it(name, body, 300_000);
  else if (inCi) it(name, () => expect.fail(`needs ${lack}`));
  else it.skip(`${name} (skipped: needs ${lack})`, body);
}

const noObjdump = !hasObjdump() && 'powerpc64le-linux-gnu-objdump (Debian package binutils-powerpc64le-linux-gnu)';
const libc = '/usr/powerpc64le-linux-gnu/lib/libc.so.6';
const cache = new GuestCache({ directory: cacheDirectory() });
const kernelNames = ['debian-12-kernel', 'debian-13-kernel', 'debian-12-installer'];
const kernels = (await Promise.all(kernelNames.map((name) => cache.status(name)))).flatMap(({ definition, guest }) => {
  const path = guest?.files.kernel?.path;
  return path === undefined ? [] : [{ name: definition.name, path }];
});

describe('the recorded word list', () => {
  const lines = readFileSync(new URL('./data/isa-words.tsv', import.meta.url), 'utf8').split('\n');
  const entries = lines.filter((line) => /^[0-9a-f]{8}\t/.test(line)).map((line) => line.split('\t'));

  it('gives mnemonic and operands of every word', () => {
    expect(entries.length).toBe(2750);
    const wrong: string[] = [];
    for (const [hex, mnemonic, operands] of entries) {
      const ours = disassemble(Number.parseInt(hex, 16));
      const relative = /^bc?l?a?$/.test(mnemonic) && operands === '-';
      const expected = relative ? ours.operands : operands.replace(/^-$/, '');
      if (ours.mnemonic !== mnemonic || ours.operands !== expected)
        wrong.push(`${hex} ${ours.mnemonic} ${ours.operands}`);
    }
    expect(wrong).toEqual([]);
  });

  itNeeding(missing([noObjdump]), 'and so does the objdump of this machine', async () => {
    const result = await compare(Uint32Array.from(entries, ([hex]) => Number.parseInt(hex, 16)));
    expect(result).toEqual({ compared: 2750, instructions: 2750, known: {}, differences: [] });
  });
});

describe('programs', () => {
  itNeeding(
    missing([noObjdump, !existsSync(libc) && `${libc} (Debian package libc6-ppc64el-cross)`]),
    'the C library',
    async () => {
      const result = await compare(distinctWords(libc));
      expect(result.differences).toEqual([]);
      expect(Object.keys(result.known).filter((name) => name !== 'attn')).toEqual([]);
      expect(result.instructions).toBeGreaterThan(50_000);
    },
  );

  const noKernel = kernels.length === 0 && `a cached kernel (powervisor guest fetch ${kernelNames[0]})`;
  for (const { name, path } of kernels.length === 0 ? [{ name: kernelNames[0], path: '' }] : kernels) {
    itNeeding(missing([noObjdump, noKernel]), `the kernel of ${name}`, async () => {
      const result = await compare(distinctWords(path));
      expect(result.differences).toEqual([]);
      expect(Object.keys(result.known).filter((known) => known !== 'attn')).toEqual([]);
      expect(result.instructions).toBeGreaterThan(200_000);
    });
  }
});

describe('random words', () => {
  itNeeding(missing([noObjdump]), 'with each row in turn, reserved bits 0 or not', async () => {
    const next = randomWords(0x0b5e55ed);
    const words = instructions.flatMap((row) =>
      Array.from({ length: 100 }, (_, i) => {
        const reserved = i % 4 === 0 ? next() & row.reserved : 0;
        return (row.match | (next() & ~row.mask & ~row.reserved) | reserved) >>> 0;
      }),
    );
    const result = await compare(Uint32Array.from(words));
    expect(result.differences).toEqual([]);
    expect(Object.keys(result.known).sort()).toEqual(['hashchk', 'hashchkp', 'hashst', 'hashstp', 'icbt']);
    expect(result.instructions).toBeGreaterThan(65_000);
  });

  itNeeding(missing([noObjdump]), 'of all 32 bits, and with each primary and extended opcode', async () => {
    const next = randomWords(0xa11b175);
    const words = Array.from({ length: 200_000 }, next);
    for (let primary = 0; primary < 64; primary++) {
      for (let low = 0; low < 2048; low++) {
        for (const middle of [0, 0x0021_0800, 0x03df_f000, next()]) {
          words.push(((primary << 26) | (middle & 0x03ff_f800) | low) >>> 0);
        }
      }
    }
    const result = await compare(Uint32Array.from(words));
    expect(result.differences).toEqual([]);
    expect(result.instructions).toBeGreaterThan(300_000);
  });
});
