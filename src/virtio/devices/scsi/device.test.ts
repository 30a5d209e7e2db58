// virtio-scsi against disks in memory: what commands do, what sense data tells, how tasks are managed.

import { describe, expect, it } from 'vitest';
import { COMMON, ManualEvents, VirtioBench } from '../../../../tests/support/virtio-bench.ts';
import type { BlockOutcome } from '../../../backends/block-backend.ts';
import { MemoryBlock } from '../../../backends/memory/block.ts';
import type { VirtioPciOptions } from '../../transport/virtio-pci.ts';
import { COMMAND_NAMES } from './command.ts';
import { VirtioScsi, type VirtioScsiOptions } from './device.ts';

const DISK_BYTES = 2 ** 20;
const BLOCKS = DISK_BYTES / 512;

class TestDisk extends MemoryBlock {
  readonly log: string[] = [];
  broken: BlockOutcome;
  hold: Promise<void> | undefined;
  closed = false;
  constructor(readOnly = false, sizeBytes = DISK_BYTES) {
    super({ sizeBytes, readOnly, name: 'test disk' });
  }
  private async note(line: string): Promise<BlockOutcome> {
    this.log.push(line);
    await this.hold;
    return this.broken;
  }
  override async read(offset: number, target: Uint8Array) {
    return (await this.note(`read ${offset}+${target.length}`)) ?? super.read(offset, target);
  }
  override async write(offset: number, source: Uint8Array) {
    return (await this.note(`write ${offset}+${source.length}`)) ?? super.write(offset, source);
  }
  override flush() {
    return this.note('flush');
  }
  override discard(offset?: number, lenBytes?: number) {
    return this.note(`discard ${offset}+${lenBytes}`);
  }
  override async writeZeroes(offset: number, lenBytes: number, mayUnmap = false) {
    return (await this.note(`zeroes ${offset}+${lenBytes} ${mayUnmap}`)) ?? super.writeZeroes(offset, lenBytes);
  }
  override async close() {
    this.closed = true;
  }
}

function set(options: Partial<VirtioScsiOptions> = {}, transport: Omit<VirtioPciOptions, 'warn'> = {}) {
  const disk = new TestDisk();
  const events = new ManualEvents();
  const warnings: string[] = [];
  const kind = new VirtioScsi({
    units: [{ target: 0, backend: disk, serial: 'serial-7' }],
    events,
    log: { warn: (message) => warnings.push(message) },
    ...options,
  });
  return { disk, events, warnings, kind, bench: new VirtioBench(kind, transport, 2 ** 21) };
}
type All = ReturnType<typeof set>;

interface Asked {
  readonly target?: number;
  /** The bytes of the unit's number. */
  readonly unit?: readonly number[];
  readonly tag?: number;
  readonly attribute?: number;
  readonly out?: Uint8Array;
  readonly inBytes?: number;
  readonly queue?: number;
}

function requestBytes(cdb: readonly number[], { target = 0, unit = [0, 0], tag = 1, attribute = 0 }: Asked) {
  const bytes = new Uint8Array(51);
  bytes.set([1, target, ...unit]);
  new DataView(bytes.buffer).setBigUint64(8, BigInt(tag), true);
  bytes[16] = attribute;
  bytes.set(cdb, 19);
  return bytes;
}

function post({ bench }: All, cdb: readonly number[], asked: Asked = {}): void {
  const { out, inBytes = 0, queue = 2 } = asked;
  const driver = bench.drivers[queue];
  driver.add([requestBytes(cdb, asked), ...(out ? [out] : []), 108, ...(inBytes > 0 ? [inBytes] : [])], true);
  bench.notify(queue);
}

interface Answer {
  readonly response: number;
  readonly status: number;
  /** Key, code, qualifier. */
  readonly sense: string;
  readonly residual: number;
  readonly data: Uint8Array;
  readonly senseData: Uint8Array;
}

function answers({ bench }: All, queue = 2): Answer[] {
  return bench.drivers[queue].takeUsed().map(({ bytes, writtenBytes }) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const senseData = bytes.slice(12, 12 + view.getUint32(0, true));
    return {
      response: bytes[11],
      status: bytes[10],
      residual: view.getUint32(4, true),
      sense:
        senseData.length === 0 ? '' : [senseData[2], senseData[12], senseData[13]].map((n) => n.toString(16)).join('/'),
      senseData,
      data: bytes.slice(108, Math.max(108, writtenBytes)),
    };
  });
}

