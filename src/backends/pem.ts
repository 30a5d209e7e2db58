// PEM files (RFC 7468) around DER, and the older PKCS#1 forms of RSA keys put into the forms that the Web Cryptography API
// reads: PKCS#8 (RFC 5208) and SubjectPublicKeyInfo (RFC 5280).

type Bytes = Uint8Array<ArrayBuffer>;

export interface PemBlock {
  /** As in `-----BEGIN label-----`. */
  readonly label: string;
  readonly bytes: Bytes;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const LINE_CHARACTERS = 64;
/** Keys are a few KiB. */
const MAX_PEM_CHARACTERS = 1 << 16;
/** SEQUENCE { OBJECT IDENTIFIER rsaEncryption 1.2.840.113549.1.1.1, NULL } */
const RSA_ENCRYPTION = [0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];

/** The first block of a PEM file, or undefined if there is none that is well-formed. */
export function decodePem(text: string): PemBlock | undefined {
  if (text.length > MAX_PEM_CHARACTERS) return undefined;
  const match = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([^-]*)-----END \1-----/.exec(text);
  const bytes = match && decodeBase64(match[2].replace(/\s/g, ''));
  return bytes ? { label: match[1], bytes } : undefined;
}

export function encodePem(label: string, bytes: Uint8Array): string {
  const body = encodeBase64(bytes).replace(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g'), '$&\n');
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}

/** RSAPrivateKey inside of a PrivateKeyInfo. */
export function pkcs1ToPkcs8(key: Uint8Array): Bytes {
  return der(0x30, [0x02, 1, 0, ...RSA_ENCRYPTION, ...der(0x04, key)]);
}

/** RSAPublicKey inside of a SubjectPublicKeyInfo. */
export function pkcs1ToSpki(key: Uint8Array): Bytes {
  return der(0x30, [...RSA_ENCRYPTION, ...der(0x03, [0, ...key])]);
}

/** Tag, length, content. */
function der(tag: number, content: ArrayLike<number>): Bytes {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  const out = new Uint8Array(1 + size.length + length);
  out.set([tag, ...size]);
  out.set(content, 1 + size.length);
  return out;
}

function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b = 0, c = 0] = bytes.subarray(i, i + 3);
    const group = (a << 16) | (b << 8) | c;
    const digits = [18, 12, 6, 0].map((shift) => ALPHABET[(group >> shift) & 63]).join('');
    text += digits.slice(0, 1 + Math.min(3, bytes.length - i)).padEnd(4, '=');
  }
  return text;
}

function decodeBase64(text: string): Bytes | undefined {
  const digits = text.replace(/={1,2}$/, '');
  if (text.length % 4 !== 0 || /[^A-Za-z0-9+/]/.test(digits)) return undefined;
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  for (let i = 0, at = 0; i < digits.length; i += 4) {
    const group = [0, 1, 2, 3].reduce((sum, n) => (sum << 6) | ALPHABET.indexOf(digits[i + n] ?? 'A'), 0);
    for (let n = 0; n < 3 && at < bytes.length; n++) bytes[at++] = (group >> (16 - 8 * n)) & 0xff;
  }
  return bytes;
}
