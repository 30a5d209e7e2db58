// A shared folder in memory: for tests, and for places that have no folders, such as a page in a browser. Bounded by
// `limitBytes` of content and `limitFiles` things.

import {
  MODE_TYPE,
  type ShareBackend,
  type ShareChanges,
  ShareError,
  type ShareFile,
  type ShareOpenOptions,
  type SharePath,
  type ShareSpace,
  type ShareStat,
} from '../share-backend.ts';

const BLOCK_BYTES = 4096;

interface Common {
  readonly inode: bigint;
  mode: number;
  links: number;
  atimeNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}
interface FileNode extends Common {
  readonly kind: 'file';
  bytes: Uint8Array;
  sizeBytes: number;
  /** Times that it is open: what it holds counts until the last one is closed. */
  opens: number;
}
interface DirectoryNode extends Common {
  readonly kind: 'directory';
  readonly children: Map<string, Node>;
}
interface LinkNode extends Common {
  readonly kind: 'link';
  readonly target: string;
}
type Node = FileNode | DirectoryNode | LinkNode;

export interface MemoryShareOptions {
  readonly name?: string;
  readonly readOnly?: boolean;
  /** Default 64 MiB. */
  readonly limitBytes?: number;
  /** Default 65536. */
  readonly limitFiles?: number;
  /** Nanoseconds since 1970. Default: always 0. */
  readonly now?: () => bigint;
}

export class MemoryShare implements ShareBackend {
  readonly name: string;
  readonly readOnly: boolean;
  private readonly limitBytes: number;
  private readonly limitFiles: number;
  private readonly now: () => bigint;
  private readonly root: DirectoryNode;
  private usedBytes = 0;
  private files = 0;
  private nextInode = 1n;

  constructor(options: MemoryShareOptions = {}) {
    this.name = options.name ?? 'memory';
    this.readOnly = options.readOnly ?? false;
    this.limitBytes = options.limitBytes ?? 64 * 2 ** 20;
    this.limitFiles = options.limitFiles ?? 65536;
    this.now = options.now ?? (() => 0n);
    this.root = { kind: 'directory', children: new Map(), ...this.common(MODE_TYPE.directory | 0o755) };
    this.root.links = 2;
  }

  /** Puts a file in place, and the directories above it: how a page fills the folder. `path` has slashes. */
  put(path: string, content: Uint8Array | string): void {
    const names = path.split('/').filter((name) => name !== '');
    let directory = this.root;
    for (const name of names.slice(0, -1).map(bytesOfName)) {
      let next = directory.children.get(name);
      if (next === undefined) {
        next = this.addDirectory(directory, name, 0o755);
      }
      directory = asDirectory(next);
    }
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content.slice();
    const name = bytesOfName(names[names.length - 1]);
    const file = this.addFile(directory, name, 0o644);
    this.resize(file, bytes.length);
    file.bytes.set(bytes);
  }

  /** Content of a file; `path` has slashes. Throws a ShareError if there is none. */
  get(path: string): Uint8Array {
    const node = this.find(
      path
        .split('/')
        .filter((name) => name !== '')
        .map(bytesOfName),
    );
    return asFile(node).bytes.slice(0, asFile(node).sizeBytes);
  }

  async stat(path: SharePath): Promise<ShareStat> {
    return statOf(this.find(path));
  }

  async list(path: SharePath, most: number): Promise<string[]> {
    const { children } = asDirectory(this.find(path));
    if (children.size > most) throw new ShareError('EOVERFLOW');
    return [...children.keys()];
  }

  async open(path: SharePath, options: ShareOpenOptions): Promise<ShareFile> {
    return this.opened(asFile(this.find(path)), options);
  }

  async create(path: SharePath, options: ShareOpenOptions, mode: number, exclusive: boolean): Promise<ShareFile> {
    const { directory, name, node } = this.place(path);
    if (node && exclusive) throw new ShareError('EEXIST');
    return this.opened(node ? asFile(node) : this.addFile(directory, name, mode), options);
  }

  async makeDirectory(path: SharePath, mode: number): Promise<void> {
    const { directory, name, node } = this.place(path);
    if (node) throw new ShareError('EEXIST');
    this.addDirectory(directory, name, mode);
  }

