import { describe, expect, it } from 'vitest';
import { compileTree, decompileTree, hasDtc } from '../../tests/support/dtc.ts';
import { PowervisorError } from '../util/errors.ts';
import { DeviceTree } from './device-tree.ts';
import { flattenTree, parseFdt } from './fdt.ts';
import { cells, cells64, empty, text, textList } from './property.ts';

function example(): DeviceTree {
  const tree = new DeviceTree();
  tree.root.set('compatible', textList(['qemu,pseries', 'x']));
  tree.root.set('odd', new Uint8Array([1, 2, 3, 4, 5]));
  const bus = tree.root.add('bus@1', { '64-bit': empty(), reg: cells(1) });
  bus.add('leaf@20', { reg: cells64(0x2100_0000_0000, 2 ** 40), name2: text('leaf') }, 0x1111);
  bus.add('leaf@21', { reg: cells64(0, 1) });
  return tree;
}

const options = { reserve: [{ gra: 0x2fff_0000, lenBytes: 0x83c }], bootCpuidPhys: 3 };

it('comes back from bytes as it was', () => {
  const tree = example();
  const back = parseFdt(flattenTree(tree, options));
  expect(back.reserve).toEqual(options.reserve);
  expect(back.bootCpuidPhys).toBe(3);
  const flat = (t: DeviceTree) => [...t.nodes()].map((n) => [n.path, n.phandle, [...n.properties]]);
  expect(flat(back.tree)).toEqual(flat(tree));
});

it('has a header of version 17 with aligned blocks', () => {
  const blob = flattenTree(example(), options);
  const header = Array.from({ length: 10 }, (_, n) => new DataView(blob.buffer).getUint32(n * 4));
  expect(header.slice(0, 2)).toEqual([0xd00dfeed, blob.length]);
  expect(header.slice(5, 8)).toEqual([17, 16, 3]);
  expect(header[4]! % 8).toBe(0);
  expect(header[2]! % 4).toBe(0);
});

describe.skipIf(!hasDtc() && process.env.CI !== 'true')('beside dtc (package device-tree-compiler)', () => {
  it('writes what dtc reads', () => {
    const source = decompileTree(flattenTree(example(), options));
    expect(source).toContain('/memreserve/\t0x000000002fff0000 0x000000000000083c;');
    expect(source).toContain('compatible = "qemu,pseries\\0x"');
    expect(source).toContain('odd = [01 02 03 04 05];');
    expect(source).toMatch(/leaf@20 \{[^}]*reg = <0x2100 0x00 0x100 0x00>;/);
  });

  it('reads what dtc writes', () => {
    const source = `/dts-v1/; /memreserve/ 0x1000 0x2000;
      / { #address-cells = <2>; a { target = <&b>; }; b: b@8 { s = "x", "yz"; raw = [0a 0b 0c]; none; }; };`;
    const { tree, reserve } = parseFdt(compileTree(source));
    expect(reserve).toEqual([{ gra: 0x1000, lenBytes: 0x2000 }]);
    expect(tree.root.cell('#address-cells')).toBe(2);
    expect(tree.find('/a')?.cell('target')).toBe(tree.find('/b@8')?.phandle);
    expect(tree.find('/b')?.get('s')).toEqual(textList(['x', 'yz']));
    expect(tree.find('/b')?.get('none')).toEqual(empty());
    expect(decompileTree(flattenTree(tree, { reserve, bootCpuidPhys: 0 }))).toContain('raw = [0a 0b 0c];');
  });
});

describe('damaged bytes', () => {
  const blob = flattenTree(example(), options);

  it('are refused at every truncation', () => {
    for (let lenBytes = 0; lenBytes < blob.length; lenBytes++) {
      expect(() => parseFdt(blob.subarray(0, lenBytes)), `${lenBytes} bytes`).toThrow(PowervisorError);
    }
  });

  it('give a tree or a PowervisorError, whatever word is changed', () => {
    for (let at = 0; at + 4 <= blob.length; at += 4) {
      for (const value of [0, 1, 2, 3, 4, 9, 0xff, 0x7fff_fffc, 0xffff_ffff]) {
        const copy = blob.slice();
        new DataView(copy.buffer).setUint32(at, value);
        try {
          parseFdt(copy);
        } catch (error) {
          expect(error, `word ${at} = ${value}`).toBeInstanceOf(PowervisorError);
        }
      }
    }
  });

  it('cannot nest without end', () => {
    const deep = new DeviceTree();
    let node = deep.root;
    for (let depth = 0; depth < 100; depth++) node = node.add('n');
    expect(() => parseFdt(flattenTree(deep, options))).toThrow(/deeper/);
  });
});
