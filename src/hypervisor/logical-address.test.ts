import { expect, test } from 'vitest';
import { logicalAddress } from './logical-address.ts';

test.each([
  [0n, 0],
  [0x1234n, 0x1234],
  [0xc000000000001234n, 0x1234],
  [0x001f_ffff_ffff_ffffn, Number.MAX_SAFE_INTEGER],
  [0x0020_0000_0000_0000n, undefined],
  [0x0fff_ffff_ffff_ffffn, undefined],
])('%s', (value, expected) => {
  expect(logicalAddress(value)).toBe(expected);
});
