import { describe, expect, it } from 'vitest';
import { NinePClient, nineMessage } from '../../../../tests/support/nine-p-client.ts';
import { ManualEvents, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { MemoryShare } from '../../../backends/memory/share.ts';
import { VirtioNineP } from './device.ts';

function set(format: 'split' | 'packed' = 'split') {
  const events = new ManualEvents();
  const backend = new MemoryShare();
  backend.put('hello', 'from the host');
  const kind = new VirtioNineP({ tag: 'host', backend, events });
  const bench = new VirtioBench(kind);
  const [driver] = bench.start({ format });
  const send = async (message: Uint8Array) => {
    driver.add([message.slice(0, 7), message.slice(7), 7, 65536]);
    bench.notify(0);
    await events.settle();
    const [{ bytes, writtenBytes }] = driver.takeUsed();
    return bytes.slice(0, writtenBytes);
  };
  return { events, backend, kind, bench, driver, nine: new NinePClient(send) };
}

describe.each(['split', 'packed'] as const)('virtio-9p over %s rings', (format) => {
  it('says its tag', () => {
    const { bench } = set(format);
    expect(bench.config(0, 2)).toBe(4);
    expect(String.fromCharCode(...[2, 3, 4, 5].map((at) => bench.config(at, 1)))).toBe('host');
    expect(bench.config(6, 1)).toBe(0);
  });

  it('serves messages, several at a time', async () => {
    const { nine, backend } = set(format);
    const root = await nine.start();
    expect(await nine.text(root, 'hello')).toBe('from the host');
    await nine.write(await nine.create(root, 'answer'), 'from the guest');
    expect(Buffer.from(backend.get('answer')).toString()).toBe('from the guest');
  });

  it('reads no more than there is room for', async () => {
    const { nine, bench, driver, events } = set(format);
    const root = await nine.start();
    const file = await nine.walk(root, 'hello');
    await nine.open(file);
    driver.add([nineMessage(116, 1, ['u32', file], ['u64', 0], ['u32', 1000]), 11 + 4]);
    driver.add([nineMessage(24, 2, ['u32', file], ['u64', 0x7ff]), 40]);
    bench.notify(0);
    await events.settle();
    const [read, stat] = driver.takeUsed();
    expect(Buffer.from(read.bytes.subarray(11)).toString()).toBe('from');
    // An answer that does not fit is an error.
    expect([stat.writtenBytes, stat.bytes[4], stat.bytes[7]]).toEqual([11, 7, 75]);
  });
});

it.each([
  ['a message that is none', new Uint8Array(3), 100],
  ['a message of more bytes than there are', nineMessage(24, 1, ['u32', 1], ['u64', 0]).subarray(0, 12), 100],
  ['no room for an error', nineMessage(24, 1, ['u32', 1], ['u64', 0]), 10],
])('%s stops the device', (_, message, room) => {
  const { bench, driver } = set();
  driver.add([message, room]);
  bench.notify(0);
  expect(bench.pci.device.fault?.reason).toBe('request');
});

it('forgets everything at a reset', async () => {
  const { nine, kind, bench, events } = set();
  const root = await nine.start();
  await nine.create(root, 'open');
  expect(kind.server.inUse.files).toBe(1);
  bench.pci.device.writeStatus(0, 'modern');
  await events.settle();
  await new Promise((resolve) => setTimeout(resolve));
  expect(kind.server.inUse).toMatchObject({ fids: 0, files: 0, listed: 0 });
});

it('takes new requests when those of before a reset are over', async () => {
  const { nine, kind, bench, events } = set();
  const root = await nine.start();
  const [message] = [nineMessage(24, 1, ['u32', root], ['u64', 0x7ff])];
  bench.drivers[0].add([message, 200]);
  bench.notify(0);
  expect(events.pending).toBe(1);
  bench.pci.device.writeStatus(0, 'modern');
  const [driver] = bench.start();
  driver.add([nineMessage(100, 0xffff, ['u32', 8192], '9P2000.L'), 100]);
  bench.notify(0);
  expect(driver.takeUsed()).toEqual([]);
  await events.settle();
  expect(driver.takeUsed()).toMatchObject([{ writtenBytes: 7 + 4 + 2 + 8 }]);
  expect(kind.server.inUse.fids).toBe(0);
});
