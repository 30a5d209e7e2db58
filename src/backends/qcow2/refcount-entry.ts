// Entries of refcount blocks: 2^order bits wide, big-endian; narrower ones fill a byte from its low end
// (QEMU docs/interop/qcow2.txt, "Host cluster management").

/** The reference count at `index`. Counts above 2^53 lose their low bits; they are only compared with small numbers. */
export function getRefcount(view: DataView, index: number, order: number): number {
  switch (order) {
    case 3:
      return view.getUint8(index);
    case 4:
      return view.getUint16(index * 2);
    case 5:
      return view.getUint32(index * 4);
    case 6:
      return view.getUint32(index * 8) * 2 ** 32 + view.getUint32(index * 8 + 4);
    default: {
      const bit = index << order;
      return (view.getUint8(bit >> 3) >> (bit & 7)) & ((1 << (1 << order)) - 1);
    }
  }
}

/** `value` fits the width. */
export function setRefcount(view: DataView, index: number, order: number, value: number): void {
  switch (order) {
    case 3:
      view.setUint8(index, value);
      break;
    case 4:
      view.setUint16(index * 2, value);
      break;
    case 5:
      view.setUint32(index * 4, value);
      break;
    case 6:
      view.setUint32(index * 8, Math.floor(value / 2 ** 32));
      view.setUint32(index * 8 + 4, value >>> 0);
      break;
    default: {
      const bit = index << order;
      const mask = ((1 << (1 << order)) - 1) << (bit & 7);
      view.setUint8(bit >> 3, (view.getUint8(bit >> 3) & ~mask) | (value << (bit & 7)));
    }
  }
}

/** The byte the entry starts in. */
export function refcountByte(index: number, order: number): number {
  return order >= 3 ? index << (order - 3) : (index << order) >> 3;
}

/** The largest count the width can hold (2^53 for the widest). */
export function maxRefcount(order: number): number {
  return order === 6 ? 2 ** 53 : 2 ** (1 << order) - 1;
}
