import { expect, it } from 'vitest';
import { ManualEvents, throwRubbish, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import type { ConsoleInput } from '../../../backends/console-backend.ts';
import { VirtioConsole } from './device.ts';
import { CONTROL, controlBytes } from './request.ts';

it('virtio-console survives 100,000 sets of rubbish', async () => {
  const events = new ManualEvents();
  let printed = 0;
  const inputs: ConsoleInput[] = [];
  const backend = {
    connected: true,
    write: (bytes: Uint8Array) => {
      printed += bytes.length;
    },
    connect: (input: ConsoleInput) => {
      inputs.push(input);
    },
  };
  const kind = new VirtioConsole({ events, ports: [{ backend }, { backend, name: 'other' }] });
  const { reasons, seconds, lines } = await throwRubbish(kind, 100_000, {
    events,
    fill: (buffers, word) => {
      for (let n = 0; n < 16; n++) {
        const at = 16 * (word() % (buffers.byteLength / 16 - 2));
        buffers.setUint32(at, word() % 3, true);
        buffers.setUint16(at + 4, word() % 8, true);
        buffers.setUint16(at + 6, word() % 2, true);
      }
      inputs[word() % inputs.length].receive(new Uint8Array(word() % 100));
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect(printed).toBeGreaterThan(10_000);
  expect(lines).toBeLessThan(10);
  expect(seconds).toBeLessThan(90);
});

it('a driver that asks and never listens is stopped', () => {
  const backend = { connected: true, write() {} };
  const bench = new VirtioBench(new VirtioConsole({ events: new ManualEvents(), ports: [{ backend }] }));
  const drivers = bench.start();
  for (let n = 0; n < 1000 && bench.pci.device.fault === undefined; n++) {
    drivers[3].add([controlBytes({ port: 0, event: CONTROL.PORT_READY, value: 1 })]);
    bench.notify(3);
    drivers[3].takeUsed();
  }
  expect(bench.pci.device.fault?.reason).toBe('request');
});
