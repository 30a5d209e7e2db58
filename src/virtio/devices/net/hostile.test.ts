import { expect, it } from 'vitest';
import { randomWords } from '../../../../tests/support/random.ts';
import { throwRubbish, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { type FrameHints, type NetBackend, type NetPort, VERIFIED } from '../../../backends/net/net-backend.ts';
import { hintsFit } from '../../../backends/net/offload.ts';
import { VirtioNet } from './device.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);

class EchoBackend implements NetBackend {
  readonly name = 'echo';
  readonly offloads = { checksum: true, tcp4: true };
  port: NetPort | undefined;
  frames = 0;
  bytes = 0;
  connect(port: NetPort): void {
    this.port = port;
  }
  send(frame: Uint8Array<ArrayBuffer>, hints: FrameHints): void {
    if (!hintsFit(frame, hints)) throw new Error('the device let wrong hints through');
    this.frames++;
    this.bytes += frame.length;
    this.port?.receive(frame, VERIFIED);
  }
  close(): void {}
}

it('virtio-net survives 100,000 sets of rubbish', { timeout: 300_000 }, async () => {
  const backend = new EchoBackend();
  const kind = new VirtioNet({ backend, mac: MAC, pairs: 3 });
  const { reasons, seconds, lines } = await throwRubbish(kind, 100_000, {
    fill: (buffers, word) => {
      // Headers that are nearly right, and commands.
      for (let n = 0; n < 12; n++) {
        const at = 16 * (word() % (buffers.byteLength / 16 - 2));
        if (word() % 3 === 0) {
          buffers.setUint16(at, [0x0000, 0x0100, 0x0004, 0x0104][word() % 4] | (word() % 2), false);
          buffers.setUint16(at + 2, word() % 4, true);
          continue;
        }
        buffers.setUint8(at, word() % 3);
        buffers.setUint8(at + 1, word() % 3);
        buffers.setUint16(at + 4, word() % 3 === 0 ? word() : 536, true);
        buffers.setUint16(at + 6, word() % 3 === 0 ? word() : 34, true);
        buffers.setUint16(at + 8, word() % 3 === 0 ? word() : 16, true);
      }
      backend.port?.receive(new Uint8Array(word() % 3000), VERIFIED);
    },
    after: () => {
      const frame = new Uint8Array(14 + (backend.frames % 4000)).fill(255);
      backend.port?.receive(frame, VERIFIED);
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  expect(backend.frames).toBeGreaterThan(5_000);
  expect(kind.counters.received).toBeGreaterThan(10);
  expect(kind.counters.sendErrors).toBeGreaterThan(5_000);
  expect(lines).toBeLessThan(10);
  expect(seconds).toBeLessThan(200);
});

it('a driver that gives no buffers costs bounded memory', () => {
  const backend = new EchoBackend();
  const kind = new VirtioNet({ backend, mac: MAC });
  const bench = new VirtioBench(kind);
  bench.start();
  const frame = () => new Uint8Array(60_000).fill(255);
  let taken = 0;
  while (backend.port!.receive(frame(), VERIFIED)) taken++;
  expect(taken).toBeLessThan(20);
  expect(backend.port!.ready).toBe(false);
  expect(kind.counters.receiveDropped).toBe(1);
});

it('frames of any size come through buffers of any size', () => {
  const word = randomWords(4711);
  for (let round = 0; round < 60; round++) {
    const format = round % 2 ? 'packed' : 'split';
    const backend = new EchoBackend();
    const kind = new VirtioNet({ backend, mac: MAC });
    const bench = new VirtioBench(kind, {}, 2 ** 22);
    const [receive] = bench.start({ format });
    const keep = bench.memory.allocate(0);
    const expected: number[][] = [];
    const got: number[][] = [];
    const take = () => {
      const used = receive.takeUsed().map(({ bytes, writtenBytes }) => [...bytes.subarray(0, writtenBytes)]);
      while (used.length > 0) {
        const [first] = used;
        const count = first[10] | (first[11] << 8);
        got.push(used.splice(0, count).flat().slice(12));
      }
      if (receive.room === receive.size) bench.memory.releaseTo(keep);
    };
    for (let step = 0; step < 200; step++) {
      if (word() % 2 && receive.room > 0) {
        receive.add([12 + (word() % 3000)], word() % 2 === 0);
        bench.notify(0);
      } else {
        const frame = Uint8Array.from({ length: 14 + (word() % 5000) }, () => word() & 0xff).fill(255, 0, 6);
        if (backend.port!.receive(frame, VERIFIED)) expected.push([...frame]);
      }
      take();
    }
    for (let n = 0; n < 500 && got.length < expected.length - kind.counters.receiveDropped; n++) {
      receive.add([3000]);
      bench.notify(0);
      take();
    }
    // None is lost but those counted, and the order holds.
    expect(got.length).toBe(expected.length - kind.counters.receiveDropped);
    let at = 0;
    for (const frame of got) {
      while (at < expected.length && expected[at].join() !== frame.join()) at++;
      expect(at).toBeLessThan(expected.length);
      at++;
    }
    expect(bench.pci.device.fault).toBeUndefined();
  }
});
