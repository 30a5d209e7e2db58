// What becomes of a secure VM that starts another kernel, or itself anew: kexec keeps it secure and takes all shared pages
// back; a reboot and the kernel's panic are its end.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCpio } from '../../src/backends/node/cpio.ts';
import { compileForGuest } from '../support/guest-program.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';
import { hostSightOf, insideHas, whereFound } from '../support/host-sight.ts';

const SECURE = 'console=hvc0 svm=on swiotlb=force';
const CANARY = 'CANARY-71c9a3d0';
const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `secure VM, restarted (skipped: ${files.reason})` : 'secure VM, restarted';

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  let directory: string;
  let withKernel: Uint8Array | undefined;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'powervisor-kexec-'));
    const program = join(directory, 'kexec');
    if (!compileForGuest(new URL('programs/kexec.c', import.meta.url).pathname, program)) return;
    const overlay = [
      { kind: 'file', path: 'bin/kexec', mode: 0o755, data: readFileSync(program) },
      { kind: 'file', path: 'vmlinux', mode: 0o644, data: kernel },
      { kind: 'file', path: 'initrd', mode: 0o644, data: initrd },
    ] as const;
    withKernel = Buffer.concat([initrd, writeCpio(overlay)]);
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('stays secure over kexec, with nothing shared in between', { timeout: 900_000 }, async ({ skip }) => {
    if (!withKernel) skip('there is no compiler for guests');
    const start = { kernel, initrd: withKernel, append: SECURE, memoryBytes: 384 * 2 ** 20 };
    await using guest = await GuestSession.start(start);
    await guest.expect('~ # ');
    await guest.command(
      `C=$(printf '%s-%s' CANARY 71c9a3d0); for i in 1 2 3 4 5 6 7 8; do echo $C$C$C$C; done > /tmp/c`,
    );
    expect(insideHas(CANARY, guest.machine)).toBe(true);
    guest.type(`kexec /vmlinux /initrd "${SECURE} second=1"\n`);
    await guest.expect('kexec: Unshared all shared pages.');
    const boot = await guest.expect('~ # ');
    expect(boot).not.toContain('Switching to secure mode');
    expect(await guest.command('cat /sys/devices/system/cpu/svm; grep -o "second=1" /proc/cmdline')).toBe(
      '1\nsecond=1',
    );
    expect(await guest.command('seq 1 1000 | sha256sum | cut -c1-16')).toBe('67d4ff71d43921d5');
    const { svm, violations, reboots } = guest.machine.report();
    expect(violations.records).toEqual([]);
    expect(reboots).toBe(0);
    expect(svm).toMatchObject({
      state: 'secure',
      ultracalls: { UV_ESM: 1, UV_UNSHARE_ALL_PAGES: 1 },
      pages: { normal: 0, shared: 1025 },
    });
    expect(svm?.transitions.filter(({ step }) => step === 'UV_ESM')).toHaveLength(1);
    expect(whereFound(CANARY, hostSightOf(guest.machine))).toEqual([]);
  });
});
