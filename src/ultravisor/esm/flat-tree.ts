// Flattened device trees (Devicetree Specification 5, version 17) as a container format: what ESM blobs and the trees nested
// in them are written in. The bytes come from untrusted parties: every offset is checked, numbers of nodes and properties
// are bounded, nothing may occur twice, and a tree that is not right is undefined. Leaves out the reserve map.

export interface FlatNode {
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly nodes: ReadonlyMap<string, FlatNode>;
}

interface OpenNode {
  readonly properties: Map<string, Uint8Array>;
  readonly nodes: Map<string, OpenNode>;
}

const MAGIC = 0xd00dfeed;
const HEADER_BYTES = 40;
/** Behind the header: the end of the empty reserve map. */
const RESERVE_BYTES = 16;
const VERSION = 17;
const COMPATIBLE = 16;
const TOKEN = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;

const MAX_DEPTH = 8;
const MAX_ITEMS = 4096;
const MAX_NAME_BYTES = 255;

/** Bytes of the tree that starts with `bytes`, by its header; undefined if none does. */
export function flatTreeBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  return view.getUint32(0) === MAGIC && view.getUint32(4) >= HEADER_BYTES ? view.getUint32(4) : undefined;
}

/** The root. Property values are parts of `bytes`, not copies. */
export function readFlatTree(bytes: Uint8Array): FlatNode | undefined {
  const total = flatTreeBytes(bytes);
  if (total === undefined || total > bytes.length) return undefined;
  return new Reader(bytes.subarray(0, total)).read();
}

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at: number;
  private readonly end: number;
  private readonly strings: number;
  private readonly stringsEnd: number;
  private items = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    const field = (n: number) => this.view.getUint32(4 * n);
    this.at = field(2);
    this.end = this.at + field(9);
    this.strings = field(3);
    this.stringsEnd = this.strings + field(8);
  }

  read(): FlatNode | undefined {
    const { view, bytes } = this;
    const readable = view.getUint32(20) >= VERSION && view.getUint32(24) <= VERSION;
    if (!readable || this.at % 4 !== 0 || this.end > bytes.length || this.stringsEnd > bytes.length) return undefined;
    if (this.token() !== TOKEN.beginNode || this.text(this.end) !== '') return undefined;
    this.align();
    const root: OpenNode = emptyNode();
    const path = [root];
    for (;;) {
      const node = path[path.length - 1];
      const token = this.token();
      if (token === TOKEN.endNode) {
        path.pop();
        if (path.length === 0) return this.token() === TOKEN.end ? root : undefined;
      } else if (token === TOKEN.beginNode) {
        const name = this.text(this.end);
        if (!name || path.length >= MAX_DEPTH || node.nodes.has(name) || ++this.items > MAX_ITEMS) return undefined;
        this.align();
        const child = emptyNode();
        node.nodes.set(name, child);
        path.push(child);
      } else if (token === TOKEN.property) {
        if (!this.property(node)) return undefined;
      } else return undefined;
    }
  }

  private property(node: OpenNode): boolean {
    const lenBytes = this.word();
    const offset = this.word();
    if (lenBytes === undefined || offset === undefined || lenBytes > this.end - this.at) return false;
    const value = this.bytes.subarray(this.at, this.at + lenBytes);
    this.at += lenBytes;
    this.align();
    const structureAt = this.at;
    this.at = this.strings + offset;
    const name = this.text(this.stringsEnd);
    this.at = structureAt;
    // A property stands before the nodes of its node, and once.
    if (!name || node.properties.has(name) || node.nodes.size > 0 || ++this.items > MAX_ITEMS) return false;
    node.properties.set(name, value);
    return true;
  }

  private token(): number | undefined {
    for (;;) {
      const token = this.word();
      if (token !== TOKEN.nop) return token;
    }
  }

  private word(): number | undefined {
    if (this.at + 4 > this.end) return undefined;
    this.at += 4;
    return this.view.getUint32(this.at - 4);
  }

  /** Printable ASCII up to a NUL before `end`; stands behind the NUL then. */
  private text(end: number): string | undefined {
    const start = this.at;
    for (let i = start; i < end && i - start <= MAX_NAME_BYTES; i++) {
      const byte = this.bytes[i];
      if (byte === 0) {
        this.at = i + 1;
        return String.fromCharCode(...this.bytes.subarray(start, i));
      }
      if (byte < 0x21 || byte > 0x7e) return undefined;
    }
    return undefined;
  }

  private align(): void {
    this.at = (this.at + 3) & ~3;
  }
}

