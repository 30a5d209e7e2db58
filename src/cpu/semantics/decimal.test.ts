import { describe, expect, it } from 'vitest';
import { execute, operandsOf } from '../../../tests/support/execute-one.ts';
import { type Decimal, type DecimalFormat, decode, encode, extended, finite, long, short } from './decimal/number.ts';
import { FPSCR } from './fpu/fpscr.ts';

/** `-12E-3`, `Infinity`, `NaN5` (its payload), `sNaN5`. */
function parse(text: string): Decimal {
  const match = /^(-?)(?:(\d+)(?:E(-?\d+))?|(Infinity|NaN|sNaN)(\d*))$/.exec(text);
  if (!match) throw new Error(`not a decimal: ${text}`);
  const [, sign, digits, exponent, special, payload] = match;
  const negative = sign === '-';
  if (digits) return finite(negative, BigInt(digits), Number(exponent ?? 0));
  const kind = special === 'Infinity' ? 'infinity' : special === 'NaN' ? 'quiet' : 'signalling';
  return { kind, negative, payload: BigInt(payload || 0) };
}
function print(d: Decimal): string {
  const sign = d.negative ? '-' : '';
  if (d.kind === 'finite') return `${sign}${d.coefficient}${d.exponent ? `E${d.exponent}` : ''}`;
  return sign + { infinity: 'Infinity', quiet: 'NaN', signalling: 'sNaN' }[d.kind] + (d.payload || '');
}

interface Options {
  readonly a?: string | bigint;
  readonly b?: string | bigint;
  readonly drn?: number;
  readonly fpscr?: number;
  readonly fields?: Record<string, number>;
  readonly format?: DecimalFormat;
}
interface Answer {
  readonly bits: bigint;
  readonly text: string;
  readonly fpscr: number;
  readonly cr: number;
}
const TARGET_BEFORE = 0x2238000000000007n;

/** FRT is f10, FRA f12, FRB f14, or the pairs that begin there; BF is CR field 3. */
function run(op: string, { a = 0n, b = 0n, drn = 0, fpscr = 0, fields = {}, format = long }: Options): Answer {
  const bits = (value: string | bigint) => (typeof value === 'string' ? encode(format, parse(value)) : value);
  const vsr: Record<number, bigint> = { 10: TARGET_BEFORE << 64n };
  for (const [index, value, field] of [
    [12, a, 'fra'],
    [14, b, 'frb'],
  ] as const) {
    const pair = `${field}p` in operandsOf(op, { [`${field}p`]: 0 });
    vsr[index] = pair ? (bits(value) >> 64n) << 64n : bits(value) << 64n;
    if (pair) vsr[index + 1] = bits(value) << 64n;
  }
  const registers = { frt: 10, fra: 12, frb: 14, frtp: 10, frap: 12, frbp: 14, bf: 3, ...fields };
  const operands = operandsOf(op, registers);
  const result = execute(op, operands, { vsr, fpscr: (BigInt(drn) << 32n) | BigInt(fpscr) });
  const high = result.vcpu.vsr(10, 0);
  const value = 'frtp' in operands ? (high << 64n) | result.vcpu.vsr(11, 0) : high;
  return {
    bits: value,
    text: print(decode('frtp' in operands ? extended : long, value)),
    fpscr: Number(result.vcpu.get64('fpscr') & 0xffff_ffffn),
    cr: result.vcpu.get32('cr', 3),
  };
}
const flagsOf = (answer: Answer) => answer.fpscr & ~(FPSCR.FPRF | FPSCR.FX | FPSCR.VX | FPSCR.FEX);
const text = (op: string, a: string, b: string, options: Options = {}) => run(op, { ...options, a, b }).text;
const NINES = '9'.repeat(16);

