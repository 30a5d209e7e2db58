// The ways into a kernel: Open Firmware and flattened tree, compressed images, and a 32-bit big-endian client program.

import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../src/cpu/isa/assemble.ts';
import { Machine } from '../../src/index.ts';
import { buildElf, elfNote, PT_LOAD, PT_NOTE } from '../support/elf-builder.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `Linux (skipped: ${files.reason})` : 'Linux';

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

  it('entered with a flattened tree sees the same machine as with Open Firmware', { timeout: 600_000 }, async () => {
    const seen: string[] = [];
    for (const protocol of ['open-firmware', 'flattened-tree'] as const) {
      const configuration = { kernel, initrd, cpus: 2, append: 'console=hvc0', protocol };
      await using guest = await GuestSession.start(configuration);
      await guest.expect('~ # ');
      // What each way writes of its own: claims, where things stand, what a client keeps of its console.
      const own = 'available|linux,|phandle|stdin$|stdout$';
      const list = `cd /proc/device-tree && find . -type f | grep -vE '${own}' | sort`;
      seen.push(await guest.command(`${list}; ${list} | xargs sha256sum | sha256sum; cat /proc/cmdline; nproc`));
    }
    expect(seen[0]).toContain('./cpus/PowerPC,POWER9@1/ibm,pa-features');
    expect(seen[0]).toContain('./chosen/ibm,architecture-vec-5');
    expect(seen[1]).toBe(seen[0]);
  });

  it('is unpacked when it comes as gzip', { timeout: 600_000 }, async () => {
    const configuration = { kernel: gzipSync(kernel, { level: 1 }), initrd, append: 'console=hvc0' };
    await using guest = await GuestSession.start(configuration);
    await guest.expect('~ # ');
    expect(await guest.command('uname -m')).toBe('ppc64le');
  });
});

describe('a 32-bit big-endian client program', () => {
  const BASE = 0x20_0000;
  const DATA = BASE + 0x1000;

  /** Argument arrays and strings behind the code, at addresses known beforehand. */
  class Data {
    readonly bytes = new Uint8Array(0x1000);
    private at = 0;
    text(value: string): number {
      return this.put(new TextEncoder().encode(`${value}\0`));
    }
    cells(...values: number[]): number {
      const bytes = new Uint8Array(values.length * 4);
      values.forEach((value, index) => {
        new DataView(bytes.buffer).setUint32(index * 4, value);
      });
      return this.put(bytes);
    }
    private put(bytes: Uint8Array): number {
      const gra = DATA + this.at;
      this.bytes.set(bytes, this.at);
      this.at = (this.at + bytes.length + 7) & ~7;
      return gra;
    }
  }

  const half = (value: number) => (value << 16) >> 16;
  /** Loads a 32-bit constant. */
  const load = (register: number, value: number) => [
    `addis r${register},0,${half(value >>> 16)}`,
    `ori r${register},r${register},${value & 0xffff}`,
  ];
  const callFirmware = (array: number) => [...load(3, array), 'mtspr 9,r31', 'bcctrl 20,lt,0'];

  function program(lines: string[], data: Uint8Array): Uint8Array {
    const code = new Uint8Array(0x1000);
    lines.forEach((line, index) => {
      new DataView(code.buffer).setUint32(index * 4, assemble(line));
    });
    const bytes = new Uint8Array([...code, ...data]);
    return buildElf({
      is64: false,
      littleEndian: false,
      machine: 20,
      entry: BigInt(BASE),
      parts: [
        { type: PT_LOAD, physicalAddress: BigInt(BASE), bytes },
        { type: PT_NOTE, bytes: elfNote('PowerPC', 0x1275, 24, false) },
      ],
    });
  }

  it('calls the firmware through its stub, prints, and ends', async () => {
    const data = new Data();
    const chosen = data.cells(data.text('finddevice'), 1, 1, data.text('/chosen'), 0);
    const ihandle = data.cells(0);
    const stdout = data.cells(data.text('getprop'), 4, 1, 0, data.text('stdout'), ihandle, 4, 0);
    const greeting = 'hello from 32 bits\r\n';
    const write = data.cells(data.text('write'), 3, 1, 0, data.text(greeting), greeting.length, 0);
    const exit = data.cells(data.text('exit'), 0, 0);
    const lines = [
      'or r31,r5,r5',
      ...callFirmware(chosen),
      ...load(4, chosen),
      'lwz r5,16(r4)',
      ...load(4, stdout),
      'stw r5,12(r4)',
      ...callFirmware(stdout),
      ...load(4, ihandle),
      'lwz r5,0(r4)',
      ...load(4, write),
      'stw r5,12(r4)',
      ...callFirmware(write),
      ...callFirmware(exit),
      'b .+0',
    ];
    const machine = await Machine.create({ kernel: program(lines, data.bytes), memoryBytes: 2 ** 26 });
    let printed = '';
    machine.onConsole((bytes) => {
      printed += Buffer.from(bytes).toString('latin1');
    });
    const outcome = await machine.run({ timeoutMs: 60_000 });
    expect(printed).toBe(greeting);
    expect(outcome).toMatchObject({ reason: 'power-off', message: expect.stringContaining('exit') });
  });
});