/** A node from plain objects: bytes are properties, texts are properties with a NUL behind them, others are nodes. */
export interface FlatSource {
  readonly [name: string]: Uint8Array | string | FlatSource;
}

/** The tree as bytes, a multiple of 4. */
export function writeFlatTree(root: FlatSource): Uint8Array<ArrayBuffer> {
  const structure = new Writer();
  const strings = new Writer();
  const names = new Map<string, number>();
  const nameOffset = (name: string) => {
    let offset = names.get(name);
    if (offset === undefined) {
      offset = strings.length;
      names.set(name, offset);
      strings.bytes(terminated(name));
    }
    return offset;
  };
  const node = (name: string, source: FlatSource) => {
    structure.word(TOKEN.beginNode);
    structure.bytes(terminated(name));
    structure.align();
    for (const [key, value] of Object.entries(source)) {
      if (!isProperty(value)) continue;
      const bytes = typeof value === 'string' ? terminated(value) : value;
      structure.word(TOKEN.property);
      structure.word(bytes.length);
      structure.word(nameOffset(key));
      structure.bytes(bytes);
      structure.align();
    }
    for (const [key, value] of Object.entries(source)) if (!isProperty(value)) node(key, value);
    structure.word(TOKEN.endNode);
  };
  node('', root);
  structure.word(TOKEN.end);
  const stringsBytes = strings.length;
  strings.align();
  const structureAt = HEADER_BYTES + RESERVE_BYTES;
  const stringsAt = structureAt + structure.length;
  const total = stringsAt + strings.length;
  const out = new Writer();
  const header = [MAGIC, total, structureAt, stringsAt, HEADER_BYTES, VERSION, COMPATIBLE, 0];
  for (const word of [...header, stringsBytes, structure.length, 0, 0, 0, 0]) out.word(word);
  out.bytes(structure.finish());
  out.bytes(strings.finish());
  return out.finish();
}

/** The source that would write the node. */
export function flatSource(node: FlatNode): FlatSource {
  const nodes = [...node.nodes].map(([name, child]) => [name, flatSource(child)] as const);
  return Object.fromEntries<Uint8Array | FlatSource>([...node.properties, ...nodes]);
}

/** A property as text, without its NUL. Undefined if it is none. */
export function flatText(node: FlatNode | undefined, name: string): string | undefined {
  const bytes = node?.properties.get(name);
  if (!bytes || bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1) return undefined;
  return new TextDecoder('utf-8').decode(bytes.subarray(0, -1));
}

function isProperty(value: Uint8Array | string | FlatSource): value is Uint8Array | string {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function emptyNode(): OpenNode {
  return { properties: new Map(), nodes: new Map() };
}

function terminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

class Writer {
  length = 0;
  private buffer = new Uint8Array(1024);

  word(value: number): void {
    this.bytes([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
  }

  bytes(source: ArrayLike<number>): void {
    const needed = this.length + source.length;
    if (needed > this.buffer.length) {
      const larger = new Uint8Array(Math.max(2 * this.buffer.length, needed));
      larger.set(this.buffer);
      this.buffer = larger;
    }
    this.buffer.set(source, this.length);
    this.length = needed;
  }

  align(): void {
    while (this.length % 4 !== 0) this.bytes([0]);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.length);
  }
}
