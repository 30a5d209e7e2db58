// The few globals beyond the language library that the portable core may use (style: core names no host).
// Node and browser builds take these from their own type libraries instead of this file.

declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean });
  decode(input?: Uint8Array): string;
}
/** Decodes Base64 into a string of one character a byte. */
declare function atob(text: string): string;
