import { expect, it } from 'vitest';
import { FdtBuilder } from '../../tests/support/tiny-fdt.ts';
import { readFdt } from './fdt-reader.ts';

const builder = new FdtBuilder(3);
builder.node('rtas', new Map([['power-off', 0x2002]]));
const blob = builder.bytes();

it('reads properties of the nodes below the root', () => {
  const tree = readFdt(blob);
  expect(tree?.bootCpu).toBe(3);
  expect([...tree!.nodes.get('rtas')!.get('power-off')!]).toEqual([0, 0, 0x20, 2]);
});

it('takes no tree that is cut short, and survives every changed byte', () => {
  for (let length = 0; length < blob.length; length++) expect(readFdt(blob.slice(0, length))).toBeUndefined();
  for (let at = 0; at < blob.length; at++) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const changed = blob.slice();
      changed[at] = value;
      expect(() => readFdt(changed)).not.toThrow();
    }
  }
});
