// A kernel that loads modules, works with them and unloads them, over and over: what the compiler keeps for code that is gone
// must go as well. Bounds are on numbers of things, not on time or on the host's memory, which vary.

import { expect, it } from 'vitest';
import { guestForTest } from '../support/guests.ts';
import { type ChurnSample, churnModules } from '../support/module-churn.ts';

const ROUNDS = 12;
/** Low, so that all that matters is compiled in the first rounds. */
const THRESHOLD = 200;

it('does not keep what was compiled for modules that were unloaded', { timeout: 1_800_000 }, async (context) => {
  const kernel = await guestForTest('debian-12-kernel');
  const modules = await guestForTest('debian-12-modules');
  if ('reason' in kernel) return context.skip(kernel.reason);
  if ('reason' in modules) return context.skip(modules.reason);
  const samples: ChurnSample[] = [];
  await churnModules(
    { kernel: kernel.guest.files.kernel!.path, initrd: modules.guest.files.initrd!.path },
    { threshold: THRESHOLD, onSample: (sample) => samples.push(sample) < ROUNDS },
  );
  if (process.env.CHURN_SAMPLES) console.log(samples);
  const [early, last] = [samples[3], samples[ROUNDS - 1]];
  // Each round does compile the modules anew, and drops what it had compiled.
  expect(last.regions - early.regions).toBeGreaterThan(1000);
  expect(last.dropped).toBeGreaterThan(early.dropped + 8 * 10);
  const made = last.regions - early.regions;
  expect(last.liveRegions - early.liveRegions).toBeLessThan(made / 3);
  expect(last.tableLength - early.tableLength).toBeLessThan(made / 3);
  // Modules that come to lie elsewhere have other words, but not many.
  expect(last.knownWords).toBeLessThan(early.knownWords * 1.02);
  expect(last.flushes).toBe(0);
});
