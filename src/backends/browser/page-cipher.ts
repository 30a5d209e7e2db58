// AES-128-GCM of a library: what a browser has itself is asynchronous (docs/adr/0009-paging-crypto.md).

import { gcm } from '@noble/ciphers/aes.js';
import type { PageCipher } from '../page-cipher.ts';

export function browserPageCipher(key: Uint8Array): PageCipher {
  return {
    encrypt: (nonce, contents) => gcm(key, nonce).encrypt(contents),
    decrypt: (nonce, sealed) => {
      try {
        return gcm(key, nonce).decrypt(sealed);
      } catch {
        // The library has no other way to say that the tag is wrong.
        return undefined;
      }
    },
  };
}
