import { describe, expect, it } from 'vitest';
import { elements, execute, fromElements, operandsOf, randomVectors } from '../../../tests/support/execute-one.ts';

const ROUNDS = 40;

function run(op: string, fields: Record<string, number>, a: bigint, b: bigint): bigint {
  const operands = operandsOf(op, { vrt: 1, vra: 2, vrb: 3, ...fields });
  return execute(op, operands, { vsr: { 34: a, 35: b } }).vsr(33);
}

describe('AES', () => {
  // FIPS 197, Appendix B: states at the start of rounds and the round keys.
  const key0 = 0x2b7e151628aed2a6abf7158809cf4f3cn;
  const start1 = 0x193de3bea0f4e22b9ac68d2ae9f84808n;
  const key1 = 0xa0fafe1788542cb123a339392a6c7605n;
  const start2 = 0xa49c7ff2689f352b6b5bea43026a5049n;
  const start10 = 0xeb40f21e592e38848ba113e71bc342d2n;
  const key10 = 0xd014f9a8c9ee2589e13f0cc8b6630ca6n;
  const output = 0x3925841d02dc09fbdc118597196a0b32n;

  it('rounds agree with the example of the standard', () => {
    expect(run('vxor', {}, 0x3243f6a8885a308d313198a2e0370734n, key0)).toBe(start1);
    expect(run('vcipher', {}, start1, key1)).toBe(start2);
    expect(run('vcipherlast', {}, start10, key10)).toBe(output);
    expect(run('vsbox', {}, start1, 0n)).toBe(0xd42711aee0bf98f1b8b45de51e415230n);
  });

  it('inverse rounds undo them', () => {
    // The inverse last round without a key is the state before ShiftRows and SubBytes; the full one unmixes as well.
    expect(run('vncipherlast', {}, run('vxor', {}, output, key10), 0n)).toBe(start10);
    const next = randomVectors(2);
    for (let round = 0; round < ROUNDS; round++) {
      const [state, key] = [next(), next()];
      // MixColumns of what vncipher made is the same without InvMixColumns: vcipher of that through a neutral SubBytes.
      const mixed = run('vncipher', {}, state, key);
      const plain = run('vncipherlast', {}, state, key);
      const before = run('vncipherlast', {}, plain, 0n);
      expect(run('vcipher', {}, before, 0n)).toBe(mixColumns(plain));
      expect(mixColumns(mixed)).toBe(plain);
    }
  });
});

/** FIPS 197 5.1.3, a column at a time. */
function mixColumns(state: bigint): bigint {
  const twice = (x: number) => ((x << 1) ^ (x & 0x80 ? 0x11b : 0)) & 0xff;
  const columns = elements(state, 32).map((column) => {
    const a = [24n, 16n, 8n, 0n].map((at) => Number((column >> at) & 0xffn));
    const mixed = a.map((x, r) => twice(x) ^ twice(a[(r + 1) % 4]) ^ a[(r + 1) % 4] ^ a[(r + 2) % 4] ^ a[(r + 3) % 4]);
    return mixed.reduce((all, x) => (all << 8n) | BigInt(x), 0n);
  });
  return fromElements(columns, 32);
}

describe('SHA-2 sigmas', () => {
  it('are chosen by ST and a bit of SIX for each element', () => {
    for (const [op, bits, table] of [
      [
        'vshasigmaw',
        32,
        [
          [7, 18, -3],
          [17, 19, -10],
          [2, 13, 22],
          [6, 11, 25],
        ],
      ],
      [
        'vshasigmad',
        64,
        [
          [1, 8, -7],
          [19, 61, -6],
          [28, 34, 39],
          [14, 18, 41],
        ],
      ],
    ] as const) {
      const next = randomVectors(bits);
      for (let six = 0; six < 16; six++) {
        for (let st = 0; st < 2; st++) {
          const a = next();
          const wanted = elements(a, bits).map((x, i) => {
            const bit = (six >> (3 - (bits === 32 ? i : 2 * i))) & 1;
            return table[2 * st + bit].reduce((all, n) => {
              const right = x >> BigInt(Math.abs(n));
              return all ^ (n < 0 ? right : BigInt.asUintN(bits, right | (x << BigInt(bits - n))));
            }, 0n);
          });
          expect(run(op, { st, six }, a, 0n)).toBe(fromElements(wanted, bits));
        }
      }
    }
  });
});

describe('polynomial products', () => {
  it('are added in pairs', () => {
    const product = (x: bigint, y: bigint) => {
      let all = 0n;
      for (let bit = 0n; y >> bit; bit++) if ((y >> bit) & 1n) all ^= x << bit;
      return all;
    };
    for (const [letter, bits] of [
      ['b', 8],
      ['h', 16],
      ['w', 32],
      ['d', 64],
    ] as const) {
      const next = randomVectors(bits);
      const ones = (1n << 128n) - 1n;
      for (let round = 0; round < ROUNDS; round++) {
        const [a, b] = round ? [next(), next()] : [ones, ones];
        const products = elements(a, bits).map((x, i) => product(x, elements(b, bits)[i]));
        const pairs = products.filter((_, i) => i % 2 === 0).map((p, i) => p ^ products[2 * i + 1]);
        expect(run(`vpmsum${letter}`, {}, a, b)).toBe(fromElements(pairs, 2 * bits));
      }
    }
  });
});
