// docs/isa-coverage.md is made from the instruction table and the semantics. `npx vitest run tests/docs -u` rewrites it.

import { expect, it } from 'vitest';
import { type Instruction, instructions } from '../../src/cpu/isa/table.ts';
import { semantics } from '../../src/cpu/semantics/index.ts';

const has = (row: Instruction) => Object.hasOwn(semantics, row.op);

/** Why an instruction has no meaning here; every absent one must be explained. */
function reasonFor(row: Instruction): string | undefined {
  switch (row.class) {
    case 'tm':
      return 'The transactional memory facility is not offered; MSR[TM] stays 0 and the facility interrupt is taken.';
    case 'ebb':
      return 'Event-based branches and the branch history buffer need the performance monitor; facility unavailable interrupt.';
    case 'mmu-slb':
      return 'There is no SLB: the machine offers the radix MMU only.';
    case 'sys':
      return 'Doorbells between threads of a core: each core has one thread.';
    case 'dfp':
      return 'Decimal floating point is not offered (the device tree has no ibm,dfp); illegal instruction.';
    default:
      return undefined;
  }
}

function document(): string {
  const lines = [
    '# Instruction coverage',
    '',
    'Generated from `src/cpu/isa` and `src/cpu/semantics` by `npx vitest run tests/docs -u`; do not edit.',
    '',
    `${instructions.filter(has).length} of ${instructions.length} instructions of the Power ISA 3.0B table have a meaning. The others raise the interrupt named below.`,
    '',
    '| class | implemented | of | absent |',
    '|---|---:|---:|---|',
  ];
  const classes = [...new Set(instructions.map((row) => row.class))].sort();
  for (const name of classes) {
    const rows = instructions.filter((row) => row.class === name);
    const absent = rows.filter((row) => !has(row)).map((row) => `\`${row.op}\``);
    lines.push(`| ${name} | ${rows.length - absent.length} | ${rows.length} | ${absent.join(' ')} |`);
  }
  lines.push('', '## Why absent', '');
  for (const name of classes) {
    const row = instructions.find((each) => each.class === name && !has(each));
    if (row) lines.push(`- ${name}: ${reasonFor(row)}`);
  }
  return `${lines.join('\n')}\n`;
}

it('gives a reason for every absent instruction', () => {
  expect(instructions.filter((row) => !has(row) && reasonFor(row) === undefined).map((row) => row.op)).toEqual([]);
});

it('has a meaning only for instructions of the table', () => {
  const ops = new Set<string>(instructions.map((row) => row.op));
  expect(Object.keys(semantics).filter((op) => !ops.has(op))).toEqual([]);
});

it('is up to date in docs/isa-coverage.md', async () => {
  await expect(document()).toMatchFileSnapshot('../../docs/isa-coverage.md');
});
