// Elements of vector operands as binary64 bits, and back: what the element-by-element way of vector operations is made
// of. Elements are in the book's order.

import type { FunctionBuilder, I32, I64, V128 } from '../../../wasm/ir.ts';
import { element32, element64, fromWords } from '../vector-elements.ts';
import { doubleOfSingle, singleOfDouble } from './format.ts';

/** How the elements of a vector are read as doubles or integers, and how results are put together. */
export interface Lanes {
  readonly read: (v: V128) => I64[];
  readonly write: (fn: FunctionBuilder, elements: readonly I64[]) => V128;
}

const words = (v: V128): I32[] => [0, 1, 2, 3].map((index) => element32(v, index));

/** Two doublewords. */
export const doublewords: Lanes = {
  read: (v) => [element64(v, 0), element64(v, 1)],
  write: (fn, [a, b]) => fn.v128From64(a, b),
};
/** Four singles; as doubles. */
export const singles: Lanes = {
  read: (v) => words(v).map(doubleOfSingle),
  write: (fn, elements) => fromWords(fn, elements.map(singleOfDouble)),
};
/** Two singles, in words 0 and 2; as doubles. Written ones are in words 1 and 3 as well, as POWER9 does it. */
export const evenSingles: Lanes = {
  read: (v) => [0, 2].map((index) => doubleOfSingle(element32(v, index))),
  write: (fn, elements) =>
    fromWords(
      fn,
      elements.map(singleOfDouble).flatMap((word) => [word, word]),
    ),
};
/** Four words as signed integers. */
export const signedWords: Lanes = {
  read: (v) => words(v).map((word) => word.extendS()),
  write: (fn, elements) =>
    fromWords(
      fn,
      elements.map((element) => element.wrap()),
    ),
};
/** Four words as unsigned integers. */
export const unsignedWords: Lanes = {
  read: (v) => words(v).map((word) => word.extendU()),
  write: signedWords.write,
};
/** Words 0 and 2 as signed integers; written ones are in words 1 and 3 as well. */
export const evenSignedWords: Lanes = {
  read: (v) => [0, 2].map((index) => element32(v, index).extendS()),
  write: (fn, elements) =>
    fromWords(
      fn,
      elements.flatMap((element) => [element.wrap(), element.wrap()]),
    ),
};
/** Words 0 and 2 as unsigned integers. */
export const evenUnsignedWords: Lanes = {
  read: (v) => [0, 2].map((index) => element32(v, index).extendU()),
  write: evenSignedWords.write,
};
/** The right halfword of each word, zeros in the left. */
export const halfwords: Lanes = {
  read: (v) => words(v).map((word) => word.and(0xffff).extendU()),
  write: signedWords.write,
};
