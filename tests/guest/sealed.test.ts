// Sealed images under an unmodified kernel with CONFIG_PPC_SVM: they turn secure as they were sealed, and not otherwise; a
// refusal names what differs and gives nothing away. Also Linux as a boot loader: a kernel that runs in the open starts a
// sealed one with kexec.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCpio } from '../../src/backends/node/cpio.ts';
import { openKernelFile } from '../../src/cli/sealed-file.ts';
import { ESM_BLOB_SECTION, withElfSection } from '../../src/firmware/elf-section.ts';
import { kexecKernel } from '../../src/firmware/kexec-stub.ts';
import { Machine, type MachineConfiguration, type MachineEvent } from '../../src/index.ts';
import { parseBlob } from '../../src/ultravisor/esm/blob.ts';
import { openBlob } from '../../src/ultravisor/esm/seal.ts';
import { compileForGuest } from '../support/guest-program.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';
import { changed, type ImageRecipe, makeKey, sealImage, type TestKey, withBlob } from '../support/sealed-image.ts';

const APPEND = 'console=hvc0 svm=on swiotlb=force';
const CANARY = 'CANARY-93d1c07e55aa1b';
const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `sealed images (skipped: ${files.reason})` : 'sealed images';

function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? `0x${each.toString(16)}` : each));
}

