// A server of 9P2000.L, the dialect of Linux's v9fs: requests as bytes in, answers as bytes out. Knows no device and no
// host: files are a ShareBackend's. Protocol: the 9P2000 manual (intro(5) of Plan 9) and the 9P2000.L messages as the
// diod project and Linux's include/net/9p describe them.
//
// Requests are done in the order they come, but for the transfer of data, which goes on beside the requests behind it.
// Refused by name: Tauth, Txattrwalk and Txattrcreate (no extended attributes), Tmknod of anything but a regular file.
// Locks are granted: the share has one client, whose kernel settles them among its processes.

import {
  MODE_TYPE,
  type ShareBackend,
  type ShareChanges,
  ShareError,
  type ShareFile,
  type ShareOpenOptions,
  type SharePath,
  type ShareStat,
} from '../../../backends/share-backend.ts';
import { type NameNode, NameTree } from './names.ts';
import {
  DATA_HEADER_BYTES,
  errorMessage,
  HEADER_BYTES,
  MessageReader,
  MessageWriter,
  NO_TAG,
  parseHeader,
  QID_BYTES,
  T,
} from './wire.ts';

/** Sizes of messages that the server agrees to. */
export const MIN_MESSAGE_BYTES = 4096;
export const MAX_MESSAGE_BYTES = 2 ** 20;
export const MAX_FIDS = 65536;
export const MAX_OPEN_FILES = 1024;
/** Names that open directories hold in memory, all together. */
export const MAX_LISTED_NAMES = 2 ** 20;
const MAX_WALK = 16;
/** Linux PATH_MAX, which bounds what a symbolic link can hold. */
const MAX_TARGET_BYTES = 4095;
const NO_FID = 0xffff_ffff;
/** Linux V9FS_MAGIC, what statfs(2) of a 9P file system says. */
const FILE_SYSTEM_TYPE = 0x0102_1997;

