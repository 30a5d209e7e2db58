// virtio-net driven through its PCI function: frames both ways, mergeable buffers, offloads, the control queue, filters,
// several pairs, and what happens when buffers are short.

import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../../tests/support/net-guest.ts';
import { VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import {
  COMPLETE,
  type FrameHints,
  type NetBackend,
  type NetPort,
  NO_OFFLOADS,
  type Offloads,
  VERIFIED,
} from '../../../backends/net/net-backend.ts';
import { parseIpv4Packet, putEthernet, putIpv4, transportSumRight, u16, u32 } from '../../../backends/net/packet.ts';
import { featureSet } from '../../core/features.ts';
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
} from './config.ts';
import { VirtioNet, type VirtioNetOptions } from './device.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);

class TestBackend implements NetBackend {
  readonly name = 'test';
  readonly offloads: Offloads;
  readonly sentFrames: { frame: Uint8Array<ArrayBuffer>; hints: FrameHints }[] = [];
  batches = 0;
  readyCalls = 0;
  resets = 0;
  closed = false;
  port!: NetPort;
  constructor(offloads: Offloads) {
    this.offloads = offloads;
  }
  connect(port: NetPort): void {
    this.port = port;
  }
  send(frame: Uint8Array<ArrayBuffer>, hints: FrameHints): void {
    this.sentFrames.push({ frame, hints });
  }
  sent(): void {
    this.batches++;
  }
  ready(): void {
    this.readyCalls++;
  }
  reset(): void {
    this.resets++;
  }
  close(): void {
    this.closed = true;
  }
}

function setUp(options: Partial<VirtioNetOptions> = {}, offloads: Offloads = { checksum: true, tcp4: true }) {
  const backend = new TestBackend(offloads);
  const kind = new VirtioNet({ mac: MAC, ...options, backend });
  return { backend, kind, bench: new VirtioBench(kind) };
}

/** A frame to the card with so many bytes behind the addresses. */
function frameOf(payloadBytes: number, destination: Uint8Array = MAC): Uint8Array<ArrayBuffer> {
  const frame = Uint8Array.from({ length: 14 + payloadBytes }, (_, n) => n * 7);
  putEthernet(frame, destination, Uint8Array.of(2, 0, 0, 0, 0, 9), 0x88b5);
  return frame;
}

/** An IPv4 TCP packet whose sum is left to the device. */
function tcpFrame(payloadBytes: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(54 + payloadBytes);
  putEthernet(frame, MAC, MAC, 0x0800);
  for (let at = 54; at < frame.length; at++) frame[at] = at * 13;
  frame[46] = 0x50;
  frame[47] = 0x19; // FIN, PSH, ACK
  putIpv4(frame, 14, { source: 0x0a00020f, destination: 0x0a000202, protocol: 6, id: 9 });
  // The pseudo header's sum, which the driver stores in the field.
  let sum = 0x0a00 + 0x020f + 0x0a00 + 0x0202 + 6 + (frame.length - 34);
  sum = (sum & 0xffff) + (sum >> 16);
  frame.set([sum >> 8, sum & 0xff], 34 + 16);
  return frame;
}

