// AES-128-GCM of Node: OpenSSL's, with the instructions of the host's processor.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { PAGE_TAG_BYTES, type PageCipher } from '../page-cipher.ts';

const ALGORITHM = 'aes-128-gcm';

export function nodePageCipher(key: Uint8Array): PageCipher {
  return {
    encrypt: (nonce, contents) => {
      const cipher = createCipheriv(ALGORITHM, key, nonce);
      const sealed = new Uint8Array(contents.length + PAGE_TAG_BYTES);
      sealed.set(cipher.update(contents));
      cipher.final();
      sealed.set(cipher.getAuthTag(), contents.length);
      return sealed;
    },
    decrypt: (nonce, sealed) => {
      const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: PAGE_TAG_BYTES });
      decipher.setAuthTag(sealed.subarray(-PAGE_TAG_BYTES));
      const contents = decipher.update(sealed.subarray(0, -PAGE_TAG_BYTES));
      try {
        decipher.final();
      } catch {
        // Node has no other way to say that the tag is wrong.
        return undefined;
      }
      return new Uint8Array(contents.buffer, contents.byteOffset, contents.length);
    },
  };
}
