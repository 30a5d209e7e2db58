import { describe, expect, it } from 'vitest';
import { FakeVsock, readPacket, vsockPacket } from '../../../../tests/support/fake-vsock.ts';
import { ManualEvents, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { BUFFER_BYTES } from './connection.ts';
import { MAX_CONNECTIONS, VirtioVsock } from './device.ts';

const [REQUEST, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST] = [1, 2, 3, 4, 5, 6, 7];

function set(format: 'split' | 'packed' = 'split', buffers = 12) {
  const events = new ManualEvents();
  const backend = new FakeVsock();
  const kind = new VirtioVsock({ backend, events, guestCid: 7 });
  const bench = new VirtioBench(kind, {}, 2 ** 24);
  const [rx, tx] = bench.start({ format });
  const post = (count: number, bytes = 4096) => {
    for (let n = 0; n < count; n++) rx.add([bytes]);
    bench.notify(0);
  };
  post(buffers);
  const received = async () => {
    await events.settle();
    const packets = rx.takeUsed().map(({ bytes, writtenBytes }) => readPacket(bytes.slice(0, writtenBytes)));
    post(packets.length);
    return packets;
  };
  const send = (op: number, fields: Parameters<typeof vsockPacket>[1] = {}, data = new Uint8Array(0)) => {
    const packet = vsockPacket(op, { sourceCid: 7, sourcePort: 1000, targetPort: 50, room: 2 ** 20, ...fields }, data);
    tx.add(data.length > 0 ? [packet.slice(0, 44), packet.slice(44)] : [packet]);
    bench.notify(1);
    tx.takeUsed();
  };
  /** A connection that the guest made to port 50. */
  const connected = async (fields = {}) => {
    send(REQUEST, fields);
    const stream = backend.streams.at(-1)!;
    stream.events.connected();
    expect(await received()).toMatchObject([{ op: RESPONSE, sourceCid: 2, targetCid: 7, sourcePort: 50 }]);
    return stream;
  };
  return { events, backend, kind, bench, rx, tx, post, received, send, connected };
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (string: string) => new TextEncoder().encode(string);

describe.each(['split', 'packed'] as const)('virtio-vsock over %s rings', (format) => {
  it('knows its number', () => {
    const { bench } = set(format);
    expect([bench.config(0, 4), bench.config(4, 4)]).toEqual([7, 0]);
  });

  it('connects the guest to the host, both ways, and closes', async () => {
    const { connected, send, received, backend, kind } = set(format);
    const stream = await connected();
    expect(backend.ports).toEqual([50]);
    send(RW, {}, bytes('hello'));
    expect(text(stream.taken())).toBe('hello');
    stream.events.data(bytes('hi there'));
    const [packet] = await received();
    expect(packet).toMatchObject({ op: RW, room: BUFFER_BYTES, forwarded: 5 });
    expect(text(packet.data)).toBe('hi there');
    send(SHUTDOWN, { flags: 3 });
    expect(await received()).toMatchObject([{ op: RST, sourcePort: 50, targetPort: 1000 }]);
    expect(stream.log).toEqual(['end', 'destroy']);
    expect(kind.inUse).toEqual({ connections: 0, lingering: 0, resets: 0 });
  });

  it('lets the host in', async () => {
    const { backend, received, send } = set(format);
    const visitor = backend.visitor(22);
    const [request] = await received();
    expect(request).toMatchObject({ op: REQUEST, targetPort: 22, targetCid: 7 });
    expect(visitor.acceptedAs).toBeUndefined();
    send(RESPONSE, { sourcePort: 22, targetPort: request.sourcePort });
    expect(visitor.acceptedAs).toBe(request.sourcePort);
    visitor.events!.data(bytes('ssh'));
    expect((await received()).map((packet) => text(packet.data))).toEqual(['ssh']);
    const refused = backend.visitor(23);
    const [second] = await received();
    send(RST, { sourcePort: 23, targetPort: second.sourcePort });
    expect(refused.log).toEqual(['destroy']);
  });

  it('half-closes either way', async () => {
    const { connected, send, received } = set(format);
    const stream = await connected();
    send(RW, {}, bytes('last words'));
    send(SHUTDOWN, { flags: 2 });
    expect(stream.log).toEqual(['end']);
    stream.events.data(bytes('answer'));
    stream.events.ended();
    expect(await received()).toMatchObject([{ op: RW }, { op: SHUTDOWN, flags: 2 }]);
    send(SHUTDOWN, { flags: 3 });
    expect(stream.log).toEqual(['end']); // the host has not taken everything yet
    stream.taken();
    await received();
    expect(stream.log).toEqual(['end', 'destroy']);
  });
});

it('sends the guest no more than it has room for', async () => {
  const { connected, send, received } = set();
  const stream = await connected({ room: 1000 });
  stream.events.data(new Uint8Array(5000));
  expect((await received()).map(({ data }) => data.length)).toEqual([1000]);
  send(CREDIT_UPDATE, { room: 1000, forwarded: 600 });
  expect((await received()).map(({ data }) => data.length)).toEqual([600]);
  // A guest that claims to have used more than it was sent gets nothing from it.
  send(CREDIT_UPDATE, { room: 1000, forwarded: 5000 });
  expect(await received()).toEqual([]);
});

it('holds the host up while the guest takes nothing, and loses nothing', async () => {
  const { connected, send, received } = set();
  const stream = await connected({ room: 0 });
  const sent = Uint8Array.from({ length: 600_000 }, (_, n) => (n * n) >> 5);
  for (let at = 0; at < sent.length && !stream.log.includes('pause'); at += 50_000) {
    stream.events.data(sent.slice(at, at + 50_000));
    await received();
  }
  expect(stream.log).toEqual(['pause']);
  const held = 300_000;
  const seen: number[] = [];
  for (let rounds = 0; seen.length < held && rounds < 2000; rounds++) {
    send(CREDIT_UPDATE, { room: 20_000, forwarded: seen.length });
    for (const { data } of await received()) seen.push(...data);
  }
  expect(seen).toEqual([...sent.subarray(0, held)]);
  expect(stream.log).toEqual(['pause', 'resume']);
});

it('holds the guest up while the host takes nothing, and resets one that does not care', async () => {
  const { connected, send, received, kind } = set();
  const stream = await connected();
  const part = BUFFER_BYTES / 4;
  for (let n = 0; n < 4; n++) send(RW, {}, new Uint8Array(part));
  send(CREDIT_REQUEST);
  expect(await received()).toMatchObject([{ op: CREDIT_UPDATE, forwarded: 0, room: BUFFER_BYTES }]);
  stream.taken(1);
  expect(await received()).toMatchObject([{ op: CREDIT_UPDATE, forwarded: part }]);
  send(RW, {}, new Uint8Array(part));
  expect(await received()).toEqual([]);
  send(RW, {}, Uint8Array.of(1));
  expect(await received()).toMatchObject([{ op: RST }]);
  expect(stream.log).toEqual(['destroy']);
  expect(kind.inUse.connections).toBe(0);
});

it('answers what is no connection with a reset, and speaks to nobody else', async () => {
  const { send, received } = set();
  send(RW, {}, bytes('x'));
  send(SHUTDOWN, { flags: 3 });
  expect(await received()).toMatchObject([{ op: RST, sourcePort: 50, targetPort: 1000 }, { op: RST }]);
  send(RST);
  send(REQUEST, { sourceCid: 8 });
  expect(await received()).toEqual([]);
  send(REQUEST, { type: 2 });
  send(REQUEST, { targetCid: 9 });
  expect(await received()).toMatchObject([
    { op: RST, sourceCid: 2 },
    { op: RST, sourceCid: 9 },
  ]);
});

it.each([
  ['the host refuses', 'failed'],
  ['the guest asks twice', 'twice'],
  ['an operation that is none', 'unknown'],
])('resets when %s', async (_, what) => {
  const { send, received, backend, connected, kind } = set();
  if (what === 'failed') {
    send(REQUEST);
    backend.streams[0].events.failed('refused');
  } else {
    await connected();
    send(what === 'twice' ? REQUEST : 99);
  }
  expect(await received()).toMatchObject([{ op: RST, sourcePort: 50, targetPort: 1000 }]);
  expect(backend.streams[0].log).toEqual(['destroy']);
  expect(kind.inUse).toEqual({ connections: 0, lingering: 0, resets: 0 });
});

it('has no more than so many connections, and forgets them at a reset', async () => {
  const { send, received, backend, kind, bench } = set();
  for (let port = 1; port <= MAX_CONNECTIONS; port++) send(REQUEST, { sourcePort: port });
  expect(kind.inUse.connections).toBe(MAX_CONNECTIONS);
  send(REQUEST, { sourcePort: 5000 });
  expect(await received()).toMatchObject([{ op: RST, targetPort: 5000 }]);
  expect(backend.visitor(22).events).toBeUndefined();
  bench.pci.device.writeStatus(0, 'modern');
  expect(kind.inUse).toEqual({ connections: 0, lingering: 0, resets: 0 });
  expect(backend.streams.every(({ log }) => log.join() === 'destroy')).toBe(true);
  expect(backend.visitor(22).events).toBeUndefined();
});

it('lets packets wait rather than collect resets without end', async () => {
  const { tx, bench, kind, post, received } = set('split', 0);
  let taken = 0;
  for (let n = 0; n < 1000; n++) {
    if (tx.room > 0) tx.add([vsockPacket(RW, { sourceCid: 7, sourcePort: n, targetPort: 1 })]);
    bench.notify(1);
    taken += tx.takeUsed().length;
  }
  expect(taken).toBe(256);
  expect(kind.inUse.resets).toBe(256);
  post(12);
  expect(await received()).toHaveLength(12);
  expect(tx.takeUsed().length).toBeGreaterThan(0);
});

it.each([
  ['a packet that is too short', new Uint8Array(43)],
  ['a packet with less data than it says', vsockPacket(RW, { sourceCid: 7, lenBytes: 10 })],
])('%s stops the device', (_, packet) => {
  const { tx, bench } = set();
  tx.add([packet]);
  bench.notify(1);
  expect(bench.pci.device.fault?.reason).toBe('request');
});
