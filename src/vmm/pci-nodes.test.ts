import { describe, expect, test } from 'vitest';
import { BridgeBench, RamHandler } from '../../tests/support/pci-bench.ts';
import { DeviceTree } from '../firmware/device-tree.ts';
import { cells, cellsOf, textOf } from '../firmware/property.ts';
import { PciFunction } from '../pci/function.ts';
import { addHostBridgeNode } from './pci-nodes.ts';

function treeOf(bench: BridgeBench) {
  const tree = new DeviceTree();
  tree.root.add('interrupt-controller', {}, 0x1111);
  addHostBridgeNode(
    tree,
    bench.bridge,
    (service) => ({ query: 0x11, create: 0x12, remove: 0x13, reset: 0x14 })[service.split(/[,-]/)[1]]!,
  );
  const node = tree.root.children[1];
  const hex = (name: string, from = node) =>
    cellsOf(from.get(name)!)
      .map((cell) => cell.toString(16))
      .join(' ');
  return { tree, node, hex };
}

const handler = new RamHandler(16);
/** The disk of the reference tree of QEMU's pseries: a transitional virtio-blk. */
const disk = {
  vendorId: 0x1af4,
  deviceId: 0x1001,
  subsystemVendorId: 0x1af4,
  subsystemId: 2,
  classCode: 0x010000,
  revisionId: 0,
  bars: [
    { index: 0, kind: 'io', sizeBytes: 0x80, handler },
    { index: 4, kind: 'mem64', sizeBytes: 0x4000, handler },
  ],
  msix: { vectors: 3, bar: 1 },
} as const;

describe('the bridge', () => {
  test('has the properties of QEMU’s, but for hot-plug, NUMA and the token numbers', () => {
    const { node, hex } = treeOf(new BridgeBench());
    expect(node.name).toBe('pci@800000020000000');
    expect([node.text('device_type'), node.text('compatible')]).toEqual(['pci', 'IBM,Logical_PHB']);
    expect(hex('reg')).toBe('8000000 20000000 0 0');
    expect(hex('bus-range')).toBe('0 ff');
    expect(hex('ranges')).toBe(
      '1000000 0 0 2000 0 0 10000 2000000 0 80000000 2000 80000000 0 80000000 3000000 2100 0 2100 0 100 0',
    );
    expect(['#address-cells', '#size-cells', '#interrupt-cells'].map((name) => hex(name))).toEqual(['3', '2', '1']);
    expect(hex('interrupt-map-mask')).toBe('f800 0 0 ffffffff');
    expect(hex('ibm,pe-total-#msi')).toBe('d00');
    expect(hex('ibm,pci-config-space-type')).toBe('1');
    expect(hex('ibm,dma-window')).toBe('80000000 0 0 0 40000000');
    expect(hex('ibm,ddw-applicable')).toBe('11 12 13');
    expect(hex('ibm,ddw-extensions')).toBe('2 14 1');
  });

  test('maps each pin of each slot to a level source', () => {
    const { node } = treeOf(new BridgeBench());
    const map = cellsOf(node.get('interrupt-map')!);
    const entry = (slot: number, pin: number) => map.slice((slot * 4 + pin - 1) * 7, (slot * 4 + pin) * 7);
    expect(map.length).toBe(32 * 4 * 7);
    expect(entry(0, 1)).toEqual([0, 0, 0, 1, 0x1111, 0x1200, 1]);
    expect(entry(4, 4)).toEqual([0x2000, 0, 0, 4, 0x1111, 0x1203, 1]);
    expect(entry(31, 1)).toEqual([0xf800, 0, 0, 1, 0x1111, 0x1203, 1]);
    expect(entry(31, 2)).toEqual([0xf800, 0, 0, 2, 0x1111, 0x1200, 1]);
  });

  test('the second bridge differs where it must', () => {
    const { node, hex } = treeOf(new BridgeBench({ index: 1 }));
    expect(node.name).toBe('pci@800000020000001');
    expect(hex('reg')).toBe('8000000 20000001 0 0');
    expect(hex('ranges')).toBe(
      '1000000 0 0 2000 10000 0 10000 2000000 0 80000000 2001 0 0 80000000 3000000 2200 0 2200 0 100 0',
    );
    expect(hex('ibm,dma-window')).toBe('80000100 0 0 0 40000000');
    expect(cellsOf(node.get('interrupt-map')!)[5]).toBe(0x1204);
  });
});

describe('a function', () => {
  test('has IDs, BARs with their sizes, and how it interrupts, as in the reference tree', () => {
    const bench = new BridgeBench();
    bench.plug(0, disk);
    const { node, hex } = treeOf(bench);
    const [child] = node.children;
    expect(child.name).toBe('scsi@0');
    expect(hex('reg', child)).toBe('0 0 0 0 0 1000010 0 0 0 80 2000014 0 0 0 1000 3000020 0 0 0 4000');
    const cellsExpected: Record<string, number> = {
      'vendor-id': 0x1af4,
      'device-id': 0x1001,
      'subsystem-vendor-id': 0x1af4,
      'subsystem-id': 2,
      'class-code': 0x010000,
      'revision-id': 0,
      interrupts: 1,
      'ibm,req#msi-x': 3,
    };
    for (const [name, value] of Object.entries(cellsExpected)) expect(child.get(name), name).toEqual(cells(value));
    expect(child.get('ibm,req#msi')).toBeUndefined();
    expect(child.get('assigned-addresses')).toBeUndefined();
  });

  test('is named by its class or its IDs, with slot and function number in hexadecimal', () => {
    const bench = new BridgeBench();
    bench.plug(10, { classCode: 0x020000 });
    const functions = [0, 1].map(
      () =>
        new PciFunction(
          { ...disk, name: 'odd', classCode: 0xff0000, interruptPin: 2, msi: { vectors: 4 }, dma: 'bypass' },
          bench.bridge,
        ),
    );
    bench.bridge.plug(31, functions);
    const { node, hex } = treeOf(bench);
    expect(node.children.map(({ name }) => name)).toEqual(['ethernet@a', 'pci1af4,1001@1f', 'pci1af4,1001@1f,1']);
    const last = node.children[2];
    expect(hex('reg', last).startsWith('f900 0 0 0 0 100f910 0 0 0 80 ')).toBe(true);
    expect([hex('interrupts', last), hex('ibm,req#msi', last)]).toEqual(['2', '4']);
  });

  test('a prefetchable BAR says so', () => {
    const bench = new BridgeBench();
    bench.plug(0);
    const { node } = treeOf(bench);
    const reg = cellsOf(node.children[0].get('reg')!);
    expect(reg[15].toString(16)).toBe('43000020');
    expect(textOf(node.get('compatible')!)).toBe('IBM,Logical_PHB');
  });
});
