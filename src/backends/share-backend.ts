// A folder that the guest may share: what virtio-9p needs of its host. Filled by backends/node (a folder) and
// backends/memory (a tree in memory).
//
// Names are bytes, as in Linux: each character of a name stands for one byte (0 to 255). A path is the list of names from
// the shared folder down; the empty list is the folder itself. A backend never follows a symbolic link: a path through
// one is ENOTDIR, and the last name stands for the link itself.

/** Linux errno numbers by name: what the guest is told. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

export type ErrnoName = keyof typeof ERRNO;

/** What the guest gets instead of an answer. The methods of a backend reject with nothing else. */
export class ShareError extends Error {
  override readonly name = 'ShareError';
  readonly errno: ErrnoName;
  constructor(errno: ErrnoName, message: string = errno) {
    super(message);
    this.errno = errno;
  }
}

export type SharePath = readonly string[];

export type ShareKind = 'file' | 'directory' | 'link' | 'other';

export interface ShareStat {
  readonly kind: ShareKind;
  /** Linux st_mode with the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly rdev: bigint;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  /** Nanoseconds since 1970. */
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** 64 bits; different for any two things in the share at one time. */
  readonly inode: bigint;
}

export interface ShareChanges {
  /** Permission bits. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly sizeBytes?: number;
  readonly atimeNs?: bigint | 'now';
  readonly mtimeNs?: bigint | 'now';
}

export interface ShareOpenOptions {
  readonly read: boolean;
  readonly write: boolean;
  readonly truncate: boolean;
  readonly append: boolean;
  /** Each write is safe before it is answered. */
  readonly sync: boolean;
}

/** An open file: stays the same file whatever becomes of its name. */
export interface ShareFile {
  readonly writable: boolean;
  stat(): Promise<ShareStat>;
  /** Reads up to `target.length` bytes; less only at the end of the file. */
  read(offset: number, target: Uint8Array): Promise<number>;
  /** Writes all of `source`, or as much as there is room for, and says how much; rejects if that is nothing. */
  write(offset: number, source: Uint8Array): Promise<number>;
  change(changes: ShareChanges): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface ShareSpace {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly availableBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
}

export interface ShareBackend {
  /** For messages. */
  readonly name: string;
  /** The guest may not change anything; the server sees to that, backends need not. */
  readonly readOnly: boolean;
  stat(path: SharePath): Promise<ShareStat>;
  /** Names in a directory, without `.` and `..`; at most `most`, or EOVERFLOW. */
  list(path: SharePath, most: number): Promise<string[]>;
  /** A regular file; EISDIR, ELOOP or ENXIO for anything else. */
  open(path: SharePath, options: ShareOpenOptions): Promise<ShareFile>;
  /** As `open`, and makes the file if there is none; EEXIST if there is anything and `exclusive`. */
  create(path: SharePath, options: ShareOpenOptions, mode: number, exclusive: boolean): Promise<ShareFile>;
  makeDirectory(path: SharePath, mode: number): Promise<void>;
  makeLink(path: SharePath, target: string): Promise<void>;
  readLink(path: SharePath): Promise<string>;
  hardLink(from: SharePath, to: SharePath): Promise<void>;
  rename(from: SharePath, to: SharePath): Promise<void>;
  remove(path: SharePath, directory: boolean): Promise<void>;
  change(path: SharePath, changes: ShareChanges): Promise<void>;
  space(): Promise<ShareSpace>;
  close?(): void;
}

/** Type bits of st_mode. */
export const MODE_TYPE = { mask: 0o170000, file: 0o100000, directory: 0o040000, link: 0o120000 } as const;
