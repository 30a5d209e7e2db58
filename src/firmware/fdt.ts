// Flattened device trees (DTSpec 5), version 17: the form in which a tree is handed to a
// kernel entered without Open Firmware. Leaves out version 16 and older, and overlays.

import { PowervisorError } from '../util/errors.ts';
import { type DeviceNode, DeviceTree, isPhandle } from './device-tree.ts';
import { cellAt, type PropertyBytes, textOf } from './property.ts';

/** A range of guest real addresses that a kernel must leave alone. */
export interface ReservedRange {
  readonly gra: number;
  readonly lenBytes: number;
}

export interface FlattenOptions {
  readonly reserve: readonly ReservedRange[];
  /** Interrupt server number of the CPU that enters the kernel. */
  readonly bootCpuidPhys: number;
}

export interface ParsedFdt {
  readonly tree: DeviceTree;
  readonly reserve: readonly ReservedRange[];
  readonly bootCpuidPhys: number;
}

const MAGIC = 0xd00dfeed;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const TOKEN = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;

/** Header fields in order, each one cell. */
const HEADER = [
  'magic',
  'totalSize',
  'offsetStructure',
  'offsetStrings',
  'offsetReserve',
  'version',
  'lastCompatibleVersion',
  'bootCpuidPhys',
  'sizeStrings',
  'sizeStructure',
] as const;
type Header = Record<(typeof HEADER)[number], number>;
const HEADER_BYTES = HEADER.length * 4;
const MAX_DEPTH = 64;

/** The tree as one block of bytes. Every node carries its `phandle` property. */
export function flattenTree(tree: DeviceTree, options: FlattenOptions): PropertyBytes {
  const strings = new StringTable();
  const structure = new ByteWriter();
  writeNode(structure, strings, tree.root);
  structure.u32(TOKEN.end);

  const reserve = new ByteWriter();
  for (const { gra, lenBytes } of [...options.reserve, { gra: 0, lenBytes: 0 }]) {
    reserve.u64(gra);
    reserve.u64(lenBytes);
  }

  const offsetReserve = HEADER_BYTES; // 40, a multiple of 8 as the reserve map needs
  const offsetStructure = offsetReserve + reserve.lengthBytes;
  const offsetStrings = offsetStructure + structure.lengthBytes;
  const header: Header = {
    magic: MAGIC,
    totalSize: offsetStrings + strings.writer.lengthBytes,
    offsetStructure,
    offsetStrings,
    offsetReserve,
    version: VERSION,
    lastCompatibleVersion: LAST_COMPATIBLE_VERSION,
    bootCpuidPhys: options.bootCpuidPhys,
    sizeStrings: strings.writer.lengthBytes,
    sizeStructure: structure.lengthBytes,
  };
  const blob = new ByteWriter();
  for (const field of HEADER) blob.u32(header[field]);
  for (const part of [reserve, structure, strings.writer]) blob.bytes(part.finish());
  return blob.finish();
}

function writeNode(out: ByteWriter, strings: StringTable, node: DeviceNode): void {
  out.u32(TOKEN.beginNode);
  out.cString(node.name);
  out.align4();
  for (const [name, value] of node.properties) {
    out.u32(TOKEN.property);
    out.u32(value.length);
    out.u32(strings.offsetOf(name));
    out.bytes(value);
    out.align4();
  }
  for (const child of node.children) writeNode(out, strings, child);
  out.u32(TOKEN.endNode);
}

/**
 * Reads a flattened tree. The nodes keep the phandles of their `phandle` properties.
 * Throws a PowervisorError (`BAD_DEVICE_TREE`) for bytes that are no well-formed tree.
 */
export function parseFdt(blob: Uint8Array): ParsedFdt {
  const header = readHeader(blob);
  const structure = new StructureReader(
    section(blob, header.offsetStructure, header.sizeStructure, 'structure block'),
    section(blob, header.offsetStrings, header.sizeStrings, 'strings block'),
  );
  return { tree: buildTree(structure.read()), reserve: readReserve(blob, header), bootCpuidPhys: header.bootCpuidPhys };
}

function readHeader(blob: Uint8Array): Header {
  if (blob.length < HEADER_BYTES) throw bad(`${blob.length} bytes are too few for a header`);
  const header = Object.fromEntries(HEADER.map((field, index) => [field, cellAt(blob, index)])) as Header;
  if (header.magic !== MAGIC) throw bad(`it starts with 0x${header.magic.toString(16)} instead of 0xd00dfeed`);
  if (header.version < VERSION || header.lastCompatibleVersion > VERSION) {
    throw bad(`version ${header.version} is not readable as version ${VERSION}`);
  }
  if (header.totalSize > blob.length) throw bad(`${blob.length} of ${header.totalSize} bytes are there`);
  return header;
}

function readReserve(blob: Uint8Array, header: Header): ReservedRange[] {
  const ranges: ReservedRange[] = [];
  for (let offset = header.offsetReserve; ; offset += 16) {
    const view = new DataView(section(blob, offset, 16, 'reserve map').slice().buffer);
    const gra = Number(view.getBigUint64(0));
    const lenBytes = Number(view.getBigUint64(8));
    if (gra === 0 && lenBytes === 0) return ranges;
    ranges.push({ gra, lenBytes });
  }
}

function section(blob: Uint8Array, offset: number, lenBytes: number, what: string): Uint8Array {
  if (offset + lenBytes > blob.length) throw bad(`its ${what} ends outside`);
  return blob.subarray(offset, offset + lenBytes);
}

function bad(reason: string): PowervisorError {
  return new PowervisorError('BAD_DEVICE_TREE', `This is no flattened device tree: ${reason}.`);
}

