// A folder of this machine as a shared folder. The guest must not get out of it, by `..`, by symbolic links, or by
// changing a path while it is being looked up.
//
// Names come one by one and never hold a slash, `.` or `..`. Each directory on the way is opened with O_NOFOLLOW; on
// Linux it is opened below the one before, as openat(2) would: through /proc/self/fd/N/NAME, which the kernel resolves
// from the open directory N and not from a path. So no lookup depends on a path that somebody could change meanwhile,
// neither the guest nor a program of this machine. The last name is never followed either: what is opened is first
// opened as a place (O_PATH), looked at, and then opened for real through that.
//
// Where there is no /proc or O_PATH (other systems than Linux) each part of the path is looked at with lstat before the
// whole is used. Metadata operations are synchronous, so nothing of the guest's comes between; but a program of this
// machine that replaces a directory by a symbolic link in that moment could lead one operation astray.
//
// Owners are what they are on this machine. New files belong to the user who runs Powervisor; changing owners is EPERM.

import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  write,
} from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { platform } from 'node:os';
import { PowervisorError } from '../../util/errors.ts';
import {
  ERRNO,
  type ErrnoName,
  MODE_TYPE,
  type ShareBackend,
  type ShareChanges,
  ShareError,
  type ShareFile,
  type ShareKind,
  type ShareOpenOptions,
  type SharePath,
  type ShareSpace,
  type ShareStat,
} from '../share-backend.ts';

/** Linux O_PATH, which Node has no name for. */
const O_PATH = 0o10000000;
const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_SYNC } = constants;
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;
const O_DIRECTORY = constants.O_DIRECTORY ?? 0;
const O_NONBLOCK = constants.O_NONBLOCK ?? 0;
/** Bits of a qid's path that tell file systems apart below one shared folder. */
const INODE_BITS = 56n;

/** A place for a system call: as bytes, for names are bytes. */
type Place = Buffer;

export interface NodeShareOptions {
  readonly readOnly?: boolean;
  /** False: do as where there is no /proc. For tests. */
  readonly anchored?: boolean;
}

export class NodeShare implements ShareBackend {
  readonly name: string;
  readonly readOnly: boolean;
  /** Paths are resolved from open directories. */
  readonly anchored: boolean;
  private readonly rootPath: string;
  private readonly rootFd: number | undefined;
  private readonly fileSystems: bigint[] = [];

  /** Throws PowervisorError if `path` is no directory that can be read. */
  static async open(path: string, options: NodeShareOptions = {}): Promise<NodeShare> {
    try {
      const rootPath = await realpath(path);
      if (!(await stat(rootPath)).isDirectory()) throw new Error('it is not a directory');
      return new NodeShare(path, rootPath, options);
    } catch (cause) {
      const { message } = cause as Error;
      throw new PowervisorError('SHARE', `Cannot share the folder ${path}: ${message}.`, { cause });
    }
  }

  private constructor(name: string, rootPath: string, options: NodeShareOptions) {
    this.name = name;
    this.readOnly = options.readOnly ?? false;
    this.rootPath = rootPath;
    this.rootFd = (options.anchored ?? true) ? openAnchor(rootPath) : undefined;
    this.anchored = this.rootFd !== undefined;
  }

  close(): void {
    if (this.rootFd !== undefined) closeSync(this.rootFd);
  }

  async stat(path: SharePath): Promise<ShareStat> {
    return this.at(path, (place) => this.statOf(lstatSync(place, { bigint: true })));
  }

  async list(path: SharePath, most: number): Promise<string[]> {
    return this.inside(path, (prefix) => {
      const names = readdirSync(join(prefix, '.'), { encoding: 'latin1' });
      if (names.length > most) throw new ShareError('EOVERFLOW');
      return names;
    });
  }

  async open(path: SharePath, options: ShareOpenOptions): Promise<ShareFile> {
    return this.at(path, (place) => this.openFile(place, options));
  }

