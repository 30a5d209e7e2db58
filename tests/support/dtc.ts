// The device tree compiler of Debian's package device-tree-compiler, as a reference for flattened trees.

import { execFileSync } from 'node:child_process';

/** Whether dtc is installed. */
export function hasDtc(): boolean {
  try {
    execFileSync('dtc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Source text to a flattened tree of version 17. */
export function compileTree(source: string): Uint8Array {
  return new Uint8Array(execFileSync('dtc', ['-q', '-I', 'dts', '-O', 'dtb'], { input: source }));
}

/** A flattened tree as source text, nodes and properties sorted. */
export function decompileTree(blob: Uint8Array): string {
  return execFileSync('dtc', ['-q', '-s', '-I', 'dtb', '-O', 'dts'], { input: blob }).toString();
}
