// The thread that makes regions, bundled as the build would leave it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RegionOrder } from '../../cpu/compiler/workshop.ts';
import { ThreadWorkshop } from './region-workshop.ts';

const directory = mkdtempSync(join(tmpdir(), 'powervisor-workshop-'));
const program = join(directory, 'worker.mjs');
beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('./region-worker.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** addi r3,r3,1; bdnz -4 */
function order(id: number): RegionOrder {
  const terminator: RegionOrder['blocks'][number]['terminator'] = {
    kind: 'conditional',
    condition: { bo: 16, bi: 0 },
    link: false,
    taken: { kind: 'block', block: 0 },
    notTaken: { kind: 'exit', offset: 8 },
  };
  const blocks = [{ start: 0, code: [0, 0x38630001, 4, 0x4200fffc], terminator }];
  return { id, entries: [0], user: false, foreign: [], blocks };
}

async function until<T>(what: () => T | undefined): Promise<T> {
  for (;;) {
    const found = what();
    if (found !== undefined) return found;
    await delay(5);
  }
}

describe('ThreadWorkshop', { timeout: 120_000 }, () => {
  it('delivers a module for what was ordered', async () => {
    const workshop = new ThreadWorkshop(true, pathToFileURL(program));
    workshop.order(order(7));
    const delivery = await until(() => workshop.delivery());
    expect(delivery.module).toBeInstanceOf(WebAssembly.Module);
    expect(delivery.regions).toMatchObject([{ id: 7, declined: 0 }]);
    expect(delivery.imports).toContain('memory');
    expect(workshop.delivery()).toBeUndefined();
    await workshop.close();
    expect(workshop.failure).toBeUndefined();
  });

  it('closes while it has work', async () => {
    const workshop = new ThreadWorkshop(true, pathToFileURL(program));
    for (let id = 1; id <= 50; id++) workshop.order(order(id));
    await workshop.close();
    expect(workshop.failure).toBeUndefined();
  });

  it('tells why it has failed', async () => {
    const broken = join(directory, 'broken.mjs');
    writeFileSync(broken, "throw new Error('no such thread');\n");
    const workshop = new ThreadWorkshop(true, pathToFileURL(broken));
    workshop.order(order(1));
    expect(await until(() => workshop.failure)).toBe('no such thread');
    expect(workshop.delivery()).toBeUndefined();
    await workshop.close();
  });
});
