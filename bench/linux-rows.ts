// Rows that run under Linux: one boot of linux-svm whose first process runs what the kernel command line names, timed by
// when the lines around each row arrive.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PowervisorError } from '../src/util/errors.ts';
import { type Guest, type Peer, watch } from './machines.ts';

const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));
const PATIENCE_MS = 1_200_000;

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

/** `onReady`: time from the start of the machine's process to the first of the guest. */
export async function runLinuxRows(
  peer: Peer,
  { initrd, rows, repeat, memory, cpus }: LinuxRun,
  onReady: (time: Time) => void,
  onRow: (name: string, time: Time, result: string) => void,
): Promise<void> {
  const begun = new Map<string, Time>();
  const append = `console=hvc0 quiet rdinit=/bench-init repeat=${repeat} rows=${rows.join(',')}`;
  const guest: Guest = { kernel: guestFile('linux-svm', 'kernel'), initrd, append, memory, cpus };
  await onLines(peer, guest, '@done', (line, ms, pid) => {
    const now = { ms, cpuMs: cpuMs(pid) };
    if (line === '@ready') onReady(now);
    const begin = /^@begin (\S+)/.exec(line);
    if (begin) begun.set(begin[1], now);
    const end = /^@end (\S+) (\S+)/.exec(line);
    if (end?.[2] === 'failed') throw new Error(`the program of the row ${end[1]} failed on ${peer.name}`);
    if (!end) return;
    const { ms: beginMs, cpuMs: beginCpuMs } = begun.get(end[1]) ?? { ms: 0, cpuMs: 0 };
    // Both lines came at once: this process was kept from reading, and the run has no time.
    if (ms === beginMs) return;
    onRow(end[1], { ms: ms - beginMs, cpuMs: now.cpuMs - beginCpuMs }, end[2]);
  });
}

/** Hands over whole lines with the time at which they arrived, until one is `last`. */
export async function onLines(
  peer: Peer,
  guest: Guest,
  last: string,
  onLine: (line: string, ms: number, pid: number) => void,
): Promise<void> {
  const machine = peer.start(guest);
  let seen = 0;
  let finished = false;
  await watch(
    machine,
    (all, ms) => {
      for (let end = all.indexOf('\n', seen); end >= 0; end = all.indexOf('\n', seen)) {
        const line = all.slice(seen, end).trim();
        seen = end + 1;
        onLine(line, ms, machine.pid ?? 0);
        finished ||= line === last;
      }
      return finished;
    },
    PATIENCE_MS,
  );
  if (!finished) throw new Error(`${peer.name} ended before "${last}"`);
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
