// Rows that run under Linux: one boot of linux-svm whose first process runs what the kernel command line names, timed by
// when the lines around each row arrive.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Guest, type Peer, watch } from './machines.ts';

const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));
const PATIENCE_MS = 1_200_000;

export interface LinuxRun {
  readonly initrd: string;
  readonly rows: readonly string[];
  /** Runs of each row. */
  readonly repeat: number;
  readonly memory: string;
  readonly cpus: number;
}

/** `onReady`: milliseconds from the start of the machine's process to the first of the guest. */
export async function runLinuxRows(
  peer: Peer,
  { initrd, rows, repeat, memory, cpus }: LinuxRun,
  onReady: (ms: number) => void,
  onRow: (name: string, ms: number, result: string) => void,
): Promise<void> {
  const begun = new Map<string, number>();
  const append = `console=hvc0 quiet rdinit=/bench-init repeat=${repeat} rows=${rows.join(',')}`;
  const guest: Guest = { kernel: guestFile('linux-svm', 'kernel'), initrd, append, memory, cpus };
  await onLines(peer, guest, '@done', (line, ms) => {
    if (line === '@ready') onReady(ms);
    const begin = /^@begin (\S+)/.exec(line);
    if (begin) begun.set(begin[1], ms);
    const end = /^@end (\S+) (\S+)/.exec(line);
    if (end?.[2] === 'failed') throw new Error(`the program of the row ${end[1]} failed on ${peer.name}`);
    if (end) onRow(end[1], ms - (begun.get(end[1]) ?? 0), end[2]);
  });
}

/** Hands over whole lines with the time at which they arrived, until one is `last`. */
export async function onLines(
  peer: Peer,
  guest: Guest,
  last: string,
  onLine: (line: string, ms: number) => void,
): Promise<void> {
  let seen = 0;
  let finished = false;
  await watch(
    peer.start(guest),
    (all, ms) => {
      for (let end = all.indexOf('\n', seen); end >= 0; end = all.indexOf('\n', seen)) {
        const line = all.slice(seen, end).trim();
        seen = end + 1;
        onLine(line, ms);
        finished ||= line === last;
      }
      return finished;
    },
    PATIENCE_MS,
  );
  if (!finished) throw new Error(`${peer.name} ended before "${last}"`);
}

const known = new Map<string, string>();

/** A file of a named guest, which is fetched or built first if need be, by way of the command. */
export function guestFile(name: string, part: string): string {
  const key = `${name} ${part}`;
  let path = known.get(key);
  if (path === undefined) {
    const make = name.startsWith('linux-svm') ? 'build' : 'fetch';
    execFileSync(process.execPath, [command, 'guest', make, name], { stdio: ['ignore', 'ignore', 'inherit'] });
    path = execFileSync(process.execPath, [command, 'guest', 'path', name, part], { encoding: 'utf8' }).trim();
    known.set(key, path);
  }
  return path;
}
