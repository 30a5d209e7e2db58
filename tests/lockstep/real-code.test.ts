// Discovery and structuring on code that compilers made: Debian's kernel and the C library of the cross compiler. Each
// region must have the flow that its words have, and most of it must need no dispatch.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readElfListing } from '../../src/cli/elf-sections.ts';
import { discoverRegion, type RegionLimits } from '../../src/cpu/compiler/discover.ts';
import { structureRegion } from '../../src/cpu/compiler/structure.ts';
import { guestForTest } from '../support/guests.ts';
import { randomWords } from '../support/random.ts';
import { countNodes, walkCode, walkRegion } from '../support/region-walk.ts';

const REGIONS = 3000;
const limits: RegionLimits = { maxInstructions: 1000, maxInlined: 60, maxInlineDepth: 2 };

const kernel = await guestForTest('debian-12-kernel');
const kernelPath = 'guest' in kernel ? kernel.guest.files.kernel?.path : undefined;
const libraryPath = '/usr/powerpc64le-linux-gnu/lib/libc.so.6';
const files: [string, string | undefined][] = [
  ['the Debian 12 kernel', kernelPath],
  ['the C library of the cross compiler', existsSync(libraryPath) ? libraryPath : undefined],
];

describe.each(files)('regions of %s', (_name, path) => {
  it.skipIf(path === undefined)('follow the flow of the code', { timeout: 120_000 }, () => {
    const { sections } = readElfListing(readFileSync(path!), path!);
    const { data } = sections.reduce((a, b) => (a.data.length > b.data.length ? a : b));
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const random = randomWords(20);
    const sums = { instructions: 0, blocks: 0, loops: 0, dispatches: 0, regions: 0 };
    for (let region = 0; region < REGIONS; region++) {
      const page = 4096 * (random() % Math.floor(data.length / 4096));
      const entry = 4 * (random() % 1024);
      const fetch = (offset: number) =>
        offset >= 0 && offset < 4096 ? view.getUint32(page + offset, true) : undefined;
      const graph = discoverRegion([entry], fetch, limits);
      const counts = countNodes(structureRegion(graph));
      sums.regions++;
      sums.blocks += graph.blocks.length;
      sums.instructions += graph.blocks.reduce((sum, { instructions }) => sum + instructions.length, 0);
      sums.loops += counts.loops;
      sums.dispatches += counts.dispatches;
      for (let walk = 0; walk < 2; walk++) {
        const choices = Array.from({ length: 200 }, () => random() % 3 !== 0);
        const { trace, next } = walkRegion(graph, choices);
        const expected = walkCode(entry, fetch, choices, trace.length);
        expect(trace).toEqual(expected.trace);
        if (next !== undefined) expect(next).toBe(expected.next);
      }
    }
    expect(sums.instructions / sums.regions).toBeGreaterThan(20);
    expect(sums.loops).toBeGreaterThan(100);
    expect(sums.dispatches).toBeLessThan(sums.loops / 10);
  });
});
