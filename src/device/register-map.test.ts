import { expect, test } from 'vitest';
import { RegisterMap } from './register-map.ts';

type Name = 'features' | 'status' | 'index' | 'doorbell';

function bench() {
  const map = new RegisterMap<Name>(16, [
    ['features', 4, 'ro'],
    ['status', 1, 'rw'],
    ['', 1, 'reserved'],
    ['index', 2, 'rw'],
    ['doorbell', 4, 'wo'],
    ['', 4, 'reserved'],
  ]);
  const values: Record<Name, number> = { features: 0x8899_aabb, status: 0x0f, index: 0x1234, doorbell: 0 };
  const log: string[] = [];
  const handler = map.handler({
    readRegister: (name) => {
      log.push(`read ${name}`);
      return values[name];
    },
    writeRegister: (name, value) => {
      log.push(`write ${name}=${value.toString(16)}`);
      values[name] = value;
    },
  });
  return { map, values, log, handler };
}

test('whole registers are read and written once', () => {
  const { handler, log } = bench();
  expect(handler.load(0, 4)).toBe(0x8899_aabb);
  expect(handler.load(6, 2)).toBe(0x1234);
  handler.store(4, 1, 0x8f);
  handler.store(8, 4, 0xffff_fffe);
  expect(log).toEqual(['read features', 'read index', 'write status=8f', 'write doorbell=fffffffe']);
});

test('parts of a register: loads cut them out, stores keep the rest', () => {
  const { handler, log, values } = bench();
  expect(handler.load(1, 1)).toBe(0xaa);
  expect(handler.load(2, 2)).toBe(0x8899);
  handler.store(7, 1, 0xff);
  expect(values.index).toBe(0xff34);
  // What cannot be read has zeroes for the rest.
  handler.store(10, 2, 0xbeef);
  expect(values.doorbell).toBe(0xbeef_0000);
  expect(log.filter((line) => line.startsWith('read doorbell'))).toEqual([]);
});

test('an access over several registers touches each once; reserved bytes are zero and stay', () => {
  const { handler, log } = bench();
  expect(handler.load(4, 4)).toBe(0x1234_000f);
  expect(log).toEqual(['read status', 'read index']);
  log.length = 0;
  handler.store(4, 4, 0xabcd_ee55);
  expect(log).toEqual(['write status=55', 'write index=abcd']);
});

test('read-only, write-only, reserved and bytes beyond the block', () => {
  const { handler, log } = bench();
  handler.store(0, 4, 1);
  handler.store(12, 4, 1);
  handler.store(16, 4, 1);
  expect(handler.load(8, 4)).toBe(0);
  expect(handler.load(12, 4)).toBe(0);
  expect(handler.load(16, 4)).toBe(0);
  expect(handler.load(0x1000, 1)).toBe(0);
  expect(log).toEqual([]);
});

test('the rows must add up, and named registers must be of a size that can be accessed', () => {
  expect(bench().map.offsetOf('doorbell')).toBe(8);
  expect(() => new RegisterMap(8, [['a', 4, 'rw']])).toThrow(/take 4 bytes, not 8/);
  expect(() => new RegisterMap(8, [['a', 8, 'rw']])).toThrow(/register a has 8 bytes/);
});
