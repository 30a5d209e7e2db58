// How cost grows with the guest: the same work with more memory, on more CPUs, and with more processes. Each series is a
// table of times by size, with how they grew from the first to the last (0: not at all, 1: in proportion, above: worse).

import { runLinuxRows, type Time } from './linux-rows.ts';
import { type Peer, qemu } from './machines.ts';

export interface Growth {
  readonly title: string;
  readonly unit: string;
  readonly sizes: readonly number[];
  /** Of each machine the best time at each size, elapsed and of its CPU time, milliseconds. */
  readonly machines: readonly { readonly name: string; readonly ms: readonly (number | undefined)[] }[];
}

const MEMORY_MIB = [256, 512, 1024, 2048, 3072];
const CPUS = [1, 2, 4, 8];
const PROCESSES = [10, 100, 1000];
/** Rows of the fixed work: computing, starting processes, touching new memory. */
const FIXED = ['quicksort', 'fork-exec', 'page-faults'];
const REPEAT = 2;

type Samples = Map<string, number>;

/** Runs all series on all machines, which take turns; `note` is told what is going on. Throws if results differ. */
export async function growthSeries(
  peers: readonly Peer[],
  initrd: string,
  rounds: number,
  note: (text: string) => void,
): Promise<Growth[]> {
  const best: Samples = new Map();
  const results = new Map<string, string>();
  const keep = (series: string, size: number, peer: Peer, time: Time) => {
    for (const [kind, ms] of [
      ['elapsed', time.ms],
      ['CPU', time.cpuMs],
    ] as const) {
      const key = `${series}|${size}|${peer.name}|${kind}`;
      best.set(key, Math.min(ms, best.get(key) ?? Number.POSITIVE_INFINITY));
    }
  };
  const check = (name: string, result: string, peer: Peer) => {
    const first = results.get(name) ?? result;
    results.set(name, first);
    if (first !== result) throw new Error(`${name} on ${peer.name} gave ${result}, before ${first}`);
  };
  const onFailure = (_: Peer, error: Error) => {
    throw error;
  };
  for (let round = 1; round <= rounds; round++) {
    for (const size of MEMORY_MIB) {
      note(`growth ${round}/${rounds}: ${size} MiB of memory`);
      const run = { initrd, rows: FIXED, repeat: REPEAT, memory: `${size}M`, cpus: 1 };
      await runLinuxRows(peers, run, {
        onReady: (peer, time) => keep('memory: boot to init', size, peer, time),
        onRow: (peer, name, time, result) => {
          check(name, result, peer);
          keep(`memory: ${name}`, size, peer, time);
        },
        onFailure,
      });
    }
    for (const size of CPUS) {
      note(`growth ${round}/${rounds}: ${size} CPUs`);
      const run = { initrd, rows: [`spread-${size}`, 'fork-exec'], repeat: REPEAT, memory: '512M', cpus: size };
      await runLinuxRows(peers, run, {
        onReady: (peer, time) => keep('CPUs: boot to init', size, peer, time),
        onRow: (peer, name, time, result) => {
          const kind = name.startsWith('spread') ? 'fixed work spread over all' : name;
          check(kind, result, peer);
          keep(`CPUs: ${kind}`, size, peer, time);
        },
        onFailure,
      });
    }
    note(`growth ${round}/${rounds}: processes`);
    const rows = PROCESSES.map((size) => `crowd-${size}`);
    const titles = { start: 'start them', ring: '4,000 hand-overs round them', end: 'end them' };
    const run = { initrd, rows, repeat: REPEAT, memory: '2G', cpus: 1 };
    await runLinuxRows(peers, run, {
      onRow: (peer, name, time, result) => {
        const [, size, kind] = /^crowd-(\d+)-(start|ring|end)$/.exec(name)!;
        check(name, result, peer);
        keep(`processes: ${titles[kind as keyof typeof titles]}`, Number(size), peer, time);
      },
      onFailure,
    });
  }
  const series = new Map<string, Set<number>>();
  for (const key of best.keys()) {
    const [title, size] = key.split('|');
    series.set(title, (series.get(title) ?? new Set()).add(Number(size)));
  }
  return [...series].map(([title, set]) => {
    const sizes = [...set].sort((a, b) => a - b);
    const unit = title.startsWith('memory') ? 'MiB' : title.split(':')[0];
    const machines = peers.flatMap((peer) =>
      ['elapsed', 'CPU'].map((kind) => ({
        name: `${peer === qemu ? 'QEMU' : peer.name}, ${kind}`,
        ms: sizes.map((size) => best.get(`${title}|${size}|${peer.name}|${kind}`)),
      })),
    );
    return { title, unit, sizes, machines };
  });
}

/**
 * How time grew with size, as the exponent of a power: 0 not at all, 1 in proportion, above 1 worse than that. From the
 * first to the last size.
 */
export function exponent(sizes: readonly number[], ms: readonly (number | undefined)[]): number | undefined {
  const [first, last] = [ms[0], ms.at(-1)];
  if (first === undefined || last === undefined || sizes.length < 2) return undefined;
  // Times below a millisecond are those of the console.
  return Math.log(Math.max(last, 1) / Math.max(first, 1)) / Math.log(sizes.at(-1)! / sizes[0]);
}

const number = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits));

const COLOURS = ['blue', 'orange', 'green', 'red'];

/**
 * One curve a machine of elapsed times, all from zero, as a chart that viewers of Markdown draw (Mermaid, `xychart-beta`). Sizes
 * stand at equal distances. Empty if a time is missing.
 */
export function growthChart({ title, unit, sizes, machines }: Growth): string {
  const curves = machines
    .filter(({ name }) => name.endsWith(', elapsed'))
    .map(({ name, ms }, i) => ({ name: name.replace(', elapsed', ''), colour: COLOURS[i], ms }));
  const times = curves.flatMap(({ ms }) => ms);
  const known = times.filter((each) => each !== undefined);
  if (known.length === 0 || known.length < times.length || curves.length > COLOURS.length) return '';
  const legend = curves.map(({ name, colour }) => `${name} ${colour}`).join(', ');
  const palette = curves.map(({ colour }) => colour).join(', ');
  return [
    '```mermaid',
    `%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "${palette}"}}}}%%`,
    'xychart-beta',
    `  title "${title} (${legend})"`,
    `  x-axis "${unit}" [${sizes.join(', ')}]`,
    `  y-axis "elapsed ms" 0 --> ${Math.max(1, Math.ceil(Math.max(...known)))}`,
    ...curves.map(({ ms }) => `  line [${ms.map((each) => number(each, 1)).join(', ')}]`),
    '```',
  ].join('\n');
}

/** One Markdown table a series; good enough for a terminal as well. */
export function growthMarkdown(growths: readonly Growth[]): string {
  return growths
    .map(({ title, unit, sizes, machines }) => {
      const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
      const head = [`${title} (ms)`, ...sizes.map((size) => `${size} ${unit}`), 'exponent'];
      const rows = machines.map(({ name, ms }) =>
        line([name, ...ms.map((each) => number(each, 0)), number(exponent(sizes, ms), 2)]),
      );
      return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows].join('\n');
    })
    .join('\n\n');
}
