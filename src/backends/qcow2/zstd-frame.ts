// The extent of a Zstandard frame (RFC 8878, 3.1.1), without unpacking it: a compressed cluster is followed by whatever
// comes next in the file, which decompressors take for a further frame.

const magic = 0xfd2fb528;
/** The window a decoder has to offer for clusters of at most 2 MiB, with room to spare. */
const mostWindowBytes = 8 << 20;

/**
 * The ends of the pieces of the frame at the start of `bytes`: its header, then each block. The last includes the
 * checksum. A block unpacks to 128 KiB at most. Throws an Error with a reason if this is no whole frame or its window
 * is larger than a cluster needs.
 */
export function zstdPieces(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (end: number) => {
    if (end > bytes.length) throw new Error('the Zstandard frame is cut off');
  };
  need(6);
  if (view.getUint32(0, true) !== magic) throw new Error('this is no Zstandard frame');
  const descriptor = view.getUint8(4);
  if ((descriptor & 8) !== 0) throw new Error('the Zstandard frame has a reserved bit set');
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
  if (dictionaryBytes !== 0) throw new Error('the Zstandard frame wants a dictionary');
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 2 ** sizeFlag;
  let at = 5;
  if (!single) {
    const window = view.getUint8(at++);
    const base = 2 ** (10 + (window >> 3));
    if (base + (base / 8) * (window & 7) > mostWindowBytes) throw new Error('the Zstandard window is too large');
  }
  need(at + sizeBytes);
  if (single && contentSize(view, at, sizeBytes) > mostWindowBytes) throw new Error('the Zstandard frame is too large');
  at += sizeBytes;

  const ends = [at];
  for (let last = false; !last; ) {
    need(at + 3);
    const header = view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getUint8(at + 2) << 16);
    last = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    if (type === 3) throw new Error('the Zstandard frame has a block of a reserved type');
    at += 3 + (type === 1 ? 1 : header >> 3);
    if (last && (descriptor & 4) !== 0) at += 4;
    need(at);
    ends.push(at);
  }
  return ends;
}

function contentSize(view: DataView, at: number, lenBytes: number): number {
  if (lenBytes === 1) return view.getUint8(at);
  if (lenBytes === 2) return view.getUint16(at, true) + 256;
  if (lenBytes === 4) return view.getUint32(at, true);
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