async function ask(all: All, cdb: readonly number[], asked: Asked = {}): Promise<Answer> {
  post(all, cdb, asked);
  await all.events.settle();
  return answers(all, asked.queue)[0];
}

/** A controller whose disk has told that it was switched on. */
async function ready(...given: Parameters<typeof set>): Promise<All> {
  const all = set(...given);
  all.bench.start();
  for (const target of [0, 1]) await ask(all, [0, 0, 0, 0, 0, 0], { target });
  return all;
}

const word = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const half = (value: number) => [value >> 8, value & 255];
const read10 = (lba: number, blocks: number) => [0x28, 0, ...word(lba), 0, ...half(blocks), 0];
const write10 = (lba: number, blocks: number, flags = 0) => [0x2a, flags, ...word(lba), 0, ...half(blocks), 0];
const pattern = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const RESET_CONTROL = (fn: number, tag = 0, target = 0) => {
  const bytes = new Uint8Array(24);
  bytes[4] = fn;
  bytes.set([1, target], 8);
  new DataView(bytes.buffer).setBigUint64(16, BigInt(tag), true);
  return bytes;
};

function manage({ bench }: All, fn: number, tag = 0, target = 0): void {
  bench.drivers[0].add([RESET_CONTROL(fn, tag, target), 1]);
  bench.notify(0);
}
const managed = ({ bench }: All) => bench.drivers[0].takeUsed().map(({ bytes }) => bytes[0]);

describe.each(['split', 'packed'] as const)('virtio-scsi over %s rings', (format) => {
  it('writes and reads back with commands of every length', async () => {
    const all = set({ queues: 2 });
    all.bench.start({ format });
    expect((await ask(all, [0, 0, 0, 0, 0, 0])).sense).toBe('6/29/0');
    const cdbs: [number, number[], number[]][] = [
      [3, [0x0a, 0, 0, 3, 2, 0], [0x08, 0, 0, 3, 2, 0]],
      [9, write10(9, 2), read10(9, 2)],
      [20, [0xaa, 0, ...word(20), ...word(2), 0, 0], [0xa8, 0, ...word(20), ...word(2), 0, 0]],
      [30, [0x8a, 0, ...word(0), ...word(30), ...word(2), 0, 0], [0x88, 0, ...word(0), ...word(30), ...word(2), 0, 0]],
    ];
    for (const [lba, write, read] of cdbs) {
      const data = pattern(1024, lba);
      expect(await ask(all, write, { out: data, queue: 3 })).toMatchObject({ response: 0, status: 0, residual: 0 });
      const answer = await ask(all, read, { inBytes: 1024 });
      expect(answer).toMatchObject({ response: 0, status: 0, residual: 0 });
      expect([...answer.data]).toEqual([...data]);
    }
    expect(all.disk.log[0]).toBe('write 1536+1024');
    expect(all.kind.counts.good).toBe(8);
  });

  it('says how much of the buffers was left', async () => {
    const all = set();
    all.bench.start({ format });
    expect(await ask(all, [0x12, 0, 0, 0, 36, 0], { inBytes: 100 })).toMatchObject({ status: 0, residual: 64 });
    expect(await ask(all, [0x12, 0, 0, 0, 255, 0], { inBytes: 10 })).toMatchObject({ response: 1, residual: 10 });
    await ask(all, [0, 0, 0, 0, 0, 0]);
    expect(await ask(all, read10(0, 2), { inBytes: 512 })).toMatchObject({ response: 1 });
    expect(await ask(all, write10(0, 2), { out: pattern(1023) })).toMatchObject({ response: 1 });
    expect(all.disk.log).toEqual([]);
  });
});

