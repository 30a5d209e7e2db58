// Every instruction an engine has, one at a time, against QEMU: 2,000 random operand sets each, the whole register state
// compared. Needs qemu-ppc64le and the cross compiler; with CI=true their absence is a failure.
//
//   CONFORMANCE=op[,op...]            only these instructions
//   CONFORMANCE=op:block:vector       one operand set, shown with the states before and behind
//   CONFORMANCE_SEED=text             other operand sets than the recorded ones

import { afterAll, describe, expect, test } from 'vitest';
import { instruction } from '../../src/cpu/isa/table.ts';
import { engines } from '../support/engines.ts';
import { missingTools, Oracle } from './oracle.ts';
import { BlockRunner } from './runner.ts';
import { covered } from './selection.ts';
import { blocksPerInstruction, makeBlock, seed } from './vectors.ts';

const missing = missingTools();
const chosen = process.env.CONFORMANCE;
const vectorSeed = process.env.CONFORMANCE_SEED ?? seed;
const blocksAhead = 6;

test('QEMU and the cross compiler are installed', (context) => {
  if (missing && process.env.CI !== 'true') context.skip(`not installed: ${missing}`);
  expect(missing).toBeUndefined();
});

describe.skipIf(missing !== undefined)('against QEMU', () => {
  let oracle: Oracle | undefined;
  afterAll(() => oracle?.close());

  if (chosen?.includes(':')) {
    const [op, block, vector] = chosen.split(':');
    test.each(engines)(`${chosen} on $name`, async (engine) => {
      oracle ??= new Oracle();
      const made = makeBlock(instruction(op), Number(block), vectorSeed);
      const [found] = new BlockRunner(op).compare(
        await engine.createCpu(),
        made,
        await oracle.run(made),
        1,
        Number(vector),
      );
      console.log(found.text);
    });
    return;
  }

  describe.each(engines)('$name', (engine) => {
    const implemented = engine.implementedOps();
    const ops = covered.map((entry) => entry.op).filter((op) => !chosen || chosen.split(',').includes(op));

    test(`${ops.length} instructions`, { timeout: 900_000 }, async () => {
      oracle ??= new Oracle();
      const cpu = await engine.createCpu();
      const failures: string[] = [];
      const absent: string[] = [];
      for (const op of ops) {
        if (!implemented.has(op)) {
          absent.push(op);
          continue;
        }
        const entry = instruction(op);
        const runner = new BlockRunner(op);
        const pending = [];
        const step = engine.blockStep ?? 1;
        const blocks = Math.ceil(blocksPerInstruction / step);
        for (let index = 0; index < blocks + blocksAhead; index++) {
          if (index < blocks) {
            const block = makeBlock(entry, index * step, vectorSeed);
            pending.push({ block, answers: oracle.run(block) });
          }
          if (index < blocksAhead) continue;
          const { block, answers } = pending[index - blocksAhead];
          const found = runner.compare(cpu, block, await answers, 1);
          if (found.length > 0) {
            failures.push(found[0].text);
            await Promise.all(pending.map((each) => each.answers));
            break;
          }
        }
      }
      if (absent.length > 0) console.log(`${engine.name} does not implement: ${absent.join(' ')}`);
      expect(failures.join('\n\n')).toBe('');
    });
  });
});
