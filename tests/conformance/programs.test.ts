// Real programs (programs/*.c), compiled here at several levels for POWER8 and POWER9 into the cache, run by qemu-ppc64le
// and on each engine in the small Linux of user-mode.ts: output and exit status must be the same, byte for byte.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { engines } from '../support/engines.ts';
import { runProgram } from '../support/user-mode.ts';
import { buildCached, missingTools, qemu } from './oracle.ts';

const memoryBytes = 96 << 20;
const commonFlags = ['-static', '-std=gnu17', '-Wno-unknown-pragmas', '-Wl,-Ttext-segment=0x01000000'];

interface ProgramSource {
  readonly name: string;
  readonly flags?: readonly string[];
}

const programs: readonly ProgramSource[] = [
  { name: 'integers' },
  { name: 'digests' },
  { name: 'text' },
  { name: 'floats', flags: ['-ffp-contract=off', '-frounding-math'] },
  { name: 'arithmetic' },
  { name: 'libm' },
  { name: 'vectors' },
  { name: 'atomics' },
  { name: 'quad', flags: ['-mfloat128', '-frounding-math'] },
  { name: 'sweep' },
];

const variants: readonly (readonly string[])[] = [
  ['-O0', '-mcpu=power8'],
  ['-O2', '-mcpu=power9'],
  ['-O3', '-mcpu=power8'],
  ['-O3', '-mcpu=power9', '-funroll-loops'],
];

const cases = programs.flatMap((program) =>
  variants.map((variant) => ({ program, variant, title: `${program.name} ${variant.join(' ')}` })),
);

const missing = missingTools();

describe.skipIf(missing !== undefined)('programs', () => {
  const built = new Map<string, { image: Uint8Array; stdout: Buffer; status: number | null }>();

  beforeAll(() => {
    for (const { program, variant, title } of cases) {
      const source = fileURLToPath(new URL(`./programs/${program.name}.c`, import.meta.url));
      const path = buildCached(program.name, source, [...commonFlags, ...variant, ...(program.flags ?? [])]);
      const result = spawnSync(qemu, ['-cpu', 'power9', '-0', program.name, path], { env: {}, maxBuffer: 1 << 26 });
      built.set(title, { image: readFileSync(path), stdout: result.stdout, status: result.status });
    }
  }, 600_000);

  describe.each(engines)('on $name', (engine) => {
    test.each(cases)('$title', { timeout: 300_000 }, async ({ program, title }) => {
      const { image, stdout, status } = built.get(title)!;
      expect(status).not.toBeNull();
      const cpu = await engine.createUserMode(memoryBytes);
      const result = runProgram(cpu, image, { args: [program.name], scv: title.includes('power9') });
      expect(new TextDecoder('latin1').decode(result.stdout)).toBe(stdout.toString('latin1'));
      expect(result.exitStatus).toBe(status);
    });
  });
});