describe('a SCSI disk', () => {
  it('tells what it is', async () => {
    const all = set();
    all.bench.start();
    const inquiry = (page?: number) =>
      ask(all, [0x12, page === undefined ? 0 : 1, page ?? 0, 0, 255, 0], { inBytes: 255 }).then(({ data }) => data);
    const standard = await inquiry();
    expect([...standard.subarray(0, 8)]).toEqual([0, 0, 6, 0x12, standard.length - 5, 0, 0, 2]);
    expect(text(standard.subarray(8, 36))).toBe('POWERVSRVIRTUAL DISK    0001');
    expect([...(await inquiry(0))]).toEqual([0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    expect(text((await inquiry(0x80)).subarray(4))).toBe('serial-7');
    const names = await inquiry(0x83);
    expect([...names.subarray(4, 8)]).toEqual([2, 1, 0, 32]);
    expect(text(names.subarray(8, 40))).toBe('POWERVSRVIRTUAL DISK    serial-7');
    expect([...names.subarray(40, 44)]).toEqual([1, 3, 0, 8]);
    expect(names[44] >> 4).toBe(3);
    const limits = await inquiry(0xb0);
    const view = new DataView(limits.buffer);
    expect(limits.length).toBe(64);
    expect([view.getUint16(6), view.getUint32(8), view.getUint32(20), view.getUint32(24)]).toEqual([
      8,
      65528,
      2 ** 22,
      256,
    ]);
    expect([...(await inquiry(0xb1)).subarray(4, 6)]).toEqual([0, 1]);
    expect([...(await inquiry(0xb2)).subarray(4)]).toEqual([0, 0xe0, 2, 0]);
    expect((await ask(all, [0x12, 1, 0xc0, 0, 255, 0], { inBytes: 255 })).sense).toBe('5/24/0');
    expect((await ask(all, [0x12, 0, 1, 0, 255, 0], { inBytes: 255 })).sense).toBe('5/24/0');
    // None of that told the guest of the power-on: the next command does.
    expect((await ask(all, read10(0, 1), { inBytes: 512 })).sense).toBe('6/29/0');
    expect((await ask(all, read10(0, 1), { inBytes: 512 })).status).toBe(0);
  });

  it('tells its size', async () => {
    const all = await ready();
    const short = await ask(all, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], { inBytes: 8 });
    expect([...short.data]).toEqual([...word(BLOCKS - 1), ...word(512)]);
    const long = await ask(all, [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], { inBytes: 32 });
    expect([...long.data.subarray(0, 16)]).toEqual([...word(0), ...word(BLOCKS - 1), ...word(512), 0, 3, 0x80, 0]);
    expect(long.data.length).toBe(32);
    const huge = await ready({ units: [{ target: 0, backend: new TestDisk(false, 2 ** 43), logicalBytes: 512 }] });
    const more = await ask(huge, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], { inBytes: 8 });
    expect([...more.data.subarray(0, 4)]).toEqual([255, 255, 255, 255]);
    const all16 = await ask(huge, [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0], { inBytes: 32 });
    expect([...all16.data]).toEqual([...word(3), ...word(0xffff_ffff), ...word(512)]);
  });

  it('senses and selects modes', async () => {
    const all = await ready();
    const sense6 = await ask(all, [0x1a, 8, 8, 0, 255, 0], { inBytes: 255 });
    expect([...sense6.data.subarray(0, 7)]).toEqual([23, 0, 0x10, 0, 8, 18, 4]);
    const changeable = await ask(all, [0x5a, 8, 0x40 | 0x3f, 0, 0, 0, 0, 0, 255, 0], { inBytes: 255 });
    expect([...changeable.data]).toEqual([
      0,
      38,
      0,
      0x10,
      0,
      0,
      0,
      0,
      8,
      18,
      4,
      ...Array(17).fill(0),
      10,
      10,
      ...Array(10).fill(0),
    ]);
    const withDescriptor = await ask(all, [0x5a, 0x10, 0x0a, 0, 0, 0, 0, 0, 255, 0], { inBytes: 255 });
    expect([...withDescriptor.data.subarray(4, 24)]).toEqual([
      1,
      0,
      0,
      16,
      ...word(0),
      ...word(BLOCKS),
      ...word(0),
      ...word(512),
    ]);
    expect((await ask(all, [0x1a, 0, 0xc0 | 8, 0, 255, 0], { inBytes: 255 })).sense).toBe('5/39/0');
    expect((await ask(all, [0x1a, 0, 0x19, 0, 255, 0], { inBytes: 255 })).sense).toBe('5/24/0');

    // The cache off: each write is flushed before it is answered, what came before at once.
    const list = (flags: number) => Uint8Array.from([0, 0, 0, 0, 8, 18, flags, ...Array(17).fill(0)]);
    const select = (bytes: Uint8Array) => ask(all, [0x15, 0x10, 0, 0, bytes.length, 0], { out: bytes });
    await ask(all, write10(0, 1), { out: pattern(512) });
    expect((await select(list(0))).status).toBe(0);
    await ask(all, write10(1, 1), { out: pattern(512) });
    expect(all.disk.log).toEqual(['write 0+512', 'flush', 'write 512+512', 'flush']);
    expect((await ask(all, [0x1a, 8, 8, 0, 255, 0], { inBytes: 255 })).data[6]).toBe(0);
    expect((await select(list(1))).sense).toBe('5/26/0');
    expect((await select(list(4).subarray(0, 20))).sense).toBe('5/1a/0');
    expect((await select(list(4))).status).toBe(0);
    await ask(all, write10(1, 1), { out: pattern(512) });
    await ask(all, write10(1, 1, 8), { out: pattern(512) });
    expect(all.disk.log.slice(4)).toEqual(['write 512+512', 'write 512+512', 'flush']);
  });

  it('verifies, repeats, unmaps and flushes', async () => {
    const all = await ready();
    const { disk } = all;
    const block = pattern(512);
    expect((await ask(all, [0x93, 0, ...word(0), ...word(4), ...word(3), 0, 0], { out: block })).status).toBe(0);
    expect((await ask(all, [0x41, 8, ...word(8), 0, 0, 2, 0], { out: new Uint8Array(512) })).status).toBe(0);
    expect((await ask(all, [0x93, 1, ...word(0), ...word(20), ...word(3), 0, 0])).status).toBe(0);
    expect((await ask(all, [0x93, 9, ...word(0), ...word(30), ...word(3), 0, 0])).status).toBe(0);
    expect(disk.log).toEqual(
      ['write 2048+1536', 'zeroes 4096+1024 true', 'zeroes 10240+1536 false', 'zeroes 15360+1536 true'].flatMap(
        (line) => (line.startsWith('zeroes') ? [line, line.replace('zeroes', 'write').replace(/ \w+$/, '')] : [line]),
      ),
    );
    expect((await ask(all, [0x93, 0, ...word(0), ...word(4), ...word(0), 0, 0], { out: block })).sense).toBe('5/24/0');

    expect((await ask(all, [0x2f, 2, ...word(6), 0, 0, 1, 0], { out: block })).status).toBe(0);
    expect((await ask(all, [0x2f, 2, ...word(7), 0, 0, 1, 0], { out: block })).sense).toBe('e/1d/0');
    expect((await ask(all, [0x8f, 0, ...word(0), ...word(7), ...word(2), 0, 0])).status).toBe(0);
    expect((await ask(all, [0x2f, 6, ...word(6), 0, 0, 1, 0], { out: block })).sense).toBe('5/24/0');

    const ranges = (...list: [number, number][]) =>
      Uint8Array.from([
        ...half(6 + 16 * list.length),
        ...half(16 * list.length),
        0,
        0,
        0,
        0,
        ...list.flatMap(([lba, blocks]) => [...word(0), ...word(lba), ...word(blocks), ...word(0)]),
      ]);
    const unmap = (list: Uint8Array) => ask(all, [0x42, 0, 0, 0, 0, 0, 0, ...half(list.length), 0], { out: list });
    disk.log.length = 0;
    expect((await unmap(ranges([8, 16], [100, 0], [64, 1]))).status).toBe(0);
    expect(disk.log).toEqual(['discard 4096+8192', 'discard 32768+512']);
    // One range that cannot be, and none is unmapped.
    expect((await unmap(ranges([8, 16], [BLOCKS - 1, 2]))).sense).toBe('5/21/0');
    expect((await unmap(ranges([8, 16]).subarray(0, 7))).sense).toBe('5/1a/0');
    expect((await ask(all, [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).status).toBe(0);
    expect((await ask(all, [0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])).status).toBe(0);
    expect(disk.log.slice(2)).toEqual(['flush', 'flush']);
  });

  it('has done at once what the host can, and flushes what is to be safe', async () => {
    const content = new Uint8Array(DISK_BYTES);
    class PromptDisk extends TestDisk {
      readNow(offset: number, target: Uint8Array): BlockOutcome {
        this.log.push(`read ${offset}+${target.length} at once`);
        target.set(content.subarray(offset, offset + target.length));
        return this.broken;
      }
      writeNow(offset: number, source: Uint8Array): BlockOutcome {
        this.log.push(`write ${offset}+${source.length} at once`);
        content.set(source, offset);
        return this.broken;
      }
    }
    const disk = new PromptDisk();
    const all = await ready({ units: [{ target: 0, backend: disk }] });
    const data = pattern(1024);
    post(all, write10(4, 2), { out: data });
    expect(disk.log).toEqual(['write 2048+1024 at once']);
    expect(answers(all)).toEqual([]);
    await all.events.settle();
    expect(answers(all)).toMatchObject([{ response: 0, status: 0 }]);
    expect([...(await ask(all, read10(4, 2), { inBytes: 1024 })).data]).toEqual([...data]);
    disk.log.length = 0;
    await ask(all, write10(4, 2, 8), { out: data });
    expect(disk.log).toEqual(['write 2048+1024', 'flush']);
    disk.broken = { kind: 'no-space', message: 'full' };
    expect((await ask(all, write10(4, 2), { out: data })).sense).toBe('7/27/7');
    disk.broken = { kind: 'io-error', message: 'broken' };
    expect((await ask(all, read10(4, 2), { inBytes: 1024 })).sense).toBe('b/0/6');
  });

  it('refuses what lies outside, is unknown or has bits that mean nothing', async () => {
    const all = await ready();
    const sense = async (cdb: number[]) => (await ask(all, cdb, { inBytes: 1024 })).sense;
    expect(await sense(read10(BLOCKS - 1, 2))).toBe('5/21/0');
    expect(await sense([0x88, 0, ...word(0xffff_ffff), ...word(0xffff_ffff), ...word(1), 0, 0])).toBe('5/21/0');
    expect(await sense([0x28, 0x20, ...word(0), 0, 0, 1, 0])).toBe('5/24/0');
    expect(await sense([0x28, 0, ...word(0), 0, 0, 1, 4])).toBe('5/24/0');
    expect(await sense([0xff, 0, 0, 0, 0, 0])).toBe('5/20/0');
    expect(await sense([0x9e, 0x12, 0, 0, 0, 0])).toBe('5/24/0');
    expect(all.kind.counts).toMatchObject({ check: 7, good: 0 });
    expect(all.disk.log).toEqual([]);
    // Longer than any transfer may be.
    const large = await ready({ units: [{ target: 0, backend: new TestDisk(false, 2 ** 30) }] });
    expect((await ask(large, [0xa8, 0, ...word(0), ...word(65529), 0, 0], { inBytes: 512 })).sense).toBe('5/24/0');
  });

  it('lists its commands', async () => {
    const all = await ready();
    const list = await ask(all, [0xa3, 0x0c, 0, 0, 0, 0, ...word(4096), 0, 0], { inBytes: 4096 });
    const entries = Array.from({ length: (list.data.length - 4) / 8 }, (_, n) =>
      list.data.subarray(4 + 8 * n, 12 + 8 * n),
    );
    expect(entries.length).toBe(COMMAND_NAMES.length);
    for (const entry of entries) {
      const action = entry[3];
      const one = await ask(all, [0xa3, 0x0c, 3, entry[0], 0, action, ...word(64), 0, 0], { inBytes: 64 });
      expect(one.data[1]).toBe(3);
      expect(one.data.length).toBe(4 + entry[7]);
      expect(one.data[4]).toBe(entry[0]);
    }
    const none = await ask(all, [0xa3, 0x0c, 1, 0x89, 0, 0, ...word(64), 0, 0], { inBytes: 64 });
    expect([...none.data]).toEqual([0, 1, 0, 0]);
    expect((await ask(all, [0xa3, 0x0c, 1, 0x9e, 0, 0, ...word(64), 0, 0], { inBytes: 64 })).sense).toBe('5/24/0');
  });

  it('stops and starts', async () => {
    const all = await ready();
    expect((await ask(all, [0x1b, 0, 0, 0, 0, 0])).status).toBe(0);
    expect(all.disk.log).toEqual(['flush']);
    expect((await ask(all, [0, 0, 0, 0, 0, 0])).sense).toBe('2/4/2');
    expect((await ask(all, read10(0, 1), { inBytes: 512 })).sense).toBe('2/4/2');
    const asked = await ask(all, [3, 0, 0, 0, 18, 0], { inBytes: 18 });
    expect([asked.data[2], asked.data[12], asked.data[13]]).toEqual([2, 4, 2]);
    expect((await ask(all, [0x1b, 0, 0, 0, 2, 0])).sense).toBe('5/24/0');
    expect((await ask(all, [0x1b, 0, 0, 0, 1, 0])).status).toBe(0);
    expect((await ask(all, [0, 0, 0, 0, 0, 0])).status).toBe(0);
  });

  it('gives errors of the host to the guest and goes on', async () => {
    const all = await ready();
    all.disk.broken = { kind: 'io-error', message: 'EIO: i/o error' };
    const read = await ask(all, read10(5, 1), { inBytes: 512 });
    expect(read).toMatchObject({ status: 2, sense: 'b/0/6', residual: 512 });
    expect([...read.senseData.subarray(0, 7)]).toEqual([0xf0, 0, 0xb, 0, 0, 0, 5]);
    expect((await ask(all, write10(6, 1), { out: pattern(512) })).sense).toBe('b/0/6');
    expect((await ask(all, [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).sense).toBe('b/0/6');
    all.disk.broken = { kind: 'no-space', message: 'the host is full' };
    for (let n = 0; n < 20; n++) expect((await ask(all, write10(6, 1), { out: pattern(512) })).sense).toBe('7/27/7');
    expect(all.warnings[0]).toBe('test disk: read failed, the guest gets an I/O error: EIO: i/o error');
    expect(all.warnings).toHaveLength(8);
    all.disk.broken = undefined;
    expect((await ask(all, write10(6, 1), { out: pattern(512) })).status).toBe(0);
  });

  it('is read-only if its file is', async () => {
    const all = await ready({ units: [{ target: 0, backend: new TestDisk(true) }] });
    expect((await ask(all, write10(0, 1), { out: pattern(512) })).sense).toBe('7/27/0');
    expect((await ask(all, [0x1a, 8, 8, 0, 255, 0], { inBytes: 255 })).data[2]).toBe(0x90);
    expect((await ask(all, [0x12, 1, 0xb2, 0, 255, 0], { inBytes: 255 })).sense).toBe('5/24/0');
    expect((await ask(all, [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).status).toBe(0);
    expect((await ask(all, read10(0, 1), { inBytes: 512 })).status).toBe(0);
  });
});

describe('a SCSI controller', () => {
  const two = () => [
    { target: 0, backend: new TestDisk() },
    { target: 1, backend: new TestDisk(), serial: 'b' },
    { target: 1, unit: 300, backend: new TestDisk() },
    { target: 1, unit: 2, backend: new TestDisk() },
  ];

  it('has targets with units', async () => {
    const all = await ready({ units: two() });
    const units = async (target: number, unit = [0, 0]) => [
      ...(await ask(all, [0xa0, 0, 0, 0, 0, 0, ...word(256), 0, 0], { target, unit, inBytes: 256 })).data,
    ];
    expect(await units(0)).toEqual([...word(8), ...word(0), ...word(0), ...word(0)]);
    const ofOne = [...word(24), ...word(0), ...word(0), ...word(0), 0, 2, 0, 0, ...word(0), 0x41, 44, 0, 0, ...word(0)];
    expect(await units(1)).toEqual(ofOne);
    expect(await units(1, [0xc1, 1])).toEqual(ofOne);
    const unit = [0x41, 44];
    expect((await ask(all, [0, 0, 0, 0, 0, 0], { target: 1, unit })).sense).toBe('6/29/0');
    expect((await ask(all, write10(0, 1), { target: 1, unit, out: pattern(512, 9) })).status).toBe(0);
    expect((await ask(all, read10(0, 1), { target: 1, inBytes: 512 })).data.every((byte) => byte === 0)).toBe(true);
    expect((await ask(all, read10(0, 1), { target: 1, unit, inBytes: 512 })).data).toEqual(pattern(512, 9));
    // No such target; no such unit.
    expect(await ask(all, [0, 0, 0, 0, 0, 0], { target: 2 })).toMatchObject({ response: 3 });
    expect(await ask(all, [0, 0, 0, 0, 0, 0], { target: 1, unit: [0, 1] })).toMatchObject({ sense: '5/25/0' });
    const absent = await ask(all, [0x12, 0, 0, 0, 36, 0], { target: 1, unit: [0, 1], inBytes: 36 });
    expect(absent).toMatchObject({ status: 0 });
    expect(absent.data[0]).toBe(0x7f);
    expect(() => set({ units: [...two(), { target: 1, unit: 2, backend: new TestDisk() }] })).toThrow('taken twice');
    expect(() => set({ units: [{ target: 256, backend: new TestDisk() }] })).toThrow('targets are 0 to 255');
  });

  it('says how to talk to it, and lets the driver choose sizes', async () => {
    const all = await ready({ queues: 3 });
    const { bench } = all;
    expect([bench.config(0, 4), bench.config(4, 4), bench.config(16, 4), bench.config(30, 2)]).toEqual([
      3, 254, 16, 255,
    ]);
    const { config } = bench.pci.device.kind;
    config.store(20, 4, 10);
    config.store(24, 4, 6);
    const driver = bench.drivers[2];
    driver.add([requestBytes([0xff], {}).subarray(0, 25), 22]);
    bench.notify(2);
    expect([...driver.takeUsed()[0].bytes]).toEqual([
      10,
      0,
      0,
      0,
      ...Array(6).fill(0),
      2,
      0,
      0x70,
      0,
      5,
      0,
      0,
      0,
      0,
      10,
      0,
      0,
    ]);
    bench.start();
    expect([bench.config(20, 4), bench.config(24, 4)]).toEqual([96, 32]);
  });

  it('refuses data both ways at once, and stops for what has no place to answer', async () => {
    const all = await ready();
    expect(await ask(all, read10(0, 1), { out: pattern(8), inBytes: 512 })).toMatchObject({ response: 9 });
    for (const pieces of [
      [pattern(50), 108],
      [requestBytes([0], {}), 107],
    ]) {
      const other = await ready();
      other.bench.drivers[2].add(pieces);
      other.bench.notify(2);
      expect(other.bench.pci.device.fault?.reason).toBe('request');
    }
  });

  it('keeps ordered tasks in order', async () => {
    const all = await ready();
    const { disk, events } = all;
    let release = () => {};
    disk.hold = new Promise((resolve) => {
      release = resolve;
    });
    post(all, write10(0, 1), { out: pattern(512) });
    post(all, write10(1, 1), { out: pattern(512), attribute: 1 });
    post(all, write10(2, 1), { out: pattern(512) });
    post(all, write10(3, 1), { out: pattern(512), attribute: 2 });
    expect(disk.log).toEqual(['write 0+512', 'write 1536+512']);
    release();
    await events.settle();
    expect(disk.log).toEqual(['write 0+512', 'write 1536+512', 'write 512+512', 'write 1024+512']);
    expect(answers(all).map(({ status }) => status)).toEqual([0, 0, 0, 0]);
  });

  it('aborts tasks, and answers when the host is done with them', async () => {
    const all = await ready();
    const { disk, events } = all;
    let release = () => {};
    disk.hold = new Promise((resolve) => {
      release = resolve;
    });
    post(all, write10(0, 1), { out: pattern(512), tag: 5 });
    post(all, write10(1, 1), { out: pattern(512), tag: 6 });
    post(all, write10(2, 1), { out: pattern(512), tag: 7, attribute: 1 });
    manage(all, 6, 5);
    manage(all, 6, 9);
    manage(all, 7);
    expect(managed(all)).toEqual([10, 0, 10]);
    manage(all, 0, 9); // there is none
    manage(all, 2); // CLEAR ACA
    manage(all, 0, 1, 3); // there is no such target
    expect(managed(all)).toEqual([0, 11, 3]);
    manage(all, 0, 5);
    expect(managed(all)).toEqual([]);
    manage(all, 0, 7);
    expect(managed(all)).toEqual([0]);
    expect(answers(all)).toMatchObject([{ response: 2 }]);
    release();
    await events.settle();
    expect(managed(all)).toEqual([0]);
    expect(answers(all).map(({ response }) => response)).toEqual([2, 0]);
    expect(disk.log).toEqual(['write 0+512', 'write 512+512']);
  });

  it('resets a unit', async () => {
    const all = await ready({ units: two() });
    await ask(all, [0x1b, 0, 0, 0, 0, 0]);
    post(all, write10(0, 1), { out: pattern(512), target: 1 });
    manage(all, 4, 0, 1);
    expect(managed(all)).toEqual([]);
    await all.events.settle();
    expect(managed(all)).toEqual([0]);
    expect(answers(all)).toMatchObject([{ response: 4 }]);
    expect((await ask(all, [0, 0, 0, 0, 0, 0], { target: 1 })).sense).toBe('6/29/3');
    expect((await ask(all, [0, 0, 0, 0, 0, 0], { target: 1 })).status).toBe(0);
    // The unit of the other target is as it was.
    expect((await ask(all, [0, 0, 0, 0, 0, 0])).sense).toBe('2/4/2');
    manage(all, 5);
    expect((await ask(all, [0, 0, 0, 0, 0, 0])).sense).toBe('6/29/3');
    expect((await ask(all, [0, 0, 0, 0, 0, 0])).status).toBe(0);
  });

  it('tells of units that come, change and go', async () => {
    const all = await ready();
    const { bench, kind } = all;
    const [, eventDriver] = bench.drivers;
    const told = () => eventDriver.takeUsed().map(({ bytes }) => [...bytes.subarray(0, 16)]);
    const post = () => {
      eventDriver.add([16]);
      bench.notify(1);
    };
    post();
    const disk = new TestDisk();
    kind.addUnit({ target: 3, unit: 1, backend: disk });
    expect(told()).toEqual([[1, 0, 0, 0, 1, 3, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0]]);
    // No buffer: the next one says that something was missed.
    kind.capacityChanged(3, 1);
    post();
    expect(told()).toEqual([[0, 0, 0, 0x80, ...Array(12).fill(0)]]);
    post();
    kind.capacityChanged(3, 1);
    expect(told()).toEqual([[3, 0, 0, 0, 1, 3, 0, 1, 0, 0, 0, 0, 0x2a, 9, 0, 0]]);
    const unit = [0, 1];
    expect((await ask(all, [0, 0, 0, 0, 0, 0], { target: 3, unit })).sense).toBe('6/29/0');
    await ask(all, [0xa0, 0, 0, 0, 0, 0, ...word(256), 0, 0], { target: 3, unit, inBytes: 256 });
    expect((await ask(all, [0, 0, 0, 0, 0, 0], { target: 3, unit })).sense).toBe('6/2a/9');
    post();
    expect(kind.removeUnit(3, 1)).toBe(true);
    expect(kind.removeUnit(3, 1)).toBe(false);
    expect(told()).toEqual([[1, 0, 0, 0, 1, 3, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0]]);
    expect(disk.closed).toBe(true);
    expect(await ask(all, [0, 0, 0, 0, 0, 0], { target: 3, unit })).toMatchObject({ response: 3 });
  });

  it('does not answer what was asked before a reset, and serves nothing before that is over', async () => {
    const all = await ready();
    const { bench, disk, events } = all;
    let release = () => {};
    disk.hold = new Promise((resolve) => {
      release = resolve;
    });
    const before = bench.drivers[2];
    post(all, write10(0, 1), { out: pattern(512, 1) });
    post(all, read10(8, 1), { inBytes: 512 });
    manage(all, 5);
    bench.store(COMMON.status, 1, 0);
    bench.start();
    post(all, [0, 0, 0, 0, 0, 0]);
    post(all, write10(0, 1), { out: pattern(512, 2) });
    release();
    await events.settle();
    expect(before.takeUsed()).toEqual([]);
    expect(answers(all).map(({ sense }) => sense)).toEqual(['6/29/0', '']);
    expect(disk.log).toEqual(['write 0+512', 'read 4096+512', 'write 0+512']);
    expect((await ask(all, read10(0, 1), { inBytes: 512 })).data).toEqual(pattern(512, 2));
  });
});
