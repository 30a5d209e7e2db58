import { describe, expect, test } from 'vitest';
import { testMemory } from '../../tests/support/hypervisor-fakes.ts';
import { scratchDevice } from '../../tests/support/pci-bench.ts';
import { AddressMap } from '../device/address-map.ts';
import type { DevicePorts } from '../device/ports.ts';
import { deviceOrigin } from '../pci/dma-space.ts';
import type { PciBus } from '../pci/function.ts';
import { UsageError } from '../util/errors.ts';
import { Devices } from './devices.ts';

function bench(bridges = 1) {
  const ports = { log: { warn: () => {} } } as unknown as DevicePorts;
  const given: unknown[] = [];
  const devices = new Devices({
    view: testMemory(),
    map: new AddressMap(),
    bridges,
    ports,
    interrupts: (index) => ({
      pulse: () => {},
      setLevel: () => {},
      pinIrqFirst: 0x1200 + 4 * index,
      messageIrqFirst: 0x1300,
      messageIrqCount: 0xd00,
    }),
  });
  const make = (bus: PciBus, itsPorts: DevicePorts) => {
    given.push(itsPorts);
    return scratchDevice(bus);
  };
  return { devices, make, ports, given };
}

describe('plugging', () => {
  test('takes the lowest free slot or the one that is named, on the bridge that is named', () => {
    const { devices, make, ports, given } = bench(2);
    devices.plug({ make, slot: 0 });
    devices.plug({ make });
    devices.plug({ make, bridge: 1 });
    devices.plug({ make, slot: 31 });
    expect(devices.describe().map(({ place }) => place)).toEqual(['0:0', '0:1', '1:0', '0:31']);
    expect(devices.describe()[0]).toMatchObject({
      kind: 'scratch',
      functions: [{ name: 'scratch', id: '1234:5678', dma: 'bypass' }],
    });
    expect([...devices.functions()].length).toBe(4);
    expect(given.every((each) => each === ports)).toBe(true);
    expect(devices.bridges[1].functionAt(0, 0)).toBe(devices.all()[2].device.functions[0]);
  });

  test.each([
    [{ bridge: 1 }, 'There is no PCI host bridge 1; there is bridge 0.'],
    [{ slot: 32 }, 'A PCI host bridge has slots 0 to 31, not 32.'],
    [{ slot: -1 }, 'A PCI host bridge has slots 0 to 31, not -1.'],
    [{ slot: 1.5 }, 'A PCI host bridge has slots 0 to 31, not 1.5.'],
    [{ slot: 0 }, 'Slot 0 of PCI host bridge 0 is taken; choose another or none.'],
  ])('%o is refused with a reason', (where, message) => {
    const { devices, make } = bench();
    devices.plug({ make });
    expect(() => devices.plug({ make, ...where })).toThrow(new UsageError(Object.keys(where)[0], message));
  });

  test('a 33rd device does not fit', () => {
    const { devices, make } = bench();
    for (let n = 0; n < 32; n++) devices.plug({ make });
    expect(() => devices.plug({ make })).toThrow('All 32 slots of PCI host bridge 0 are taken.');
  });

  test.each([0, 3, 1.5])('%d bridges cannot be', (count) => {
    expect(() => bench(count)).toThrow(/has 1 or 2 PCI host bridges/);
  });
});

test('a reset reaches every device and bridge; closing reaches those that have something to close', async () => {
  const { devices } = bench(2);
  const log: string[] = [];
  for (const [bridge, name] of [
    [0, 'a'],
    [1, 'b'],
  ] as const) {
    devices.plug({
      bridge,
      make: (bus) => ({
        ...scratchDevice(bus),
        reset: () => log.push(`reset ${name}`),
        ...(name === 'b' && {
          close: async () => {
            await Promise.resolve();
            log.push('close b');
          },
        }),
      }),
    });
  }
  devices.bridges[1].dmaWindows.create(16, 30);
  devices.reset();
  await devices.close();
  expect(log).toEqual(['reset a', 'reset b', 'close b']);
  expect(devices.bridges[1].dmaWindows.all().length).toBe(1);
});

test('DMA of all devices can be listened to, also of those plugged before', () => {
  const { devices, make } = bench();
  const { device } = devices.plug({ make });
  const seen: string[] = [];
  devices.listenToDma({
    access: ({ access, gra }) => seen.push(`${access} ${gra}`),
    fault: ({ reason }) => seen.push(reason),
  });
  const origin = deviceOrigin('scratch');
  const { dma } = device.functions[0];
  dma.storeU8(16, 1, origin);
  dma.enabled = true;
  dma.storeU8(16, 1, origin);
  devices.listenToDma({});
  dma.storeU8(16, 1, origin);
  expect(seen).toEqual(['bus-master-off', 'write 16']);
});
