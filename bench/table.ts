// Samples of a run and the table made from them.

import type { Group } from './rows.ts';

/** Milliseconds, and what must be the same for all machines. */
export interface Sample {
  readonly ms: number;
  readonly result: string;
  /** Guest instructions, where the machine tells. */
  readonly instructions?: number;
}

export interface Row {
  readonly name: string;
  readonly group: Group;
  /** By machine. */
  readonly samples: Map<string, Sample[]>;
}

export class Table {
  private readonly rows = new Map<string, Row>();

  record(name: string, group: Group, machine: string, sample: Sample): void {
    let row = this.rows.get(name);
    if (row === undefined) {
      row = { name, group, samples: new Map() };
      this.rows.set(name, row);
    }
    const list = row.samples.get(machine) ?? [];
    row.samples.set(machine, list);
    list.push(sample);
  }

  /** Times and ratios; `reference` is the machine that the others are compared with. */
  summary(reference: string, machines: readonly string[]): Summary {
    const rows = [...this.rows.values()].map(({ name, group, samples }) => {
      const best = (machine: string) => bestOf(samples.get(machine) ?? []);
      const referenceMs = best(reference);
      const results = new Set([...samples.values()].flat().map(({ result }) => result));
      const columns = machines.map((machine) => {
        const ms = best(machine);
        const [first] = samples.get(machine) ?? [];
        const [referenceFirst] = samples.get(reference) ?? [];
        const instructions = samples.get(machine)?.find((sample) => sample.instructions)?.instructions;
        return {
          machine,
          ms,
          ratio: ms === undefined || referenceMs === undefined ? undefined : referenceMs / ms,
          firstRatio: first === undefined || referenceFirst === undefined ? undefined : referenceFirst.ms / first.ms,
          mips: ms === undefined || instructions === undefined ? undefined : instructions / ms / 1000,
        };
      });
      const counts = [...samples.values()].map((list) => list.length);
      const runs = [...new Set([Math.min(...counts), Math.max(...counts)])].join('-');
      return { name, group, runs, referenceMs, columns, equal: results.size === 1, spread: spreadOf(samples) };
    });
    const groups = [...new Set(rows.map(({ group }) => group))];
    const meanOf = (group: Group, which: 'ratio' | 'firstRatio') =>
      machines.map((_, index) => {
        const ratios = rows.filter((row) => row.group === group).map(({ columns }) => columns[index][which]);
        return geometricMean(ratios.filter((ratio) => ratio !== undefined));
      });
    const means = groups.map((group) => ({
      group,
      ratios: meanOf(group, 'ratio'),
      firstRatios: meanOf(group, 'firstRatio'),
    }));
    return { rows, means };
  }
}

export interface Summary {
  readonly rows: readonly {
    readonly name: string;
    readonly group: Group;
    /** How many samples of each machine the best is of: a number, or the fewest and the most. */
    readonly runs: string;
    readonly referenceMs: number | undefined;
    readonly columns: readonly {
      readonly machine: string;
      readonly ms: number | undefined;
      /** How many times as fast as the reference. */
      readonly ratio: number | undefined;
      /** The same of the first run of each alone, in which both have yet to translate the program. */
      readonly firstRatio: number | undefined;
      readonly mips: number | undefined;
    }[];
    readonly equal: boolean;
    /** Worst over best sample, the largest of the machines. */
    readonly spread: number;
  }[];
  readonly means: readonly {
    readonly group: Group;
    readonly ratios: readonly (number | undefined)[];
    readonly firstRatios: readonly (number | undefined)[];
  }[];
}

function bestOf(samples: readonly Sample[]): number | undefined {
  return samples.length === 0 ? undefined : Math.min(...samples.map(({ ms }) => ms));
}

function spreadOf(samples: ReadonlyMap<string, readonly Sample[]>): number {
  return Math.max(
    ...[...samples.values()].map((list) => {
      const times = list.map(({ ms }) => ms);
      return Math.max(...times) / Math.min(...times);
    }),
  );
}

function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const number = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits));

/** Two lines for a group with several runs of its rows: of the best and of the first ones. */
function meanRows(means: Summary['means']): { title: string; ratios: readonly (number | undefined)[] }[] {
  return means.flatMap(({ group, ratios, firstRatios }) => {
    const best = { title: `geometric mean, ${group}`, ratios };
    const same = ratios.every((ratio, index) => ratio === firstRatios[index]);
    return same ? [best] : [best, { title: `geometric mean, ${group}, first runs`, ratios: firstRatios }];
  });
}

/** The summary for a terminal. */
export function asText({ rows, means }: Summary, machines: readonly string[]): string {
  const head = `${'row'.padEnd(38)}${'runs'.padStart(5)}${'QEMU ms'.padStart(10)}${machines.map((name) => `${`${name} ms`.padStart(24)}${'ratio'.padStart(7)}`).join('')}  results`;
  const lines = rows.map(({ name, runs, referenceMs, columns, equal }) => {
    const cells = columns.map(({ ms, ratio }) => `${number(ms, 1).padStart(24)}${number(ratio, 2).padStart(7)}`);
    return `${name.padEnd(38)}${runs.padStart(5)}${number(referenceMs, 1).padStart(10)}${cells.join('')}  ${equal ? 'equal' : 'DIFFER'}`;
  });
  const meanLines = meanRows(means).map(({ title, ratios }) => {
    const cells = ratios.map((ratio) => `${''.padStart(24)}${number(ratio, 2).padStart(7)}`);
    return `${title.padEnd(38)}${''.padStart(15)}${cells.join('')}`;
  });
  return [head, ...lines, ...meanLines].join('\n');
}

/** The summary as a Markdown table. */
export function asMarkdown({ rows, means }: Summary, machines: readonly string[]): string {
  const head = ['row', 'runs', 'QEMU ms', ...machines.flatMap((name) => [`${name} ms`, 'ratio'])];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const body = rows.map(({ name, runs, referenceMs, columns }) =>
    line([
      name,
      runs,
      number(referenceMs, 1),
      ...columns.flatMap(({ ms, ratio }) => [number(ms, 1), number(ratio, 2)]),
    ]),
  );
  const meanLines = meanRows(means).map(({ title, ratios }) =>
    line([`*${title}*`, '', '', ...ratios.flatMap((ratio) => ['', number(ratio, 2)])]),
  );
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...body, ...meanLines].join('\n');
}
