// Integer code in compiled regions beside the interpreter's: rotations of all forms, comparisons into every CR field and
// branches on them at once, in later blocks and in other rounds of a loop; CR read, written and combined as a whole; carries,
// overflow and its summary.

import { describe, expect, it } from 'vitest';
import { DATA, loadNumber, MAIN, programSubject } from '../self-modifying/programs.ts';
import { randomWords } from '../support/random.ts';
import { lockstep } from './lockstep.ts';

const ROUNDS = 400;
/** r3 to r12 are random and change; r28 counts rounds, r29 leads to memory, r30 makes numbers, r31 sums up. */
const REGISTERS = 10;

function program(seed: number): string[] {
  const random = randomWords(seed);
  const below = (n: number) => random() % n;
  const r = () => 3 + below(REGISTERS);
  const signed = () => (below(3) === 0 ? below(5) - 2 : below(65536) - 32768);
  const rc = () => (below(3) === 0 ? '.' : '');
  const lines: string[] = [
    ...loadNumber(28, ROUNDS),
    ...loadNumber(29, DATA),
    ...loadNumber(30, seed * 7919 + 1),
    ...loadNumber(2, 0x5bd1),
    'round:',
  ];
  const shuffle = ['mulld 30,30,2', 'addi 30,30,28411', 'rldicl 0,30,23,0', `xor ${r()},30,0`];
  let labels = 0;
  const branch = (): string[] => {
    const label = `over${labels++}`;
    const body = Array.from({ length: 1 + below(3) }, () => `addi 31,31,${signed()}`);
    return [`bc ${below(2) ? 4 : 12},${below(32)},@${label}`, ...body, `${label}:`];
  };
  const compare = (): string => {
    const [bf, l] = [below(8), below(2)];
    switch (below(4)) {
      case 0:
        return `cmp ${bf},${l},${r()},${r()}`;
      case 1:
        return `cmpl ${bf},${l},${r()},${r()}`;
      case 2:
        return `cmpi ${bf},${l},${r()},${signed()}`;
      default:
        return `cmpli ${bf},${l},${r()},${below(3) === 0 ? below(3) : below(65536)}`;
    }
  };
  const one = (): string[] => {
    switch (below(22)) {
      case 0:
      case 1:
        return [`rlwinm${rc()} ${r()},${r()},${below(32)},${below(32)},${below(32)}`];
      case 2:
        return [`rlwimi${rc()} ${r()},${r()},${below(32)},${below(32)},${below(32)}`];
      case 3:
        return [`rlwnm${rc()} ${r()},${r()},${r()},${below(32)},${below(32)}`];
      case 4:
      case 5:
        return [`${['rldicl', 'rldicr', 'rldic', 'rldimi'][below(4)]}${rc()} ${r()},${r()},${below(64)},${below(64)}`];
      case 6: {
        // Shifts by their usual names.
        const n = 1 + below(31);
        return [`rlwinm ${r()},${r()},${n},0,${31 - n}`, `rlwinm ${r()},${r()},${32 - n},${n},31`];
      }
      case 7: {
        const n = 1 + below(63);
        return [`rldicr ${r()},${r()},${n},${63 - n}`, `rldicl ${r()},${r()},${64 - n},${n}`];
      }
      case 8:
      case 9:
        return [compare()];
      case 10:
      case 11:
        return [compare(), ...branch()];
      case 12:
        return branch();
      case 13:
        return [`${['add', 'subf'][below(2)]}${below(4) === 0 ? 'o' : ''}${rc()} ${r()},${r()},${r()}`];
      case 14:
        return [`neg${below(4) === 0 ? 'o' : ''}${rc()} ${r()},${r()}`];
      case 15:
        return [`${['and', 'or', 'xor', 'nor'][below(4)]}${rc()} ${r()},${r()},${r()}`];
      case 16:
        return [`${['addc', 'subfc', 'adde', 'subfe'][below(4)]}${rc()} ${r()},${r()},${r()}`];
      case 17:
        return [`${['crand', 'cror', 'crxor', 'crnor', 'crandc'][below(5)]} ${below(32)},${below(32)},${below(32)}`];
      case 18:
        return below(2)
          ? [`mcrf ${below(8)},${below(8)}`]
          : [`setb ${r()},${below(8)}`, `isel ${r()},${r()},${r()},${below(32)}`];
      case 19:
        return ['mfcr 0', `${below(2) ? 'add' : 'xor'} 31,31,0`];
      case 20:
        return below(3) === 0 ? [`mtcrf ${1 << below(8)},${r()}`] : [`ld ${r()},${below(32) * 8}(29)`];
      default:
        return [
          `${['std', 'stw', 'sth', 'stb'][below(4)]} ${r()},${below(32) * 8}(29)`,
          `lwz ${r()},${below(63) * 4}(29)`,
        ];
    }
  };
  for (let part = 0; part < 4; part++) {
    lines.push(...shuffle);
    for (let i = 0; i < 18; i++) lines.push(...one());
    // A loop in the loop, on CTR and on a comparison that another round made.
    const [head, left] = [`head${part}`, `left${part}`];
    lines.push(`addi 0,0,${2 + below(5)}`, 'mtspr 9,0', `${head}:`);
    for (let i = 0; i < 7; i++) lines.push(...one());
    lines.push(`bc ${[4, 12][below(2)]},${below(32)},@${left}`);
    for (let i = 0; i < 4; i++) lines.push(...one());
    lines.push(`bc ${[16, 0, 8][below(3)]},${below(32)},@${head}`, `${left}:`, `add 31,31,${r()}`);
  }
  lines.push('addi 28,28,-1', `cmpi 0,1,28,0`, 'bc 12,2,@end', 'b @round', 'end:', 'sc 1');
  return lines;
}

describe('random integer programs', () => {
  it.each([1, 2, 3, 4, 5, 6])('program %d', { timeout: 120_000 }, async (seed) => {
    const code = { [MAIN]: program(seed), 3072: ['mfcr 0', 'add 31,31,0', 'rfid'] };
    const result = await lockstep({
      start: async (engine) => programSubject(engine, { code }),
      pieceInstructions: 900,
      memoryEvery: 20_000,
      maxInstructions: 400_000,
    });
    expect(result.instructions).toBeGreaterThan(20_000);
    expect(result.share).toBeGreaterThan(0.3);
  });
});
