// A client of 9P2000.L for tests, written apart from the server: puts requests together, takes answers apart.

const ERRNO_NAMES: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  5: 'EIO',
  6: 'ENXIO',
  9: 'EBADF',
  12: 'ENOMEM',
  13: 'EACCES',
  16: 'EBUSY',
  17: 'EEXIST',
  20: 'ENOTDIR',
  21: 'EISDIR',
  22: 'EINVAL',
  23: 'ENFILE',
  24: 'EMFILE',
  27: 'EFBIG',
  28: 'ENOSPC',
  30: 'EROFS',
  36: 'ENAMETOOLONG',
  39: 'ENOTEMPTY',
  40: 'ELOOP',
  75: 'EOVERFLOW',
  95: 'EOPNOTSUPP',
  116: 'ESTALE',
};

type Field = readonly ['u8' | 'u16' | 'u32' | 'u64', number | bigint] | string | Uint8Array;

/** The name of an errno that the server answered with. */
export class NinePError extends Error {}

export function nineMessage(type: number, tag: number, ...fields: Field[]): Uint8Array {
  const bytes: number[] = [0, 0, 0, 0, type, tag & 0xff, tag >> 8];
  const number = (value: bigint, count: number) => {
    for (let n = 0; n < count; n++) bytes.push(Number((value >> BigInt(8 * n)) & 0xffn));
  };
  for (const field of fields) {
    if (typeof field === 'string') {
      const text = Buffer.from(field, 'utf8');
      number(BigInt(text.length), 2);
      bytes.push(...text);
    } else if (field instanceof Uint8Array) for (const byte of field) bytes.push(byte);
    else number(BigInt.asUintN(64, BigInt(field[1])), { u8: 1, u16: 2, u32: 4, u64: 8 }[field[0]]);
  }
  const message = Uint8Array.from(bytes);
  new DataView(message.buffer).setUint32(0, message.length, true);
  return message;
}

export interface NineStat {
  readonly mode: number;
  readonly uid: number;
  readonly links: bigint;
  readonly size: bigint;
  readonly mtime: bigint;
  readonly inode: bigint;
  readonly qidType: number;
}

export class NinePClient {
  readonly send: (message: Uint8Array) => Promise<Uint8Array>;
  private nextFid = 1;
  private nextTag = 0;

  constructor(send: (message: Uint8Array) => Promise<Uint8Array>) {
    this.send = send;
  }

  newFid(): number {
    return this.nextFid++;
  }

  /** The body of the answer. Throws NinePError. */
  async call(type: number, ...fields: Field[]): Promise<DataView> {
    this.nextTag = (this.nextTag + 1) % 0xff00;
    const tag = type === 100 ? 0xffff : this.nextTag;
    const answer = await this.send(nineMessage(type, tag, ...fields));
    const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
    if (view.getUint32(0, true) !== answer.length) throw new Error('an answer of another size than it says');
    if (view.getUint16(5, true) !== tag) throw new Error('an answer with another tag');
    if (view.getUint8(4) === 7) {
      const number = view.getUint32(7, true);
      throw new NinePError(ERRNO_NAMES[number] ?? String(number));
    }
    if (view.getUint8(4) !== type + 1) throw new Error(`an answer of type ${view.getUint8(4)} to ${type}`);
    return new DataView(answer.buffer, answer.byteOffset + 7, answer.length - 7);
  }

  async start(msize = 65536): Promise<number> {
    await this.call(100, ['u32', msize], '9P2000.L');
    const fid = this.newFid();
    await this.call(104, ['u32', fid], ['u32', 0xffffffff], 'root', '', ['u32', 0]);
    return fid;
  }

  async walk(from: number, ...names: string[]): Promise<number> {
    const fid = this.newFid();
    const body = await this.call(110, ['u32', from], ['u32', fid], ['u16', names.length], ...names);
    if (body.getUint16(0, true) !== names.length) throw new NinePError('ENOENT');
    return fid;
  }

  async open(fid: number, flags = 0): Promise<void> {
    await this.call(12, ['u32', fid], ['u32', flags]);
  }

  async create(directory: number, name: string, mode = 0o644, flags = 2): Promise<number> {
    const fid = await this.walk(directory);
    await this.call(14, ['u32', fid], name, ['u32', flags | 0o100], ['u32', mode], ['u32', 0]);
    return fid;
  }

  async read(fid: number, offset = 0, count = 8192): Promise<Uint8Array> {
    const body = await this.call(116, ['u32', fid], ['u64', offset], ['u32', count]);
    const length = body.getUint32(0, true);
    return new Uint8Array(body.buffer, body.byteOffset + 4, length);
  }

  async write(fid: number, data: Uint8Array | string, offset = 0): Promise<number> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const body = await this.call(118, ['u32', fid], ['u64', offset], ['u32', bytes.length], new Uint8Array(bytes));
    return body.getUint32(0, true);
  }

  async text(from: number, ...names: string[]): Promise<string> {
    const fid = await this.walk(from, ...names);
    try {
      await this.open(fid);
      return Buffer.from(await this.read(fid)).toString();
    } finally {
      await this.clunk(fid);
    }
  }

  async stat(fid: number): Promise<NineStat> {
    const body = await this.call(24, ['u32', fid], ['u64', 0x7ff]);
    return {
      qidType: body.getUint8(8),
      inode: body.getBigUint64(13, true),
      mode: body.getUint32(21, true),
      uid: body.getUint32(25, true),
      links: body.getBigUint64(33, true),
      size: body.getBigUint64(49, true),
      mtime: body.getBigUint64(89, true),
    };
  }

  async names(fid: number, count = 8192): Promise<string[]> {
    const names: string[] = [];
    for (let offset = 0n; ; ) {
      const body = await this.call(40, ['u32', fid], ['u64', offset], ['u32', count]);
      const end = 4 + body.getUint32(0, true);
      if (end === 4) return names;
      for (let at = 4; at < end; ) {
        offset = body.getBigUint64(at + 13, true);
        const length = body.getUint16(at + 22, true);
        names.push(Buffer.from(body.buffer, body.byteOffset + at + 24, length).toString());
        at += 24 + length;
      }
    }
  }

  async readLink(fid: number): Promise<string> {
    const body = await this.call(22, ['u32', fid]);
    return Buffer.from(body.buffer, body.byteOffset + 2, body.getUint16(0, true)).toString();
  }

  async clunk(fid: number): Promise<void> {
    await this.call(120, ['u32', fid]);
  }
}
