// The vectors of live.test.ts with QEMU's answers recorded as hashes, one for each 50 operand sets: needs no QEMU.
// The data is made anew by `CONFORMANCE_RECORD=1 npx vitest run tests/conformance/record.test.ts`.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { instruction } from '../../src/cpu/isa/table.ts';
import { engines } from '../support/engines.ts';
import { missingTools, Oracle } from './oracle.ts';
import { readRecord } from './record-format.ts';
import { BlockRunner } from './runner.ts';
import { covered } from './selection.ts';
import { blocksPerInstruction, makeBlock, seed } from './vectors.ts';

const record = readRecord(readFileSync(new URL('./data/recorded.json', import.meta.url), 'utf8'));

test('the record has every covered instruction, and its seed', () => {
  expect(record.seed).toBe(seed);
  expect(
    covered.map((entry) => entry.op).filter((op) => record.hashes.get(op)?.length !== blocksPerInstruction),
  ).toEqual([]);
});

/** QEMU's own answers to a block that differs, where it is installed. */
async function details(
  op: string,
  index: number,
  runner: BlockRunner,
  cpu: Parameters<BlockRunner['compare']>[0],
): Promise<string> {
  const where = `${op}, block ${index}: the recorded hash differs`;
  if (missingTools() !== undefined) return where;
  const oracle = new Oracle();
  const block = makeBlock(instruction(op), index);
  const [found] = runner.compare(cpu, block, await oracle.run(block), 1);
  oracle.close();
  return found ? found.text : `${where}, yet QEMU agrees here: record again`;
}

describe.each(engines)('$name', (engine) => {
  const implemented = engine.implementedOps();

  test('recorded vectors', { timeout: 1_800_000 }, async () => {
    const cpu = await engine.createCpu();
    const failures: string[] = [];
    const absent = covered.filter(({ op }) => !implemented.has(op)).map(({ op }) => op);
    if (absent.length > 0) console.log(`${engine.name} does not implement: ${absent.join(' ')}`);
    for (const { op } of covered) {
      if (!implemented.has(op)) continue;
      const hashes = record.hashes.get(op);
      if (hashes === undefined) continue;
      const runner = new BlockRunner(op);
      for (let index = 0; index < hashes.length; index++) {
        const block = makeBlock(instruction(op), index);
        const { hash, wrong } = runner.actualHash(cpu, block);
        if (wrong !== undefined) failures.push(`${op}, block ${index}: ${wrong}`);
        else if (hash !== hashes[index]) failures.push(await details(op, index, runner, cpu));
        else continue;
        break;
      }
    }
    expect(failures.join('\n\n')).toBe('');
  });
});
