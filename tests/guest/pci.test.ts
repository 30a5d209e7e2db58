// PCI as an unmodified Debian kernel sees it: discovery, placing of BARs, configuration space, interrupts by pin, MSI and
// MSI-X on both host bridges, and DMA windows. The devices are the test's own.

import { describe, expect, it } from 'vitest';
import { busAddressOf } from '../../src/pci/bus-address.ts';
import { DmaSpace, deviceOrigin } from '../../src/pci/dma-space.ts';
import { type PciBus, PciFunction } from '../../src/pci/function.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';
import { RamHandler, scratchConfig, scratchDevice } from '../support/pci-bench.ts';
import { PciUart, type UartKind } from '../support/pci-uart.ts';

const APPEND = 'console=hvc0';
const ram = new RamHandler(0x4000);

/** A device that nothing drives: a BAR of each kind, the memory one shared with the test. */
const scratch = (bus: PciBus) =>
  scratchDevice(bus, {
    bars: [
      { index: 0, kind: 'io', sizeBytes: 0x20, handler: new RamHandler(0x20) },
      { index: 4, kind: 'mem64', sizeBytes: 0x4000, prefetchable: true, handler: ram },
    ],
    msix: { vectors: 3, bar: 1 },
  });

const debian12 = await filesOf('debian-12-kernel', 'busybox');
describe.skipIf('reason' in debian12)('PCI on Debian 12', () => {
  it('finds devices, places BARs, takes interrupts of every kind', { timeout: 600_000 }, async () => {
    const uarts: PciUart[] = [];
    const uart = (kind: UartKind) => (bus: PciBus) => {
      uarts.push(new PciUart(bus, kind));
      return uarts.at(-1)!;
    };
    await using guest = await GuestSession.start({
      ...(debian12 as { kernel: Uint8Array }),
      append: APPEND,
      bridges: 2,
      devices: [
        { make: scratch },
        { make: uart({ bar: 'io', interrupt: 'pin', pin: 1 }), slot: 6 },
        { make: uart({ bar: 'mem32', interrupt: 'msi' }), slot: 7 },
        { make: uart({ bar: 'mem64', interrupt: 'msix' }), bridge: 1, slot: 0 },
        { make: uart({ bar: 'io', interrupt: 'pin', pin: 3 }), bridge: 1, slot: 9 },
      ],
    });
    await guest.expect('# ');

    expect((await guest.command('ls /sys/bus/pci/devices')).split(/\s+/)).toEqual([
      '0000:00:00.0',
      '0000:00:06.0',
      '0000:00:07.0',
      '0001:00:00.0',
      '0001:00:09.0',
    ]);
    const at = '/sys/bus/pci/devices/0000:00:00.0';
    expect((await guest.command(`cat ${at}/resource`)).split('\n').slice(0, 6)).toEqual([
      expect.stringMatching(/^0x0000000000001\w{3} .* 0x0000000000040101$/),
      expect.stringMatching(/^0x0000200080\w{6} .* 0x0000000000040200$/),
      '0x0000000000000000 0x0000000000000000 0x0000000000000000',
      '0x0000000000000000 0x0000000000000000 0x0000000000000000',
      '0x0000210000000000 0x0000210000003fff 0x000000000014220c',
      '0x0000000000000000 0x0000000000000000 0x0000000000000000',
    ]);
    const config = (await guest.command(`hexdump -v -e '16/1 "%02x " "\\n"' ${at}/config`)).split('\n');
    expect(config.length).toBe(16);
    expect(config[0].trim()).toBe('34 12 78 56 00 00 10 00 01 00 ff 00 00 00 00 00');
    expect(config[2].trim()).toBe('0c 00 00 00 00 21 00 00 00 00 00 00 f4 1a 00 11');
    expect(config[4].trim()).toBe('11 00 02 00 01 00 00 00 01 08 00 00 00 00 00 00');

    // The memory BAR from user space, in all sizes, little-endian.
    await guest.command(`echo 1 > ${at}/enable`);
    await guest.command('devmem 0x210000000010 32 0x11223344; devmem 0x210000000018 64 0x8877665544332211');
    expect([...ram.bytes.subarray(0x10, 0x14)]).toEqual([0x44, 0x33, 0x22, 0x11]);
    expect(await guest.command('devmem 0x210000000012 16; devmem 0x210000000013 8; devmem 0x210000000018 64')).toBe(
      '0x1122\n0x11\n0x8877665544332211',
    );

    // Four serial ports, two of them on the second bridge: text both ways, by interrupt.
    const ports = (await guest.command('dmesg | grep -o "ttyS[0-9] at .* is a .*"')).split('\n');
    expect(ports.filter((line) => line.endsWith('is a 16550A')).length).toBe(4);
    expect(ports.filter((line) => /at I\/O/.test(line)).length).toBe(2);
    for (const [n, port] of uarts.entries()) {
      const tty = `/dev/ttyS${n}`;
      const poem = `port ${n}: ${'the quick brown fox '.repeat(20)}`;
      // A line of /proc/interrupts lasts as long as the port is open.
      await guest.command(`exec ${5 + n}<>${tty}`);
      await guest.command(`stty -F ${tty} raw -echo 115200; echo "${poem}" > ${tty}`);
      expect(port.output).toBe(`${poem}\n`);
      guest.type(`head -n 1 ${tty} > /tmp/in$((1 + ${n})) & sleep 1; echo "REA""DY"\n`);
      await guest.expect('READY');
      port.type(`hello, port ${n}\n`);
      expect(await guest.command(`wait; cat /tmp/in$((1 + ${n}))`)).toContain(`hello, port ${n}`);
    }
    const interrupts = (await guest.command('grep ttyS /proc/interrupts')).split('\n');
    const counted = interrupts.map((line) => {
      const [, count, source, trigger] = /^\s*\d+:\s+(\d+)\s.*?(\d+)\s+(Edge|Level)\s+ttyS/.exec(line) ?? [];
      return { many: Number(count) > 3, source: Number(source).toString(16), trigger };
    });
    const bySource = counted.sort((a, b) => (a.source < b.source ? -1 : 1));
    expect(bySource.slice(0, 2)).toEqual([
      // Slot 6, pin 1 of bridge 0; slot 9, pin 3 of bridge 1.
      { many: true, source: (0x1200 + 2).toString(16), trigger: 'Level' },
      { many: true, source: (0x1204 + 3).toString(16), trigger: 'Level' },
    ]);
    expect(bySource.slice(2).every(({ many, source }) => many && Number.parseInt(source, 16) >= 0x1300)).toBe(true);
    expect(bySource.length).toBe(4);

    // After a reboot everything is found, placed and connected anew.
    guest.type('reboot -f\n');
    await guest.expect('BusyBox guest');
    await guest.expect('# ');
    const [, , messages] = uarts;
    messages.output = '';
    expect(await guest.command('grep -c ttyS /proc/interrupts; ls /sys/bus/pci/devices | wc -l')).toBe('0\n5');
    await guest.command('stty -F /dev/ttyS2 raw -echo; echo again > /dev/ttyS2');
    expect(messages.output).toBe('again\n');

    const report = guest.machine.report();
    expect(report.reboots).toBe(1);
    expect(report.unassignedAccesses).toBe(0);
    expect(report.devices.map(({ kind, place }) => `${kind} ${place}`)).toEqual([
      'scratch 0:0',
      'uart 0:6',
      'uart 0:7',
      'uart 1:0',
      'uart 1:9',
    ]);
  });
});