/** Whether bytes can be found in all that the hypervisor and devices can read of memory. */
function hostCanRead(machine: Machine, needle: Buffer): boolean {
  const { view } = machine as unknown as {
    view: { sizeBytes: number; read(gra: number, lenBytes: number, origin: object): Uint8Array };
  };
  const piece = 0x100000;
  for (let gra = 0; gra < view.sizeBytes; gra += piece) {
    const lenBytes = Math.min(piece + needle.length, view.sizeBytes - gra);
    if (Buffer.from(view.read(gra, lenBytes, { kind: 'hcall', name: 'a search by the test' })).includes(needle)) {
      return true;
    }
  }
  return false;
}

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd: busybox } = files as { kernel: Uint8Array; initrd: Uint8Array };
  let directory: string;
  let owner: TestKey;
  let machineKey: TestKey;
  let otherKey: TestKey;
  let initrd: Uint8Array;
  let programs: boolean;
  let image: ImageRecipe;
  let blob: Uint8Array;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'powervisor-sealed-'));
    [owner, machineKey, otherKey] = [await makeKey(), await makeKey(), await makeKey()];
    const source = (name: string) => new URL(`programs/${name}.c`, import.meta.url).pathname;
    programs = ['kexec', 'esmb-get-file'].every((name) => compileForGuest(source(name), join(directory, name)));
    const overlay = ['kexec', 'esmb-get-file']
      .filter(() => programs)
      .map(
        (name) =>
          ({ kind: 'file', path: `bin/${name}`, mode: 0o755, data: readFileSync(join(directory, name)) }) as const,
      );
    initrd = Buffer.concat([busybox, writeCpio(overlay)]);
    image = { kernel, initrd, append: APPEND, origin: owner, machines: [machineKey], files: { canary: CANARY } };
    blob = await sealImage(image);
  });
  afterAll(() => rm(directory, { recursive: true }));

  const configuration = (): MachineConfiguration => ({
    kernel,
    initrd: withBlob(initrd, blob),
    append: APPEND,
    memoryBytes: 256 * 2 ** 20,
    ultravisorKey: machineKey.pem,
    requireSealed: true,
  });

  it('turns secure, and hands its file to one reader', { timeout: 600_000 }, async () => {
    await using guest = await GuestSession.start(configuration());
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    const { svm, violations } = guest.machine.report();
    expect(violations.count).toBe(0);
    const hash = expect.stringMatching(/^matches [0-9a-f]{128}$/);
    expect(svm?.transitions.map(({ step, detail }) => [step, detail])).toEqual([
      ['UV_ESM', expect.stringMatching(/^kernel 0x400000, device tree 0x/)],
      ['H_SVM_INIT_START', undefined],
      ['H_SVM_PAGE_IN', undefined],
      ['ESM blob', `${blob.length} bytes in the initrd (opt/ibm/pef/blob.esm)`],
      ['lockbox', 'lockbox-1 opened'],
      ['digests', 'opened; the blob is as it was sealed'],
      ['digest of rtas', hash],
      ['digest of kernel', hash],
      ['digest of initrd', hash],
      ['digest of bootargs', hash],
      ['files', 'canary'],
      ['H_SVM_INIT_DONE', undefined],
    ]);
    // What the tools of this format have for the same 20 bytes of RTAS.
    expect(svm?.transitions[6].detail).toMatch(/^matches 189698638580422e.*fc37f48$/);
    expect(toJson(guest.machine.report())).not.toContain(CANARY);
    expect(hostCanRead(guest.machine, Buffer.from(CANARY))).toBe(false);
    if (!programs) return;
    expect(await guest.command('esmb-get-file canary')).toBe(CANARY);
    expect(await guest.command('esmb-get-file canary 2>&1')).toMatch(/^UV_ESMB_GET_FILE: -(11|55)$/);
    expect(await guest.command('esmb-get-file nothing 2>&1')).toBe('UV_ESMB_GET_FILE: -4');
    expect(hostCanRead(guest.machine, Buffer.from(CANARY))).toBe(false);
  });

  it('is alike in every run', { timeout: 600_000 }, async () => {
    const hashes: string[] = [];
    for (let i = 0; i < 2; i++) {
      await using machine = await Machine.create(configuration());
      await machine.run({ instructions: 30_000_000 });
      expect(machine.report().svm?.state).toBe('secure');
      hashes.push(await machine.stateHash());
    }
    expect(hashes[0]).toBe(hashes[1]);
  });

  it('finds the blob in a section of the kernel', { timeout: 600_000 }, async () => {
    const sealed = withElfSection(kernel, ESM_BLOB_SECTION, blob, 'the kernel');
    await using guest = await GuestSession.start({ ...configuration(), kernel: sealed, initrd });
    await guest.expect('~ # ');
    expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
    expect(guest.machine.report().svm?.transitions[3].detail).toBe(`${blob.length} bytes in /chosen`);
  });

  /** A byte of the kernel's text that the way to UV_ESM does not execute. */
  const unusedByte = () => {
    const at = Buffer.from(kernel).indexOf('Linux version 6.');
    expect(at).toBeGreaterThan(0);
    return at;
  };
  const digest = (name: string) => new RegExp(`^digest of ${name} differs: wanted [0-9a-f]{128}, found [0-9a-f]{128};`);
  const refusals: readonly [
    string,
    () => Partial<MachineConfiguration> | Promise<Partial<MachineConfiguration>>,
    RegExp,
  ][] = [
    ['one bit of the kernel differs', () => ({ kernel: changed(kernel, unusedByte()) }), digest('kernel')],
    [
      'one bit of the initrd differs',
      () => ({ initrd: withBlob(changed(initrd, initrd.length - 5000), blob) }),
      digest('initrd'),
    ],
    ['the command line has one letter more', () => ({ append: `${APPEND} ` }), digest('bootargs')],
    [
      'one bit of the sealed digests differs',
      () => {
        const parsed = parseBlob(blob);
        if (!parsed.ok || !parsed.value.digests) throw new Error('the blob cannot be read');
        const at = parsed.value.digests.ciphertext.byteOffset - blob.byteOffset;
        return { initrd: withBlob(initrd, changed(blob, at + 100)) };
      },
      /^digests: the digests have been changed: their authentication tag differs;/,
    ],
    [
      'one bit of a comment in the blob differs',
      () => ({ initrd: withBlob(initrd, changed(blob, Buffer.from(blob).indexOf('machine 1'))) }),
      /^digests: the blob has been changed: its digest should be [0-9a-f]{128} and is [0-9a-f]{128};/,
    ],
    [
      'the machine has another key',
      () => ({ ultravisorKey: otherKey.pem }),
      /^lockbox: none of its lockboxes \(lockbox-1\) opens with the key [0-9a-f]{16};/,
    ],
    ['the machine has no key', () => ({ ultravisorKey: undefined }), /^lockbox: this machine has no key;/],
    [
      'there is a lockbox for the owner only',
      async () => ({ initrd: withBlob(initrd, await sealImage({ ...image, machines: [] })) }),
      /^lockbox: it has a lockbox for its origin only;/,
    ],
    [
      'the image is not sealed',
      () => ({ initrd }),
      /^ESM blob: the image is not sealed, and this machine takes sealed/,
    ],
    [
      'a file is smuggled in beside the blob',
      () => {
        const other = writeCpio([{ kind: 'file', path: 'init2', data: '#!/bin/sh' }]);
        const end = Buffer.from(other).indexOf('070701', 6);
        return { initrd: Buffer.concat([other.subarray(0, end), withBlob(initrd, blob)]) };
      },
      /^ESM blob: the archive in front of the initrd: it also has "init2";/,
    ],
  ];
  it.each(refusals)('is refused if %s', { timeout: 600_000 }, async (_, change, reason) => {
    const opened = await openBlob(blob, owner.key, 'all');
    if (!opened.ok) throw new Error(opened.reason);
    await using machine = await Machine.create({ ...configuration(), ...(await change()), trace: ['svm', 'warning'] });
    let written = '';
    machine.onConsole((bytes) => {
      written += Buffer.from(bytes).toString('latin1');
    });
    const events: MachineEvent[] = [];
    void (async () => {
      for await (const event of machine.events()) events.push(event);
    })();
    expect(await machine.run()).toEqual({
      reason: 'panic',
      message: expect.stringMatching(/Switch to secure mode failed/),
    });
    expect(written).toContain('Returned -4 from switching to secure mode.');
    const report = machine.report();
    expect(report.svm?.state).toBe('normal');
    expect(report.svm?.pages).toMatchObject({ secure: 0, shared: 0, 'paged-out': 0 });
    expect(report.svm?.transitions.at(-1)?.step).toBe('refused');
    expect(report.svm?.transitions.at(-1)?.detail).toMatch(reason);
    expect(report.svm?.transitions.at(-1)?.detail).toMatch(/H_SVM_INIT_ABORT answered -4$/);
    const msr = BigInt(report.cpus[0].msr);
    expect(msr & 0x400000n).toBe(0n);
    for (const secret of [Buffer.from(CANARY), Buffer.from(opened.value.masterKey)]) {
      expect(hostCanRead(machine, secret)).toBe(false);
      const told = Buffer.from(toJson([report, events]) + written);
      expect(told.includes(secret)).toBe(false);
      expect(told.includes(secret.toString('hex'))).toBe(false);
    }
  });

  it('accepts an image that is not sealed unless told otherwise', { timeout: 600_000 }, async () => {
    await using machine = await Machine.create({ ...configuration(), initrd, requireSealed: false });
    await machine.run({ instructions: 30_000_000 });
    expect(machine.report().svm?.state).toBe('secure');
  });

  describe('started by a Linux with kexec', () => {
    const loader = async (sealedInitrd: Uint8Array) => {
      const sealedKernel = kexecKernel(await openKernelFile(kernel, 'the kernel'));
      const more = writeCpio([
        { kind: 'directory', path: 'sealed' },
        { kind: 'file', path: 'sealed/kernel', data: sealedKernel },
        { kind: 'file', path: 'sealed/initrd', data: sealedInitrd },
      ]);
      return GuestSession.start({
        ...configuration(),
        initrd: Buffer.concat([initrd, more]),
        append: 'console=hvc0',
        memoryBytes: 512 * 2 ** 20,
      });
    };

    it('turns secure', { timeout: 900_000 }, async ({ skip }) => {
      if (!programs) skip('no compiler for guest programs here');
      await using guest = await loader(withBlob(initrd, blob));
      await guest.expect('~ # ');
      expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('0');
      guest.type(`kexec /sealed/kernel /sealed/initrd '${APPEND}'\n`);
      await guest.expect('BusyBox guest');
      await guest.expect('~ # ');
      expect(await guest.command('cat /sys/devices/system/cpu/svm')).toBe('1');
      expect(await guest.command('cat /proc/cmdline')).toBe(APPEND);
      expect(await guest.command('esmb-get-file canary')).toBe(CANARY);
      const { svm, violations, reboots } = guest.machine.report();
      expect(svm?.transitions.at(-1)).toMatchObject({ step: 'H_SVM_INIT_DONE', state: 'secure' });
      expect(violations.count).toBe(0);
      expect(reboots).toBe(0);
    });

    it('does not run at all if it is refused', { timeout: 900_000 }, async ({ skip }) => {
      if (!programs) skip('no compiler for guest programs here');
      await using guest = await loader(withBlob(changed(initrd, initrd.length - 5000), blob));
      await guest.expect('~ # ');
      guest.type(`kexec /sealed/kernel /sealed/initrd '${APPEND}'\n`);
      expect(await guest.ended).toEqual({ reason: 'panic', message: 'UV_ESM refused the sealed image.' });
      const { svm } = guest.machine.report();
      expect(svm?.state).toBe('normal');
      expect(svm?.transitions.at(-1)?.detail).toMatch(digest('initrd'));
    });
  });
});
