// The names that fids stand for, as a tree: a fid holds a node, not a path, so that renaming a directory moves all fids
// below it, and what is removed does not come back as something else of the same name.

import { ShareError, type SharePath } from '../../../backends/share-backend.ts';
import { assert } from '../../../util/errors.ts';

/** Names below one another; bounds what one request costs. */
export const MAX_DEPTH = 256;
/** Linux NAME_MAX. */
export const MAX_NAME_BYTES = 255;

export class NameNode {
  name: string;
  /** Undefined for the shared folder, and for what was removed. */
  parent: NameNode | undefined;
  readonly children = new Map<string, NameNode>();
  /** Fids that hold the node. */
  holders = 0;

  constructor(name: string, parent: NameNode | undefined) {
    this.name = name;
    this.parent = parent;
  }
}

export class NameTree {
  readonly root = new NameNode('', undefined);

  /** Nodes in the tree, for tests of leaks. */
  get size(): number {
    const count = (node: NameNode): number => [...node.children.values()].reduce((sum, child) => sum + count(child), 1);
    return count(this.root);
  }

  /** ENOENT if the thing has been removed through the share. */
  path(node: NameNode): SharePath {
    const path: string[] = [];
    for (let at = node; at !== this.root; at = at.parent) {
      if (at.parent === undefined) throw new ShareError('ENOENT');
      path.push(at.name);
    }
    return path.reverse();
  }

  childPath(node: NameNode, name: string): SharePath {
    checkName(name);
    const path = [...this.path(node), name];
    if (path.length > MAX_DEPTH) throw new ShareError('ENAMETOOLONG');
    return path;
  }

  /** `..` of the shared folder is the folder itself. */
  parent(node: NameNode): NameNode {
    this.path(node);
    return node.parent ?? this.root;
  }

  hold(node: NameNode): NameNode {
    node.holders++;
    return node;
  }

  /** The child of `parent`, held. */
  holdChild(parent: NameNode, name: string): NameNode {
    let child = parent.children.get(name);
    if (!child) {
      child = new NameNode(name, parent);
      parent.children.set(name, child);
    }
    return this.hold(child);
  }

  release(node: NameNode): void {
    assert(node.holders > 0, 'a name is released that nobody holds');
    node.holders--;
    this.prune(node);
  }

  /** What was below `parent` as `name` is gone. */
  removed(parent: NameNode, name: string): void {
    const child = parent.children.get(name);
    if (!child) return;
    parent.children.delete(name);
    child.parent = undefined;
    this.prune(parent);
  }

  /** What was `from` in `parent` is now `to` in `target`, in place of what was there. */
  moved(parent: NameNode, from: string, target: NameNode, to: string): void {
    if (parent === target && from === to) return;
    const child = parent.children.get(from);
    // Moving onto its own child cannot have succeeded on the host; guard the tree all the same.
    for (let at: NameNode | undefined = target; at; at = at.parent) if (at === child) return;
    const old = target.children.get(to);
    if (old) {
      target.children.delete(to);
      old.parent = undefined;
    }
    if (child) {
      parent.children.delete(from);
      child.name = to;
      child.parent = target;
      target.children.set(to, child);
    }
    this.prune(parent);
    this.prune(target);
  }

  private prune(node: NameNode): void {
    for (let at = node; at.holders === 0 && at.children.size === 0 && at.parent; ) {
      const { parent } = at;
      if (parent.children.get(at.name) === at) parent.children.delete(at.name);
      at.parent = undefined;
      at = parent;
    }
  }
}

/** One name, as mkdir(2) would take it: not empty, `.` or `..`, and without a slash. */
export function checkName(name: string): void {
  if (name.length > MAX_NAME_BYTES) throw new ShareError('ENAMETOOLONG');
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new ShareError('EINVAL', 'not a name');
  }
}
