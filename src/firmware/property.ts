// Property values of a device tree as bytes (IEEE 1275 3.2.2.1, DTSpec 2.2.4): everything is
// big-endian, 32-bit cells or NUL-terminated strings.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export type PropertyBytes = Uint8Array<ArrayBuffer>;

/** 32-bit cells. Each value is taken modulo 2^32, so -1 gives 0xffffffff. */
export function cells(...values: readonly number[]): PropertyBytes {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setUint32(index * 4, value);
  });
  return bytes;
}

/** 64-bit values as pairs of cells, high cell first. Each is an exact integer from 0 to 2^53 - 1. */
export function cells64(...values: readonly number[]): PropertyBytes {
  return cells(...values.flatMap((value) => [Math.floor(value / 2 ** 32), value % 2 ** 32]));
}

/** A NUL-terminated string. */
export function text(value: string): PropertyBytes {
  return encoder.encode(`${value}\0`);
}

/** Strings one after the other, each with its NUL. */
export function textList(values: readonly string[]): PropertyBytes {
  return encoder.encode(values.map((value) => `${value}\0`).join(''));
}

/** A property whose presence is its meaning. */
export function empty(): PropertyBytes {
  return new Uint8Array(0);
}

/** Cell `index` of a value, or undefined if the value is shorter. */
export function cellAt(value: Uint8Array, index: number): number | undefined {
  if (value.length < (index + 1) * 4) return undefined;
  return new DataView(value.buffer, value.byteOffset).getUint32(index * 4);
}

/** All whole cells of a value. */
export function cellsOf(value: Uint8Array): number[] {
  return Array.from({ length: Math.floor(value.length / 4) }, (_, index) => cellAt(value, index)!);
}

/** The value up to its first NUL, as text. */
export function textOf(value: Uint8Array): string {
  const end = value.indexOf(0);
  return decoder.decode(end < 0 ? value : value.subarray(0, end));
}

/** The strings of a list; a missing last NUL is forgiven. */
export function textListOf(value: Uint8Array): string[] {
  const all = decoder.decode(value);
  return (all.endsWith('\0') ? all.slice(0, -1) : all).split('\0');
}