describe('decimal formats', () => {
  it('have the ranges of the manual', () => {
    expect([short, long, extended].map((f) => [f.minExponent, f.maxExponent])).toEqual([
      [-101, 90],
      [-398, 369],
      [-6176, 6111],
    ]);
    expect(encode(long, parse('1'))).toBe(0x2238000000000001n);
    expect(encode(long, parse('-9999999999999999E369'))).toBe(0xf7fcff3fcff3fcffn);
    expect(encode(long, parse('sNaN1'))).toBe(0x7e00000000000001n);
  });
  it('give back what they were given', () => {
    for (const format of [short, long, extended]) {
      const nines = 10n ** BigInt(format.digits) - 1n;
      for (const coefficient of [0n, 1n, 7999n, nines, nines - 10n ** BigInt(format.digits - 1)]) {
        for (const exponent of [format.minExponent, -1, 0, format.maxExponent]) {
          const d = finite(coefficient % 2n === 1n, coefficient, exponent);
          expect(decode(format, encode(format, d))).toEqual(d);
        }
      }
      for (const special of ['Infinity', '-NaN12', 'sNaN345'])
        expect(print(decode(format, encode(format, parse(special))))).toBe(special);
    }
  });
});

describe('decimal arithmetic', () => {
  it('keeps the exponent nearest to the ideal one', () => {
    expect(text('dadd', '12E-1', '8E-1')).toBe('20E-1');
    expect(text('dadd', '1E5', '1')).toBe('100001');
    expect(text('dsub', '5E-3', '5E-1')).toBe('-495E-3');
    expect(text('dmul', '20E-1', '30E2')).toBe('600E1');
    expect(text('ddiv', '600', '3')).toBe('200');
    expect(text('ddiv', '1', '8')).toBe('125E-3');
    expect(text('ddiv', '1', '3')).toBe('3333333333333333E-16');
    expect(text('dmulq', '3E6000', '1E120', { format: extended })).toBe('3000000000E6111');
  });

  it('rounds as DRN says', () => {
    // 1234567890123456 and a half, less, more; both signs.
    const results = (b: string) =>
      Array.from({ length: 8 }, (_, drn) => text('dadd', '1234567890123456', b, { drn }).slice(-2));
    expect(results('5E-1')).toEqual(['56', '56', '57', '56', '57', '56', '57', '56']);
    expect(results('4E-1')).toEqual(['56', '56', '57', '56', '56', '56', '57', '56']);
    expect(results('6E-1')).toEqual(['57', '56', '57', '56', '57', '57', '57', '56']);
    const negative = (b: string) =>
      Array.from({ length: 8 }, (_, drn) => text('dadd', '-1234567890123455', b, { drn }).slice(-2));
    expect(negative('-5E-1')).toEqual(['56', '55', '55', '56', '56', '55', '56', '56']);
  });

  it('tells in FI and FR what rounding did', () => {
    const flags = (a: string, b: string) => flagsOf(run('dadd', { a, b, fpscr: FPSCR.FR | FPSCR.FI }));
    expect(flags('1234567890123456', '6E-1')).toBe(FPSCR.XX | FPSCR.FI | FPSCR.FR);
    expect(flags('1234567890123456', '4E-1')).toBe(FPSCR.XX | FPSCR.FI);
    expect(flags('1', '1')).toBe(0);
  });

  it('gives a zero of equal operands the sign of the rounding mode', () => {
    expect(text('dsub', '1', '1')).toBe('0');
    expect(text('dsub', '1', '1', { drn: 3 })).toBe('-0');
    expect(text('dadd', '-0', '-0')).toBe('-0');
  });

  it('handles infinities, NaNs and what has no result', () => {
    const invalid = (op: string, a: string, b: string) => {
      const answer = run(op, { a, b });
      return [answer.text, flagsOf(answer)];
    };
    expect(invalid('dadd', 'Infinity', '-Infinity')).toEqual(['NaN', FPSCR.VXISI]);
    expect(invalid('dmul', 'Infinity', '0')).toEqual(['NaN', FPSCR.VXIMZ]);
    expect(invalid('ddiv', '0', '0')).toEqual(['NaN', FPSCR.VXZDZ]);
    expect(invalid('ddiv', 'Infinity', 'Infinity')).toEqual(['NaN', FPSCR.VXIDI]);
    expect(invalid('ddiv', '-1', '0')).toEqual(['-Infinity', FPSCR.ZX]);
    expect(invalid('dadd', 'NaN7', '-sNaN8')).toEqual(['-NaN8', FPSCR.VXSNAN]);
    expect(invalid('dadd', '-NaN7', 'NaN8')).toEqual(['-NaN7', 0]);
    expect(text('ddiv', '5', '-Infinity')).toBe('-0E-398');
  });

  it('keeps the target when an invalid operation or division by zero is enabled', () => {
    const kept = run('dmul', { a: 'Infinity', b: '0', fpscr: FPSCR.VE | FPSCR.FR | FPSCR.FPRF });
    expect(kept.bits).toBe(TARGET_BEFORE);
    expect(kept.fpscr >>> 0).toBe((FPSCR.FX | FPSCR.FEX | FPSCR.VX | FPSCR.VXIMZ | FPSCR.VE | FPSCR.FPRF) >>> 0);
    const divided = run('ddiv', { a: '1', b: '0', fpscr: FPSCR.ZE });
    expect(divided.bits).toBe(TARGET_BEFORE);
    expect(flagsOf(divided)).toBe(FPSCR.ZX | FPSCR.ZE);
  });

  it('overflows to infinity or the largest number', () => {
    const results = Array.from({ length: 8 }, (_, drn) => text('dmul', `${NINES}E369`, '10', { drn }));
    const [most, infinite] = [`${NINES}E369`, 'Infinity'];
    expect(results).toEqual([infinite, most, infinite, most, infinite, infinite, infinite, most]);
    expect(flagsOf(run('dmul', { a: `${NINES}E369`, b: '10' }))).toBe(
      (FPSCR.OX | FPSCR.XX | FPSCR.FI | FPSCR.FR) >>> 0,
    );
    // An exponent too large is no overflow as long as zeros find room.
    expect(text('dmul', '1E369', '1E3')).toBe('1000E369');
    expect(text('dmul', '0E369', '1E369')).toBe('0E369');
  });

  it('underflows to subnormal numbers and zero', () => {
    expect(text('dmul', '15E-398', '1E-1')).toBe('2E-398');
    expect(flagsOf(run('dmul', { a: '15E-398', b: '1E-1' }))).toBe(FPSCR.UX | FPSCR.XX | FPSCR.FI | FPSCR.FR);
    expect(flagsOf(run('dmul', { a: '15E-398', b: '1' }))).toBe(0);
    expect(text('dmul', '1E-398', '1E-398', { drn: 6 })).toBe('1E-398');
    expect(text('dmul', '1E-398', '1E-398')).toBe('0E-398');
  });

  it('adjusts the exponent when overflow and underflow are enabled', () => {
    const over = run('dmul', { a: '5E369', b: `1E20`, fpscr: FPSCR.OE });
    expect(over.text).toBe(`5E${389 - 576}`);
    expect(flagsOf(over)).toBe(FPSCR.OX | FPSCR.OE);
    const under = run('dmul', { a: '15E-398', b: '1E-1', fpscr: FPSCR.UE });
    expect(under.text).toBe(`15E${-399 + 576}`);
    expect(flagsOf(under)).toBe(FPSCR.UX | FPSCR.UE);
  });
});

