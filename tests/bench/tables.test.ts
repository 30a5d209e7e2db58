// The benchmark's own arithmetic: names of columns, best of so many runs, ratios, growth.

import { describe, expect, it } from 'vitest';
import { exponent, growthChart, growthMarkdown } from '../../bench/growth.ts';
import { nodeNames, nodeVersion } from '../../bench/machines.ts';
import { asMarkdown, asText, Table } from '../../bench/table.ts';

describe('columns', () => {
  it('are named by version, and by number where that is not enough', () => {
    expect(nodeNames(['v20.1.0', 'v24.2.0', 'v20.1.0'])).toEqual(['Node 20.1.0 (1)', 'Node 24.2.0', 'Node 20.1.0 (2)']);
  });
  it('are of programs that are Node', () => {
    expect(nodeVersion(process.execPath)).toBe(process.version);
    expect(() => nodeVersion('/nowhere/node')).toThrow(
      '--node wants the path of a Node program; /nowhere/node is none.',
    );
  });
});

describe('rows', () => {
  it('have the best time of each machine and say of how many runs', () => {
    const table = new Table();
    for (const ms of [30, 20, 25]) table.record('row', 'integer', 'qemu', { ms, result: 'a' });
    for (const ms of [40, 50, 60]) table.record('row', 'integer', 'one', { ms, result: 'a' });
    for (const ms of [10, 12]) table.record('row', 'integer', 'two', { ms, result: 'a' });
    const { rows, means } = table.summary('qemu', ['one', 'two']);
    expect(rows[0]).toMatchObject({ referenceMs: 20, runs: '2-3', equal: true });
    expect(rows[0].columns.map(({ ms, ratio }) => [ms, ratio])).toEqual([
      [40, 0.5],
      [10, 2],
    ]);
    expect(means).toEqual([
      {
        group: 'integer',
        ratios: [expect.closeTo(0.5), expect.closeTo(2)],
        firstRatios: [expect.closeTo(0.75), expect.closeTo(3)],
      },
    ]);
    const text = asText(table.summary('qemu', ['one', 'two']), ['one', 'two']);
    expect(text).toMatch(/^geometric mean, integer, first runs +0\.75 +3\.00$/m);
  });
  it('have one mean where each ran once', () => {
    const table = new Table();
    for (const machine of ['qemu', 'one']) table.record('row', 'integer', machine, { ms: 20, result: 'a' });
    expect(asText(table.summary('qemu', ['one']), ['one'])).not.toContain('first runs');
  });
  it('are unequal if one result is', () => {
    const table = new Table();
    table.record('row', 'system', 'qemu', { ms: 1, result: 'a' });
    table.record('row', 'system', 'one', { ms: 1, result: 'a' });
    table.record('row', 'system', 'one', { ms: 1, result: 'b' });
    const summary = table.summary('qemu', ['one']);
    expect(summary.rows[0].equal).toBe(false);
    expect(asMarkdown(summary, ['one'])).toContain('| row | 1-2 | 1.0 | 1.0 | 1.00 |');
  });
});

describe('growth', () => {
  it('is the exponent from the first size to the last', () => {
    expect(exponent([10, 100, 1000], [5, 70, 500])).toBeCloseTo(1);
    expect(exponent([1, 2, 4], [3, 3, 3])).toBeCloseTo(0);
    expect(exponent([1, 10], [2, 200])).toBeCloseTo(2);
    expect(exponent([1, 10], [0.2, 10])).toBeCloseTo(1);
    expect(exponent([1, 10], [undefined, 200])).toBeUndefined();
  });
  it('is shown as a table a series', () => {
    const machines = [{ name: 'QEMU, CPU', ms: [10, 20] }];
    expect(growthMarkdown([{ title: 'memory: boot', unit: 'MiB', sizes: [256, 512], machines }])).toBe(
      '| memory: boot (ms) | 256 MiB | 512 MiB | exponent |\n| --- | ---: | ---: | ---: |\n| QEMU, CPU | 10 | 20 | 1.00 |',
    );
  });
  it('is drawn as a curve of elapsed times for each machine', () => {
    const machines = [
      { name: 'QEMU, elapsed', ms: [10, 20.04] },
      { name: 'QEMU, CPU', ms: [1, 2] },
      { name: 'Node 24.2.0, elapsed', ms: [12, 30.5] },
    ];
    const chart = growthChart({ title: 'memory: boot', unit: 'MiB', sizes: [256, 512], machines });
    expect(chart).toContain('title "memory: boot (QEMU blue, Node 24.2.0 orange)"');
    expect(chart).toContain('y-axis "elapsed ms" 0 --> 31');
    expect(chart.match(/line .*/g)).toEqual(['line [10.0, 20.0]', 'line [12.0, 30.5]']);
    expect(chart).toContain('"plotColorPalette": "blue, orange"');
    const missing = [{ name: 'QEMU, elapsed', ms: [10, undefined] }];
    expect(growthChart({ title: 'memory: boot', unit: 'MiB', sizes: [256, 512], machines: missing })).toBe('');
  });
});
