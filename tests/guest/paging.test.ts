// An unmodified kernel in a secure VM with less secure memory than it uses: pages leave, encrypted, and come back; what the
// hypervisor does to them ends the VM.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';
import { hostSightOf, whereFound } from '../support/host-sight.ts';

const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `paging of secure memory (skipped: ${files.reason})` : 'paging of secure memory';
const LIMIT_BYTES = 24 * 2 ** 20;
const CANARY = 'CANARY-0d4c6e1f';

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  const start = () =>
    GuestSession.start({
      kernel,
      initrd,
      append: 'console=hvc0 svm=on swiotlb=force',
      memoryBytes: 256 * 2 ** 20,
      secureMemoryBytes: LIMIT_BYTES,
    });

  it('works in a tenth of its memory, unnoticed by the guest and unseen by the host', {
    timeout: 900_000,
  }, async () => {
    await using guest = await start();
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    await guest.command(
      `C=$(printf '%s-%s' CANARY 0d4c6e1f); for i in 1 2 3 4 5 6 7 8; do echo $C$C$C$C; done > /tmp/c`,
    );
    // 21 MB, written and read again: each page goes and comes.
    const lines = Array.from({ length: 200_000 }, (_, n) => `${n + 1}\n`).join('');
    const expected = createHash('sha256').update(lines.repeat(16)).digest('hex').slice(0, 16);
    await guest.command('seq 1 200000 > /tmp/s; for i in $(seq 16); do cat /tmp/s; done > /tmp/all');
    expect(await guest.command('sha256sum < /tmp/all | cut -c1-16')).toBe(expected);
    expect(await guest.command('grep -c CANARY /tmp/c')).toBe('8');

    const { svm, violations, exits } = guest.machine.report();
    expect(violations.records).toEqual([]);
    const limitPages = LIMIT_BYTES / 0x10000;
    expect(svm?.pages).toMatchObject({ normal: 0, shared: 1025 });
    expect(svm?.pages.secure).toBeLessThanOrEqual(limitPages);
    expect(svm?.paging.limitPages).toBe(limitPages);
    expect(svm?.paging.pagedIn).toBeGreaterThan(1000);
    expect(svm?.paging.pagedIn).toBe(exits['absent-page']);
    // Some of the pages of the bounce buffer were out when they were shared, so they did not come back.
    const neverBack = svm!.paging.pagedOut - svm!.paging.pagedIn - svm!.pages['paged-out'];
    expect(neverBack).toBeGreaterThanOrEqual(0);
    expect(neverBack).toBeLessThanOrEqual(1025);
    expect(whereFound(CANARY, hostSightOf(guest.machine))).toEqual([]);
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
  });

  it('ends when a page has been changed, and says which', { timeout: 900_000 }, async () => {
    await using guest = await start();
    await guest.expect('~ # ');
    const { hypervisor } = guest.machine as unknown as { hypervisor: Hypervisor };
    for (const page of hypervisor.secureGuest!.hostPages.all()) page[100] ^= 1;
    guest.type('sha256sum /bin/busybox\n');
    const { reason, message } = await guest.ended;
    expect(reason).toBe('error');
    expect(message).toMatch(/^secure page 0x[0-9a-f]+0000 was changed by the hypervisor: /);
    const { svm } = guest.machine.report();
    expect(svm).toMatchObject({ state: 'terminated', tampering: { kind: 'changed' } });
    expect(svm?.transitions.slice(-2).map(({ step }) => step)).toEqual(['tampering', 'terminated']);
  });
});
