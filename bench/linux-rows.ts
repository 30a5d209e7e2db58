// Rows that run under Linux: one boot of linux-svm whose first process runs what the kernel command line names, timed by
// when the lines around each row arrive. The machines take turns row by row.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PowervisorError } from '../src/util/errors.ts';
import type { Guest, Peer } from './machines.ts';
import { inTurns } from './turns.ts';

const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));

export interface Time {
  /** Elapsed, and of CPU time of all threads of the machine: less in the way of other work on the host. */
  readonly ms: number;
  readonly cpuMs: number;
}

export interface LinuxRun {
  readonly initrd: string;
  readonly rows: readonly string[];
  /** Runs of each row. */
  readonly repeat: number;
  readonly memory: string;
  readonly cpus: number;
}

export interface LinuxResults {
  /** Time from the start of the machine's process to the first of the guest. */
  onReady?(peer: Peer, time: Time): void;
  onRow(peer: Peer, name: string, time: Time, result: string): void;
  /** As in `Play`. */
  onFailure(peer: Peer, error: Error): void;
}

export async function runLinuxRows(
  peers: readonly Peer[],
  { initrd, rows, repeat, memory, cpus }: LinuxRun,
  { onReady, onRow, onFailure }: LinuxResults,
): Promise<void> {
  const begun = new Map<string, Time>();
  const ended = new Map<string, number>();
  const append = `console=hvc0 quiet rdinit=/bench-init repeat=${repeat} rows=${rows.join(',')}`;
  const guest: Guest = { kernel: guestFile('linux-svm', 'kernel'), initrd, append, memory, cpus };
  await inTurns(peers, {
    guest,
    last: '@done',
    // All runs of a row are one turn: QEMU makes its TLB smaller if a tenth of a second passes between them.
    endsTurn: (peer, line) => {
      const name = /^@end (\S+)/.exec(line)?.[1];
      return line === '@ready' || (name !== undefined && ended.get(`${peer.name} ${name}`)! % repeat === 0);
    },
    onLine: (peer, line, ms, pid) => {
      const now = { ms, cpuMs: cpuMs(pid) };
      if (line === '@ready') onReady?.(peer, now);
      const begin = /^@begin (\S+)/.exec(line);
      if (begin) begun.set(`${peer.name} ${begin[1]}`, now);
      const end = /^@end (\S+) (\S+)/.exec(line);
      if (end?.[2] === 'failed') throw new Error(`the program of the row ${end[1]} failed on ${peer.name}`);
      if (!end) return;
      const key = `${peer.name} ${end[1]}`;
      ended.set(key, (ended.get(key) ?? 0) + 1);
      const { ms: beginMs, cpuMs: beginCpuMs } = begun.get(key) ?? { ms: 0, cpuMs: 0 };
      // Both lines came at once: this process was kept from reading, and the run has no time.
      if (ms === beginMs) return;
      onRow(peer, end[1], { ms: ms - beginMs, cpuMs: now.cpuMs - beginCpuMs }, end[2]);
    },
    onFailure,
  });
}

/** What a process has used of the host's CPUs, in steps of 10 ms; NaN where there is no /proc (proc(5), stat). */
function cpuMs(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.NaN;
  }
}

const known = new Map<string, string>();

/** A file of a named guest, which is fetched or built first if need be, by way of the command. */
export function guestFile(name: string, part: string): string {
  const key = `${name} ${part}`;
  let path = known.get(key);
  if (path === undefined) {
    const make = name.startsWith('linux-svm') ? 'build' : 'fetch';
    const made = spawnSync(process.execPath, [command, 'guest', make, name], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (made.status !== 0)
      throw new PowervisorError('guest', `The guest ${name}, which the benchmark boots, is missing.`);
    path = execFileSync(process.execPath, [command, 'guest', 'path', name, part], { encoding: 'utf8' }).trim();
    known.set(key, path);
  }
  return path;
}
