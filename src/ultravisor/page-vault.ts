// The encryption of secure pages that leave secure memory: AES-128-GCM, as an ultravisor on hardware does it. The key, and
// for each page that is out its tag and the counter its nonce was made from, stay here; so whatever the hypervisor brings
// instead of the latest contents of that very page does not open, and what it was can mostly be told.
//
// Cryptography is the host's (docs/adr/0009-paging-crypto.md).

import {
  PAGE_KEY_BYTES,
  PAGE_NONCE_BYTES,
  PAGE_TAG_BYTES,
  type PageCipher,
  type PageCipherFactory,
} from '../backends/page-cipher.ts';

/**
 * What the hypervisor did to a page that was out. `changed`: the contents are none that ever left. `swapped`: they are those
 * of another page. `replayed`: they are older ones of this page. `dropped`: it does not bring them back. `refused`: it did
 * not take them when there was no room.
 */
export type TamperingKind = 'changed' | 'swapped' | 'replayed' | 'dropped' | 'refused';

export type Opened =
  | { readonly ok: true; readonly contents: Uint8Array }
  | { readonly ok: false; readonly kind: TamperingKind; readonly detail: string };

/** Page-outs that are remembered after the page has come back, to tell a replay from other damage. */
const MAX_REMEMBERED = 16384;

interface Sealed {
  readonly page: number;
  readonly counter: bigint;
  readonly tag: Uint8Array;
}

export class PageVault {
  private readonly cipher: PageCipher;
  private readonly noncePrefix: number;
  private counter = 0n;
  private readonly out = new Map<number, Sealed>();
  /** By the first bytes of the ciphertext, which no two page-outs share; oldest first. */
  private readonly known = new Map<string, Sealed>();

  /** `random` gives 64 bits. */
  constructor(cipherFor: PageCipherFactory, random: () => bigint) {
    const key = new DataView(new ArrayBuffer(PAGE_KEY_BYTES));
    for (let at = 0; at < PAGE_KEY_BYTES; at += 8) key.setBigUint64(at, random());
    this.cipher = cipherFor(new Uint8Array(key.buffer));
    this.noncePrefix = Number(random() & 0xffff_ffffn);
  }

  /** Encrypts the contents of `page`, of which there is one latest page-out at any time. */
  seal(page: number, contents: Uint8Array): Uint8Array {
    const counter = ++this.counter;
    const encrypted = this.cipher.encrypt(this.nonce(counter), contents);
    const sealed = { page, counter, tag: encrypted.slice(-PAGE_TAG_BYTES) };
    const ciphertext = encrypted.subarray(0, -PAGE_TAG_BYTES);
    this.out.set(page, sealed);
    this.known.set(fingerprint(ciphertext), sealed);
    if (this.known.size > MAX_REMEMBERED) this.known.delete(this.known.keys().next().value!);
    return ciphertext;
  }

  /** Decrypts what is said to be the contents of `page`, which is out. It stays out until `forget`. */
  open(page: number, ciphertext: Uint8Array): Opened {
    const sealed = this.out.get(page);
    const contents = sealed && this.decrypt(sealed, ciphertext);
    return contents ? { ok: true, contents } : this.explain(page, ciphertext);
  }

  /** The page is not out any more, or its contents are not wanted back. */
  forget(page: number): void {
    this.out.delete(page);
  }

  private explain(page: number, ciphertext: Uint8Array): Opened {
    const known = this.known.get(fingerprint(ciphertext));
    if (!known || !this.decrypt(known, ciphertext)) {
      return { ok: false, kind: 'changed', detail: 'the contents are none that were paged out' };
    }
    const nth = `page-out number ${known.counter}`;
    return known.page === page
      ? { ok: false, kind: 'replayed', detail: `the contents are older ones of the page, of ${nth}` }
      : { ok: false, kind: 'swapped', detail: `the contents are those of page ${known.page}, of ${nth}` };
  }

  private decrypt({ counter, tag }: Sealed, ciphertext: Uint8Array): Uint8Array | undefined {
    const encrypted = new Uint8Array(ciphertext.length + PAGE_TAG_BYTES);
    encrypted.set(ciphertext);
    encrypted.set(tag, ciphertext.length);
    return this.cipher.decrypt(this.nonce(counter), encrypted);
  }

  private nonce(counter: bigint): Uint8Array {
    const nonce = new DataView(new ArrayBuffer(PAGE_NONCE_BYTES));
    nonce.setUint32(0, this.noncePrefix);
    nonce.setBigUint64(4, counter);
    return new Uint8Array(nonce.buffer);
  }
}

function fingerprint(ciphertext: Uint8Array): string {
  return String.fromCharCode(...ciphertext.subarray(0, 16));
}
