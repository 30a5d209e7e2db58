// An unmodified kernel with CONFIG_PPC_SVM turns itself into a secure VM, on the command line of any other boot.

import { describe, expect, it } from 'vitest';
import type { Machine, MachineConfiguration } from '../../src/index.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const NORMAL = 'console=hvc0';
const SECURE = 'console=hvc0 svm=on swiotlb=force';
const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `linux-svm in secure mode (skipped: ${files.reason})` : 'linux-svm in secure mode';

/** What the hypervisor and devices could find by reading all of RAM, as they would: nothing counts as a secret here. */
function hostFinds(machine: Machine, needle: Buffer): { host: boolean; inside: boolean } {
  // The test reaches behind the interface: the view is what every device and the hypervisor hold, `core` is the truth.
  const { view, core } = machine as unknown as {
    view: { sizeBytes: number; read(gra: number, lenBytes: number, origin: object): Uint8Array };
    core: { ramBytesView(): Uint8Array };
  };
  const origin = { kind: 'hcall', name: 'a search by the test' };
  const piece = 0x100000;
  let host = false;
  for (let gra = 0; gra < view.sizeBytes; gra += piece) {
    const lenBytes = Math.min(piece + needle.length, view.sizeBytes - gra);
    host ||= Buffer.from(view.read(gra, lenBytes, origin)).includes(needle);
  }
  const ram = core.ramBytesView();
  return { host, inside: Buffer.from(ram.buffer, ram.byteOffset, ram.byteLength).includes(needle) };
}

/** A text that stands in memory many times, and never in what is typed. */
const canaryText = 'CANARY-5b1f0c7a';
const placeCanary = `C=$(printf '%s-%s' CANARY 5b1f0c7a); for i in 1 2 3 4 5 6 7 8; do echo $C$C$C$C; done > /tmp/canary`;

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  const start = (configuration: Partial<MachineConfiguration>) =>
    GuestSession.start({ kernel, initrd, memoryBytes: 256 * 2 ** 20, ...configuration });

  for (const cpus of [1, 4]) {
    it(`turns secure, works and powers off with ${cpus} CPU(s)`, { timeout: 900_000 }, async () => {
      await using guest = await start({ append: SECURE, cpus });
      const boot = await guest.expect('~ # ');
      expect(boot).toContain('Switching to secure mode.');
      expect(boot).not.toContain('from switching to secure mode');
      expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
      expect(await guest.command('nproc')).toBe(`${cpus}`);
      expect(await guest.command('dmesg | grep -o "software IO TLB: mapped.*"')).toMatch(/\(64MB\)/);
      expect(await guest.command('echo $((6 * 7)); seq 1 1000 | sha256sum | cut -c1-16')).toBe('42\n67d4ff71d43921d5');

      const { svm, violations } = guest.machine.report();
      expect(violations.records).toEqual([]);
      expect(violations.count).toBe(0);
      expect(svm?.state).toBe('secure');
      expect(svm?.transitions.map(({ step, state }) => `${step}: ${state}`)).toEqual([
        'UV_ESM: normal',
        'H_SVM_INIT_START: transient',
        'H_SVM_PAGE_IN: transient',
        'H_SVM_INIT_DONE: secure',
      ]);
      // The lppaca page and 64 MiB of bounce buffer.
      expect(svm?.pages).toEqual({ normal: 0, secure: 4096 - 1025, shared: 1025, 'paged-out': 0 });
      guest.type('poweroff -f\n');
      expect(await guest.ended).toEqual({ reason: 'power-off' });
      expect(guest.machine.report().violations.count).toBe(0);
    });
  }

  it('hides what it holds from the host, which a normal VM does not; a reboot ends it', {
    timeout: 900_000,
  }, async () => {
    const canary = Buffer.from(canaryText.repeat(2));
    await using guest = await start({ append: SECURE });
    await guest.expect('~ # ');
    await guest.command(placeCanary);
    expect(hostFinds(guest.machine, canary)).toEqual({ host: false, inside: true });
    const { violations } = guest.machine.report();
    expect(violations.records[0]).toMatchObject({
      origin: { kind: 'hcall', name: 'a search by the test' },
      direction: 'read',
      pageState: 'secure',
      madeBy: 'UV_ESM',
    });
    // The guest has noticed nothing.
    expect(await guest.command('grep -c CANARY /tmp/canary')).toBe('8');

    guest.type('reboot -f\n');
    await guest.expect('Switching to secure mode.');
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    expect(hostFinds(guest.machine, canary)).toEqual({ host: false, inside: false });
    const { svm, reboots } = guest.machine.report();
    expect(reboots).toBe(1);
    expect(svm?.transitions.map(({ step }) => step).slice(3, 6)).toEqual(['H_SVM_INIT_DONE', 'terminated', 'UV_ESM']);
  });

  it('stays a normal VM that hides nothing without svm=on', { timeout: 900_000 }, async () => {
    await using guest = await start({ append: NORMAL });
    const boot = await guest.expect('~ # ');
    expect(boot).not.toContain('secure mode');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('0');
    await guest.command(placeCanary);
    expect(hostFinds(guest.machine, Buffer.from(canaryText.repeat(2)))).toEqual({
      host: true,
      inside: true,
    });
    expect(guest.machine.report()).toMatchObject({
      svm: { state: 'normal', transitions: [] },
      violations: { count: 0 },
    });
  });

  it('goes on as a normal VM where there is no ultravisor', { timeout: 900_000 }, async () => {
    await using guest = await start({ append: SECURE, ultravisor: false });
    const boot = await guest.expect('~ # ');
    expect(boot).toContain('Returned -2 from switching to secure mode.');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('0');
    const { svm, warnings } = guest.machine.report();
    expect(svm).toBeUndefined();
    expect(warnings.join()).toContain('there is no ultravisor: Switch to secure mode failed.');
    // A panic is a panic from then on.
    guest.type('echo c > /proc/sysrq-trigger\n');
    expect((await guest.ended).reason).toBe('panic');
  });
});
