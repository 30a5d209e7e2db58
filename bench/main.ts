// `npm run bench`: Powervisor beside qemu-system-ppc64, taking turns, in one run, on the same guests. Prints the best time of
// each over the rounds and ratios: how many times as fast as QEMU Powervisor is (below 1: slower). Results must be equal.
// Then tables of growth and of memory.
//
// Options: --rounds N (default 3), --only NAME (part of a row's name; several with commas), --repeat N (runs of a row
// within one boot, default 3), --node PATH (another Node to run Powervisor with, beside the one that runs this; may be
// given several times), --json FILE, --markdown FILE, --no-qemu, --coremark FOLDER, --dhrystone FOLDER (sources),
// --churn-minutes N (default 1), -- OPTION... (for `powervisor run`).

import { readFileSync, writeFileSync } from 'node:fs';
import { cpus as hostCpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PowervisorError, UsageError } from '../src/util/errors.ts';
import { debianPrograms } from './debian-programs.ts';
import { deviceRowNames, deviceRows } from './devices.ts';
import { type Growth, growthChart, growthMarkdown, growthSeries } from './growth.ts';
import { guestFile, type LinuxResults, type LinuxRun, runLinuxRows } from './linux-rows.ts';
import { type Guest, nodeNames, nodeVersion, type Peer, powervisor, qemu, qemuVersion, watch } from './machines.ts';
import { type Churn, churnMarkdown, moduleChurn, type Resident, residentMarkdown, residentMemory } from './memory.ts';
import { programRows, suppliedRows, type UserRow, userRows } from './rows.ts';
import { type SecureRow, secureRows, secureTable } from './secure.ts';
import { asMarkdown, asText, Table } from './table.ts';
import { inTurns } from './turns.ts';
import { benchInitramfs, compilerVersion, hasCompiler } from './userland.ts';

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
    coremark: { type: 'string' },
    dhrystone: { type: 'string' },
    'churn-minutes': { type: 'string', default: '1' },
  },
});
const rounds = wholeNumber('rounds', values.rounds);
const repeat = wholeNumber('repeat', values.repeat);
const churnMinutes = wholeNumber('churn-minutes', values['churn-minutes']);
if (values.vs !== 'qemu') throw new UsageError('vs', `--vs knows qemu only, not ${values.vs}.`);

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new UsageError(option, `--${option} wants a whole number from 1, not ${text}.`);
}

const table = new Table();
const load = loadavg()[0].toFixed(1);
const pocket = fileURLToPath(new URL('../guests/pocket/pocket.elf', import.meta.url));

const wanted = values.only.split(',').map((part) => part.trim());
const asked = new Set<string>();
/** An empty --only chooses everything. */
const isWanted = (name: string) => {
  const parts = wanted.filter((part) => name.includes(part));
  for (const part of parts) asked.add(part);
  return parts.length > 0;
};

type OnFailure = (peer: Peer, error: Error) => void;

/** The loops of the pocket guest, without an operating system: the first has no branches in it and the shortest time. */
async function pocketLoops(onFailure: OnFailure): Promise<void> {
  const begun = new Map<string, number>();
  const repetitions = 40;
  const ended = /^bench ([\w-]+) ticks (\d+) checksum (\w+)/;
  await inTurns(peers, {
    guest: { kernel: pocket, append: `plain only=bench bench=${repetitions}`, memory: '512M', cpus: 1 },
    last: 'bench end',
    endsTurn: (_, line) => ended.test(line),
    onLine: (peer, line, ms) => {
      const begin = /^bench ([\w-]+) begin/.exec(line);
      if (begin) begun.set(`${peer.name} ${begin[1]}`, ms);
      const end = ended.exec(line);
      if (!end) return;
      const [, name, ticks, result] = end;
      const group = name === 'matmul-double' ? 'floating point' : 'integer';
      table.record(`pocket ${name}`, group, peer.name, {
        ms: (ms - (begun.get(`${peer.name} ${name}`) ?? 0)) / repetitions,
        result,
        // One tick is one instruction here; in QEMU it is a piece of the host's time.
        instructions: peer === qemu ? undefined : Number(ticks),
      });
    },
    onFailure,
  });
}

