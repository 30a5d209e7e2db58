// The device tree: the one description of the machine that firmware, the flattened tree and the client interface
// share. Nodes keep their phandles for life, because clients hold on to them (IEEE 1275 3.2).

import { assert } from '../util/errors.ts';
import { cellAt, cells, type PropertyBytes, textOf } from './property.ts';

/** One node. Children and properties keep the order in which they were added. */
export class DeviceNode {
  /** Name with unit address, as in `vty@71000000`; empty for the root. */
  readonly name: string;
  readonly parent: DeviceNode | undefined;
  readonly phandle: number;
  readonly children: DeviceNode[] = [];
  readonly properties = new Map<string, PropertyBytes>();
  private readonly tree: DeviceTree;

  /** Nodes are made by `DeviceTree` and `add`. */
  constructor(tree: DeviceTree, parent: DeviceNode | undefined, name: string, phandle: number) {
    this.tree = tree;
    this.parent = parent;
    this.name = name;
    this.phandle = phandle;
    this.set('phandle', cells(phandle));
  }

  /** Adds a child with these properties. The name must not be taken and the phandle, if given, must be free. */
  add(name: string, properties: Readonly<Record<string, PropertyBytes>> = {}, phandle?: number): DeviceNode {
    return this.tree.addNode(this, name, properties, phandle);
  }

  set(name: string, value: PropertyBytes): void {
    this.properties.set(name, value);
  }

  get(name: string): PropertyBytes | undefined {
    return this.properties.get(name);
  }

  /** First cell of a property, or undefined. */
  cell(name: string): number | undefined {
    const value = this.get(name);
    return value && cellAt(value, 0);
  }

  /** A property as text, or undefined. */
  text(name: string): string | undefined {
    const value = this.get(name);
    return value && textOf(value);
  }

  /** The name without its unit address: what the standard `name` property holds. */
  get baseName(): string {
    return this.name.split('@', 1)[0]!;
  }

  /** The full path; `/` for the root. */
  get path(): string {
    if (this.parent === undefined) return '/';
    const above = this.parent.path;
    return above === '/' ? `/${this.name}` : `${above}/${this.name}`;
  }

  /** The node after this one among its siblings. */
  get nextSibling(): DeviceNode | undefined {
    const siblings = this.parent?.children ?? [];
    return siblings[siblings.indexOf(this) + 1];
  }
}

export class DeviceTree {
  readonly root: DeviceNode;
  private readonly byPhandle = new Map<number, DeviceNode>();
  private nextPhandle = 1;

  constructor(rootPhandle?: number) {
    this.root = this.register(undefined, '', rootPhandle);
  }

  node(phandle: number): DeviceNode | undefined {
    return this.byPhandle.get(phandle);
  }

  /** Every node, parents before children. */
  *nodes(from: DeviceNode = this.root): Generator<DeviceNode> {
    yield from;
    for (const child of from.children) yield* this.nodes(child);
  }

  /**
   * The node named by a device specifier (IEEE 1275 4.3.1): an absolute path, or an alias of `/aliases` with or without
   * more path behind it. Unit addresses may be left out, differ in case or have leading zeros left out; what follows
   * the first `:` is an argument for the device and is ignored here.
   */
  find(specifier: string): DeviceNode | undefined {
    const path = specifier.split(':', 1)[0]!;
    if (path.startsWith('/')) return this.walk(path);
    const [alias = '', ...rest] = path.split('/');
    const target = this.walk('/aliases')?.text(alias);
    if (alias === '' || target === undefined || !target.startsWith('/')) return undefined;
    return this.walk([target.split(':', 1)[0]!, ...rest].join('/'));
  }

  /** Used by `DeviceNode.add`. */
  addNode(
    parent: DeviceNode,
    name: string,
    properties: Readonly<Record<string, PropertyBytes>>,
    phandle: number | undefined,
  ): DeviceNode {
    assert(name !== '' && !name.includes('/'), `"${name}" is no node name`);
    assert(!parent.children.some((child) => child.name === name), `${parent.path} already has a node ${name}`);
    const node = this.register(parent, name, phandle);
    parent.children.push(node);
    for (const [key, value] of Object.entries(properties)) node.set(key, value);
    return node;
  }

  private register(parent: DeviceNode | undefined, name: string, wanted: number | undefined): DeviceNode {
    while (this.byPhandle.has(this.nextPhandle)) this.nextPhandle++;
    const phandle = wanted ?? this.nextPhandle++;
    assert(isPhandle(phandle), `phandle ${phandle} is reserved`);
    assert(!this.byPhandle.has(phandle), `phandle ${phandle} is taken`);
    const node = new DeviceNode(this, parent, name, phandle);
    this.byPhandle.set(phandle, node);
    return node;
  }

  private walk(path: string): DeviceNode | undefined {
    let node: DeviceNode | undefined = this.root;
    for (const component of path.split('/')) {
      if (component === '') continue;
      node =
        node.children.find((child) => child.name === component) ?? node.children.find((c) => matches(c, component));
      if (node === undefined) return undefined;
    }
    return node;
  }
}

/** True for what may be a phandle; 0 and -1 are answers of the client interface for "no node". */
export function isPhandle(value: number | undefined): value is number {
  return value !== undefined && value > 0 && value < 0xffff_ffff;
}

function matches(node: DeviceNode, component: string): boolean {
  const at = component.indexOf('@');
  const name = at < 0 ? component : component.slice(0, at);
  if (name !== '' && name !== node.baseName) return false;
  if (at < 0) return true;
  return node.name.includes('@') && normalUnit(component) === normalUnit(node.name);
}

/** The unit address of a node name in lower case, each of its comma-separated hexadecimal parts without leading zeros. */
function normalUnit(name: string): string {
  const parts = name
    .slice(name.indexOf('@') + 1)
    .toLowerCase()
    .split(',');
  return parts.map((part) => part.replace(/^0+(?=.)/, '')).join(',');
}
