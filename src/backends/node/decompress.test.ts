import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decompress, decompressChunks, detectCompression } from './decompress.ts';

// "powervisor\n" 2,000 times, as xz and zstd write it.
const text = Buffer.from('powervisor\n'.repeat(2000));
const packed = {
  gzip: gzipSync(text),
  xz: Buffer.from(
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4FXvAEhdADgby1TjUJG4xE/3MRlek+DF2vHbGIKoOgnSgC7DXDg8TlC2YbMIpe1+DsuSxXU0fW8fd4s/I4ighSUy6Gi3Vx+M+zg7WC4AAACnoPyl+0vNZwABZPCrAQAA/z2sg7HEZ/sCAAAAAARZWg==',
    'base64',
  ),
  zstd: Buffer.from('KLUv/QRYnQAAWHBvd2Vydmlzb3IKAQDilffiBT01bVU=', 'base64'),
};

describe.each(Object.entries(packed))('%s', (name, bytes) => {
  it('is told by its first bytes and unpacked', async () => {
    expect(detectCompression(bytes)).toBe(name);
    expect(Buffer.from(await decompress(bytes, 'the text', 1 << 20))).toEqual(text);
  });

  it('says so when it is cut short', async () => {
    const cut = bytes.subarray(0, bytes.length - 12);
    await expect(decompress(cut, 'the text', 1 << 20)).rejects.toThrow(`the text is not readable as ${name} data`);
  });

  it('stops at the limit', async () => {
    await expect(decompress(bytes, 'the text', 1000)).rejects.toThrow('unpacks to more than 1000 bytes');
  });

  it('can be left early, again and again', async () => {
    for (let round = 0; round < 3; round++) {
      for await (const chunk of decompressChunks(bytes, 'the text')) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
    }
  });
});

it('leaves what it does not know as it is', async () => {
  const plain = Buffer.from('\x7fELF and so on');
  expect(await decompress(plain, 'the text', 4)).toBe(plain);
});
