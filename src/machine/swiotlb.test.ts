import { describe, expect, it } from 'vitest';
import { GuestMemory } from '../memory/guest-memory.ts';
import { SymbolTable } from '../symbols/symbol-table.ts';
import { GuestReader } from './call-chain.ts';
import { GuestSymbols } from './guest-symbols.ts';
import { SwiotlbView } from './swiotlb.ts';

const RAM_BYTES = 2 ** 20;
const BASE = 0xc000_0000_0000_0000n;
const POOL = { startGra: 0x40000, endGra: 0x80000 };
const SLOTS = 128;
const STRUCT = 0x1000;
const AREAS = 0x2000;

class Guest {
  readonly memory = new GuestMemory(new WebAssembly.Memory({ initial: 16 }), 0, RAM_BYTES, { ramWritten: () => {} });
  readonly reader = new GuestReader(
    this.memory,
    { processTable: 0n, processTableBytes: 0n, pidr: 0n, relocation: false },
    true,
  );
  readonly view = new SwiotlbView(
    () =>
      new SymbolTable([
        { name: 'io_tlb_default_mem', address: BASE + BigInt(STRUCT), code: false, global: true },
        { name: '_end', address: BASE + 0x10000n, code: false, global: true },
      ]),
    () => [POOL],
  );

  put64(at: number, value: bigint) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.memory.write(at, bytes);
  }
  put32(at: number, value: number) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    this.memory.write(at, bytes);
  }
  area(n: number, used: number, index: number) {
    this.put64(AREAS + 16 * n, BigInt(used));
    this.put32(AREAS + 16 * n + 8, index);
  }
  /** The layout of Linux 6.1: bounds, address, slots, one used count, debugfs, flags, areas, slots per area, pointers. */
  linux61(areas: number) {
    this.put64(STRUCT, BigInt(POOL.startGra));
    this.put64(STRUCT + 8, BigInt(POOL.endGra));
    this.put64(STRUCT + 16, BASE + BigInt(POOL.startGra));
    this.put64(STRUCT + 24, BigInt(SLOTS));
    this.put32(STRUCT + 48, 0x0100);
    this.put32(STRUCT + 52, areas);
    this.put32(STRUCT + 56, SLOTS / areas);
    this.put64(STRUCT + 64, BASE + BigInt(AREAS));
    this.put64(STRUCT + 72, BASE + 0x3000n);
  }
}

describe('bounce slots by the count of the kernel', () => {
  it('adds up the areas, and remembers the most', () => {
    const guest = new Guest();
    guest.linux61(4);
    guest.area(0, 3, 5);
    guest.area(2, 32, 0);
    guest.view.sample(guest.reader);
    guest.area(2, 1, 2);
    guest.view.sample(guest.reader);
    expect(guest.view.report()).toEqual({
      startGra: POOL.startGra,
      slots: SLOTS,
      slotBytes: 2048,
      areas: 4,
      inUse: 4,
      highWater: 35,
      source: 'io_tlb_default_mem',
    });
    guest.view.forget();
    expect(guest.view.report()).toBeUndefined();
  });

  it.each<[string, (guest: Guest) => void]>([
    ['nothing is allocated', (guest) => guest.put64(STRUCT + 8, 0n)],
    ['the bounds are not those of shared memory', (guest) => guest.put64(STRUCT, BigInt(POOL.startGra - 0x10000))],
    ['the number of slots is another', (guest) => guest.put64(STRUCT + 24, 127n)],
    ['the areas do not make up the slots', (guest) => guest.put32(STRUCT + 52, 3)],
    ['the areas are nowhere', (guest) => guest.put64(STRUCT + 64, BASE + BigInt(RAM_BYTES))],
    ['an area has more slots in use than there are', (guest) => guest.area(1, 33, 0)],
    ['an area has an impossible index', (guest) => guest.area(3, 0, 33)],
  ])('has no answer if %s', (_why, spoil) => {
    const guest = new Guest();
    guest.linux61(4);
    spoil(guest);
    guest.view.sample(guest.reader);
    expect(guest.view.report()).toBeUndefined();
  });
});

describe('symbols of the kernel that runs', () => {
  const map = new TextEncoder().encode('c000000000001000 D linux_banner\nc000000000001100 T f\nc000000000001200 T g\n');

  it('are given while its banner is where they say, in either byte order', () => {
    const guest = new Guest();
    let misfits = 0;
    const symbols = new GuestSymbols(new Uint8Array(4), map, () => misfits++);
    expect(symbols.fitting(guest.reader)).toBeUndefined();
    expect(symbols.fitting(guest.reader)).toBeUndefined();
    expect(misfits).toBe(1);
    guest.memory.write(0x1000, new TextEncoder().encode('Linux version 6.1'));
    expect(symbols.fitting(guest.reader)?.describe(BASE + 0x1104n)).toBe('f+0x4/0x100');
    const big = new GuestReader(
      guest.memory,
      { processTable: 0n, processTableBytes: 0n, pidr: 0n, relocation: false },
      false,
    );
    expect(symbols.fitting(big)).toBeDefined();
  });

  it('are nobody’s if the kernel has none; a file without any is refused', () => {
    const guest = new Guest();
    const none = new GuestSymbols(new Uint8Array(4), undefined, () => expect.fail());
    expect(none.fitting(guest.reader)).toBeUndefined();
    expect(() => new GuestSymbols(new Uint8Array(4), new Uint8Array(0), () => {})).toThrow('There are no symbols');
  });
});
