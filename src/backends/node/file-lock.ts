// Keeps two machines from writing one image. Node cannot lock files, so the program `flock` of util-linux is lent the open
// file and locks it; the lock lasts as long as the file is open. Where there is no such program, only disks of this process
// are kept apart. QEMU locks images in a way of its own (OFD locks from byte 100 on): that is looked at where /proc/locks
// shows it, so an image that QEMU has open is refused. QEMU does not look at ours.

import { spawn } from 'node:child_process';
import { type FileHandle, readFile } from 'node:fs/promises';
import { PowervisorError } from '../../util/errors.ts';

/** Readers share a file with readers only. */
export type Sharing = 'shared' | 'exclusive';

/** Files that disks of this process have open. */
const own = new Map<string, { readers: number; writer: boolean }>();

/** Exit status of `flock -n` when somebody else has the lock. */
const TAKEN = 1;
/** Bytes that QEMU locks for what it does (100 and up) and for what others must not do (200 and up); 1 more: to write. */
const QEMU_BYTES = [100, 101, 102, 103, 200, 201, 202, 203];
const QEMU_WRITES = 101;

/**
 * Locks an open file until the returned function is called, before the file is closed. Throws a PowervisorError if
 * somebody else has it.
 */
export async function lockFile(file: FileHandle, path: string, sharing: Sharing): Promise<() => void> {
  const { dev, ino } = await file.stat();
  const key = `${dev}:${ino}`;
  const entry = own.get(key) ?? { readers: 0, writer: false };
  if (entry.writer || (sharing === 'exclusive' && entry.readers > 0)) throw inUse(path, 'another disk of this run');
  // Counted before the first wait, so that two calls at the same time see each other.
  if (sharing === 'exclusive') entry.writer = true;
  else entry.readers++;
  own.set(key, entry);
  const release = () => {
    if (sharing === 'exclusive') entry.writer = false;
    else entry.readers--;
    if (!entry.writer && entry.readers === 0) own.delete(key);
  };
  if ((await usedByQemu(dev, ino, sharing)) || (await runFlock(file.fd, sharing)) === TAKEN) {
    release();
    throw inUse(path, 'another program');
  }
  return release;
}

function inUse(path: string, by: string): PowervisorError {
  return new PowervisorError(
    'DRIVE',
    `The disk image ${path} is in use by ${by}; only read-only disks and snapshots can share one, so add readonly or snapshot to all of them.`,
  );
}

/** Its exit status; undefined if it could not be run. */
function runFlock(fd: number, sharing: Sharing): Promise<number | undefined> {
  return new Promise((resolve) => {
    const flags = ['-n', sharing === 'exclusive' ? '-x' : '-s', '3'];
    const child = spawn('flock', flags, { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.on('error', () => resolve(undefined));
    child.on('close', (status) => resolve(status ?? undefined));
  });
}

async function usedByQemu(dev: number, ino: number, sharing: Sharing): Promise<boolean> {
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '');
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  const place = `${hex(major)}:${hex(minor)}:${ino}`;
  return locks.split('\n').some((line) => {
    const [, kind, , , , where, start, end] = line.trim().split(/\s+/);
    if (kind !== 'OFDLCK' || where !== place) return false;
    const covers = (byte: number) => byte >= Number(start) && (end === 'EOF' || byte <= Number(end));
    return sharing === 'exclusive' ? QEMU_BYTES.some(covers) : covers(QEMU_WRITES);
  });
}
