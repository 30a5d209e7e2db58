// `npm run bench`: Powervisor beside qemu-system-ppc64, in turn, in one run, on the same guests. Prints medians over the
// rounds and ratios: how many times as fast as QEMU Powervisor is (below 1: slower). Results must be equal.
//
// Options: --rounds N (default 3), --only NAME (part of a row's name), --json FILE, --no-qemu.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus as hostCpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { deviceRows } from './devices.ts';
import { type Peer, powervisor, qemu, qemuVersion, watch } from './machines.ts';
import { type SecureRow, secureRows, secureTable } from './secure.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
    'no-qemu': { type: 'boolean', default: false },
    vs: { type: 'string', default: 'qemu' },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds wants a number from 1, not ${values.rounds}`);
if (values.vs !== 'qemu') throw new Error(`--vs knows qemu only, not ${values.vs}`);

/** Milliseconds, and what must be the same for both machines. */
interface Sample {
  readonly ms: number;
  readonly result: string;
  /** Guest instructions, where Powervisor tells. */
  readonly instructions?: number;
}
interface Row {
  readonly name: string;
  readonly samples: Map<string, Sample[]>;
}

const rows = new Map<string, Row>();
function record(name: string, peer: Peer, sample: Sample): void {
  let row = rows.get(name);
  if (row === undefined) {
    row = { name, samples: new Map() };
    rows.set(name, row);
  }
  const list = row.samples.get(peer.name) ?? [];
  row.samples.set(peer.name, list);
  list.push(sample);
}

const pocket = fileURLToPath(new URL('../guests/pocket/pocket.elf', import.meta.url));
const KERNEL_LINE = /bench ([\w-]+) ticks (\d+) checksum (\w+)/;

/** The compiled C loops of the pocket guest, each timed from its first line to its last. */
async function loops(peer: Peer): Promise<void> {
  const begun = new Map<string, number>();
  let seen = 0;
  const repetitions = 3;
  const guest = { kernel: pocket, append: `plain only=bench bench=${repetitions}`, memory: '512M', cpus: 1 };
  await watch(
    peer.start(guest),
    (all, ms) => {
      const lines = all.split('\n');
      for (; seen < lines.length - 1; seen++) {
        const begin = /bench ([\w-]+) begin/.exec(lines[seen]);
        if (begin) begun.set(begin[1], ms);
        const end = KERNEL_LINE.exec(lines[seen]);
        if (end) {
          const instructions = peer.name === 'powervisor' ? Number(end[2]) : undefined;
          record(`loop ${end[1]}`, peer, {
            ms: (ms - (begun.get(end[1]) ?? 0)) / repetitions,
            result: end[3],
            instructions,
          });
        }
      }
      return all.includes('bench end');
    },
    120_000,
  );
}

async function boot(
  name: string,
  peer: Peer,
  files: { kernel: string; initrd: string },
  append: string,
  prompt: string,
): Promise<void> {
  let done: number | undefined;
  await watch(
    peer.start({ ...files, append, memory: '1G', cpus: 1 }),
    (all, ms) => {
      if (!all.includes(prompt)) return false;
      done ??= ms;
      return true;
    },
    300_000,
  );
  if (done === undefined) throw new Error(`${name} on ${peer.name} ended without its prompt`);
  record(name, peer, { ms: done, result: 'prompt' });
}

/** Kernel and initrd of named guests, fetched or built first if need be, by way of the command. */
async function guestFiles(kernel: string, initrd: string): Promise<{ kernel: string; initrd: string }> {
  return { kernel: guestFile(kernel, 'kernel'), initrd: guestFile(initrd, 'initrd') };
}
function guestFile(name: string, part: string): string {
  const make = name === 'linux-svm' ? 'build' : 'fetch';
  const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));
  execFileSync(process.execPath, [command, 'guest', make, name], { stdio: ['ignore', 'ignore', 'inherit'] });
  return execFileSync(process.execPath, [command, 'guest', 'path', name, part], { encoding: 'utf8' }).trim();
}

const version = qemuVersion();
const peers: Peer[] = [powervisor()];
if (!values['no-qemu']) {
  if (version === undefined)
    throw new Error('qemu-system-ppc64 is not installed (Debian: qemu-system-ppc); --no-qemu goes without');
  peers.unshift(qemu);
}

interface Benchmark {
  readonly name: string;
  run(peer: Peer): Promise<void>;
}
const benchmarks: Benchmark[] = [
  { name: 'loop', run: loops },
  {
    name: 'boot linux-svm to the busybox shell',
    run: async (peer) =>
      boot(
        'boot linux-svm to the busybox shell',
        peer,
        await guestFiles('linux-svm', 'busybox'),
        'console=hvc0',
        '~ # ',
      ),
  },
  {
    name: 'boot debian-12-installer to a shell',
    run: async (peer) =>
      boot(
        'boot debian-12-installer to a shell',
        peer,
        await guestFiles('debian-12-installer', 'debian-12-installer'),
        'rdinit=/bin/sh console=hvc0',
        '# ',
      ),
  },
  {
    name: 'disk and net',
    run: async (peer) =>
      deviceRows(peer, await guestFiles('linux-svm', 'busybox'), (name, sample) => record(name, peer, sample)),
  },
];

const chosen = benchmarks.filter((each) => each.name.includes(values.only));
const withSecure = 'secure mode'.includes(values.only);
if (chosen.length === 0 && !withSecure)
  throw new Error(`no benchmark has "${values.only}" in its name: ${benchmarks.map((each) => each.name).join('; ')}`);
for (let round = 1; round <= rounds; round++) {
  for (const benchmark of chosen) {
    for (const peer of peers) {
      process.stderr.write(`round ${round}/${rounds}: ${benchmark.name} on ${peer.name}\n`);
      await benchmark.run(peer);
    }
  }
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1];
const { version: own } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const heading = `Powervisor ${own}, Node ${process.version}, ${version ?? 'no QEMU'}, ${hostCpus().length} host CPUs (${hostCpus()[0].model}), ${rounds} round(s), medians`;
console.log(heading);
console.log(
  `${'row'.padEnd(40)}${'QEMU ms'.padStart(10)}${'ours ms'.padStart(10)}${'ratio'.padStart(8)}${'M instr/s'.padStart(11)}  results`,
);
const table = [...rows.values()].map(({ name, samples }) => {
  const ours = samples.get('powervisor') ?? [];
  const theirs = samples.get('qemu') ?? [];
  const oursMs = median(ours.map((s) => s.ms));
  const theirsMs = theirs.length > 0 ? median(theirs.map((s) => s.ms)) : undefined;
  const results = new Set([...ours, ...theirs].map((s) => s.result));
  const instructions = ours[0]?.instructions;
  const mips = instructions === undefined ? undefined : instructions / oursMs / 1000;
  return {
    name,
    theirsMs,
    oursMs,
    ratio: theirsMs === undefined ? undefined : theirsMs / oursMs,
    mips,
    equal: results.size === 1,
  };
});
for (const { name, theirsMs, oursMs, ratio, mips, equal } of table) {
  const number = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits));
  console.log(
    `${name.padEnd(40)}${number(theirsMs, 1).padStart(10)}${number(oursMs, 1).padStart(10)}${number(ratio, 2).padStart(8)}${number(mips, 0).padStart(11)}  ${equal ? 'equal' : 'DIFFER'}`,
  );
}
let secure: SecureRow[] = [];
if (withSecure) {
  process.stderr.write('secure mode\n');
  secure = await secureRows(pocket, await guestFiles('linux-svm', 'busybox'));
  console.log(['', ...secureTable(secure)].join('\n'));
}
if (values.json) writeFileSync(values.json, `${JSON.stringify({ heading, table, secure }, null, 2)}\n`);
if (table.some(({ equal }) => !equal)) process.exitCode = 1;
