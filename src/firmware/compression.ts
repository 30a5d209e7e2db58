// Compressed kernels by their first bytes. The core has no decompressors: whoever runs it hands one in.

export type CompressionFormat = 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'lz4' | 'lzma' | 'lzop';

/** Unpacks a file. Rejects with a reason if it lacks the format or the data is damaged. */
export type Decompress = (format: CompressionFormat, bytes: Uint8Array) => Promise<Uint8Array>;

const MAGIC: readonly (readonly [CompressionFormat, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]], // the legacy frame that Linux builds use
  ['lzma', [0x5d, 0x00, 0x00]], // the default properties and a dictionary of at least 64 KiB
  ['lzop', [0x89, 0x4c, 0x5a, 0x4f]],
];

/** The format that `bytes` starts like, or undefined. */
export function compressionOf(bytes: Uint8Array): CompressionFormat | undefined {
  return MAGIC.find(([, magic]) => magic.every((byte, index) => bytes[index] === byte))?.[0];
}
