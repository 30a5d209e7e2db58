// Kernels of three origins with four CPUs: all online, and a parallel workload keeps all of them busy.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const kernels = ['debian-13-kernel', 'linux-svm'];

for (const name of kernels) {
  const files = await filesOf(name, 'busybox');
  const title = 'reason' in files ? `${name} with 4 CPUs (skipped: ${files.reason})` : `${name} with 4 CPUs`;
  describe.skipIf('reason' in files)(title, () => {
    const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

    it('brings all CPUs online and uses them', { timeout: 900_000 }, async () => {
      await using guest = await GuestSession.start({ kernel, initrd, cpus: 4, append: 'console=hvc0 quiet' });
      await guest.expect('~ # ');
      expect(await guest.command('uname -m')).toBe('ppc64le');
      expect(await guest.command('nproc')).toBe('4');
      expect(await guest.command('cat /sys/devices/system/cpu/online')).toBe('0-3');
      expect((await guest.command('grep -c POWER9 /proc/cpuinfo')).trim()).toBe('4');

      const trips = await guest.command(
        'dd if=/dev/urandom of=/a bs=64k count=8 2>/dev/null; gzip -c /a > /a.gz; gunzip -c /a.gz | sha256sum; sha256sum < /a',
      );
      const [unpacked, original] = trips.split('\n');
      expect(unpacked).toBe(original);

      const before = guest.machine.report().cpus.map((cpu) => cpu.instructions);
      const work = 'for i in 1 2 3 4; do (seq 1 20000 | sha256sum) & done; wait';
      const outputs = (await guest.command(work)).split('\n').filter((line) => / {2}-$/.test(line));
      expect(outputs).toHaveLength(4);
      expect(new Set(outputs).size).toBe(1);
      // sha256 of the decimal numbers 1 to 20000, one a line, as any other machine computes it.
      const text = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
      expect(outputs[0]).toBe(`${createHash('sha256').update(text).digest('hex')}  -`);

      const after = guest.machine.report().cpus.map((cpu) => cpu.instructions);
      const spent = after.map((count, id) => count - before[id]);
      const total = spent.reduce((sum, count) => sum + count, 0);
      for (const count of spent) expect(count / total).toBeGreaterThan(0.08);

      guest.type('poweroff -f\n');
      expect(await guest.ended).toEqual({ reason: 'power-off' });
    });
  });
}
