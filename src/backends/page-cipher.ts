// The encryption of secure pages that leave secure memory, as the ultravisor needs it: AES-128-GCM (NIST SP 800-38D),
// synchronous, because a guest waits for it in the middle of an instruction.

/** With one key. */
export interface PageCipher {
  /** Ciphertext as long as the contents, and behind it the tag of 16 bytes. `nonce` has 12 bytes and is used once. */
  encrypt(nonce: Uint8Array, contents: Uint8Array): Uint8Array;
  /** Undefined unless `sealed` is what `encrypt` gave for this nonce. */
  decrypt(nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

export const PAGE_KEY_BYTES = 16;
export const PAGE_NONCE_BYTES = 12;
export const PAGE_TAG_BYTES = 16;

/** `key` has PAGE_KEY_BYTES bytes. */
export type PageCipherFactory = (key: Uint8Array) => PageCipher;
