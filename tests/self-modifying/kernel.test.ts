// Real kernels that change their own code, in lock-step: function tracing patches every function's entry, tracepoints
// and static keys patch branches, modules are loaded into memory that held others.

import { describe, expect, it } from 'vitest';
import { lockstep } from '../lockstep/lockstep.ts';
import { machineSubject, type Script } from '../lockstep/subjects.ts';
import { filesOf } from '../support/guest-session.ts';

const THRESHOLD = Number(process.env.LOCKSTEP_THRESHOLD ?? 300);

interface Case {
  readonly title: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly memoryBytes: number;
  readonly script: Script;
  /** What the guest must have printed: that it did what this is about. */
  readonly proof: RegExp;
}

const cases: readonly Case[] = [
  {
    title: 'ftrace, tracepoints and static keys of the Debian 12 kernel',
    kernel: 'debian-12-kernel',
    initrd: 'busybox',
    append: 'console=hvc0 quiet',
    memoryBytes: 2 ** 29,
    script: [
      [
        '~ # ',
        [
          'mount -t tracefs tracefs /sys/kernel/tracing; cd /sys/kernel/tracing',
          'echo function > current_tracer; ls / > /dev/null; echo entries $(head -n 400 trace | wc -l)',
          'echo nop > current_tracer; echo 1 > events/sched/sched_switch/enable; sleep 1',
          'echo 0 > events/sched/sched_switch/enable',
          'for i in 1 2 3; do echo 1 > /proc/sys/kernel/sched_schedstats; echo 0 > /proc/sys/kernel/sched_schedstats; done',
          'echo "pat""ched"\n',
        ].join('; '),
      ],
      ['patched', 'poweroff -f\n'],
    ],
    proof: /entries 400\r?\n[\s\S]*patched/,
  },
  {
    title: 'modules of the Debian 12 installer, loaded and unloaded',
    kernel: 'debian-12-installer',
    initrd: 'debian-12-installer',
    append: 'rdinit=/bin/sh console=hvc0 quiet',
    memoryBytes: 3 * 2 ** 28,
    script: [
      [
        '# ',
        [
          'mount -t proc proc /proc; mount -t sysfs sysfs /sys',
          'cd /lib/modules/*/kernel/fs/fat',
          'for i in 1 2 3; do insmod ./fat.ko; insmod ./vfat.ko; echo modules $(grep -c fat /proc/modules)',
          'rmmod vfat; rmmod fat; echo left $(grep -c fat /proc/modules); done; echo "chur""ned"\n',
        ].join('; '),
      ],
      ['churned', 'poweroff -f\n'],
    ],
    proof: /(modules 2\r?\nleft 0\r?\n){3}churned/,
  },
];

describe('kernels that change their code', () => {
  for (const { title, kernel, initrd, script, proof, ...configuration } of cases) {
    it(title, { timeout: 1_800_000 }, async (context) => {
      const files = await filesOf(kernel, initrd);
      if ('reason' in files) return context.skip(files.reason);
      let output = '';
      const result = await lockstep({
        start: async (engine) => {
          const subject = await machineSubject(
            engine,
            { kernel: files.kernel, initrd: files.initrd, cpus: 1, ...configuration },
            { script, threshold: THRESHOLD },
          );
          return {
            ...subject,
            result: () => {
              const ended = subject.result() as { output: string };
              output = ended.output;
              return ended;
            },
          };
        },
        memoryEvery: 200_000_000,
      });
      expect(output).toMatch(proof);
      expect(result.share).toBeGreaterThan(0.5);
    });
  }
});