/** All chosen rows that run under Linux, in one boot; the boot up to the first process is a row as well. */
async function userland(rows: readonly UserRow[], onFailure: OnFailure): Promise<void> {
  const initrd = benchInitramfs(guestFile('busybox', 'initrd'));
  await runLinuxRows(peers, linuxRun(initrd, rows), {
    onReady: (peer, { ms }) => table.record('boot linux-svm to init', 'boot', peer.name, { ms, result: 'ready' }),
    onRow: recordOf(rows),
    onFailure,
  });
}

const linuxRun = (initrd: string, rows: readonly UserRow[]): LinuxRun => ({
  initrd,
  rows: rows.map(({ name }) => name),
  repeat,
  memory: '512M',
  cpus: 1,
});

function recordOf(rows: readonly UserRow[]): LinuxResults['onRow'] {
  return (peer, name, { ms }, result) => {
    const row = rows.find((each) => each.name === name);
    if (row) table.record(name, row.group, peer.name, { ms, result });
  };
}

/** What the initial RAM disk with Debian's programs holds, or why there is none. */
let programVersions: string | undefined;
let noPrograms: string | undefined;

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

const version = qemuVersion();
const nodes = [process.execPath, ...values.node];
const nodeVersions = nodes.map(nodeVersion);
const names = nodeNames(nodeVersions);
const ours = nodes.map((path, i) => powervisor(path, positionals, names[i]));
const peers: Peer[] = [...ours];
if (!values['no-qemu']) {
  if (version === undefined) {
    throw new PowervisorError(
      'no-qemu',
      'qemu-system-ppc64 is not installed (Debian: qemu-system-ppc); --no-qemu goes without.',
    );
  }
  peers.unshift(qemu);
}

interface Benchmark {
  readonly name: string;
  /** On all machines; what fails on one of them is told and does not end the others. */
  run(onFailure: OnFailure): Promise<void>;
}

/** One that each machine runs to its end before the next one begins. */
function oneByOne(name: string, run: (peer: Peer) => Promise<void>): Benchmark {
  const runAll = async (onFailure: OnFailure) => {
    for (const peer of peers) await run(peer).catch((error) => onFailure(peer, error));
  };
  return { name, run: runAll };
}

const chosenRows = userRows.filter(({ name }) => isWanted(name));
const known = [...userRows, ...programRows];
for (const row of Object.values(suppliedRows)) if (values[row.name] !== undefined) known.push(row);
const chosenPrograms = known.slice(userRows.length).filter(({ name }) => isWanted(name));
const benchmarks: Benchmark[] = [];
if (isWanted('pocket')) benchmarks.push({ name: 'pocket loops', run: pocketLoops });
const withInit = isWanted('boot linux-svm to init');
if (chosenRows.length > 0 || withInit) {
  benchmarks.push({ name: 'rows under linux-svm', run: (onFailure) => userland(chosenRows, onFailure) });
}
const shell = 'boot linux-svm to the busybox shell';
if (isWanted(shell)) {
  const guest = () => ({
    kernel: guestFile('linux-svm', 'kernel'),
    initrd: guestFile('busybox', 'initrd'),
    append: 'console=hvc0',
    memory: '1G',
    cpus: 1,
  });
  benchmarks.push(oneByOne(shell, (peer) => boot(shell, peer, guest(), '~ # ')));
}
const installer = 'boot debian-12-installer to a shell';
if (isWanted(installer)) {
  const guest = () => ({
    kernel: guestFile('debian-12-installer', 'kernel'),
    initrd: guestFile('debian-12-installer', 'initrd'),
    append: 'rdinit=/bin/sh console=hvc0',
    memory: '1G',
    cpus: 1,
  });
  benchmarks.push(oneByOne(installer, (peer) => boot(installer, peer, guest(), '# ')));
}
const allDevices = isWanted('disk and net');
const chosenDevices = new Set(deviceRowNames.filter((name) => isWanted(name) || allDevices));
if (chosenDevices.size > 0) {
  const files = () => ({ kernel: guestFile('linux-svm', 'kernel'), initrd: guestFile('busybox', 'initrd') });
  const run = (peer: Peer) =>
    deviceRows(peer, files(), chosenDevices, repeat, (name, sample) =>
      table.record(name, 'devices', peer.name, sample),
    );
  benchmarks.push(oneByOne('disk and net', run));
}
const withSecure = isWanted('secure mode');
const withGrowth = isWanted('growth');
const withMemory = isWanted('memory');
const stray = wanted.find((part) => !asked.has(part));
if (stray !== undefined) {
  const rest = [
    'boot linux-svm to init',
    shell,
    installer,
    'disk and net',
    ...deviceRowNames,
    'secure mode',
    'growth',
    'memory',
  ];
  const all = ['pocket', ...known.map(({ name }) => name), ...rest].join('; ');
  throw new UsageError('only', `No row has "${stray}" in its name. There are: ${all}.`);
}
if (chosenPrograms.length > 0) {
  const busybox = guestFile('busybox', 'initrd');
  try {
    const { initramfs, versions } = await debianPrograms(busybox, values);
    programVersions = versions;
    const run = linuxRun(initramfs, chosenPrograms);
    const onRow = recordOf(chosenPrograms);
    // In a boot of their own: their initial RAM disk is large.
    benchmarks.push({
      name: "rows of Debian's programs",
      run: (onFailure) => runLinuxRows(peers, run, { onRow, onFailure }),
    });
  } catch (error) {
    if (!(error instanceof PowervisorError) || error instanceof UsageError) throw error;
    if (benchmarks.length === 0) throw error;
    noPrograms = `without Debian's programs: ${error.message.replace(/\.$/, '')}`;
    process.stderr.write(`${noPrograms}\n`);
  }
}