  async makeLink(path: SharePath, target: string): Promise<void> {
    const { directory, name, node } = this.place(path);
    if (node) throw new ShareError('EEXIST');
    this.add(directory, name, { kind: 'link', target, ...this.common(MODE_TYPE.link | 0o777) });
  }

  async readLink(path: SharePath): Promise<string> {
    const node = this.find(path);
    if (node.kind !== 'link') throw new ShareError('EINVAL');
    return node.target;
  }

  async hardLink(from: SharePath, to: SharePath): Promise<void> {
    const node = this.find(from);
    const { directory, name, node: present } = this.place(to);
    if (node.kind === 'directory') throw new ShareError('EPERM');
    if (present) throw new ShareError('EEXIST');
    directory.children.set(name, node);
    node.links++;
    this.touch(directory);
  }

  async rename(from: SharePath, to: SharePath): Promise<void> {
    const source = this.place(from);
    const target = this.place(to);
    const { node } = source;
    if (!node) throw new ShareError('ENOENT');
    if (from.length < to.length && from.every((name, n) => to[n] === name)) throw new ShareError('EINVAL');
    if (target.node === node) return;
    if (target.node) {
      if (target.node.kind === 'directory') {
        if (node.kind !== 'directory') throw new ShareError('EISDIR');
        if (target.node.children.size > 0) throw new ShareError('ENOTEMPTY');
      } else if (node.kind === 'directory') throw new ShareError('ENOTDIR');
      this.unlink(target.directory, target.name, target.node);
    }
    source.directory.children.delete(source.name);
    target.directory.children.set(target.name, node);
    if (node.kind === 'directory') {
      source.directory.links--;
      target.directory.links++;
    }
    this.touch(source.directory);
    this.touch(target.directory);
  }

  async remove(path: SharePath, directory: boolean): Promise<void> {
    const { directory: parent, name, node } = this.place(path);
    if (!node) throw new ShareError('ENOENT');
    if (directory && node.kind !== 'directory') throw new ShareError('ENOTDIR');
    if (!directory && node.kind === 'directory') throw new ShareError('EISDIR');
    if (node.kind === 'directory' && node.children.size > 0) throw new ShareError('ENOTEMPTY');
    this.unlink(parent, name, node);
  }

  async change(path: SharePath, changes: ShareChanges): Promise<void> {
    this.changeNode(this.find(path), changes);
  }

  async space(): Promise<ShareSpace> {
    const free = Math.floor((this.limitBytes - this.usedBytes) / BLOCK_BYTES);
    return {
      blockBytes: BLOCK_BYTES,
      blocks: Math.floor(this.limitBytes / BLOCK_BYTES),
      freeBlocks: free,
      availableBlocks: free,
      files: this.limitFiles,
      freeFiles: this.limitFiles - this.files,
    };
  }

  private find(path: SharePath): Node {
    let node: Node = this.root;
    for (const name of path) {
      const next = asDirectory(node).children.get(name);
      if (!next) throw new ShareError('ENOENT');
      node = next;
    }
    return node;
  }

  /** Where `path` lies, and what is there. */
  private place(path: SharePath): { directory: DirectoryNode; name: string; node: Node | undefined } {
    const name = path.at(-1);
    if (name === undefined) throw new ShareError('EBUSY');
    const directory = asDirectory(this.find(path.slice(0, -1)));
    return { directory, name, node: directory.children.get(name) };
  }

  private common(mode: number): Common {
    const now = this.now();
    return { inode: this.nextInode++, mode, links: 1, atimeNs: now, mtimeNs: now, ctimeNs: now };
  }

  private add<Kind extends Node>(directory: DirectoryNode, name: string, node: Kind): Kind {
    if (this.files >= this.limitFiles) throw new ShareError('ENOSPC');
    this.files++;
    directory.children.set(name, node);
    this.touch(directory);
    return node;
  }

  private addFile(directory: DirectoryNode, name: string, mode: number): FileNode {
    const common = this.common(MODE_TYPE.file | mode);
    return this.add(directory, name, { kind: 'file', bytes: new Uint8Array(0), sizeBytes: 0, opens: 0, ...common });
  }

  private addDirectory(directory: DirectoryNode, name: string, mode: number): DirectoryNode {
    const common = { ...this.common(MODE_TYPE.directory | mode), links: 2 };
    const made = this.add(directory, name, {
      kind: 'directory',
      children: new Map<string, Node>(),
      ...common,
    } as const);
    directory.links++;
    return made;
  }