const debian13 = await filesOf('debian-13-kernel', 'busybox');
describe.skipIf('reason' in debian13)('DMA windows on Debian 13', () => {
  it('maps all memory through one dynamic window, which a device then sees', { timeout: 600_000 }, async () => {
    let probe: PciFunction | undefined;
    await using guest = await GuestSession.start({
      ...(debian13 as { kernel: Uint8Array }),
      append: APPEND,
      memoryBytes: 512 * 2 ** 20,
      devices: [
        {
          make: (bus) => {
            probe = virtioLookalike(bus);
            return { kind: 'lookalike', functions: [probe], reset: () => probe?.reset() };
          },
        },
      ],
    });
    await guest.expect('# ');
    const log = await guest.command('dmesg | grep -i -E "iommu|ddw|dma|lookalike|virtio"');
    const { rtas, hcalls } = guest.machine.report();
    expect(rtas['ibm,query-pe-dma-window'], log).toBeGreaterThan(0);
    expect(rtas['ibm,create-pe-dma-window'], log).toBe(1);
    expect((hcalls.H_PUT_TCE_INDIRECT ?? 0) + (hcalls.H_PUT_TCE ?? 0), log).toBeGreaterThan(0);

    // What a device reads through the window is what it reads without it, from the first byte of memory to the last.
    const { dma } = probe!;
    const origin = deviceOrigin('lookalike');
    expect(dma).toBeInstanceOf(DmaSpace);
    expect(dma.enabled).toBe(true);
    for (const gra of [0, 0x4000, 0x0fff_fff0, 0x1000_0000, 0x1fff_fff0]) {
      dma.mode = 'bypass';
      const direct = dma.read(gra, 16, origin);
      dma.mode = 'platform';
      expect(dma.read(busAddressOf(2n ** 59n + BigInt(gra)), 16, origin), gra.toString(16)).toEqual(direct);
      expect(dma.read(gra, 16, origin)).toBeUndefined();
      expect(dma.lastFault?.reason).toBe('not-mapped');
    }
    expect(dma.readInto(busAddressOf(2n ** 59n + 0x2000_0000n), new Uint8Array(1), origin)?.reason).toMatch(
      /not-mapped|no-window/,
    );
  });
});

/**
 * The function of a modern virtio device of an unassigned kind, with plain memory for registers: enough for the
 * transport's driver to ask for 64-bit DMA.
 */
function virtioLookalike(bus: PciBus): PciFunction {
  const capability = (type: number, offset: number, lenBytes: number, extra: number[] = []) => {
    const body = new Uint8Array(14 + extra.length);
    const view = new DataView(body.buffer);
    body.set([body.length + 2, type, 4]);
    view.setUint32(6, offset, true);
    view.setUint32(10, lenBytes, true);
    body.set(extra, 14);
    return { id: 9, body };
  };
  return new PciFunction(
    scratchConfig({
      name: 'lookalike',
      vendorId: 0x1af4,
      deviceId: 0x1040 + 60,
      classCode: 0x00ff00,
      revisionId: 1,
      bars: [{ index: 4, kind: 'mem64', sizeBytes: 0x4000, prefetchable: true, handler: new RamHandler(0x4000) }],
      msix: { vectors: 2, bar: 1 },
      capabilities: [
        capability(1, 0, 0x1000),
        capability(3, 0x1000, 0x1000),
        capability(4, 0x2000, 0x1000),
        capability(2, 0x3000, 0x1000, [4, 0, 0, 0]),
      ],
    }),
    bus,
  );
}