const note = (text: string) => process.stderr.write(`${text}\n`);
/** What came to no end; everything else is measured all the same. */
const failures: string[] = [];
for (let round = 1; round <= rounds; round++) {
  for (const { name, run } of benchmarks) {
    note(`round ${round}/${rounds}: ${name}`);
    const failed = (where: string, error: Error) => {
      // Something is missing here.
      if (error instanceof PowervisorError) throw error;
      failures.push(`round ${round}, ${name}${where}: ${error.message}`);
      note(`failed${where}: ${error.message}`);
    };
    await run((peer, error) => failed(` on ${peer.name}`, error)).catch((error) => failed('', error));
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
  hasCompiler() ? compilerVersion() : 'no cross compiler',
  ...(programVersions ? [`Debian's ${programVersions}`] : []),
  ...(noPrograms ? [noPrograms] : []),
  `${hostCpus().length} host CPUs (${hostCpus()[0].model}), load ${load} when it began`,
  `${rounds} round(s) of up to ${repeat} run(s), the same for each machine; best of all`,
].join('; ');
console.log(heading);
const markdown = [heading];
/** After each part, so that what has been measured stays if a later part fails. */
const save = () => {
  if (values.markdown) writeFileSync(values.markdown, `${markdown.join('\n\n')}\n`);
};
if (summary.rows.length > 0) {
  console.log(asText(summary, machines));
  markdown.push(asMarkdown(summary, machines));
  save();
}
let secure: SecureRow[] = [];
if (withSecure) {
  process.stderr.write('secure mode\n');
  secure = await secureRows(pocket, {
    kernel: guestFile('linux-svm', 'kernel'),
    initrd: guestFile('busybox', 'initrd'),
  });
  console.log(['', ...secureTable(secure)].join('\n'));
}
let growth: Growth[] = [];
if (withGrowth) {
  growth = await growthSeries(peers, benchInitramfs(guestFile('busybox', 'initrd')), rounds, note);
  console.log(`\n${growthMarkdown(growth)}`);
  for (const series of growth) markdown.push(`${growthMarkdown([series])}\n\n${growthChart(series)}`.trimEnd());
  save();
}
let resident: Resident[] = [];
let churn: Churn[] = [];
if (withMemory) {
  resident = await residentMemory(peers, note);
  markdown.push(residentMarkdown(resident));
  console.log(`\n${markdown.at(-1)}`);
  save();
  churn = await moduleChurn(ours, churnMinutes, note);
  markdown.push(churnMarkdown(churn));
  console.log(`\n${markdown.at(-1)}`);
  save();
}
const everything = { heading, ...summary, secure, growth, resident, churn };
if (values.json) writeFileSync(values.json, `${JSON.stringify(everything, null, 2)}\n`);
if (failures.length > 0) console.log(['', 'Failed:', ...failures.map((text) => `- ${text}`)].join('\n'));
if (failures.length > 0 || summary.rows.some(({ equal }) => !equal)) process.exitCode = 1;