describe('decimal comparison and tests', () => {
  it('compare values', () => {
    const compare = (op: string, a: string, b: string, fpscr = 0) => {
      const answer = run(op, { a, b, fpscr });
      expect((answer.fpscr & FPSCR.FPCC) >> 12).toBe(answer.cr);
      return [answer.cr, flagsOf(answer) & ~fpscr];
    };
    expect(compare('dcmpu', '10', '1E1')).toEqual([2, 0]);
    expect(compare('dcmpu', '-1', '1E-100')).toEqual([8, 0]);
    expect(compare('dcmpo', 'Infinity', `${NINES}E369`)).toEqual([4, 0]);
    expect(compare('dcmpu', 'NaN', '1')).toEqual([1, 0]);
    expect(compare('dcmpo', 'NaN', '1')).toEqual([1, FPSCR.VXVC]);
    expect(compare('dcmpo', 'sNaN', '1')).toEqual([1, FPSCR.VXSNAN | FPSCR.VXVC]);
    expect(compare('dcmpo', 'sNaN', '1', FPSCR.VE)).toEqual([1, FPSCR.VXSNAN]);
  });
  it('test classes, groups, exponents and digits', () => {
    const cr = (op: string, options: Options) => run(op, options).cr;
    const classes = ['0', '1E-398', '1', 'Infinity', 'NaN', 'sNaN'];
    classes.forEach((a, i) => {
      expect(cr('dtstdc', { a, fields: { dcm: 32 >> i } })).toBe(2);
      expect(cr('dtstdc', { a: `-${a}`, fields: { dcm: 63 & ~(32 >> i) } })).toBe(8);
    });
    const groups = ['0', '0E369', '1E-398', '1', '1000000000000000', 'sNaN'];
    groups.forEach((a, i) => {
      expect(cr('dtstdg', { a, fields: { dgm: 32 >> i } })).toBe(2);
    });
    expect(cr('dtstdg', { a: '1000000000000000E369', fields: { dgm: 8 } })).toBe(2);
    expect(cr('dtstex', { a: '5E3', b: '7E3' })).toBe(2);
    expect(cr('dtstex', { a: 'NaN', b: 'sNaN' })).toBe(2);
    expect(cr('dtstex', { a: 'Infinity', b: '1' })).toBe(1);
    expect(cr('dtstsf', { a: 3n, b: '1234' })).toBe(8);
    expect(cr('dtstsfi', { b: '1234', fields: { uim: 4 } })).toBe(2);
    expect(cr('dtstsfi', { b: '1234', fields: { uim: 0 } })).toBe(4);
  });
});

