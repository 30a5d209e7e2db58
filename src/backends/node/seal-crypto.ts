// The cryptography of sealed images by Node.

import { webcrypto } from 'node:crypto';
import { createSealCrypto, type SealCrypto, type WebCryptoLike } from '../seal-crypto.ts';

/** The API's own types name every algorithm; what is used of it is the same. */
export const nodeSealCrypto: SealCrypto = createSealCrypto(webcrypto as unknown as WebCryptoLike);