function header(
  fields: { flags?: number; gso?: number; size?: number; start?: number; offset?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  bytes[0] = fields.flags ?? 0;
  bytes[1] = fields.gso ?? 0;
  view.setUint16(4, fields.size ?? 0, true);
  view.setUint16(6, fields.start ?? 0, true);
  view.setUint16(8, fields.offset ?? 0, true);
  return bytes;
}

describe.each(['split', 'packed'] as const)('virtio-net over %s rings', (format) => {
  it('shows its address, link and pairs', () => {
    const { bench, backend } = setUp({ pairs: 4 });
    expect([0, 1, 2, 3, 4, 5].map((at) => bench.config(at, 1))).toEqual([...MAC]);
    expect(bench.config(6, 2)).toBe(1);
    expect(bench.config(8, 2)).toBe(4);
    bench.start({ format });
    backend.port.setLink(false);
    expect(bench.config(6, 2)).toBe(0);
    expect(bench.isr() & 2).toBe(2);
  });

  it('sends frames in any cut of buffers', () => {
    const { bench, backend, kind } = setUp();
    const drivers = bench.start({ format });
    const frame = frameOf(100);
    drivers[1].add([header(), frame]);
    drivers[1].add([header().subarray(0, 5), header().subarray(5), frame.subarray(0, 3), frame.subarray(3)], true);
    drivers[1].add([Uint8Array.of(...header(), ...frame)]);
    drivers[1].add([header(), frame.subarray(0, 13)]); // shorter than a frame is
    backend.batches = 0;
    bench.notify(1);
    expect(drivers[1].takeUsed().length).toBe(4);
    expect(backend.sentFrames.map((each) => [...each.frame])).toEqual([[...frame], [...frame], [...frame]]);
    expect(backend.sentFrames[0].hints).toEqual(COMPLETE);
    expect(backend.batches).toBe(1);
    expect(kind.counters).toMatchObject({ sent: 3, sendErrors: 1 });
  });

  it('gathers frames for a moment if it has a clock', () => {
    const clock = new FakeClock();
    const { bench, backend } = setUp({ clock });
    let drivers = bench.start({ format });
    for (let n = 0; n < 3; n++) {
      drivers[1].add([header(), frameOf(100 + n)]);
      bench.notify(1);
    }
    expect(backend.sentFrames).toEqual([]);
    expect(clock.timerCount).toBe(1);
    backend.batches = 0;
    clock.pass(10);
    expect(backend.sentFrames.map(({ frame }) => frame.length)).toEqual([114, 115, 116]);
    expect(backend.batches).toBe(1);
    expect(drivers[1].takeUsed().length).toBe(3);
    // What waits when the driver resets the device is gone.
    drivers[1].add([header(), frameOf(100)]);
    bench.notify(1);
    drivers = bench.start({ format });
    clock.pass(10);
    expect(backend.sentFrames.length).toBe(3);
    expect(drivers[1].takeUsed()).toEqual([]);
    drivers[1].add([header(), frameOf(200)]);
    bench.notify(1);
    clock.pass(10);
    expect(backend.sentFrames.length).toBe(4);
  });

  it('passes work on to a backend that takes it, and does it for one that does not', () => {
    for (const offloads of [{ checksum: true, tcp4: true }, NO_OFFLOADS]) {
      const { bench, backend } = setUp({}, offloads);
      const drivers = bench.start({ format });
      const hints = { flags: 1, start: 34, offset: 16 };
      drivers[1].add([header(hints), tcpFrame(101)]);
      drivers[1].add([header({ ...hints, gso: 1, size: 1000 }), tcpFrame(3500)]);
      bench.notify(1);
      if (offloads.tcp4) {
        expect(backend.sentFrames.map((each) => each.hints)).toEqual([
          { checksum: 'partial', checksumStart: 34, checksumOffset: 16, segmentBytes: 0 },
          { checksum: 'partial', checksumStart: 34, checksumOffset: 16, segmentBytes: 1000 },
        ]);
        continue;
      }
      const frames = backend.sentFrames.map((each) => each.frame);
      expect(frames.map((frame) => frame.length)).toEqual([155, 1054, 1054, 1054, 554]);
      for (const frame of frames) expect(transportSumRight(parseIpv4Packet(frame)!)).toBe(true);
      expect(frames.slice(1).map((frame) => u32(frame, 38))).toEqual([0, 1000, 2000, 3000]);
      expect(frames.slice(1).map((frame) => u16(frame, 18))).toEqual([9, 10, 11, 12]);
      expect(frames.slice(1).map((frame) => frame[47])).toEqual([0x10, 0x10, 0x10, 0x19]);
      const whole = frames.slice(1).flatMap((frame) => [...frame.subarray(54)]);
      expect(whole).toEqual([...tcpFrame(3500).subarray(54)]);
    }
  });

  it('drops what a driver asks wrongly', () => {
    const { bench, backend, kind } = setUp();
    const drivers = bench.start({ format, without: featureSet(VIRTIO_NET_F_MQ) });
    const wrong = [
      header({ flags: 1, start: 150, offset: 16 }), // a sum outside of the frame
      header({ flags: 1, start: 65535, offset: 65535 }),
      header({ gso: 1, size: 1000 }), // cutting without a sum
      header({ flags: 1, start: 34, offset: 16, gso: 1, size: 1 }), // a frame for each byte
      header({ flags: 1, start: 34, offset: 16, gso: 3, size: 1000 }), // not offered
    ];
    for (const each of wrong) {
      drivers[1].add([each, tcpFrame(100)]);
      bench.notify(1);
    }
    drivers[1].add([header({ flags: 1, start: 34, offset: 16, gso: 1, size: 1000 }), frameOf(100)]); // no TCP
    bench.notify(1);
    expect(backend.sentFrames).toEqual([]);
    expect(kind.counters.sendErrors).toBe(6);
    expect(bench.pci.device.fault).toBeUndefined();
  });

  it('receives into one buffer, and into several merged ones', () => {
    const { bench, backend } = setUp();
    const [receive] = bench.start({ format });
    for (let n = 0; n < 8; n++) receive.add([500]);
    bench.notify(0);
    const [small, large] = [frameOf(86), frameOf(1486)];
    expect(backend.port.receive(small, VERIFIED)).toBe(true);
    expect(backend.port.receive(large, COMPLETE)).toBe(true);
    const used = receive.takeUsed();
    expect(used.map(({ writtenBytes }) => writtenBytes)).toEqual([112, 500, 500, 500, 12]);
    const parts = used.map(({ bytes, writtenBytes }) => bytes.subarray(0, writtenBytes));
    expect([parts[0][0], u16(parts[0], 10), u16(parts[1], 10)]).toEqual([2, 0x0100, 0x0400]);
    expect([...parts[0].subarray(12)]).toEqual([...small]);
    expect(
      parts
        .slice(1)
        .flatMap((part) => [...part])
        .slice(12),
    ).toEqual([...large]);
  });

  it('waits for buffers and goes on with them', () => {
    const { bench, backend } = setUp();
    const [receive] = bench.start({ format });
    receive.add([500]);
    bench.notify(0);
    const frame = frameOf(986);
    expect(backend.port.receive(frame, VERIFIED)).toBe(true);
    expect(receive.takeUsed()).toEqual([]);
    for (let n = 0; n < 6; n++) backend.port.receive(frameOf(60_000), VERIFIED);
    expect(backend.port.ready).toBe(false);
    const before = backend.readyCalls;
    for (let n = 0; n < 5; n++) receive.add([80_000]);
    bench.notify(0);
    expect(receive.takeUsed().length).toBe(6); // one frame in two buffers, four in one
    expect(backend.readyCalls).toBe(before + 1);
  });

  it('drops a frame that no buffers could hold', () => {
    const { bench, backend, kind } = setUp();
    const [receive] = bench.start({ format, size: 4, without: featureSet(VIRTIO_NET_F_MRG_RXBUF) });
    receive.add([1526]);
    bench.notify(0);
    backend.port.receive(frameOf(3000), VERIFIED);
    backend.port.receive(frameOf(100), VERIFIED);
    expect(receive.takeUsed().map(({ writtenBytes }) => writtenBytes)).toEqual([126]);
    expect(kind.counters).toMatchObject({ receiveDropped: 1, received: 1 });
  });

  it('tells the driver of unfinished frames only what it has asked for', () => {
    const { bench, backend } = setUp();
    bench.start({ format, without: featureSet(VIRTIO_NET_F_GUEST_TSO4) });
    expect(backend.port.offloads).toEqual({ checksum: true, tcp4: false });
    bench.start({ format, without: featureSet(VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM) });
    expect(backend.port.offloads).toEqual(NO_OFFLOADS);
    const [receive] = bench.start({ format });
    receive.add([4000]);
    bench.notify(0);
    const hints = { checksum: 'partial', checksumStart: 34, checksumOffset: 16, segmentBytes: 1000 } as const;
    backend.port.receive(tcpFrame(3000), hints);
    const [{ bytes }] = receive.takeUsed();
    expect([...bytes.subarray(0, 12)]).toEqual([1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0]);
  });

  it('refuses features that need others', () => {
    const { bench } = setUp();
    expect(bench.negotiate(bench.offered() & ~featureSet(VIRTIO_NET_F_CSUM))).toBe(false);
    expect(bench.negotiate(bench.offered() & ~featureSet(VIRTIO_NET_F_GUEST_CSUM))).toBe(false);
    expect(bench.negotiate(bench.offered())).toBe(true);
  });

  it('filters by address, as the driver says', () => {
    const { bench, backend, kind } = setUp();
    const [receive, , control] = bench.start({ format });
    for (let n = 0; n < 8; n++) receive.add([2000]);
    bench.notify(0);
    const command = (...bytes: number[]) => {
      control.add([Uint8Array.from(bytes.slice(0, 2)), Uint8Array.from(bytes.slice(2)), 1]);
      bench.notify(2);
      return control.takeUsed()[0].bytes[0];
    };
    const other = Uint8Array.of(2, 0, 0, 0, 0, 5);
    const group = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
    const arrives = (destination: Uint8Array) => {
      const before = kind.counters.received;
      backend.port.receive(frameOf(50, destination), VERIFIED);
      return kind.counters.received > before;
    };
    expect([MAC, other, group, new Uint8Array(6).fill(255)].map(arrives)).toEqual([true, false, false, true]);
    expect(command(1, 0, 1, 0, 0, 0, ...other, 1, 0, 0, 0, ...group)).toBe(0);
    expect([other, group].map(arrives)).toEqual([true, true]);
    expect(command(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(0);
    expect([other, group].map(arrives)).toEqual([false, false]);
    expect(command(0, 0, 1)).toBe(0);
    expect(arrives(other)).toBe(true);
    expect(command(0, 0, 0)).toBe(0);
    expect(command(1, 1, ...other)).toBe(0);
    expect([MAC, other].map(arrives)).toEqual([false, true]);
    // What cannot be is answered with an error, and changes nothing.
    expect(command(1, 1, ...group)).toBe(1);
    expect(command(1, 0, 255, 255, 255, 255)).toBe(1);
    expect(command(9, 9, 9)).toBe(1);
    expect(command(4, 0, 2, 0)).toBe(1);
    control.add([Uint8Array.of(0, 0, 1)]);
    bench.notify(2);
    expect(bench.pci.device.fault?.reason).toBe('request');
  });

  it('receives a conversation on the pair that sends it', () => {
    const { bench, backend } = setUp({ pairs: 2 });
    const drivers = bench.start({ format });
    drivers[4].add([Uint8Array.of(4, 0), Uint8Array.of(2, 0), 1]);
    bench.notify(4);
    expect(drivers[4].takeUsed()[0].bytes[0]).toBe(0);
    for (const index of [0, 2]) {
      drivers[index].add([2000]);
      bench.notify(index);
    }
    const frame = tcpFrame(100);
    drivers[3].add([header(), frame]);
    bench.notify(3);
    backend.port.receive(frame.slice(), VERIFIED);
    expect(drivers[0].takeUsed().length).toBe(0);
    expect(drivers[2].takeUsed().length).toBe(1);
  });

  it('forgets everything at a reset', () => {
    const { bench, backend } = setUp();
    const [receive] = bench.start({ format });
    receive.add([100]);
    bench.notify(0);
    backend.port.receive(frameOf(500), VERIFIED);
    const { resets } = backend;
    bench.negotiate(0n);
    expect(backend.resets).toBeGreaterThan(resets);
    expect(backend.port.receive(frameOf(50), VERIFIED)).toBe(false);
    const [again] = bench.start({ format });
    again.add([1000]);
    bench.notify(0);
    expect(again.takeUsed()).toEqual([]);
    backend.port.receive(frameOf(50), VERIFIED);
    expect(again.takeUsed().length).toBe(1);
    bench.pci.close();
    expect(backend.closed).toBe(true);
  });
});