  async create(path: SharePath, options: ShareOpenOptions, mode: number, exclusive: boolean): Promise<ShareFile> {
    return this.at(path, (place) => {
      try {
        const fd = openSync(place, openFlags(options) | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        // As the guest wants it, whatever the umask of this process.
        fchmodSync(fd, mode);
        return this.file(fd, options);
      } catch (error) {
        if (exclusive || (error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      return this.openFile(place, options);
    });
  }

  async makeDirectory(path: SharePath, mode: number): Promise<void> {
    this.at(path, (place) => {
      mkdirSync(place, mode);
      this.changeMode(place, mode);
    });
  }

  async makeLink(path: SharePath, target: string): Promise<void> {
    this.at(path, (place) => symlinkSync(Buffer.from(target, 'latin1'), place));
  }

  async readLink(path: SharePath): Promise<string> {
    return this.at(path, (place) => readlinkSync(place, { encoding: 'latin1' }));
  }

  async hardLink(from: SharePath, to: SharePath): Promise<void> {
    this.at(from, (source) => {
      // Elsewhere than on Linux link(2) follows links.
      if (lstatSync(source).isSymbolicLink() && !this.anchored) throw new ShareError('EPERM');
      this.at(to, (target) => linkSync(source, target));
    });
  }

  async rename(from: SharePath, to: SharePath): Promise<void> {
    this.at(from, (source) => this.at(to, (target) => renameSync(source, target)));
  }

  async remove(path: SharePath, directory: boolean): Promise<void> {
    this.at(path, (place) => (directory ? rmdirSync(place) : unlinkSync(place)));
  }

  async change(path: SharePath, changes: ShareChanges): Promise<void> {
    this.at(path, (place) => {
      const before = lstatSync(place, { bigint: true });
      mayOwn(before, changes);
      if (changes.sizeBytes !== undefined) {
        const options = { read: false, write: true, truncate: false, append: false, sync: false };
        const fd = this.openFd(place, options);
        try {
          ftruncateSync(fd, changes.sizeBytes);
        } finally {
          closeSync(fd);
        }
      }
      if (changes.mode !== undefined) this.changeMode(place, changes.mode);
      const times = timesOf(before, changes);
      if (times) lutimesSync(place, ...times);
    });
  }

  async space(): Promise<ShareSpace> {
    return this.inside([], (prefix) => {
      const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(join(prefix, '.'));
      return {
        blockBytes: bsize,
        blocks,
        freeBlocks: bfree,
        availableBlocks: bavail,
        files: Math.max(0, files),
        freeFiles: Math.max(0, ffree),
      };
    });
  }

  /** Runs `action` on a place that stands for `path`, whose last name it must not follow. Throws ShareError only. */
  private at<Result>(path: SharePath, action: (place: Place) => Result): Result {
    return this.inside(path.slice(0, -1), (prefix) => action(join(prefix, path.at(-1) ?? '.')));
  }

  /** Runs `action` on a prefix for names in the directory `path`. */
  private inside<Result>(path: SharePath, action: (prefix: string) => Result): Result {
    try {
      return this.rootFd === undefined ? this.insidePath(path, action) : this.insideAnchor(this.rootFd, path, action);
    } catch (error) {
      throw asShareError(error);
    }
  }

  private insideAnchor<Result>(rootFd: number, path: SharePath, action: (prefix: string) => Result): Result {
    let fd = rootFd;
    const step = (to: number) => {
      if (fd !== rootFd) closeSync(fd);
      fd = to;
    };
    try {
      for (const name of path) step(openSync(join(anchorPrefix(fd), name), O_PATH | O_DIRECTORY | O_NOFOLLOW));
      return action(anchorPrefix(fd));
    } finally {
      step(rootFd);
    }
  }

  private insidePath<Result>(path: SharePath, action: (prefix: string) => Result): Result {
    // Names are bytes, one a character; the folder's own path is text.
    let prefix = `${Buffer.from(this.rootPath).toString('latin1')}/`;
    for (const name of path) {
      if (!lstatSync(join(prefix, name)).isDirectory()) throw new ShareError('ENOTDIR');
      prefix = `${prefix}${name}/`;
    }
    return action(prefix);
  }

  private openFile(place: Place, options: ShareOpenOptions): ShareFile {
    return this.file(this.openFd(place, options), options);
  }

  /** A regular file and nothing else: opening a pipe would block, opening a device could do anything. */
  private openFd(place: Place, options: ShareOpenOptions): number {
    const flags = openFlags(options);
    if (!this.anchored) {
      const seen = lstatSync(place, { bigint: true });
      mustBeFile(seen);
      const fd = openSync(place, (flags & ~O_TRUNC) | O_NOFOLLOW | O_NONBLOCK);
      const opened = fstatSync(fd, { bigint: true });
      if (opened.ino === seen.ino && opened.dev === seen.dev) {
        if (flags & O_TRUNC) ftruncateSync(fd, 0);
        return fd;
      }
      closeSync(fd);
      throw new ShareError('ESTALE');
    }
    return this.held(place, (fd, self) => {
      mustBeFile(fstatSync(fd, { bigint: true }));
      return openSync(self, flags);
    });
  }

  private changeMode(place: Place, mode: number): void {
    if (lstatSync(place).isSymbolicLink()) throw new ShareError('EOPNOTSUPP');
    if (!this.anchored) {
      chmodSync(place, mode);
      return;
    }
    this.held(place, (fd, self) => {
      if (fstatSync(fd).isSymbolicLink()) throw new ShareError('EOPNOTSUPP');
      chmodSync(self, mode);
    });
  }

  /** Holds the very thing at `place`, a link as a link, and hands out a path that is it and nothing else. */
  private held<Result>(place: Place, action: (fd: number, self: string) => Result): Result {
    const fd = openSync(place, O_PATH | O_NOFOLLOW);
    try {
      return action(fd, `/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }

  private file(fd: number, options: ShareOpenOptions): ShareFile {
    return {
      writable: options.write,
      stat: () => caught(() => this.statOf(fstatSync(fd, { bigint: true }))),
      read: async (offset, target) => {
        let done = 0;
        while (done < target.length) {
          const bytes = await transfer((told) => read(fd, target, done, target.length - done, offset + done, told));
          if (bytes === 0) break;
          done += bytes;
        }
        return done;
      },
      write: async (offset, source) => {
        let done = 0;
        while (done < source.length) {
          try {
            done += await transfer((told) => write(fd, source, done, source.length - done, offset + done, told));
          } catch (error) {
            if (done > 0) break;
            throw error;
          }
        }
        return done;
      },
      change: (changes) =>
        caught(() => {
          const before = fstatSync(fd, { bigint: true });
          mayOwn(before, changes);
          if (changes.sizeBytes !== undefined) ftruncateSync(fd, changes.sizeBytes);
          if (changes.mode !== undefined) fchmodSync(fd, changes.mode);
          const times = timesOf(before, changes);
          if (times) futimesSync(fd, ...times);
        }),
      sync: async () => {
        await transfer((told) => fdatasync(fd, (error) => told(error, 0)));
      },
      close: () => caught(() => closeSync(fd)),
    };
  }

  private statOf(stat: BigIntStats): ShareStat {
    return {
      kind: kindOf(stat),
      mode: Number(stat.mode),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      links: Number(stat.nlink),
      rdev: stat.rdev,
      sizeBytes: Number(stat.size),
      blockBytes: Number(stat.blksize),
      blocks: Number(stat.blocks),
      atimeNs: stat.atimeNs,
      mtimeNs: stat.mtimeNs,
      ctimeNs: stat.ctimeNs,
      inode: this.inodeOf(stat),
    };
  }

  /** The number on its file system, with the number of the file system in the upper bits. */
  private inodeOf({ dev, ino }: BigIntStats): bigint {
    let index = this.fileSystems.indexOf(dev);
    if (index < 0) index = this.fileSystems.push(dev) - 1;
    return BigInt.asUintN(64, ino ^ (BigInt(index) << INODE_BITS));
  }
}

/** The open folder, if this system resolves names below open directories. */
function openAnchor(rootPath: string): number | undefined {
  if (platform() !== 'linux') return undefined;
  const fd = openSync(rootPath, O_PATH | O_DIRECTORY);
  try {
    const [through, direct] = [lstatSync(join(anchorPrefix(fd), '.')), fstatSync(fd)];
    if (through.ino === direct.ino && through.dev === direct.dev) return fd;
  } catch {
    // No /proc here.
  }
  closeSync(fd);
  return undefined;
}

function anchorPrefix(fd: number): string {
  return `/proc/self/fd/${fd}/`;
}

/** `prefix` is bytes too, one a character. */
function join(prefix: string, name: string): Place {
  return Buffer.from(prefix + name, 'latin1');
}

function openFlags({ read: reads, write: writes, truncate, append, sync }: ShareOpenOptions): number {
  const access = writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;
  return access | (truncate && writes ? O_TRUNC : 0) | (append ? O_APPEND : 0) | (sync ? O_SYNC : 0);
}

function kindOf({ mode }: { readonly mode: bigint }): ShareKind {
  switch (Number(mode) & MODE_TYPE.mask) {
    case MODE_TYPE.file:
      return 'file';
    case MODE_TYPE.directory:
      return 'directory';
    case MODE_TYPE.link:
      return 'link';
    default:
      return 'other';
  }
}

function mustBeFile(stat: { readonly mode: bigint }): void {
  const kind = kindOf(stat);
  if (kind === 'directory') throw new ShareError('EISDIR');
  if (kind === 'link') throw new ShareError('ELOOP');
  if (kind === 'other') throw new ShareError('ENXIO');
}

function mayOwn(before: { readonly uid: bigint; readonly gid: bigint }, { uid, gid }: ShareChanges): void {
  const same = (wanted: number | undefined, is: bigint) => wanted === undefined || BigInt(wanted) === is;
  if (!same(uid, before.uid) || !same(gid, before.gid)) throw new ShareError('EPERM');
}

/** Seconds, as Node takes them: to about a quarter of a microsecond. What is not to change stays as it is. */
function timesOf(
  before: { readonly atimeNs: bigint; readonly mtimeNs: bigint },
  changes: ShareChanges,
): [number, number] | undefined {
  if (changes.atimeNs === undefined && changes.mtimeNs === undefined) return undefined;
  const seconds = (given: bigint | 'now' | undefined, is: bigint) =>
    given === 'now' ? Date.now() / 1000 : Number(given ?? is) / 1e9;
  return [seconds(changes.atimeNs, before.atimeNs), seconds(changes.mtimeNs, before.mtimeNs)];
}

async function caught<Result>(action: () => Result): Promise<Result> {
  try {
    return action();
  } catch (error) {
    throw asShareError(error);
  }
}

type Told = (error: NodeJS.ErrnoException | null, bytes: number) => void;

function transfer(start: (told: Told) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    start((error, bytes) => (error ? reject(asShareError(error)) : resolve(bytes)));
  });
}

function asShareError(error: unknown): unknown {
  if (error instanceof ShareError || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  return new ShareError(code in ERRNO ? (code as ErrnoName) : 'EIO', error.message);
}