/** What stands in the blob, before phandles are known to be unique. */
interface ParsedNode {
  readonly name: string;
  readonly properties: Map<string, PropertyBytes>;
  readonly children: ParsedNode[];
}

function buildTree(root: ParsedNode): DeviceTree {
  const phandles = new Phandles(root);
  const tree = new DeviceTree(phandles.of(root));
  fillNode(tree.root, root, phandles);
  return tree;
}

function fillNode(node: DeviceNode, parsed: ParsedNode, phandles: Phandles): void {
  for (const [name, value] of parsed.properties) node.set(name, value);
  const names = new Set<string>();
  for (const child of parsed.children) {
    if (child.name === '' || child.name.includes('/') || names.has(child.name)) {
      throw bad(`"${child.name}" cannot be a node of ${node.path}`);
    }
    names.add(child.name);
    fillNode(node.add(child.name, {}, phandles.of(child)), child, phandles);
  }
}

/** The phandles that a blob gives to its nodes, and free ones for the nodes to which it gives none. */
class Phandles {
  private readonly taken = new Set<number>();
  private next = 1;

  constructor(root: ParsedNode) {
    this.collect(root);
  }

  of(node: ParsedNode): number {
    const own = ownPhandle(node);
    if (own !== undefined) return own;
    while (this.taken.has(this.next)) this.next++;
    return this.next++;
  }

  private collect(node: ParsedNode): void {
    const own = ownPhandle(node);
    if (own !== undefined && this.taken.has(own)) throw bad(`phandle ${own} occurs twice`);
    if (own !== undefined) this.taken.add(own);
    for (const child of node.children) this.collect(child);
  }
}

function ownPhandle(node: ParsedNode): number | undefined {
  const bytes = node.properties.get('phandle');
  const value = bytes && cellAt(bytes, 0);
  return isPhandle(value) ? value : undefined;
}

class StructureReader {
  private readonly structure: Uint8Array;
  private readonly strings: Uint8Array;
  private at = 0;

  constructor(structure: Uint8Array, strings: Uint8Array) {
    this.structure = structure;
    this.strings = strings;
  }

  read(): ParsedNode {
    if (this.token() !== TOKEN.beginNode) throw bad('no node stands first');
    const root = this.node(0);
    if (this.token() !== TOKEN.end) throw bad('its root is followed by something else than the end');
    return root;
  }

  /** A node from behind its begin token to its end token. */
  private node(depth: number): ParsedNode {
    if (depth > MAX_DEPTH) throw bad(`nodes are nested deeper than ${MAX_DEPTH}`);
    const node: ParsedNode = { name: this.nodeName(), properties: new Map(), children: [] };
    for (;;) {
      const token = this.token();
      if (token === TOKEN.endNode) return node;
      if (token === TOKEN.property) {
        const [name, value] = this.property();
        node.properties.set(name, value);
      } else if (token === TOKEN.beginNode) {
        node.children.push(this.node(depth + 1));
      } else {
        throw bad(`it has a token ${token} inside a node`);
      }
    }
  }

  private property(): [string, PropertyBytes] {
    const lenBytes = this.u32();
    const nameOffset = this.u32();
    if (this.at + lenBytes > this.structure.length) throw bad('a property ends outside');
    const value = this.structure.slice(this.at, this.at + lenBytes) as PropertyBytes;
    this.at = (this.at + lenBytes + 3) & ~3;
    if (nameOffset >= this.strings.length) throw bad('a property name lies outside');
    return [textOf(this.strings.subarray(nameOffset)), value];
  }

  private token(): number {
    for (;;) {
      const token = this.u32();
      if (token !== TOKEN.nop) return token;
    }
  }

  private u32(): number {
    const value = cellAt(this.structure.subarray(this.at), 0);
    if (value === undefined) throw bad('its structure block ends early');
    this.at += 4;
    return value;
  }

  private nodeName(): string {
    const end = this.structure.indexOf(0, this.at);
    if (end < 0) throw bad('a node name has no end');
    const value = textOf(this.structure.subarray(this.at, end));
    this.at = (end + 4) & ~3;
    return value;
  }
}

/** Property names, each stored once. */
class StringTable {
  readonly writer = new ByteWriter();
  private readonly offsets = new Map<string, number>();

  offsetOf(name: string): number {
    let offset = this.offsets.get(name);
    if (offset === undefined) {
      offset = this.writer.lengthBytes;
      this.offsets.set(name, offset);
      this.writer.cString(name);
    }
    return offset;
  }
}

/** Appends big-endian values to a growing buffer. */
class ByteWriter {
  lengthBytes = 0;
  private buffer = new Uint8Array(4096);

  u32(value: number): void {
    this.bytes([value >>> 24, value >>> 16, value >>> 8, value]);
  }

  u64(value: number): void {
    this.u32(Math.floor(value / 2 ** 32));
    this.u32(value % 2 ** 32);
  }

  cString(value: string): void {
    this.bytes(new TextEncoder().encode(value));
    this.bytes([0]);
  }

  bytes(source: ArrayLike<number>): void {
    this.reserve(source.length);
    this.buffer.set(source, this.lengthBytes);
    this.lengthBytes += source.length;
  }

  align4(): void {
    while (this.lengthBytes % 4 !== 0) this.bytes([0]);
  }

  finish(): PropertyBytes {
    return this.buffer.slice(0, this.lengthBytes) as PropertyBytes;
  }

  private reserve(more: number): void {
    if (this.lengthBytes + more <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.lengthBytes + more));
    larger.set(this.buffer);
    this.buffer = larger;
  }
}
