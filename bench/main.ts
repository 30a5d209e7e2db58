// `npm run bench`: Powervisor beside qemu-system-ppc64, in turn, in one run, on the same guests. Prints the best time of
// each over the rounds and ratios: how many times as fast as QEMU Powervisor is (below 1: slower). Results must be equal.
//
// Options: --rounds N (default 3), --only NAME (part of a row's name; several with commas), --repeat N (runs of a row
// within one boot, default 3), --node PATH (another Node to run Powervisor with, beside the one that runs this; may be
// given several times), --json FILE, --markdown FILE, --no-qemu, -- OPTION... (for `powervisor run`).

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus as hostCpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { deviceRows } from './devices.ts';
import { type Guest, type Peer, powervisor, qemu, qemuVersion, watch } from './machines.ts';
import { userRows } from './rows.ts';
import { type SecureRow, secureRows, secureTable } from './secure.ts';
import { asMarkdown, asText, Table } from './table.ts';
import { benchInitramfs, compilerVersion } from './userland.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    repeat: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    node: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
    markdown: { type: 'string' },
    'no-qemu': { type: 'boolean', default: false },
    vs: { type: 'string', default: 'qemu' },
  },
});
const rounds = wholeNumber('rounds', values.rounds);
const repeat = wholeNumber('repeat', values.repeat);
if (values.vs !== 'qemu') throw new Error(`--vs knows qemu only, not ${values.vs}`);

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} wants a number from 1, not ${text}`);
  return value;
}

const table = new Table();
const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));
const pocket = fileURLToPath(new URL('../guests/pocket/pocket.elf', import.meta.url));

const wanted = values.only.split(',');
const isWanted = (name: string) => wanted.some((part) => name.includes(part));

/** The loops of the pocket guest, without an operating system: the first has no branches in it and the shortest time. */
async function pocketLoops(peer: Peer): Promise<void> {
  const begun = new Map<string, number>();
  const repetitions = 12;
  const guest: Guest = { kernel: pocket, append: `plain only=bench bench=${repetitions}`, memory: '512M', cpus: 1 };
  await onLines(peer, guest, 'bench end', (line, ms) => {
    const begin = /^bench ([\w-]+) begin/.exec(line);
    if (begin) begun.set(begin[1], ms);
    const end = /^bench ([\w-]+) ticks (\d+) checksum (\w+)/.exec(line);
    if (!end) return;
    const [, name, ticks, result] = end;
    const group = name === 'matmul-double' ? 'floating point' : 'integer';
    table.record(`pocket ${name}`, group, peer.name, {
      ms: (ms - (begun.get(name) ?? 0)) / repetitions,
      result,
      // One tick is one instruction here; in QEMU it is a piece of the host's time.
      instructions: peer === qemu ? undefined : Number(ticks),
    });
  });
}

/** All chosen rows that run under Linux, in one boot; the boot up to the first process is a row as well. */
async function userland(peer: Peer, rows: readonly string[]): Promise<void> {
  const begun = new Map<string, number>();
  const busybox = guestFile('busybox', 'initrd');
  const guest: Guest = {
    kernel: guestFile('linux-svm', 'kernel'),
    initrd: benchInitramfs(busybox),
    append: `console=hvc0 quiet rdinit=/bench-init repeat=${repeat} rows=${rows.join(',')}`,
    memory: '512M',
    cpus: 1,
  };
  await onLines(peer, guest, '@done', (line, ms) => {
    if (line === '@ready') table.record('boot linux-svm to init', 'boot', peer.name, { ms, result: 'ready' });
    const begin = /^@begin (\S+)/.exec(line);
    if (begin) begun.set(begin[1], ms);
    const end = /^@end (\S+) (\S+)/.exec(line);
    if (!end) return;
    const [, name, result] = end;
    const group = userRows.find((row) => row.name === name)?.group ?? 'integer';
    table.record(name, group, peer.name, { ms: ms - (begun.get(name) ?? 0), result });
  });
}

/** Boots until `prompt` appears. */
async function boot(name: string, peer: Peer, guest: Guest, prompt: string): Promise<void> {
  let done: number | undefined;
  await watch(
    peer.start(guest),
    (all, ms) => {
      if (!all.includes(prompt)) return false;
      done ??= ms;
      return true;
    },
    300_000,
  );
  if (done === undefined) throw new Error(`${name} on ${peer.name} ended without its prompt`);
  table.record(name, 'boot', peer.name, { ms: done, result: 'prompt' });
}

/** Hands over whole lines with the time at which they arrived, until one is `last`. */
async function onLines(
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
    1_200_000,
  );
  if (!finished) throw new Error(`${peer.name} ended before "${last}"`);
}

/** A file of a named guest, which is fetched or built first if need be, by way of the command. */
function guestFile(name: string, part: string): string {
  const make = name === 'linux-svm' ? 'build' : 'fetch';
  execFileSync(process.execPath, [command, 'guest', make, name], { stdio: ['ignore', 'ignore', 'inherit'] });
  return execFileSync(process.execPath, [command, 'guest', 'path', name, part], { encoding: 'utf8' }).trim();
}

const version = qemuVersion();
const nodes = [process.execPath, ...values.node];
const nodeVersions = nodes.map((path) => execFileSync(path, ['--version'], { encoding: 'utf8' }).trim());
const ours = nodes.map((path, i) => powervisor(path, positionals, `Node ${nodeVersions[i].slice(1)}`));
const peers: Peer[] = [...ours];
if (!values['no-qemu']) {
  if (version === undefined)
    throw new Error('qemu-system-ppc64 is not installed (Debian: qemu-system-ppc); --no-qemu goes without');
  peers.unshift(qemu);
}

interface Benchmark {
  readonly name: string;
  run(peer: Peer): Promise<void>;
}
const chosenRows = userRows.map(({ name }) => name).filter(isWanted);
const benchmarks: Benchmark[] = [];
if (isWanted('pocket')) benchmarks.push({ name: 'pocket loops', run: pocketLoops });
if (chosenRows.length > 0 || isWanted('boot linux-svm to init')) {
  benchmarks.push({ name: 'rows under linux-svm', run: (peer) => userland(peer, chosenRows) });
}
const shell = 'boot linux-svm to the busybox shell';
if (isWanted(shell)) {
  const run = (peer: Peer) =>
    boot(
      shell,
      peer,
      {
        kernel: guestFile('linux-svm', 'kernel'),
        initrd: guestFile('busybox', 'initrd'),
        append: 'console=hvc0',
        memory: '1G',
        cpus: 1,
      },
      '~ # ',
    );
  benchmarks.push({ name: shell, run });
}
const installer = 'boot debian-12-installer to a shell';
if (isWanted(installer)) {
  const run = (peer: Peer) =>
    boot(
      installer,
      peer,
      {
        kernel: guestFile('debian-12-installer', 'kernel'),
        initrd: guestFile('debian-12-installer', 'initrd'),
        append: 'rdinit=/bin/sh console=hvc0',
        memory: '1G',
        cpus: 1,
      },
      '# ',
    );
  benchmarks.push({ name: installer, run });
}
if (isWanted('disk and net')) {
  const run = (peer: Peer) =>
    deviceRows(
      peer,
      { kernel: guestFile('linux-svm', 'kernel'), initrd: guestFile('busybox', 'initrd') },
      (name, sample) => table.record(name, 'devices', peer.name, sample),
    );
  benchmarks.push({ name: 'disk and net', run });
}
const withSecure = isWanted('secure mode');
if (benchmarks.length === 0 && !withSecure) {
  const names = ['pocket', ...userRows.map(({ name }) => name), shell, installer, 'disk and net', 'secure mode'];
  throw new Error(`no row has "${values.only}" in its name: ${names.join('; ')}`);
}

for (let round = 1; round <= rounds; round++) {
  for (const benchmark of benchmarks) {
    for (const peer of peers) {
      process.stderr.write(`round ${round}/${rounds}: ${benchmark.name} on ${peer.name}\n`);
      await benchmark.run(peer);
    }
  }
}

const { version: own } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const machines = ours.map(({ name }) => name);
const summary = table.summary(qemu.name, machines);
const heading = [
  `Powervisor ${own}, Node ${nodeVersions.join(' and ')}`,
  version ?? 'no QEMU',
  compilerVersion(),
  `${hostCpus().length} host CPUs (${hostCpus()[0].model})`,
  `${rounds} round(s) of up to ${repeat} run(s), best of each`,
].join('; ');
console.log(heading);
console.log(asText(summary, machines));
if (values.markdown) writeFileSync(values.markdown, `${heading}\n\n${asMarkdown(summary, machines)}\n`);
let secure: SecureRow[] = [];
if (withSecure) {
  process.stderr.write('secure mode\n');
  secure = await secureRows(pocket, {
    kernel: guestFile('linux-svm', 'kernel'),
    initrd: guestFile('busybox', 'initrd'),
  });
  console.log(['', ...secureTable(secure)].join('\n'));
}
if (values.json) writeFileSync(values.json, `${JSON.stringify({ heading, ...summary, secure }, null, 2)}\n`);
if (summary.rows.some(({ equal }) => !equal)) process.exitCode = 1;
