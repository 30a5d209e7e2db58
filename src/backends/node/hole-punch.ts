// Gives space of a file back to the host's file system. Node cannot, so the program `fallocate` of util-linux does it;
// where there is none, or the file system has no holes, nothing is given back.

import { spawn } from 'node:child_process';

/** Holes have the granularity of the file system; less than this is not worth a process. */
const MIN_BYTES = 65536;
const GRANULARITY = 4096;

export class HolePuncher {
  private readonly fd: number;
  private possible = process.platform === 'linux';
  private last: Promise<boolean> = Promise.resolve(true);

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Where a range has whole pieces that can be given back, or undefined if that is not worth it. */
  inside(offset: number, lenBytes: number): { readonly start: number; readonly end: number } | undefined {
    const start = Math.ceil(offset / GRANULARITY) * GRANULARITY;
    const end = Math.floor((offset + lenBytes) / GRANULARITY) * GRANULARITY;
    return this.possible && end - start >= MIN_BYTES ? { start, end } : undefined;
  }

  /** Bytes `start` to `end` read as zero afterwards and take no space. False: nothing has changed. One at a time. */
  punch({ start, end }: { readonly start: number; readonly end: number }): Promise<boolean> {
    this.last = this.last.then(async () => {
      if (!this.possible) return false;
      const flags = ['--punch-hole', '--offset', String(start), '--length', String(end - start), '/proc/self/fd/3'];
      this.possible = await new Promise<boolean>((resolve) => {
        const child = spawn('fallocate', flags, { stdio: ['ignore', 'ignore', 'ignore', this.fd] });
        child.on('error', () => resolve(false));
        child.on('close', (status) => resolve(status === 0));
      });
      return this.possible;
    });
    return this.last;
  }
}
