// UV_ESMB_GET_FILE: the files of a sealed image, handed to the secure guest in pieces of 64 bytes (UV-API). Each is read
// once, front to back, by the process that began: whoever comes later in the life of the VM does not get it.

import { U_P2, U_PARAMETER, U_PERMISSION } from '../calls.ts';

const PIECE_BYTES = 64;

interface OpenFile {
  readonly content: Uint8Array;
  /** Process ID (PIDR) of the reader, once there is one. */
  reader?: bigint;
  /** Nothing before this offset is given out again. */
  offset: number;
}

export class FileReader {
  private readonly files: ReadonlyMap<string, OpenFile>;

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    this.files = new Map([...files].map(([name, content]) => [name, { content, offset: 0 }]));
  }

  /**
   * The piece at `offset`: its bytes, fewer than 64 at the end of the file and none behind it. A number is the code of a
   * refusal. `name` is padded with NULs.
   */
  read(name: Uint8Array, offset: bigint, reader: bigint): Uint8Array | number {
    const end = name.indexOf(0);
    const text = String.fromCharCode(...(end < 0 ? name : name.subarray(0, end)));
    const file = this.files.get(text);
    if (!file) return U_PARAMETER;
    if (file.reader !== undefined && file.reader !== reader) return U_PERMISSION;
    if (offset < BigInt(file.offset) || offset > BigInt(file.content.length)) return U_P2;
    file.reader = reader;
    file.offset = Number(offset);
    return file.content.subarray(file.offset, file.offset + PIECE_BYTES);
  }
}