const OPEN = { accessMask: 3, writeOnly: 1, readWrite: 2, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const;
/** O_DSYNC and O_SYNC of the dialect. */
const OPEN_SYNC = 0o10000 | 0o4000000;
const OPEN_DIRECTORY = 0o200000;
const AT_REMOVEDIR = 0x200;
const SET = { mode: 1, uid: 2, gid: 4, size: 8, atime: 16, mtime: 32, atimeGiven: 128, mtimeGiven: 256 } as const;
/** Everything up to blocks: what stat(2) wants. */
const GETATTR_BASIC = 0x7ffn;
const QID_TYPE = { file: 0, other: 0, link: 0x02, directory: 0x80 } as const;
/** d_type of readdir(3). */
const ENTRY_TYPE = { file: 8, other: 0, link: 10, directory: 4 } as const;
const LOCK_UNLOCKED = 2;
/** Permission bits a guest may set: not set-user-ID nor set-group-ID, which would be this host's. */
const MODE_MASK = 0o1777;

interface OpenDirectory {
  readonly kind: 'directory';
  names: string[];
}

interface OpenFile {
  readonly kind: 'file';
  readonly file: ShareFile;
  readonly read: boolean;
  readonly write: boolean;
  /** Transfers under way; the file is closed behind the last one. */
  users: number;
  closing: boolean;
}

interface Fid {
  node: NameNode;
  open?: OpenDirectory | OpenFile;
}

/** What became of a request: its answer, or one that comes later while others are served. */
type Begun = { readonly answer: Uint8Array } | { readonly later: Promise<Uint8Array> };

interface Call {
  readonly tag: number;
  readonly reader: MessageReader;
  /** Bytes that an answer may have. */
  readonly roomBytes: number;
}

export class NinePServer {
  /** Requests so far by type, for reports. */
  readonly counts = new Map<number, number>();
  private readonly backend: ShareBackend;
  private readonly tree = new NameTree();
  private readonly fids = new Map<number, Fid>();
  /** Answers that are not there yet, by tag. */
  private readonly pending = new Map<number, Promise<unknown>>();
  private readonly transfers = new Set<Promise<unknown>>();
  private messageBytes = MIN_MESSAGE_BYTES;
  private openFiles = 0;
  private listedNames = 0;
  private chain: Promise<void> = Promise.resolve();
  private life = 0;

  constructor(backend: ShareBackend) {
    this.backend = backend;
  }

  /** What is in use, for tests of leaks. */
  get inUse(): { readonly fids: number; readonly files: number; readonly listed: number; readonly names: number } {
    return { fids: this.fids.size, files: this.openFiles, listed: this.listedNames, names: this.tree.size };
  }

  /**
   * Serves `message`, a whole one whose size field is its length. The answer has at most `roomBytes`, which must be enough
   * for an error (ERROR_BYTES). Never rejects.
   */
  handle(message: Uint8Array, roomBytes: number): Promise<Uint8Array> {
    const { life } = this;
    const { type, tag } = parseHeader(message);
    const call: Call = { tag, reader: new MessageReader(message), roomBytes };
    const before = this.pending.get(tag);
    if (before && tag !== NO_TAG) return Promise.resolve(errorMessage(tag, 'EINVAL'));
    const begun = this.chain.then(() => (life === this.life ? this.begin(type, call) : refusal(tag)));
    this.chain = begun.then(ignore, ignore);
    const answer = begun.then((result) => ('later' in result ? result.later : result.answer));
    this.pending.set(tag, answer);
    const forget = () => {
      if (this.pending.get(tag) === answer) this.pending.delete(tag);
    };
    answer.then(forget, forget);
    return answer;
  }

  /** Forgets all fids once what is under way is over; requests that have not begun are not served. */
  reset(): void {
    this.life++;
    this.chain = this.chain.then(() => this.dropAll());
  }

  private async dropAll(): Promise<void> {
    await Promise.all([...this.transfers]);
    for (const fid of [...this.fids.keys()]) await this.clunk(fid);
  }

  private async begin(type: number, call: Call): Promise<Begun> {
    this.counts.set(type, (this.counts.get(type) ?? 0) + 1);
    try {
      const result = await this.perform(type, call);
      if ('later' in result) return { later: result.later.catch((error: unknown) => failure(call.tag, error)) };
      const answer = result.finish(type + 1, call.tag);
      return answer.length <= call.roomBytes ? { answer } : { answer: errorMessage(call.tag, 'EOVERFLOW') };
    } catch (error) {
      return { answer: failure(call.tag, error) };
    }
  }

  private perform(type: number, call: Call): Promise<MessageWriter | { later: Promise<Uint8Array> }> {
    switch (type) {
      case T.VERSION:
        return this.version(call.reader);
      case T.ATTACH:
        return this.attach(call.reader);
      case T.FLUSH:
        return this.flush(call);
      case T.WALK:
        return this.walk(call.reader);
      case T.CLUNK:
        return this.clunk(call.reader.u32()).then(() => new MessageWriter());
      case T.REMOVE:
        return this.remove(call.reader);
      case T.LOPEN:
        return this.lopen(call.reader);
      case T.LCREATE:
        return this.lcreate(call.reader);
      case T.READ:
        return this.read(call);
      case T.WRITE:
        return this.write(call);
      case T.READDIR:
        return this.readdir(call);
      case T.FSYNC:
        return this.fsync(call);
      case T.GETATTR:
        return this.getattr(call.reader);
      case T.SETATTR:
        return this.setattr(call.reader);
      case T.STATFS:
        return this.statfs(call.reader);
      case T.MKDIR:
        return this.mkdir(call.reader);
      case T.MKNOD:
        return this.mknod(call.reader);
      case T.SYMLINK:
        return this.symlink(call.reader);
      case T.READLINK:
        return this.readlink(call.reader);
      case T.LINK:
        return this.link(call.reader);
      case T.RENAME:
        return this.rename(call.reader);
      case T.RENAMEAT:
        return this.renameat(call.reader);
      case T.UNLINKAT:
        return this.unlinkat(call.reader);
      case T.LOCK:
        return this.lock(call.reader);
      case T.GETLOCK:
        return this.getlock(call.reader);
      default:
        // Tauth, Txattrwalk, Txattrcreate, messages of other dialects, and what is none.
        return Promise.reject(new ShareError('EOPNOTSUPP'));
    }
  }

  // Session

  private async version(reader: MessageReader): Promise<MessageWriter> {
    const wanted = reader.u32();
    const version = reader.text();
    await this.dropAll();
    const messageBytes = Math.min(wanted, MAX_MESSAGE_BYTES);
    const known = version === '9P2000.L' && messageBytes >= MIN_MESSAGE_BYTES;
    if (known) this.messageBytes = messageBytes;
    return new MessageWriter().u32(messageBytes).text(known ? '9P2000.L' : 'unknown');
  }

  private async attach(reader: MessageReader): Promise<MessageWriter> {
    const number = reader.u32();
    const authentication = reader.u32();
    if (authentication !== NO_FID) throw new ShareError('EINVAL', 'no authentication was asked for');
    reader.text(); // user
    reader.text(); // tree: there is one
    const stat = await this.backend.stat([]);
    this.addFid(number, this.tree.hold(this.tree.root));
    return putQid(new MessageWriter(), stat);
  }

  private async flush({ tag, reader }: Call): Promise<MessageWriter | { later: Promise<Uint8Array> }> {
    const old = reader.u16();
    const waited = old === tag ? undefined : this.pending.get(old);
    const answer = () => new MessageWriter().finish(T.FLUSH + 1, tag);
    // Requests behind this one are not held up by a transfer that takes its time.
    return waited ? { later: waited.then(answer) } : new MessageWriter();
  }

  private async walk(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.fid(reader.u32());
    const number = reader.u32();
    const count = reader.u16();
    if (count > MAX_WALK) throw new ShareError('EINVAL', 'a walk of too many names');
    const names = Array.from({ length: count }, () => reader.text());
    const replaced = this.fids.get(number);
    if (replaced && replaced !== fid) throw new ShareError('EINVAL', 'the new fid is in use');
    const writer = new MessageWriter().u16(0);
    let node = this.tree.hold(fid.node);
    let walked = 0;
    try {
      for (const name of names) {
        const stat = await this.statOfStep(node, name);
        if (!stat) {
          if (walked === 0) throw new ShareError('ENOENT');
          break;
        }
        const next = name === '..' ? this.tree.hold(this.tree.parent(node)) : this.tree.holdChild(node, name);
        this.tree.release(node);
        node = next;
        putQid(writer, stat);
        walked++;
      }
      if (walked === count) {
        if (replaced) await this.clunk(number);
        this.addFid(number, this.tree.hold(node));
      }
    } finally {
      this.tree.release(node);
    }
    return patchU16(writer, walked);
  }

  /** What a step of a walk leads to; undefined if there is nothing. */
  private async statOfStep(node: NameNode, name: string): Promise<ShareStat | undefined> {
    try {
      if (name === '..') return await this.backend.stat(this.tree.path(this.tree.parent(node)));
      return await this.backend.stat(this.tree.childPath(node, name));
    } catch (error) {
      if (error instanceof ShareError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  private async clunk(number: number): Promise<void> {
    const fid = this.fid(number);
    this.fids.delete(number);
    this.tree.release(fid.node);
    await this.closeOpen(fid);
  }

  private async closeOpen(fid: Fid): Promise<void> {
    const { open } = fid;
    fid.open = undefined;
    if (open?.kind === 'directory') this.listedNames -= open.names.length;
    else if (open) {
      open.closing = true;
      await this.closeIfUnused(open);
    }
  }

  private async closeIfUnused(open: OpenFile): Promise<void> {
    if (!open.closing || open.users > 0) return;
    open.closing = false;
    this.openFiles--;
    await open.file.close();
  }

  private fid(number: number): Fid {
    const fid = this.fids.get(number);
    if (!fid) throw new ShareError('EBADF');
    return fid;
  }

  /** Takes over a node that is held. */
  private addFid(number: number, node: NameNode): void {
    const taken = number === NO_FID || this.fids.has(number);
    if (!taken && this.fids.size < MAX_FIDS) {
      this.fids.set(number, { node });
      return;
    }
    this.tree.release(node);
    throw new ShareError(taken ? 'EINVAL' : 'ENFILE');
  }

  private path(fid: Fid): SharePath {
    return this.tree.path(fid.node);
  }

  private mayWrite(): void {
    if (this.backend.readOnly) throw new ShareError('EROFS');
  }

  // Files

  private async lopen(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.fid(reader.u32());
    const flags = reader.u32();
    if (fid.open) throw new ShareError('EINVAL', 'the fid is open');
    const options = openOptions(flags);
    if (options.write || options.truncate) this.mayWrite();
    const stat = await this.backend.stat(this.path(fid));
    if (stat.kind === 'directory') {
      if (options.write || options.truncate) throw new ShareError('EISDIR');
      fid.open = { kind: 'directory', names: [] };
    } else {
      if (flags & OPEN_DIRECTORY) throw new ShareError('ENOTDIR');
      await this.openFile(fid, options, () => this.backend.open(this.path(fid), options));
    }
    return putQid(new MessageWriter(), stat).u32(0);
  }

  private async lcreate(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.fid(reader.u32());
    const name = reader.text();
    const flags = reader.u32();
    const mode = reader.u32() & MODE_MASK;
    if (fid.open) throw new ShareError('EINVAL', 'the fid is open');
    this.mayWrite();
    const path = this.tree.childPath(fid.node, name);
    const options = openOptions(flags);
    const exclusive = (flags & OPEN.exclusive) !== 0;
    const file = await this.openFile(fid, options, () => this.backend.create(path, options, mode, exclusive));
    const parent = fid.node;
    fid.node = this.tree.holdChild(parent, name);
    this.tree.release(parent);
    return putQid(new MessageWriter(), await file.stat()).u32(0);
  }

  private async openFile(fid: Fid, options: ShareOpenOptions, open: () => Promise<ShareFile>): Promise<ShareFile> {
    if (this.openFiles >= MAX_OPEN_FILES) throw new ShareError('EMFILE');
    const file = await open();
    this.openFiles++;
    fid.open = { kind: 'file', file, read: options.read, write: options.write, users: 0, closing: false };
    return file;
  }

  /** Runs a transfer beside the requests to come; the file stays open for it. */
  private transfer(open: OpenFile, work: () => Promise<Uint8Array>): { later: Promise<Uint8Array> } {
    open.users++;
    const run = async () => {
      try {
        return await work();
      } finally {
        open.users--;
        await this.closeIfUnused(open);
      }
    };
    const later = run();
    const settled = later.then(ignore, ignore);
    this.transfers.add(settled);
    void settled.then(() => this.transfers.delete(settled));
    return { later };
  }

  private openedFile(number: number): OpenFile {
    const { open } = this.fid(number);
    if (open?.kind === 'directory') throw new ShareError('EISDIR');
    if (!open) throw new ShareError('EBADF');
    return open;
  }

  private async read(call: Call): Promise<{ later: Promise<Uint8Array> }> {
    const { reader, tag } = call;
    const open = this.openedFile(reader.u32());
    const offset = reader.u64();
    const count = Math.min(reader.u32(), this.dataRoom(call));
    if (!open.read) throw new ShareError('EBADF');
    return this.transfer(open, async () => {
      const writer = new MessageWriter(DATA_HEADER_BYTES + count).u32(0);
      const target = writer.space(count);
      const bytes = offset > BigInt(Number.MAX_SAFE_INTEGER) ? 0 : await open.file.read(Number(offset), target);
      writer.cut(DATA_HEADER_BYTES + bytes);
      writer.patchU32(HEADER_BYTES, bytes);
      return writer.finish(T.READ + 1, tag);
    });
  }

  private async write({ reader, tag }: Call): Promise<{ later: Promise<Uint8Array> }> {
    const open = this.openedFile(reader.u32());
    const offset = reader.u64();
    const data = reader.data(reader.u32());
    if (!open.write) throw new ShareError('EBADF');
    if (offset + BigInt(data.length) > BigInt(Number.MAX_SAFE_INTEGER)) throw new ShareError('EFBIG');
    return this.transfer(open, async () => {
      const bytes = data.length === 0 ? 0 : await open.file.write(Number(offset), data);
      return new MessageWriter().u32(bytes).finish(T.WRITE + 1, tag);
    });
  }

  private async fsync({ reader, tag }: Call): Promise<MessageWriter | { later: Promise<Uint8Array> }> {
    const { open } = this.fid(reader.u32());
    if (!open) throw new ShareError('EBADF');
    if (open.kind === 'directory' || !open.write) return new MessageWriter();
    return this.transfer(open, async () => {
      await open.file.sync();
      return new MessageWriter().finish(T.FSYNC + 1, tag);
    });
  }

  /** Data that an answer can carry. */
  private dataRoom({ roomBytes }: Call): number {
    return Math.max(0, Math.min(this.messageBytes, roomBytes) - DATA_HEADER_BYTES);
  }

  // Directories

  private async readdir(call: Call): Promise<MessageWriter> {
    const { reader } = call;
    const fid = this.fid(reader.u32());
    const offset = reader.u64();
    const count = Math.min(reader.u32(), this.dataRoom(call));
    const { open } = fid;
    if (open?.kind !== 'directory') throw new ShareError(open ? 'ENOTDIR' : 'EBADF');
    const path = this.path(fid);
    // The listing is of the moment at which reading starts, so that an offset keeps its meaning.
    if (offset === 0n) await this.list(open, path);
    const writer = new MessageWriter(Math.min(4096, DATA_HEADER_BYTES + count)).u32(0);
    const end = DATA_HEADER_BYTES + count;
    for (
      let at = offset < BigInt(open.names.length) ? Number(offset) : open.names.length;
      at < open.names.length;
      at++
    ) {
      const name = open.names[at];
      if (writer.lenBytes + QID_BYTES + 8 + 1 + 2 + name.length > end) break;
      const stat = await this.statOfEntry(fid, path, name);
      if (!stat) continue;
      putQid(writer, stat)
        .u64(at + 1)
        .u8(ENTRY_TYPE[stat.kind])
        .text(name);
    }
    writer.patchU32(HEADER_BYTES, writer.lenBytes - DATA_HEADER_BYTES);
    return writer;
  }

  private async list(open: OpenDirectory, path: SharePath): Promise<void> {
    this.listedNames -= open.names.length;
    open.names = [];
    const room = MAX_LISTED_NAMES - this.listedNames - 2;
    if (room < 0) throw new ShareError('ENOMEM');
    open.names = ['.', '..', ...(await this.backend.list(path, room))];
    this.listedNames += open.names.length;
  }

  /** Undefined for what has gone since it was listed. */
  private async statOfEntry(fid: Fid, path: SharePath, name: string): Promise<ShareStat | undefined> {
    try {
      if (name === '.') return await this.backend.stat(path);
      if (name === '..') return await this.backend.stat(path.slice(0, -1));
      return await this.backend.stat(this.tree.childPath(fid.node, name));
    } catch {
      return undefined;
    }
  }

  private async mkdir(reader: MessageReader): Promise<MessageWriter> {
    const directory = this.fid(reader.u32());
    const path = this.tree.childPath(directory.node, reader.text());
    const mode = reader.u32() & MODE_MASK;
    this.mayWrite();
    await this.backend.makeDirectory(path, mode);
    return putQid(new MessageWriter(), await this.backend.stat(path));
  }

  /** mknod(2) of a regular file makes an empty one; devices, pipes and sockets of the guest's making are refused. */
  private async mknod(reader: MessageReader): Promise<MessageWriter> {
    const directory = this.fid(reader.u32());
    const path = this.tree.childPath(directory.node, reader.text());
    const mode = reader.u32();
    const type = mode & MODE_TYPE.mask;
    this.mayWrite();
    if (type !== 0 && type !== MODE_TYPE.file) throw new ShareError('EPERM', 'no device nodes');
    const file = await this.backend.create(path, openOptions(OPEN.writeOnly), mode & MODE_MASK, true);
    await file.close();
    return putQid(new MessageWriter(), await this.backend.stat(path));
  }

  private async symlink(reader: MessageReader): Promise<MessageWriter> {
    const directory = this.fid(reader.u32());
    const path = this.tree.childPath(directory.node, reader.text());
    const target = reader.text();
    this.mayWrite();
    if (target === '' || target.includes('\0')) throw new ShareError('ENOENT');
    if (target.length > MAX_TARGET_BYTES) throw new ShareError('ENAMETOOLONG');
    await this.backend.makeLink(path, target);
    return putQid(new MessageWriter(), await this.backend.stat(path));
  }

  private async readlink(reader: MessageReader): Promise<MessageWriter> {
    const target = await this.backend.readLink(this.path(this.fid(reader.u32())));
    return new MessageWriter().text(target);
  }

  private async link(reader: MessageReader): Promise<MessageWriter> {
    const directory = this.fid(reader.u32());
    const from = this.path(this.fid(reader.u32()));
    const to = this.tree.childPath(directory.node, reader.text());
    this.mayWrite();
    await this.backend.hardLink(from, to);
    return new MessageWriter();
  }

  private async rename(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.fid(reader.u32());
    const target = this.fid(reader.u32()).node;
    const to = reader.text();
    this.mayWrite();
    if (node === this.tree.root) throw new ShareError('EBUSY');
    const from = this.tree.path(node);
    await this.backend.rename(from, this.tree.childPath(target, to));
    this.tree.moved(this.tree.parent(node), node.name, target, to);
    return new MessageWriter();
  }

  private async renameat(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.fid(reader.u32());
    const from = reader.text();
    const target = this.fid(reader.u32()).node;
    const to = reader.text();
    this.mayWrite();
    await this.backend.rename(this.tree.childPath(node, from), this.tree.childPath(target, to));
    this.tree.moved(node, from, target, to);
    return new MessageWriter();
  }

  private async unlinkat(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.fid(reader.u32());
    const name = reader.text();
    const flags = reader.u32();
    this.mayWrite();
    await this.backend.remove(this.tree.childPath(node, name), (flags & AT_REMOVEDIR) !== 0);
    this.tree.removed(node, name);
    return new MessageWriter();
  }

  /** The fid is gone whatever comes of it. */
  private async remove(reader: MessageReader): Promise<MessageWriter> {
    const number = reader.u32();
    const { node } = this.fid(number);
    try {
      this.mayWrite();
      if (node === this.tree.root) throw new ShareError('EBUSY');
      const path = this.tree.path(node);
      const { kind } = await this.backend.stat(path);
      await this.backend.remove(path, kind === 'directory');
      this.tree.removed(this.tree.parent(node), node.name);
    } finally {
      await this.clunk(number);
    }
    return new MessageWriter();
  }

  // Attributes

  private stat(fid: Fid): Promise<ShareStat> {
    return fid.open?.kind === 'file' ? fid.open.file.stat() : this.backend.stat(this.path(fid));
  }

  private async getattr(reader: MessageReader): Promise<MessageWriter> {
    const stat = await this.stat(this.fid(reader.u32()));
    const writer = putQid(new MessageWriter().u64(GETATTR_BASIC), stat);
    writer.u32(stat.mode).u32(stat.uid).u32(stat.gid).u64(stat.links).u64(stat.rdev);
    writer.u64(stat.sizeBytes).u64(stat.blockBytes).u64(stat.blocks);
    for (const time of [stat.atimeNs, stat.mtimeNs, stat.ctimeNs, 0n]) {
      writer.u64(time / 1_000_000_000n).u64(time % 1_000_000_000n);
    }
    return writer.u64(0).u64(0);
  }

  private async setattr(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.fid(reader.u32());
    const valid = reader.u32();
    const [mode, uid, gid] = [reader.u32(), reader.u32(), reader.u32()];
    const size = reader.u64();
    const [atime, mtime] = [timeOf(reader), timeOf(reader)];
    this.mayWrite();
    if (valid & SET.size && size > BigInt(Number.MAX_SAFE_INTEGER)) throw new ShareError('EFBIG');
    const changes: ShareChanges = {
      ...(valid & SET.mode && { mode: mode & MODE_MASK }),
      ...(valid & SET.uid && { uid }),
      ...(valid & SET.gid && { gid }),
      ...(valid & SET.size && { sizeBytes: Number(size) }),
      ...(valid & SET.atime && { atimeNs: valid & SET.atimeGiven ? atime : 'now' }),
      ...(valid & SET.mtime && { mtimeNs: valid & SET.mtimeGiven ? mtime : 'now' }),
    };
    const file = fid.open?.kind === 'file' ? fid.open.file : undefined;
    if (file && (changes.sizeBytes === undefined || file.writable)) await file.change(changes);
    else await this.backend.change(this.path(fid), changes);
    return new MessageWriter();
  }

  private async statfs(reader: MessageReader): Promise<MessageWriter> {
    this.fid(reader.u32());
    const space = await this.backend.space();
    const writer = new MessageWriter().u32(FILE_SYSTEM_TYPE).u32(space.blockBytes);
    writer.u64(space.blocks).u64(space.freeBlocks).u64(space.availableBlocks).u64(space.files).u64(space.freeFiles);
    return writer.u64(0).u32(255);
  }

  private async lock(reader: MessageReader): Promise<MessageWriter> {
    if (!this.fid(reader.u32()).open) throw new ShareError('EBADF');
    return new MessageWriter().u8(0); // success
  }

  private async getlock(reader: MessageReader): Promise<MessageWriter> {
    if (!this.fid(reader.u32()).open) throw new ShareError('EBADF');
    reader.u8();
    const [start, length] = [reader.u64(), reader.u64()];
    const process = reader.u32();
    return new MessageWriter().u8(LOCK_UNLOCKED).u64(start).u64(length).u32(process).text(reader.text());
  }
}

function openOptions(flags: number): ShareOpenOptions {
  const access = flags & OPEN.accessMask;
  if (access === OPEN.accessMask) throw new ShareError('EINVAL', 'no such access');
  return {
    read: access !== OPEN.writeOnly,
    write: access !== 0,
    truncate: (flags & OPEN.truncate) !== 0,
    append: (flags & OPEN.append) !== 0,
    sync: (flags & OPEN_SYNC) !== 0,
  };
}

/** Type, version (which changes when the content does) and the number that makes a file that file. */
function putQid(writer: MessageWriter, stat: ShareStat): MessageWriter {
  const version = Number(BigInt.asUintN(32, (stat.mtimeNs >> 8n) ^ BigInt(stat.sizeBytes)));
  return writer.u8(QID_TYPE[stat.kind]).u32(version).u64(stat.inode);
}

function timeOf(reader: MessageReader): bigint {
  const seconds = BigInt.asIntN(64, reader.u64());
  const time = seconds * 1_000_000_000n + reader.u64();
  // From 1901 to 2446: what file systems can hold.
  if (seconds < -(2n ** 31n) || seconds > 15n * 10n ** 9n) throw new ShareError('EINVAL', 'no such time');
  return time;
}

function patchU16(writer: MessageWriter, value: number): MessageWriter {
  const end = writer.lenBytes;
  writer.cut(HEADER_BYTES);
  writer.u16(value);
  writer.cut(end);
  return writer;
}

function refusal(tag: number): Begun {
  return { answer: errorMessage(tag, 'EIO') };
}

function ignore(): void {}

/** What is not a ShareError is a bug of ours or of a backend: the promise rejects, and that ends the run. */
function failure(tag: number, error: unknown): Uint8Array {
  if (error instanceof ShareError) return errorMessage(tag, error.errno);
  throw error;
}
