// Client services on the device tree (IEEE 1275 6.3.2.2): phandles, paths and properties.

import { type ClientService, MAX_NAME_BYTES, MAX_PATH_BYTES, MINUS_1, returnText } from './client-service.ts';
import type { DeviceNode, DeviceTree } from './device-tree.ts';
import { type PropertyBytes, text } from './property.ts';

/** Limits on what a client may add to the tree, so that it cannot use up the host's memory. */
const MAX_VALUE_BYTES = 64 * 1024;
const MAX_PROPERTIES = 256;

const PROPERTY_NAME = /^[!-.0-~]{1,63}$/;

export class ClientTree {
  private readonly tree: DeviceTree;
  private frozen = false;

  constructor(tree: DeviceTree) {
    this.tree = tree;
  }

  /** From now on `setprop` fails: the client has its copy of the tree. */
  freeze(): void {
    this.frozen = true;
  }

  readonly services: readonly ClientService[] = [
    {
      name: 'finddevice',
      args: 1,
      run: ({ args, memory }) => {
        const specifier = memory.string(args[0]!, MAX_PATH_BYTES);
        return [(specifier && this.tree.find(specifier)?.phandle) || MINUS_1];
      },
    },
    {
      name: 'getprop',
      args: 4,
      run: ({ args, memory }) => {
        const [phandle, nameGra, bufferGra, bufferBytes] = args as [number, number, number, number];
        const value = this.value(phandle, memory.string(nameGra, MAX_NAME_BYTES));
        const written = value && memory.write(bufferGra, value.subarray(0, bufferBytes));
        return [written ? value.length : MINUS_1];
      },
    },
    {
      name: 'getproplen',
      args: 2,
      run: ({ args, memory }) => [this.value(args[0]!, memory.string(args[1]!, MAX_NAME_BYTES))?.length ?? MINUS_1],
    },
    {
      name: 'nextprop',
      args: 3,
      run: ({ args, memory }) => {
        const [phandle, previousGra, bufferGra] = args as [number, number, number];
        const names = [...(this.tree.node(phandle)?.properties.keys() ?? [])];
        const previous = previousGra === 0 ? '' : memory.string(previousGra, MAX_NAME_BYTES);
        const index = previous === '' ? 0 : names.indexOf(previous ?? '') + 1;
        if (this.tree.node(phandle) === undefined || (previous !== '' && index === 0)) return [MINUS_1];
        const next = names[index];
        return [memory.write(bufferGra, text(next ?? '')) ? Number(next !== undefined) : MINUS_1];
      },
    },
    {
      name: 'setprop',
      args: 4,
      run: ({ args, memory }) => {
        const [phandle, nameGra, valueGra, valueBytes] = args as [number, number, number, number];
        const node = this.tree.node(phandle);
        const name = memory.string(nameGra, MAX_NAME_BYTES);
        if (node === undefined || name === undefined || valueBytes > MAX_VALUE_BYTES) return [MINUS_1];
        const value = memory.bytes(valueGra, valueBytes);
        return [value !== undefined && this.set(node, name, value) ? valueBytes : MINUS_1];
      },
    },
    {
      name: 'peer',
      args: 1,
      run: ({ args }) => {
        if (args[0] === 0) return [this.tree.root.phandle];
        return [this.tree.node(args[0]!)?.nextSibling?.phandle ?? 0];
      },
    },
    { name: 'child', args: 1, run: ({ args }) => [this.tree.node(args[0]!)?.children[0]?.phandle ?? 0] },
    { name: 'parent', args: 1, run: ({ args }) => [this.tree.node(args[0]!)?.parent?.phandle ?? 0] },
    {
      name: 'package-to-path',
      args: 3,
      run: (call) => {
        const path = this.tree.node(call.args[0]!)?.path;
        return [path === undefined ? MINUS_1 : returnText(call, path, call.args[1]!, call.args[2]!)];
      },
    },
    {
      name: 'canon',
      args: 3,
      run: (call) => {
        const specifier = call.memory.string(call.args[0]!, MAX_PATH_BYTES);
        const path = specifier && this.tree.find(specifier)?.path;
        return [path ? returnText(call, path, call.args[1]!, call.args[2]!) : MINUS_1];
      },
    },
  ];

  /** A property's value. `name` is not stored: it is the node's name without the unit address. */
  private value(phandle: number, name: string | undefined): PropertyBytes | undefined {
    const node = this.tree.node(phandle);
    if (node === undefined || name === undefined) return undefined;
    return node.get(name) ?? (name === 'name' ? text(node.baseName) : undefined);
  }

  private set(node: DeviceNode, name: string, value: PropertyBytes): boolean {
    // A zImage that carries a blob says where it has copied it to, in memory that the kernel's prom_init takes for itself.
    // The firmware has put it where it stays, and said so.
    if (name.startsWith('linux,esm-blob-') && node.properties.has(name)) return true;
    const isFull = node.properties.size >= MAX_PROPERTIES && !node.properties.has(name);
    if (this.frozen || isFull || !PROPERTY_NAME.test(name)) return false;
    node.set(name, value);
    return true;
  }
}
