// A kernel that loads modules, works with them and unloads them, over and over: what the compiler keeps for code that is gone
// must go as well. Bounds are on numbers of things, not on time or on the host's memory, which vary.

import { expect, it } from 'vitest';
import { guestForTest } from '../support/guests.ts';
import { type ChurnSample, churnModules } from '../support/module-churn.ts';

const ROUNDS = 8;
/** Low, so that all that matters is compiled in the first rounds. */
const THRESHOLD = 100;

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
  const [first, last] = [samples[0], samples[ROUNDS - 1]];
  // Each round compiles the modules anew, and drops what was compiled for them before.
  expect(last.regions - first.regions).toBeGreaterThan(1000);
  expect(last.dropped - first.dropped).toBeGreaterThan(10 * (ROUNDS - 1));
  expect(last.flushes).toBe(0);
  // More and more of the kernel becomes hot, but of modules and programs there is as much as there was.
  const elsewhere = samples.map((each) => each.reachableElsewhere);
  const settled = Math.max(...elsewhere.slice(0, 3));
  expect(Math.max(...elsewhere.slice(3)), elsewhere.join()).toBeLessThan(settled * 1.4 + 50);
  for (const { cycle, liveRegions, reachable } of samples) {
    // Regions that nothing leads to wait for the next sweep; numbers of swept ones are given out again.
    expect(liveRegions, `round ${cycle}`).toBeLessThan(reachable * 1.3 + 300);
  }
  const mostLive = Math.max(...samples.map((each) => each.liveRegions));
  expect(last.tableLength - last.handlers).toBeLessThan(mostLive * 1.1 + 300);
});
