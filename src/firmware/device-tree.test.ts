import { describe, expect, it } from 'vitest';
import { AssertionFailure } from '../util/errors.ts';
import { DeviceTree } from './device-tree.ts';
import { cells, cells64, cellsOf, text, textList, textListOf, textOf } from './property.ts';

function example(): DeviceTree {
  const tree = new DeviceTree();
  const aliases = tree.root.add('aliases');
  tree.root.add('memory@0');
  const bus = tree.root.add('bus@20000000');
  bus.add('disk@0,a');
  bus.add('disk@1,A');
  aliases.set('bus', text('/bus@20000000'));
  aliases.set('disk', text('/bus@20000000/disk@1,a:whatever'));
  aliases.set('loop', text('loop'));
  return tree;
}

describe('find', () => {
  it.each([
    ['/', ''],
    ['/memory@0', 'memory@0'],
    ['/memory', 'memory@0'],
    ['/bus/disk', 'disk@0,a'],
    ['/bus@20000000/disk@1,A', 'disk@1,A'],
    ['/bus@0020000000/disk@01,0a', 'disk@1,A'],
    ['/bus/@1,a', 'disk@1,A'],
    ['/bus@20000000/disk@0,A:2,/boot/vmlinux', 'disk@0,a'],
    ['disk', 'disk@1,A'],
    ['disk:0', 'disk@1,A'],
    ['bus/disk@1,a', 'disk@1,A'],
    ['//memory@0/', 'memory@0'],
  ])('%s is node "%s"', (specifier, name) => {
    expect(example().find(specifier)?.name).toBe(name);
  });

  it.each(['', 'memory', 'loop', '/memory@1', '/bus/tape', '/mem', 'disk/x', '/@', '/memory@0/x', ':'])(
    '%s is no node',
    (specifier) => {
      expect(example().find(specifier)).toBeUndefined();
    },
  );
});

it('gives each node a phandle for life', () => {
  const tree = example();
  const phandles = [...tree.nodes()].map((node) => node.phandle);
  expect(new Set(phandles).size).toBe(6);
  for (const node of tree.nodes()) {
    expect(tree.node(node.phandle)).toBe(node);
    expect(node.cell('phandle')).toBe(node.phandle);
  }
});

it('numbers around phandles that were asked for', () => {
  const tree = new DeviceTree();
  tree.root.add('a', {}, 2);
  tree.root.add('b');
  expect(tree.find('/b')?.phandle).toBe(3);
  expect(() => tree.root.add('c', {}, 2)).toThrow(AssertionFailure);
  expect(() => tree.root.add('a')).toThrow(AssertionFailure);
});

it('knows paths and siblings', () => {
  const disk = example().find('/bus/disk')!;
  expect(disk.path).toBe('/bus@20000000/disk@0,a');
  expect(disk.nextSibling?.name).toBe('disk@1,A');
  expect(disk.nextSibling?.nextSibling).toBeUndefined();
  expect(example().root.nextSibling).toBeUndefined();
});

it('encodes values big-endian', () => {
  expect([...cells(1, -1, 0x8000_0000)]).toEqual([0, 0, 0, 1, 255, 255, 255, 255, 128, 0, 0, 0]);
  expect(cellsOf(cells64(2 ** 52 + 5))).toEqual([0x10_0000, 5]);
  expect([...text('ab')]).toEqual([97, 98, 0]);
  expect(textOf(text('ab'))).toBe('ab');
  expect(textListOf(textList(['a', '', 'bc']))).toEqual(['a', '', 'bc']);
});
