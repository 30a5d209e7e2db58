import { expect, it } from 'vitest';
import { FakeVsock, vsockPacket } from '../../../../tests/support/fake-vsock.ts';
import { ManualEvents, throwRubbish } from '../../../../tests/support/virtio-bench.ts';
import { MAX_CONNECTIONS, VirtioVsock } from './device.ts';

it('virtio-vsock survives 100,000 sets of rubbish', { timeout: 300_000 }, async () => {
  const events = new ManualEvents();
  const backend = new FakeVsock();
  const kind = new VirtioVsock({ backend, events });
  let packets = 0;
  let most = 0;
  const { reasons, seconds, lines } = await throwRubbish(kind, 100_000, {
    events,
    fill: (buffers, word) => {
      for (let n = 0; n < 12; n++) {
        const op = word() % 9;
        const fields = { sourcePort: word() % 4, targetPort: word() % 4, lenBytes: word() % 3 === 0 ? word() % 20 : 0 };
        const more = {
          flags: word() % 4,
          room: word() % 100_000,
          forwarded: word() % 100,
          type: word() % 20 === 0 ? 2 : 1,
        };
        const at = 16 * (word() % (buffers.byteLength / 16 - 4));
        new Uint8Array(buffers.buffer, buffers.byteOffset).set(vsockPacket(op, { ...fields, ...more }), at);
      }
      // The host does what it likes, also with streams of earlier lives.
      const stream = backend.streams[word() % Math.max(1, backend.streams.length)];
      const act = word() % 6;
      if (act === 0) stream?.events.connected();
      else if (act === 1) stream?.events.data(new Uint8Array(word() % 3000));
      else if (act === 2) stream?.events.ended();
      else if (act === 3) stream?.taken();
      else if (act === 4 && word() % 8 === 0) stream?.events.failed('reset');
      else if (act === 5) backend.visitor(word() % 4);
      packets += backend.streams.length;
      if (backend.streams.length > 20) backend.streams.splice(0, 10);
    },
    after: () => {
      most = Math.max(most, kind.inUse.connections + kind.inUse.lingering + kind.inUse.resets);
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect(packets).toBeGreaterThan(1000);
  expect(most).toBeGreaterThan(2);
  expect(most).toBeLessThan(MAX_CONNECTIONS);
  expect(lines).toBeLessThan(10);
  expect(seconds).toBeLessThan(90);
  kind.reset();
  expect(kind.inUse).toEqual({ connections: 0, lingering: 0, resets: 0 });
});
