import { beforeEach, describe, expect, it } from 'vitest';
import { CheckedHostView, type ViolationPolicy } from './checked-host-view.ts';
import { GuestMemory } from './guest-memory.ts';
import { type OwnedPageBytes, PageOwnership } from './ownership.ts';
import { ViolationLog } from './violations.ts';

const RAM = 0x40000;
const device = { kind: 'device', name: 'virtio-blk', queue: 0, descriptor: 3, busAddress: 0x1234 } as const;
const hcall = { kind: 'hcall', name: 'H_PUT_TCE_INDIRECT' } as const;

function bench(policy: ViolationPolicy = 'block', pageBytes: OwnedPageBytes = 0x10000) {
  const memory = new GuestMemory(new WebAssembly.Memory({ initial: RAM / 0x10000 }), 0, RAM, { ramWritten: () => {} });
  const ownership = new PageOwnership(RAM, pageBytes);
  const violations = new ViolationLog();
  let stops = 0;
  const view = new CheckedHostView({
    memory,
    ownership,
    violations,
    policy,
    instructions: () => 77n,
    stop: () => stops++,
  });
  return { memory, ownership, violations, view, stops: () => stops };
}

let { memory, ownership, violations, view } = bench();
beforeEach(() => {
  ({ memory, ownership, violations, view } = bench());
});

describe('normal and shared pages', () => {
  it('are read and written with no record, alone and beside secure pages', () => {
    view.storeU32BE(0x100, 0xdeadbeef, hcall);
    ownership.set(1, 'secure', 'UV_ESM');
    ownership.set(2, 'shared', 'UV_SHARE_PAGE');
    expect(view.loadU32BE(0x100, hcall)).toBe(0xdeadbeef);
    view.storeU64BE(0x20008, 0x1122334455667788n, hcall);
    view.storeU16BE(0xfffe, 0x99aa, hcall);
    view.storeU8(0x30000, 5, hcall);
    view.fill(0x20020, 4, 7, hcall);
    expect(memory.loadU64BE(0x20008)).toBe(0x1122334455667788n);
    expect(memory.loadU16BE(0xfffe)).toBe(0x99aa);
    expect(view.loadU8(0x30000, hcall)).toBe(5);
    expect([...view.read(0x20020, 5, hcall)]).toEqual([7, 7, 7, 7, 0]);
    expect(violations.count).toBe(0);
  });
});

describe('secure pages', () => {
  beforeEach(() => {
    memory.write(0x10000, new TextEncoder().encode('canary'));
    ownership.set(1, 'secure', 'UV_ESM');
  });

  it('read as bytes that do not depend on their contents', () => {
    const first = view.read(0x10000, 64, device);
    memory.fill(0x10000, 64, 0xff);
    expect(view.read(0x10000, 64, device)).toEqual(first);
    expect(new TextDecoder('latin1').decode(first)).not.toContain('canary');
    expect(new Set(first).size).toBeGreaterThan(30);
    // However it is read.
    expect(view.loadU64BE(0x10000, device)).toBe(new DataView(first.buffer).getBigUint64(0));
    expect(view.loadU8(0x10003, device)).toBe(first[3]);
  });

  it('are not changed by writes, of which the rest happens', () => {
    const before = memory.read(0x10000, 0x10000);
    view.write(0xfff0, new Uint8Array(0x10020).fill(1), device);
    expect(memory.read(0x10000, 0x10000)).toEqual(before);
    expect(memory.read(0xfff0, 16).every((byte) => byte === 1)).toBe(true);
    expect(memory.read(0x20000, 16).every((byte) => byte === 1)).toBe(true);
    expect(memory.loadU8(0x20010)).toBe(0);
  });

  it('leave a record that says who, what, where and why', () => {
    view.readInto(0xfffe, new Uint8Array(8), device);
    expect(violations.all()).toEqual([
      {
        origin: device,
        direction: 'read',
        gra: 0x10000,
        lenBytes: 6,
        pageGra: 0x10000,
        pageState: 'secure',
        madeBy: 'UV_ESM',
        instructions: 77n,
        times: 1,
        totalBytes: 6,
      },
    ]);
  });

  it('count what is alike and keep apart what is not', () => {
    for (let i = 0; i < 5; i++) view.loadU32BE(0x10000 + 4 * i, device);
    view.storeU8(0x10000, 1, device);
    const other = { ...device, queue: 1 };
    view.loadU8(0x10000, other);
    view.loadU8(0x10000, hcall);
    expect(violations.all().map(({ times, totalBytes }) => [times, totalBytes])).toEqual([
      [5, 20],
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(violations.count).toBe(8);
  });

  it('cover paged-out pages, and end when the page is normal again', () => {
    ownership.set(1, 'paged-out', 'UV_PAGE_OUT');
    view.loadU8(0x10000, hcall);
    expect(violations.all()[0]).toMatchObject({ pageState: 'paged-out', madeBy: 'UV_PAGE_OUT' });
    ownership.setAll('normal', 'UV_SVM_TERMINATE');
    expect(ownership.open).toBe(true);
    expect(new TextDecoder().decode(view.read(0x10000, 6, hcall))).toBe('canary');
    expect(violations.count).toBe(1);
  });
});

describe('policies', () => {
  it('report lets the access happen', () => {
    const { memory, ownership, violations, view, stops } = bench('report');
    ownership.set(1, 'secure', 'UV_ESM');
    view.storeU32BE(0x10000, 0x12345678, device);
    expect(memory.loadU32BE(0x10000)).toBe(0x12345678);
    expect(view.loadU32BE(0x10000, device)).toBe(0x12345678);
    expect(violations.count).toBe(2);
    expect(stops()).toBe(0);
  });
  it('stop blocks and ends the machine', () => {
    const { memory, ownership, view, stops } = bench('stop');
    ownership.set(1, 'secure', 'UV_ESM');
    view.storeU32BE(0x10000, 0x12345678, device);
    expect(memory.loadU32BE(0x10000)).toBe(0);
    expect(stops()).toBe(1);
  });
});

describe('the table', () => {
  it('counts, and checks 4 KiB pages one by one', () => {
    const { ownership, violations, view } = bench('block', 0x1000);
    expect(ownership.pages).toBe(64);
    ownership.setAll('secure', 'UV_ESM');
    ownership.set(5, 'shared', 'UV_SHARE_PAGE');
    expect(ownership.counts()).toEqual({ normal: 0, secure: 63, shared: 1, 'paged-out': 0 });
    view.read(0x5000, 0x1000, device);
    expect(violations.count).toBe(0);
    view.read(0x4fff, 0x1002, device);
    expect(violations.all().map(({ gra, lenBytes }) => [gra, lenBytes])).toEqual([
      [0x4fff, 1],
      [0x6000, 1],
    ]);
  });
  it('keeps a bounded number of records', () => {
    const log = new ViolationLog();
    for (let n = 0; n < 1500; n++) {
      log.add({
        origin: hcall,
        direction: 'read',
        gra: n,
        lenBytes: 1,
        pageGra: n,
        pageState: 'secure',
        madeBy: 'UV_ESM',
        instructions: 0n,
      });
    }
    expect([log.count, log.all().length, log.unrecorded]).toEqual([1500, 1000, 500]);
  });
});
