// Whole guests in lock-step: interpreted, and compiled almost from the first branch on. Registers of all vCPUs are compared after
// pieces of 1 to some thousand instructions, RAM at intervals and at the end, and so is everything the guests print.
//
//   LOCKSTEP=all           every boot; without it two of them, for all take the better part of an hour
//   LOCKSTEP_THRESHOLD=N   arrivals before code is compiled; 1 finds more than the usual 2000 and takes five to ten times as long

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { describe, expect, it } from 'vitest';
import type { MachineConfiguration } from '../../src/index.ts';
import { filesOf } from '../support/guest-session.ts';
import { type LockstepResult, lockstep } from './lockstep.ts';
import { type MachineSubjectOptions, machineSubject, type Script } from './subjects.ts';

const pocket = readFileSync(new URL('../../guests/pocket/pocket.elf', import.meta.url));

const AT_ONCE = { threshold: 1 };
/** Compiling a whole kernel takes minutes: what it executes a few times only is left to the interpreter. */
const BOOT_THRESHOLD = Number(process.env.LOCKSTEP_THRESHOLD ?? 2000);
// What is made of code that is executed a few times is not worth V8's optimiser, which takes more time than all the rest.
if (BOOT_THRESHOLD < 1000) {
  setFlagsFromString('--no-wasm-dynamic-tiering');
  setFlagsFromString('--no-wasm-tier-up');
}
const ALL_BOOTS = process.env.LOCKSTEP === 'all';
/** In every run of the tests. */
const USUAL_BOOTS = ['linux-svm', 'linux-svm, secure, 4 CPUs'];

async function compare(
  configuration: MachineConfiguration,
  subject: MachineSubjectOptions,
  options: { pieceInstructions?: number; memoryEvery?: number; maxInstructions?: number } = {},
): Promise<LockstepResult> {
  const result = await lockstep({ start: (engine) => machineSubject(engine, configuration, subject), ...options });
  expect(result.share).toBeGreaterThan(0.5);
  return result;
}

describe('pocket guest in lock-step', () => {
  for (const cpus of [1, 4]) {
    it(`with ${cpus} CPU(s)`, { timeout: 300_000 }, async () => {
      const result = await compare({ kernel: pocket, memoryBytes: 2 ** 27, append: 'plain', cpus }, AT_ONCE, {
        memoryEvery: 2_000_000,
        pieceInstructions: 2000,
      });
      expect(result.memoryComparisons).toBeGreaterThan(2);
    });
  }
  it('with regions that come late', { timeout: 300_000 }, async () => {
    const late = { threshold: 100, late: true };
    await compare({ kernel: pocket, memoryBytes: 2 ** 27, append: 'plain', cpus: 2 }, late, {
      memoryEvery: 2_000_000,
      pieceInstructions: 2000,
    });
  });
  it('with its benchmark loops', { timeout: 300_000 }, async () => {
    await compare({ kernel: pocket, memoryBytes: 2 ** 27, append: 'plain only=bench bench=1', cpus: 1 }, AT_ONCE, {
      memoryEvery: 50_000_000,
      pieceInstructions: 50_000,
    });
  });
});

interface Boot {
  readonly title: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly cpus: number;
  readonly script: Script;
  readonly memoryMib?: number;
  readonly late?: boolean;
}

const work: Script = [
  [
    '~ # ',
    'seq 1 400 | sha256sum; (echo a; echo b) | sort -r; ls -lR /bin /sys/devices | wc -l; awk "BEGIN { print 1/3 }"\n',
  ],
  ['~ # ', 'poweroff -f\n'],
];
const installerWork: Script = [
  ['# ', 'ls / | wc -l; echo $((6*7))\n'],
  ['42', 'poweroff -f\n'],
];
const secure = 'console=hvc0 svm=on swiotlb=force';
const boots: readonly Boot[] = [
  { title: 'linux-svm', kernel: 'linux-svm', initrd: 'busybox', append: 'console=hvc0', cpus: 1, script: work },
  { title: 'linux-svm, 4 CPUs', kernel: 'linux-svm', initrd: 'busybox', append: 'console=hvc0', cpus: 4, script: work },
  { title: 'linux-svm, secure', kernel: 'linux-svm', initrd: 'busybox', append: secure, cpus: 1, script: work },
  { title: 'linux-svm, secure, 4 CPUs', kernel: 'linux-svm', initrd: 'busybox', append: secure, cpus: 4, script: work },
  {
    title: 'linux-svm, secure, with regions that come late',
    kernel: 'linux-svm',
    initrd: 'busybox',
    append: secure,
    cpus: 2,
    script: work,
    late: true,
  },
  {
    title: 'Debian 12 kernel',
    kernel: 'debian-12-kernel',
    initrd: 'busybox',
    append: 'console=hvc0',
    cpus: 1,
    script: work,
    memoryMib: 512,
  },
  {
    title: 'Debian 12 kernel, 4 CPUs',
    kernel: 'debian-12-kernel',
    initrd: 'busybox',
    append: 'console=hvc0',
    cpus: 4,
    script: work,
    memoryMib: 512,
  },
  {
    title: 'Debian 13 kernel (4K pages)',
    kernel: 'debian-13-kernel',
    initrd: 'busybox',
    append: 'console=hvc0',
    cpus: 1,
    script: work,
    memoryMib: 512,
  },
  {
    title: 'Debian 13 kernel (4K pages), 4 CPUs',
    kernel: 'debian-13-kernel',
    initrd: 'busybox',
    append: 'console=hvc0',
    cpus: 4,
    script: work,
    memoryMib: 512,
  },
  {
    title: 'Debian 12 installer',
    kernel: 'debian-12-installer',
    initrd: 'debian-12-installer',
    append: 'rdinit=/bin/sh console=hvc0',
    cpus: 1,
    script: installerWork,
    memoryMib: 768,
  },
];

describe('boots in lock-step', () => {
  const chosen = boots.filter(({ title }) => ALL_BOOTS || USUAL_BOOTS.includes(title));
  for (const { title, kernel, initrd, append, cpus, script, memoryMib = 256, late } of chosen) {
    it(title, { timeout: 3_600_000 }, async (context) => {
      const files = await filesOf(kernel, initrd);
      if ('reason' in files) return context.skip(files.reason);
      const result = await compare(
        { kernel: files.kernel, initrd: files.initrd, memoryBytes: memoryMib * 2 ** 20, append, cpus },
        { script, threshold: BOOT_THRESHOLD, late },
        { memoryEvery: 100_000_000, pieceInstructions: 4000 },
      );
      expect(result.instructions).toBeGreaterThan(50_000_000);
    });
  }
});