  private unlink(directory: DirectoryNode, name: string, node: Node): void {
    directory.children.delete(name);
    node.links--;
    if (node.kind === 'directory') directory.links--;
    if (node.kind === 'directory' || node.links === 0) {
      this.files--;
      if (node.kind === 'file') this.freeIfGone(node);
    }
    this.touch(directory);
  }

  private freeIfGone(file: FileNode): void {
    if (file.links === 0 && file.opens === 0) this.resize(file, 0);
  }

  private touch(node: Node): void {
    node.mtimeNs = this.now();
    node.ctimeNs = node.mtimeNs;
  }

  private opened(file: FileNode, options: ShareOpenOptions): ShareFile {
    if (options.truncate && options.write) this.resize(file, 0);
    file.opens++;
    return {
      writable: options.write,
      stat: async () => statOf(file),
      read: async (offset, target) => {
        const part = file.bytes.subarray(
          Math.min(offset, file.sizeBytes),
          Math.min(offset + target.length, file.sizeBytes),
        );
        target.set(part);
        return part.length;
      },
      write: async (given, source) => {
        const offset = options.append ? file.sizeBytes : given;
        if (offset + source.length > file.sizeBytes) this.resize(file, offset + source.length);
        file.bytes.set(source, offset);
        this.touch(file);
        return source.length;
      },
      change: async (changes) => this.changeNode(file, changes),
      sync: async () => {},
      close: async () => {
        file.opens--;
        this.freeIfGone(file);
      },
    };
  }

  private resize(file: FileNode, sizeBytes: number): void {
    if (sizeBytes > file.bytes.length) {
      const capacity = Math.max(sizeBytes, Math.min(2 * file.bytes.length, file.bytes.length + 2 ** 20));
      const growth = capacity - file.bytes.length;
      if (this.usedBytes + growth > this.limitBytes) throw new ShareError('ENOSPC');
      const bytes = new Uint8Array(capacity);
      bytes.set(file.bytes.subarray(0, file.sizeBytes));
      file.bytes = bytes;
      this.usedBytes += growth;
    } else if (sizeBytes === 0) {
      this.usedBytes -= file.bytes.length;
      file.bytes = new Uint8Array(0);
    } else if (sizeBytes < file.sizeBytes) file.bytes.fill(0, sizeBytes, file.sizeBytes);
    file.sizeBytes = sizeBytes;
    this.touch(file);
  }

  private changeNode(node: Node, changes: ShareChanges): void {
    const { mode, uid, gid, sizeBytes, atimeNs, mtimeNs } = changes;
    // Everything belongs to root, as a file system without owners has it.
    if ((uid ?? 0) !== 0 || (gid ?? 0) !== 0) throw new ShareError('EPERM');
    if (sizeBytes !== undefined) this.resize(asFile(node), sizeBytes);
    if (mode !== undefined) node.mode = (node.mode & MODE_TYPE.mask) | mode;
    if (atimeNs !== undefined) node.atimeNs = atimeNs === 'now' ? this.now() : atimeNs;
    if (mtimeNs !== undefined) node.mtimeNs = mtimeNs === 'now' ? this.now() : mtimeNs;
    node.ctimeNs = this.now();
  }
}

function asDirectory(node: Node): DirectoryNode {
  if (node.kind !== 'directory') throw new ShareError('ENOTDIR');
  return node;
}

function asFile(node: Node): FileNode {
  if (node.kind === 'file') return node;
  throw new ShareError(node.kind === 'directory' ? 'EISDIR' : 'ELOOP');
}

function statOf(node: Node): ShareStat {
  const { kind, mode, links, inode, atimeNs, mtimeNs, ctimeNs } = node;
  const sizeBytes = node.kind === 'file' ? node.sizeBytes : node.kind === 'link' ? node.target.length : BLOCK_BYTES;
  return {
    kind,
    mode,
    uid: 0,
    gid: 0,
    links,
    rdev: 0n,
    sizeBytes,
    blockBytes: BLOCK_BYTES,
    blocks: Math.ceil(sizeBytes / 512),
    atimeNs,
    mtimeNs,
    ctimeNs,
    inode,
  };
}

/** A name as its UTF-8 bytes, one a character. */
function bytesOfName(name: string): string {
  return String.fromCharCode(...new TextEncoder().encode(name));
}
