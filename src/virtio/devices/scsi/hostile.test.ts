import { expect, it } from 'vitest';
import { randomWords } from '../../../../tests/support/random.ts';
import { StrictDisk } from '../../../../tests/support/strict-disk.ts';
import { ManualEvents, throwRubbish, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import { VirtioScsi } from './device.ts';

/** Commands with their data that are nearly right, for 63 of 64 blocks. */
function likelyCommand(word: () => number): number[] {
  const lba = word() % 66;
  const blocks = word() % 3;
  const ten = (opcode: number) => [opcode, 0, 0, 0, 0, lba, 0, 0, blocks, 0];
  const sixteen = (opcode: number) => [opcode, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, blocks, 0, 0];
  const choices = [
    () => [0],
    () => [0x12, word() & 1, [0, 0, 0x80, 0x83, 0xb0, 0xb2][word() % 6], 0, word() & 255],
    () => [0x1a, 8, 0x3f, 0, 255],
    () => [0x15, 0x10, 0, 0, 24],
    () => [0x1b, 0, 0, 0, word() & 1],
    () => ten([0x28, 0x2a, 0x2f, 0x35, 0x41][word() % 5]),
    () => sixteen([0x88, 0x8a, 0x8f, 0x91, 0x93][word() % 5]),
    () => [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0],
    () => [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    () => [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32],
  ];
  return choices[word() % choices.length]();
}

it('virtio-scsi survives 100,000 sets of rubbish', { timeout: 180_000 }, async () => {
  const events = new ManualEvents();
  const backend = new StrictDisk();
  let failureLines = 0;
  const kind = new VirtioScsi({
    units: [
      { target: 0, backend },
      { target: 0, unit: 1, backend },
    ],
    events,
    log: { warn: () => failureLines++ },
    queues: 1,
  });
  let word = () => 0;
  let plugged = false;
  const { reasons, seconds, lines } = await throwRubbish(kind, 100_000, {
    events,
    pieces: [32, 512, 16],
    // Control requests are often fatal, so that nothing would be left for the others.
    leaveOut: (index) => word() % 8 < [6, 2, 1][index],
    fill: (buffers, next) => {
      word = next;
      // Sizes that the descriptors of the rubbish have room for.
      kind.config.store(24, 4, word() % 8 === 0 ? 32 : 13);
      kind.config.store(20, 4, word() % 8 === 0 ? word() % 128 : 4);
      for (let n = 0; n < 40; n++) {
        const at = 32 * (word() % (buffers.byteLength / 32));
        const unit = ((word() % 8 === 0 ? 5 : 0) << 8) | ((word() % 3) << 24);
        buffers.setUint32(at, word() % 32 === 0 ? word() : 1 | unit, true);
        buffers.setUint32(at + 4, word() % 16 === 0 ? word() : 0, true);
        buffers.setUint32(at + 8, word() % 4, true);
        buffers.setUint32(at + 12, 0);
        buffers.setUint8(at + 16, word() % 3);
        buffers.setUint8(at + 17, 0);
        buffers.setUint8(at + 18, 0);
        const cdb = likelyCommand(word);
        for (let i = 0; i < 13; i++) buffers.setUint8(at + 19 + i, cdb[i] ?? 0);
        // Now and then a control request instead.
        if (word() % 4 !== 0) continue;
        buffers.setUint32(at, word() % 16 === 0 ? word() : word() % 3, true);
        buffers.setUint32(at + 4, word() % 9, true);
        buffers.setUint32(at + 8, 1, true);
      }
    },
    after: () => {
      kind.capacityChanged(0, 1);
      if (word() % 64 !== 0) return;
      if (plugged) kind.removeUnit(5, 0);
      else kind.addUnit({ target: 5, backend });
      plugged = !plugged;
    },
  });
  for (const reason of ['available-index', 'read-after-write', 'indirect', 'dma', 'request', 'none']) {
    expect(reasons[reason] ?? 0, `${reason} of ${JSON.stringify(reasons)}`).toBeGreaterThan(50);
  }
  // Few commands of these get as far as the disk: the next test is for them.
  const { aborted, ...counts } = kind.counts;
  for (const count of Object.values(counts)) expect(count, JSON.stringify(kind.counts)).toBeGreaterThan(20);
  expect(lines).toBeLessThan(10);
  expect(failureLines).toBeLessThan(10);
  expect(seconds).toBeLessThan(90);
});

it('virtio-scsi survives 100,000 wild commands', { timeout: 180_000 }, async () => {
  const events = new ManualEvents();
  const backend = new StrictDisk();
  const kind = new VirtioScsi({ units: [{ target: 0, backend }], events, log: { warn() {} } });
  const bench = new VirtioBench(kind, {}, 2 ** 19);
  const word = randomWords(56);
  let answered = 0;
  for (let round = 0; round < 1000; round++) {
    bench.memory.releaseTo(0x1000);
    bench.start({ size: 128 });
    const [control, , requests] = bench.drivers;
    for (let turn = 0; turn < 20; turn++) {
      for (let n = 0; n < 5; n++) {
        const request = new Uint8Array(51);
        request.set([1]);
        request[8] = word() % 4;
        request[16] = word() % 4;
        request.set(likelyCommand(word), 19);
        // A few bits that are wrong, mostly in front.
        for (let flips = word() % 3; flips > 0; flips--)
          request[19 + (word() % (word() % 2 ? 3 : 16))] ^= 1 << (word() % 8);
        const data = Uint8Array.from({ length: 8 * (word() % 160) }, () => (word() % 4 === 0 ? word() % 70 : 0));
        requests.add(word() % 2 === 0 ? [request, data, 108] : [request, 108, 8 * (1 + (word() % 160))], true);
      }
      bench.notify(2);
      if (word() % 4 === 0) {
        const request = new Uint8Array(24);
        request.set([0, 0, 0, 0, word() % 9, 0, 0, 0, 1]);
        request[16] = word() % 4;
        control.add([request, 1]);
        bench.notify(0);
      }
      if (word() % 2 === 0) await events.settle();
      answered += requests.takeUsed().length;
      control.takeUsed();
    }
    await events.settle();
    answered += requests.takeUsed().length;
    expect(bench.pci.device.fault).toBeUndefined();
  }
  const told = JSON.stringify({ ...kind.counts, answered, requests: backend.requests });
  expect(answered, told).toBe(100_000);
  expect(backend.requests, told).toBeGreaterThan(3000);
  for (const name of ['good', 'check', 'overrun', 'aborted'] as const) {
    expect(kind.counts[name], told).toBeGreaterThan(1000);
  }
});
