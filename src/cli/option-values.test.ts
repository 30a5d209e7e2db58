import { expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import {
  parseAddress,
  parseClock,
  parseCpus,
  parseDmaPolicy,
  parseJobs,
  parseMemory,
  parseSecureMemory,
  parseSeed,
  parseTimeout,
  parseTrace,
} from './option-values.ts';

const mib = 1024 * 1024;

it.each([
  ['64M', 64 * mib],
  ['256m', 256 * mib],
  ['1G', 1024 * mib],
  ['1.5G', 1536 * mib],
  ['2GiB', 2048 * mib],
  ['512MB', 512 * mib],
  ['1048576K', 1024 * mib],
  ['268435456', 256 * mib],
  ['3584M', 3584 * mib],
])('--memory %s', (text, bytes) => {
  expect(parseMemory(text)).toBe(bytes);
});

it.each(['0', '1M', '63M', '3585M', '100G', '99999999999999G'])('--memory %s is out of range', (text) => {
  expect(() => parseMemory(text)).toThrow(`--memory must be from 64M to 3584M, not "${text}".`);
});

it.each(['', 'big', '-1G', '1T', '1 G G', '0x10000000', '1e9', 'NaN'])('--memory "%s" is no size', (text) => {
  expect(() => parseMemory(text)).toThrow(/--memory takes a size such as/);
});

it('--memory must be whole mebibytes', () => {
  expect(() => parseMemory(String(64 * mib + 1))).toThrow('--memory must be a multiple of 1M');
});

it.each([
  ['1', 1],
  ['16', 16],
])('--smp %s', (text, count) => {
  expect(parseCpus(text)).toBe(count);
});

it.each([
  ['0.5', 500],
  ['30', 30_000],
])('--timeout %s', (text, milliseconds) => {
  expect(parseTimeout(text)).toBe(milliseconds);
});

it('takes the values it names', () => {
  expect(parseClock('virtual')).toBe('virtual');
  expect(parseClock('host')).toBe('host');
  expect(parseSeed('0')).toBe(0);
  expect(parseSeed('0xFFFFFFFF')).toBe(0xffff_ffff);
  expect(parseTrace('hcall, dma')).toEqual(['hcall', 'dma']);
  expect(parseAddress('--start')('0xc000000000000000')).toBe(0xc000_0000_0000_0000n);
  expect(parseJobs('4')).toBe(4);
  expect(parseDmaPolicy('quirk')).toBe('quirk');
});

it.each<[string, (text: string) => unknown, string[]]>([
  ['--smp', parseCpus, ['0', '17', '1.5', '-1', 'four', '']],
  ['--timeout', parseTimeout, ['0', '-1', 'soon', '', '1e3', '0.0', '99999999']],
  ['--seed', parseSeed, ['-1', '4294967296', '1.5', 'x', '']],
  ['--clock', parseClock, ['', 'wall', 'Host']],
  ['--dma-policy', parseDmaPolicy, ['', 'Transition', 'toString', 'none']],
  ['--trace', parseTrace, ['', 'a,,b', 'A', '1']],
  ['--start', parseAddress('--start'), ['', 'main', '-4', '0x']],
  ['--jobs', parseJobs, ['0', '-1', 'all', '5000']],
])('%s refuses', (option, parse, texts) => {
  for (const text of texts) {
    expect(() => parse(text), text).toThrow(UsageError);
    expect(() => parse(text), text).toThrow(option);
  }
});

it('--secure-memory takes sizes from 16M in steps of 64K', () => {
  expect(parseSecureMemory('16M')).toBe(16 * mib);
  expect(parseSecureMemory('20544K')).toBe(20544 * 1024);
  expect(() => parseSecureMemory('15M')).toThrow('--secure-memory must be at least 16M, not "15M".');
  expect(() => parseSecureMemory('17000001')).toThrow('--secure-memory must be a multiple of 64K');
  expect(() => parseSecureMemory('some')).toThrow('--secure-memory takes a size such as');
});
