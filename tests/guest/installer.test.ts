// The unmodified Debian 12 installer kernel and initrd: a shell that does real work, reboot and power-off, and the
// installer's own first screen.

import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readCpio } from '../support/cpio-reader.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const files = await filesOf('debian-12-installer', 'debian-12-installer');
const title = 'reason' in files ? `Debian 12 installer (skipped: ${files.reason})` : 'Debian 12 installer';

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

  it('boots to a shell, computes, keeps time, reboots and powers off', { timeout: 600_000 }, async () => {
    await using guest = await GuestSession.start({ kernel, initrd, append: 'rdinit=/bin/sh console=hvc0 loglevel=4' });
    await guest.expect('# ');
    expect(await guest.command('uname -m')).toBe('ppc64le');
    await guest.command(
      'mkdir -p /proc /sys /tmp; mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev',
    );
    expect(await guest.command('cat /proc/cpuinfo')).toMatch(/cpu\s*: POWER9/);

    // Every file of /bin hashes to what the host finds in the same archive.
    const inBin = readCpio(initrd).filter(
      (file) => /^\.?\/?(usr\/)?bin\/[^/]+$/.test(file.name) && (file.mode & 0o170000) === 0o100000,
    );
    expect(inBin.length).toBeGreaterThan(5);
    const hashes = await guest.command('for f in /bin/*; do [ -L $f ] || sha256sum $f; done');
    const seen = new Map(hashes.split('\n').map((line) => line.split(/\s+/).reverse() as [string, string]));
    const resolved = (name: string) => `/bin/${name.replace(/.*\//, '')}`;
    let compared = 0;
    for (const file of inBin) {
      const guestHash = seen.get(resolved(file.name));
      if (guestHash === undefined) continue;
      expect(`${file.name} ${guestHash}`).toBe(`${file.name} ${createHash('sha256').update(file.data).digest('hex')}`);
      compared++;
    }
    expect(compared).toBe(seen.size);

    const sums = await guest.command(
      'dd if=/dev/urandom of=/tmp/a bs=64k count=16 2>/dev/null; dd if=/tmp/a of=/tmp/b bs=4097 2>/dev/null; sha256sum < /tmp/a; sha256sum < /tmp/b; wc -c < /tmp/b',
    );
    const [a, b, size] = sums.split('\n');
    expect(b).toBe(a);
    expect(size).toBe('1048576');

    // The installer has gunzip but no gzip: it unpacks what the host packed, typed in as octal escapes.
    const packed = gzipSync(Buffer.from('The quick brown fox jumps over the lazy dog. '.repeat(50)));
    const escapes = [...packed].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
    expect(await guest.command(`printf '${escapes}' | gunzip -c | sha256sum`)).toBe(
      `${createHash('sha256').update(gunzipSync(packed)).digest('hex')}  -`,
    );

    const before = guest.machine.report().guestSeconds;
    const uptimes = await guest.command('cat /proc/uptime; sleep 2; cat /proc/uptime');
    const [first, second] = uptimes.split('\n').map((line) => Number(line.split(' ')[0]));
    expect(second - first).toBeGreaterThanOrEqual(2);
    expect(second - first).toBeLessThan(2.2);
    expect(guest.machine.report().guestSeconds - before).toBeGreaterThanOrEqual(2);

    guest.type('reboot -f\n');
    await guest.expect('Linux version');
    await guest.expect('# ');
    expect(guest.machine.report().reboots).toBe(1);
    guest.type('poweroff -f\n');
    expect(await guest.ended).toEqual({ reason: 'power-off' });
  });

  it("shows the installer's first screen", { timeout: 600_000 }, async () => {
    await using guest = await GuestSession.start({ kernel, initrd, append: 'console=hvc0' });
    await guest.expect(/Select a language|Choose the language/);
  });
});