describe('decimal quantum adjustment', () => {
  it('rounds to an exponent', () => {
    expect(text('dqua', '1E-2', '12345E-3', { fields: { rmc: 0 } })).toBe('1234E-2');
    expect(text('dqua', '1E-2', '12345E-3', { fields: { rmc: 2 } })).toBe('1235E-2');
    expect(text('dqua', '1E-2', '5', { fields: { rmc: 0 } })).toBe('500E-2');
    expect(flagsOf(run('dqua', { a: '1E-9', b: NINES, fields: { rmc: 0 } }))).toBe(FPSCR.VXCVI);
    expect(text('dquai', '0', '-12345E-3', { fields: { te: -1, rmc: 1 } })).toBe('-123E-1');
    expect(text('dqua', '-Infinity', 'Infinity', { fields: { rmc: 0 } })).toBe('Infinity');
  });
  it('rounds to a number of digits', () => {
    const reround = (digits: bigint, b: string, rmc = 0) => run('drrnd', { a: digits, b, fields: { rmc } });
    expect(reround(3n, '123456').text).toBe('123E3');
    expect(reround(3n, '999999').text).toBe('100E4');
    expect(reround(0n, '123456').text).toBe('123456');
    expect(reround(9n, '123456').text).toBe('123456');
    expect(flagsOf(reround(1n, '99E368'))).toBe(FPSCR.VXCVI);
  });
  it('rounds to an integer, with or without telling', () => {
    const fields = { r: 1, rmc: 2 };
    const loud = run('drintx', { b: '-14E-1', fields });
    expect([loud.text, flagsOf(loud)]).toEqual(['-2', FPSCR.XX | FPSCR.FI | FPSCR.FR]);
    const quiet = run('drintn', { b: '-14E-1', fields, fpscr: FPSCR.FI });
    expect([quiet.text, flagsOf(quiet)]).toEqual(['-2', 0]);
    expect(run('drintx', { b: '5E3', fields }).text).toBe('5E3');
  });
});

