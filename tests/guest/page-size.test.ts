// Which page size a kernel has can be told from the device tree that its prom_init makes: what UV_ESM goes by.

import { describe, expect, it } from 'vitest';
import { fdtBytes, pageBytesOfMaker, readFdt } from '../../src/ultravisor/fdt-reader.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const kernels = [
  ['linux-svm', 0x10000],
  ['debian-12-kernel', 0x10000],
  ['debian-13-kernel', 0x1000],
] as const;

describe.each(kernels)('the device tree of %s', (name, pageBytes) => {
  it(`tells of pages of ${pageBytes} bytes`, { timeout: 600_000 }, async ({ skip }) => {
    const files = await filesOf(name);
    if ('reason' in files) skip(files.reason);
    const { kernel } = files as { kernel: Uint8Array };
    await using guest = await GuestSession.start({ kernel, append: 'console=hvc0', memoryBytes: 256 * 2 ** 20 });
    await guest.expect('Booting Linux via __start()');
    guest.machine.pause();
    const { core } = guest.machine as unknown as { core: { ramBytesView(): Uint8Array } };
    const ram = core.ramBytesView();
    const memory = Buffer.from(ram.buffer, ram.byteOffset, ram.byteLength);
    const magic = Buffer.from('d00dfeed', 'hex');
    const found: (number | undefined)[] = [];
    for (let at = memory.indexOf(magic); at >= 0; at = memory.indexOf(magic, at + 4)) {
      const lenBytes = fdtBytes(memory.subarray(at, at + 40));
      const tree = lenBytes === undefined ? undefined : readFdt(new Uint8Array(memory.subarray(at, at + lenBytes)));
      if (tree?.nodes.has('chosen')) found.push(pageBytesOfMaker(memory.subarray(at, at + 40)));
    }
    expect(found).toEqual([pageBytes]);
  });
});
