// Sealed images for tests: keys, blobs and initrds made with the same code as `powervisor seal`.

import { nodeSealCrypto } from '../../src/backends/node/seal-crypto.ts';
import type { SealPrivateKey } from '../../src/backends/seal-crypto.ts';
import { digestsOf } from '../../src/cli/sealed-file.ts';
import { blobArchive } from '../../src/ultravisor/esm/cpio.ts';
import { createBlob } from '../../src/ultravisor/esm/seal.ts';

export interface TestKey {
  readonly pem: string;
  readonly key: SealPrivateKey;
}

export async function makeKey(): Promise<TestKey> {
  const { privatePem } = await nodeSealCrypto.generateKey();
  return { pem: privatePem, key: await nodeSealCrypto.privateKey(privatePem, 'a key of the test') };
}

export interface ImageRecipe {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly append: string;
  readonly origin: TestKey;
  readonly machines: readonly TestKey[];
  readonly files?: Readonly<Record<string, string>>;
}

export async function sealImage({ kernel, initrd, append, origin, machines, files = {} }: ImageRecipe) {
  return createBlob(nodeSealCrypto, {
    origin: { key: origin.key.publicKey, comment: 'owner' },
    recipients: machines.map(({ key }, i) => ({ key: key.publicKey, comment: `machine ${i + 1}` })),
    digests: await digestsOf({ kernel, kernelName: 'the kernel', initrd, append }),
    files: Object.entries(files).map(([name, text]) => ({ name, comment: '', content: Buffer.from(text) })),
  });
}

/** The initrd with the blob in front. */
export function withBlob(initrd: Uint8Array, blob: Uint8Array): Uint8Array {
  return Buffer.concat([blobArchive(blob), initrd]);
}

/** A copy with one bit changed. */
export function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] ^= 1;
  return copy;
}