describe('decimal conversions', () => {
  it('between formats', () => {
    const bits32 = encode(short, parse('-1234567E-3'));
    expect(run('dctdp', { b: bits32 }).text).toBe('-1234567E-3');
    expect(print(decode(long, run('dctdp', { b: encode(short, parse('sNaN5')) }).bits))).toBe('sNaN5');
    const narrowed = run('drsp', { b: '12345675E-3' });
    expect(print(decode(short, narrowed.bits))).toBe('1234568E-2');
    expect(run('dctqpq', { b: '-5E-398' }).text).toBe('-5E-398');
    // The result is in the even register, the odd one is cleared.
    const rounded = run('drdpq', { b: `1${'0'.repeat(15)}5`, format: extended });
    expect(print(decode(long, rounded.bits >> 64n))).toBe('1000000000000000E1');
    expect(BigInt.asUintN(64, rounded.bits)).toBe(0n);
    const signalling = run('drdpq', { b: 'sNaN123', format: extended });
    expect(print(decode(long, signalling.bits >> 64n))).toBe('NaN123');
    expect(flagsOf(signalling)).toBe(FPSCR.VXSNAN);
  });
  it('from and to integers', () => {
    expect(run('dcffix', { b: BigInt.asUintN(64, -(1n << 63n)) }).text).toBe('-9223372036854776E3');
    expect(run('dcffixq', { b: BigInt.asUintN(64, -(1n << 63n)) }).text).toBe('-9223372036854775808');
    const fixed = (b: string, drn = 0) => {
      const answer = run('dctfix', { b, drn });
      return [BigInt.asIntN(64, answer.bits), flagsOf(answer)];
    };
    expect(fixed('-25E-1')).toEqual([-2n, FPSCR.XX | FPSCR.FI]);
    expect(fixed('-25E-1', 4)).toEqual([-3n, FPSCR.XX | FPSCR.FI | FPSCR.FR]);
    expect(fixed('12E3')).toEqual([12000n, 0]);
    expect(fixed('1E19')).toEqual([(1n << 63n) - 1n, FPSCR.VXCVI]);
    expect(fixed('-Infinity')).toEqual([-(1n << 63n), FPSCR.VXCVI]);
    expect(fixed('sNaN')).toEqual([-(1n << 63n), FPSCR.VXCVI | FPSCR.VXSNAN]);
  });
  it('from and to packed decimal', () => {
    expect(run('ddedpd', { b: '-1234', fields: { sp: 0 } }).bits).toBe(0x1234n);
    expect(run('ddedpd', { b: '-1234', fields: { sp: 2 } }).bits).toBe(0x1234dn);
    expect(run('ddedpd', { b: NINES, fields: { sp: 3 } }).bits).toBe(0x999999999999999fn);
    expect(run('ddedpd', { b: 'NaN12', fields: { sp: 2 } }).bits).toBe(0x12cn);
    expect(run('denbcd', { b: 0x1234bn, fields: { s: 1 } }).text).toBe('-1234');
    expect(run('denbcd', { b: 0x1234n, fields: { s: 0 } }).text).toBe('1234');
    expect(flagsOf(run('denbcd', { b: 0x1234n, fields: { s: 1 } }))).toBe(FPSCR.VXCVI);
  });
  it('take exponents out and put them in', () => {
    const exponents = ['1', '0E-398', 'Infinity', 'NaN', 'sNaN'].map((b) => BigInt.asIntN(64, run('dxex', { b }).bits));
    expect(exponents).toEqual([398n, 0n, -1n, -2n, -3n]);
    const insert = (exponent: bigint) => run('diex', { a: BigInt.asUintN(64, exponent), b: '-12E5' }).text;
    expect([398n, 767n, 768n, -1n, -2n, -3n, -4n].map(insert)).toEqual([
      '-12',
      '-12E369',
      '-NaN12',
      '-Infinity12',
      '-NaN12',
      '-sNaN12',
      '-NaN12',
    ]);
  });
  it('shift digits', () => {
    const shift = (op: string, a: string, sh: number) => run(op, { a, fields: { sh } }).text;
    expect(shift('dscli', '-12E5', 3)).toBe('-12000E5');
    expect(shift('dscli', NINES, 63)).toBe('0');
    expect(shift('dscri', '-1299E5', 2)).toBe('-12E5');
    expect(shift('dscli', 'NaN12', 14)).toBe('NaN200000000000000');
  });
  it('records CR field 1', () => {
    const fields = operandsOf('dadd', { frt: 10, fra: 12, frb: 14, rc: 1 });
    const vsr = { 12: encode(long, parse('sNaN')) << 64n, 14: 0n };
    expect(execute('dadd', fields, { vsr }).vcpu.get32('cr', 1)).toBe(0b1010);
  });
});
