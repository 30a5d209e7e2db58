// Resident memory: of both machines with a guest of 1 GiB at its prompt, and of Powervisor while a guest loads and unloads
// modules. Read from /proc of the host, so on Linux only.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PowervisorError } from '../src/util/errors.ts';
import type { ChurnSample } from '../tests/support/module-churn.ts';
import { guestFile } from './linux-rows.ts';
import { type Guest, type Peer, qemu } from './machines.ts';

const MIB = 2 ** 20;
const PATIENCE_MS = 300_000;
const SETTLE_MS = 3000;

export interface Resident {
  readonly guest: string;
  readonly machine: string;
  /** Megabytes (2^20 bytes) of the host: at the prompt, and the most there ever was until then. */
  readonly mib: number;
  readonly peakMib: number;
}

export interface Churn {
  readonly machine: string;
  readonly samples: readonly ChurnSample[];
}

const program = fileURLToPath(new URL('.churn.mjs', import.meta.url));

/** The guests that are booted, with the text of their prompts. */
function guests(): { name: string; prompt: string; guest: Guest }[] {
  const common = { memory: '1G', cpus: 1 };
  const svm = { kernel: guestFile('linux-svm', 'kernel'), initrd: guestFile('busybox', 'initrd') };
  const installer = {
    kernel: guestFile('debian-12-installer', 'kernel'),
    initrd: guestFile('debian-12-installer', 'initrd'),
  };
  return [
    { name: 'linux-svm, BusyBox shell', prompt: '~ # ', guest: { ...svm, append: 'console=hvc0', ...common } },
    {
      name: 'debian-12-installer, shell',
      prompt: '# ',
      guest: { ...installer, append: 'rdinit=/bin/sh console=hvc0', ...common },
    },
  ];
}

export async function residentMemory(peers: readonly Peer[], note: (text: string) => void): Promise<Resident[]> {
  if (!existsSync('/proc/self/status')) {
    throw new PowervisorError('memory', 'Resident memory is read from /proc, which this host does not have.');
  }
  const rows: Resident[] = [];
  for (const { name, prompt, guest } of guests()) {
    for (const peer of peers) {
      note(`memory: ${name} on ${peer.name}`);
      const { mib, peakMib } = await atPrompt(peer, guest, prompt);
      rows.push({ guest: name, machine: peer === qemu ? 'QEMU' : peer.name, mib, peakMib });
    }
  }
  return rows;
}

/** Boots, waits until the machine has settled at the prompt, and looks. */
async function atPrompt(peer: Peer, guest: Guest, prompt: string): Promise<{ mib: number; peakMib: number }> {
  const machine = peer.start(guest);
  try {
    await new Promise<void>((resolve, reject) => {
      let all = '';
      const timer = setTimeout(() => reject(new Error(`no prompt on ${peer.name}: ${all.slice(-500)}`)), PATIENCE_MS);
      machine.once('error', reject);
      machine.once('close', () => reject(new Error(`${peer.name} ended without a prompt: ${all.slice(-500)}`)));
      machine.stdout?.on('data', (bytes: Buffer) => {
        all += bytes.toString('latin1');
        if (!all.includes(prompt)) return;
        clearTimeout(timer);
        resolve();
      });
    });
    await sleep(SETTLE_MS);
    const status = readFileSync(`/proc/${machine.pid}/status`, 'utf8');
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
    return { mib: field('VmRSS'), peakMib: field('VmHWM') };
  } finally {
    machine.kill('SIGKILL');
  }
}

/** Rounds of modules loaded and unloaded for so many minutes, under each Node. */
export async function moduleChurn(
  peers: readonly Peer[],
  minutes: number,
  note: (text: string) => void,
): Promise<Churn[]> {
  const files = [guestFile('debian-12-kernel', 'kernel'), guestFile('debian-12-modules', 'initrd')];
  const results: Churn[] = [];
  for (const { name, node } of peers) {
    if (node === undefined) continue;
    note(`memory: ${minutes} minutes of module churn on ${name}`);
    const every = minutes >= 10 ? 10 : 1;
    const child = spawn(node, ['--expose-gc', program, ...files, String(minutes), String(every)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const samples: ChurnSample[] = [];
    for await (const line of createInterface({ input: child.stdout })) samples.push(JSON.parse(line) as ChurnSample);
    if (samples.length === 0) throw new Error(`no round of module churn came to its end on ${name}`);
    results.push({ machine: name, samples });
  }
  return results;
}

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const ruler = (count: number) => line(Array.from({ length: count }, (_, i) => (i === 0 ? '---' : '---:')));

export function residentMarkdown(rows: readonly Resident[]): string {
  const head = ['1 GiB guest at its prompt', 'machine', 'resident MiB', 'peak MiB'];
  return [
    line(head),
    ruler(head.length),
    ...rows.map(({ guest, machine, mib, peakMib }) => line([guest, machine, mib.toFixed(0), peakMib.toFixed(0)])),
  ].join('\n');
}

/** At most a dozen samples of each, evenly spread, the first and the last among them. */
export function churnMarkdown(churns: readonly Churn[]): string {
  const head = ['rounds', 'minutes', 'resident MiB', 'JS heap MiB', 'regions made', 'live', 'outside the kernel'];
  return churns
    .map(({ machine, samples }) => {
      const step = Math.max(1, (samples.length - 1) / 11);
      const picked = new Set(Array.from({ length: 12 }, (_, i) => Math.min(samples.length - 1, Math.round(i * step))));
      const rows = [...picked].map((index) => {
        const each = samples[index];
        const cells = [each.residentBytes / MIB, each.heapBytes / MIB].map((value) => value.toFixed(0));
        const counts = [each.regions, each.liveRegions, each.reachableElsewhere].map(String);
        return line([String(each.cycle), (each.seconds / 60).toFixed(1), ...cells, ...counts]);
      });
      return [`Module churn, ${machine}:`, '', line(head), ruler(head.length), ...rows].join('\n');
    })
    .join('\n\n');
}
