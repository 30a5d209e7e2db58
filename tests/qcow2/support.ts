// Common to the tests of disk images: qemu-img, a temporary folder, random numbers.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeFile } from '../../src/backends/node/image-file.ts';

/** In memory if the system has a place for that: many flushes of a disk that others use as well take their time. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'powervisor-qcow2-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export interface QemuCheck {
  readonly corruptions: number;
  readonly leaks: number;
  readonly status: number | null;
  readonly text: string;
}

/** What qemu-img check says. Status 0 is clean, 2 errors, 3 leaks only. */
export function qemuCheck(path: string): QemuCheck {
  const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', '--output=json', path], {
    encoding: 'utf8',
  });
  const text = stdout + stderr;
  const found = (name: string) => Number(new RegExp(`"${name}": (\\d+)`).exec(text)?.[1] ?? 0);
  return { corruptions: found('corruptions') + found('check-errors'), leaks: found('leaks'), status, text };
}

/** Seeded random numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function openFile(path: string, flags: 'r' | 'r+' | 'w+'): Promise<NodeFile> {
  return new NodeFile(await open(path, flags), flags === 'r');
}
