import { describe, expect, it } from 'vitest';
import { ManualEvents, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { MemoryConsole } from '../../../backends/memory/console.ts';
import { featureSet } from '../../core/features.ts';
import { VIRTIO_CONSOLE_F_MULTIPORT } from './config.ts';
import { VirtioConsole } from './device.ts';
import { CONTROL, controlBytes } from './request.ts';

const text = (string: string) => new TextEncoder().encode(string);

function set(ports = 1) {
  const events = new ManualEvents();
  const consoles = Array.from({ length: ports }, () => new MemoryConsole());
  const kind = new VirtioConsole({
    events,
    ports: consoles.map((backend, n) => ({ backend, ...(n > 0 && { name: `port.${n}` }) })),
  });
  return { events, consoles, bench: new VirtioBench(kind) };
}

/** Control messages that the device sent, as the driver reads them. */
function messages(bench: VirtioBench) {
  return bench.drivers[2].takeUsed().map(({ bytes, writtenBytes }) => {
    const view = new DataView(bytes.buffer);
    const message = { port: view.getUint32(0, true), event: view.getUint16(4, true), value: view.getUint16(6, true) };
    const rest = new TextDecoder().decode(bytes.subarray(8, writtenBytes));
    return rest === '' ? message : { ...message, rest };
  });
}

function send(bench: VirtioBench, port: number, event: number, value: number): void {
  bench.drivers[3].add([controlBytes({ port, event, value })]);
  bench.notify(3);
}

describe.each(['split', 'packed'] as const)('virtio-console over %s rings', (format) => {
  it('is a plain terminal for drivers without MULTIPORT', async () => {
    const { bench, consoles, events } = set();
    const drivers = bench.start({ format, without: featureSet(VIRTIO_CONSOLE_F_MULTIPORT) });
    drivers[1].add([text('hel'), text('lo')]);
    bench.notify(1);
    expect(drivers[1].takeUsed()).toMatchObject([{ writtenBytes: 0 }]);
    expect(consoles[0].text()).toBe('hello');
    consoles[0].type(text('typed before there was a buffer'));
    await events.settle();
    drivers[0].add([10]);
    drivers[0].add([4, 100]);
    bench.notify(0);
    const back = drivers[0].takeUsed().map(({ bytes, writtenBytes }) => bytes.subarray(0, writtenBytes));
    expect(back.map((bytes) => new TextDecoder().decode(bytes))).toEqual(['typed befo', 're there was a buffer']);
  });

  it('introduces its ports', () => {
    const { bench } = set(2);
    const drivers = bench.start({ format });
    expect(bench.config(4, 4)).toBe(2);
    for (let n = 0; n < 8; n++) drivers[2].add([64]);
    send(bench, 0, CONTROL.DEVICE_READY, 1);
    expect(messages(bench)).toEqual([
      { port: 0, event: CONTROL.DEVICE_ADD, value: 1 },
      { port: 1, event: CONTROL.DEVICE_ADD, value: 1 },
    ]);
    send(bench, 0, CONTROL.PORT_READY, 1);
    send(bench, 1, CONTROL.PORT_READY, 1);
    expect(messages(bench)).toEqual([
      { port: 0, event: CONTROL.CONSOLE_PORT, value: 1 },
      { port: 0, event: CONTROL.PORT_OPEN, value: 1 },
      { port: 1, event: CONTROL.PORT_NAME, value: 1, rest: 'port.1' },
      { port: 1, event: CONTROL.PORT_OPEN, value: 1 },
    ]);
  });

  it('keeps what is typed until the guest has opened the port', async () => {
    const { bench, consoles, events } = set(2);
    const drivers = bench.start({ format });
    drivers[4].add([16]);
    bench.notify(4);
    consoles[1].type(text('hi'));
    await events.settle();
    expect(drivers[4].takeUsed()).toEqual([]);
    send(bench, 1, CONTROL.PORT_OPEN, 1);
    expect(drivers[4].takeUsed()).toMatchObject([{ writtenBytes: 2 }]);
    drivers[5].add([text('yo')]);
    bench.notify(5);
    expect(consoles[1].text()).toBe('yo');
  });

  it('takes no more than 64 KiB of input ahead, and loses nothing', async () => {
    const { bench, consoles, events } = set();
    const drivers = bench.start({ format, without: featureSet(VIRTIO_CONSOLE_F_MULTIPORT) });
    const typed = Uint8Array.from({ length: 100_000 }, (_, n) => (n * n) >> 3);
    consoles[0].type(typed);
    await events.settle();
    const seen: number[] = [];
    for (let round = 0; round < 60 && seen.length < typed.length; round++) {
      drivers[0].add([4096]);
      bench.notify(0);
      await events.settle();
      for (const { bytes, writtenBytes } of drivers[0].takeUsed()) seen.push(...bytes.subarray(0, writtenBytes));
    }
    expect(seen).toEqual([...typed]);
  });

  it('prints emergency output without any queue', () => {
    const { bench, consoles } = set();
    bench.pci.device.kind.config.store(8, 4, 'x'.charCodeAt(0));
    expect(consoles[0].text()).toBe('x');
  });
});
