// Reads what the ultravisor wants to know from the flattened device tree that the guest hands to UV_ESM (Devicetree
// Specification 5): properties of nodes right below the root. The bytes come from an untrusted party: every offset is
// checked, and a tree that is not right is undefined.

const MAGIC = 0xd00dfeed;
const HEADER_BYTES = 40;
const MAX_TREE_BYTES = 2 * 1024 * 1024;
/** Nodes of which there is one. */
const SINGLE = ['chosen', 'rtas'];
const TOKEN = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;

export interface FdtSummary {
  readonly bootCpu: number;
  /** By node name without unit address, then by property. */
  readonly nodes: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;
}

/** Total size in bytes of the tree that starts with `header` (40 bytes), or undefined if none does. */
export function fdtBytes(header: Uint8Array): number | undefined {
  if (header.length < HEADER_BYTES) return undefined;
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const total = view.getUint32(4);
  return view.getUint32(0) === MAGIC && total >= HEADER_BYTES && total <= MAX_TREE_BYTES ? total : undefined;
}

/**
 * Size of the pages of the Linux whose prom_init made the tree with this header: it starts the structure block, and ends
 * the tree, on a page of its own kernel. Undefined if another program made the tree, which packs it.
 */
export function pageBytesOfMaker(header: Uint8Array): 0x10000 | 0x1000 | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [total, structure] = [view.getUint32(4), view.getUint32(8)];
  return ([0x10000, 0x1000] as const).find((size) => structure > 0 && total % size === 0 && structure % size === 0);
}

export function readFdt(blob: Uint8Array): FdtSummary | undefined {
  const total = fdtBytes(blob);
  if (total === undefined || total > blob.length) return undefined;
  const view = new DataView(blob.buffer, blob.byteOffset, total);
  const structure = view.getUint32(8);
  const strings = view.getUint32(12);
  const structureEnd = view.getUint32(20) >= 17 ? structure + view.getUint32(36) : total;
  if (structure % 4 !== 0 || structureEnd > total || strings > total) return undefined;

  const text = (at: number, end: number): string | undefined => {
    for (let i = at; i < end; i++) {
      if (blob[i] === 0) return String.fromCharCode(...blob.subarray(at, i));
      if (i - at > 255) return undefined;
    }
    return undefined;
  };
  const nodes = new Map<string, Map<string, Uint8Array>>();
  const names = new Set<string>();
  let depth = 0;
  let current: Map<string, Uint8Array> | undefined;
  let at = structure;
  while (at + 4 <= structureEnd) {
    const token = view.getUint32(at);
    at += 4;
    if (token === TOKEN.beginNode) {
      const name = text(at, structureEnd);
      if (name === undefined) return undefined;
      at = (at + name.length + 4) & ~3;
      depth++;
      current = undefined;
      if (depth === 2) {
        // Two nodes of one name, or properties, could show the ultravisor one thing and the guest another.
        const plainName = name.split('@')[0];
        if (nodes.has(plainName) && (SINGLE.includes(plainName) || names.has(name))) return undefined;
        names.add(name);
        current = new Map();
        nodes.set(plainName, current);
      }
    } else if (token === TOKEN.endNode) {
      if (--depth < 0) return undefined;
      current = undefined;
    } else if (token === TOKEN.property) {
      if (at + 8 > structureEnd) return undefined;
      const lenBytes = view.getUint32(at);
      const nameAt = strings + view.getUint32(at + 4);
      at += 8;
      if (lenBytes > structureEnd - at || nameAt >= total) return undefined;
      const name = text(nameAt, total);
      if (name === undefined) return undefined;
      if (current?.has(name)) return undefined;
      current?.set(name, blob.subarray(at, at + lenBytes));
      at = (at + lenBytes + 3) & ~3;
    } else if (token === TOKEN.end) {
      return depth === 0 ? { bootCpu: view.getUint32(28), nodes } : undefined;
    } else if (token !== TOKEN.nop) return undefined;
  }
  return undefined;
}
