// Writes data/recorded.json: QEMU's answers to the vectors, made what the architecture says (known-differences.ts), hashed.
// A recording is a deliberate act: CONFORMANCE_RECORD=1 npx vitest run tests/conformance/record.test.ts

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Oracle, qemuVersion } from './oracle.ts';
import { readRecord, writeRecord } from './record-format.ts';
import { BlockRunner } from './runner.ts';
import { covered } from './selection.ts';
import { sequenceHashes, sequenceKinds } from './sequences.ts';
import { blocksPerInstruction, makeBlock, seed } from './vectors.ts';

test('a record reads back as written', () => {
  const record = {
    qemu: 'q',
    date: 'd',
    seed: 's',
    hashes: new Map([['addi', ['0123456789abcdef', 'fedcba9876543210']]]),
  };
  expect(readRecord(writeRecord(record))).toEqual(record);
});

test.runIf(process.env.CONFORMANCE_RECORD === '1')('record', { timeout: 900_000 }, async () => {
  const oracle = new Oracle();
  const hashes = new Map<string, readonly string[]>();
  for (const entry of covered) {
    const runner = new BlockRunner(entry.op);
    const blocks = Array.from({ length: blocksPerInstruction }, (_, index) => makeBlock(entry, index));
    const answers = await Promise.all(blocks.map((block) => oracle.run(block)));
    hashes.set(
      entry.op,
      blocks.map((block, index) => runner.expectedHash(block, answers[index])),
    );
  }
  for (const kind of sequenceKinds) hashes.set(`sequence ${kind}`, await sequenceHashes(oracle, kind));
  oracle.close();
  const date = new Date().toISOString().slice(0, 10);
  const path = fileURLToPath(new URL('./data/recorded.json', import.meta.url));
  writeFileSync(path, writeRecord({ qemu: qemuVersion(), date, seed, hashes }));
});
