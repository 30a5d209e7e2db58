// A kernel with 4K pages in secure mode: it counts the frames it shares in pages of its own, and the ultravisor with it.
// Runs where the guest has been built: `bin/powervisor guest build linux-svm-4k`.

import { describe, expect, it } from 'vitest';
import { filesOf, GuestSession } from '../support/guest-session.ts';
import { guestAtHand } from '../support/guests.ts';

const SECURE = 'console=hvc0 svm=on swiotlb=force';
const atHand = await guestAtHand('linux-svm-4k');
const files = 'reason' in atHand ? atHand : await filesOf('linux-svm-4k', 'busybox');
const title = 'reason' in files ? `a kernel with 4K pages (skipped: ${files.reason})` : 'a kernel with 4K pages';

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  const start = () => GuestSession.start({ kernel, initrd, append: SECURE, memoryBytes: 256 * 2 ** 20 });

  it('turns secure, and shares what it means to share', { timeout: 900_000 }, async () => {
    await using guest = await start();
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    expect(await guest.command('seq 1 1000 | sha256sum | cut -c1-16')).toBe('67d4ff71d43921d5');
    const { svm, violations } = guest.machine.report();
    expect(violations.records).toEqual([]);
    expect(svm).toMatchObject({ state: 'secure', pageBytes: 0x1000 });
    // 64 MiB of bounce buffer, and a little for the hypervisor.
    expect(svm?.pages.shared).toBeGreaterThan(16384);
    expect(svm?.pages.shared).toBeLessThan(16384 + 64);
  });
});
