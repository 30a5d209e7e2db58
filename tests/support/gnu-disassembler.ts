// GNU objdump as a reference for the disassembler.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const objdump = 'powerpc64le-linux-gnu-objdump';

/** Whether objdump for ppc64le is installed (Debian package binutils-powerpc64le-linux-gnu). */
export function hasObjdump(): boolean {
  try {
    execFileSync(objdump, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** `mnemonic operands` of each word as objdump gives it in raw POWER9 form, word i at address 4 * i. */
export async function gnuDisassembly(words: Uint32Array): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'powervisor-objdump-'));
  try {
    const file = join(directory, 'words');
    const bytes = new DataView(new ArrayBuffer(words.length * 4));
    words.forEach((word, i) => {
      bytes.setUint32(i * 4, word, true);
    });
    writeFileSync(file, bytes);
    const options = [
      '-D',
      '-z',
      '--no-show-raw-insn',
      '-b',
      'binary',
      '-m',
      'powerpc:common64',
      '-EL',
      '-M',
      'power9,raw',
    ];
    const { stdout } = await promisify(execFile)(objdump, [...options, file], { maxBuffer: 1 << 30 });
    const texts: string[] = [];
    for (const [, text] of stdout.matchAll(/^ *[0-9a-f]+:\t(.*)$/gm)) texts.push(text.trim().replace(/\s+/g, ' '));
    if (texts.length !== words.length) throw new Error(`objdump gave ${texts.length} lines for ${words.length} words`);
    return texts;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
