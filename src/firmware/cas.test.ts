import { describe, expect, it } from 'vitest';
import { type CasOutcome, fullVector5, negotiate, parseCasRequest } from './cas.ts';

const PVR = 0x004e1200;
const TERMINATOR = [0xff, 0xff, 0xff, 0xfe, 0x0f, 0x00, 0x00, 0x01];
const POWER8 = [0xff, 0xff, 0x00, 0x00, 0x00, 0x4d, 0x00, 0x00];
const POWER9 = [0xff, 0xff, 0x00, 0x00, 0x00, 0x4e, 0x00, 0x00];
const ISA_2_07 = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00, 0x04];
const ISA_3_00 = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00, 0x05];

/** Option vector 5 as Linux 6.1 sends it, with its interrupt mode, MMU and radix bytes. */
function linuxVector5(interruptMode = 0, mmu = 0x40, radix = 0x40): number[] {
  const vector = [0, 0xf3, 0, 0, 0xe0, 5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0xe0, 0, 0, 0, 1, 0xc0];
  return [...vector, interruptMode, mmu, 0, radix];
}

function request(processors: number[][], vectors: number[][]): Uint8Array {
  const bodies = vectors.flatMap((vector) => [vector.length - 1, ...vector]);
  return new Uint8Array([...processors.flat(), vectors.length - 1, ...bodies]);
}

function decide(bytes: Uint8Array): CasOutcome | undefined {
  const parsed = parseCasRequest((offset, lenBytes) =>
    offset + lenBytes <= bytes.length ? bytes.slice(offset, offset + lenBytes) : undefined,
  );
  return parsed && negotiate(parsed, PVR);
}

function linux(vector5: number[], processors = [POWER8, POWER9, ISA_3_00, TERMINATOR]): CasOutcome | undefined {
  return decide(request(processors, [[0, 0xff, 0xc0], [0x20], [0, 0xe0], [0, 1], vector5, [0, 0, 2]]));
}

it('gives Linux radix, GTSE, XICS and ISA 3.00', () => {
  expect(linux(linuxVector5())).toEqual({ agreed: true, cpuVersion: 0x0f000005, vector5: fullVector5() });
  expect(Buffer.from(fullVector5()).toString('hex')).toBe(`19${'00'.repeat(23)}400040`);
});

it('withholds GTSE from a client that does not ask for it', () => {
  const outcome = linux(linuxVector5(0, 0x40, 0));
  expect(outcome).toMatchObject({ agreed: true });
  expect(outcome?.agreed && outcome.vector5[26]).toBe(0);
});

it.each([0x40, 0x80, 0xc0])('takes an MMU byte of %i as willing to use radix', (mmu) => {
  expect(linux(linuxVector5(0, mmu))).toMatchObject({ agreed: true });
});

it('refuses a client that wants hash translation', () => {
  expect(linux(linuxVector5(0, 0))).toEqual({ agreed: false, reason: 'hash MMU is not offered' });
});

it('refuses a client that can only do XIVE', () => {
  expect(linux(linuxVector5(0x40))).toMatchObject({ agreed: false, reason: expect.stringContaining('XIVE') });
  expect(linux(linuxVector5(0x80))).toMatchObject({ agreed: true });
});

it('refuses a client that knows neither POWER9 nor ISA 3.00', () => {
  expect(linux(linuxVector5(), [POWER8, ISA_2_07, TERMINATOR])).toMatchObject({ agreed: false });
  expect(linux(linuxVector5(), [POWER8, POWER9, TERMINATOR])).toMatchObject({ agreed: true });
});

it('agrees with GRUB, whose list is empty and whose vector is short', () => {
  const end = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
  expect(decide(request([end], [[0], [0], [0], [0], [0, 0, 0, 0]]))).toMatchObject({ agreed: true });
  expect(decide(request([end], [[0]]))).toMatchObject({ agreed: true });
});

describe('a request that cannot be read', () => {
  const whole = request(
    [POWER9, ISA_3_00, TERMINATOR],
    [[1, 2, 3], [4], [], linuxVector5()].filter((v) => v.length),
  );

  it('is undefined at every truncation', () => {
    expect(decide(whole)).toBeDefined();
    for (let lenBytes = 0; lenBytes < whole.length; lenBytes++) {
      expect(decide(whole.subarray(0, lenBytes)), `${lenBytes} bytes`).toBeUndefined();
    }
  });

  it('is undefined if the list of processors does not end', () => {
    let reads = 0;
    const parsed = parseCasRequest((_, lenBytes) => {
      reads++;
      return new Uint8Array(lenBytes).fill(0xff);
    });
    expect(parsed).toBeUndefined();
    expect(reads).toBeLessThan(1000);
  });
});
