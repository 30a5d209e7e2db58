import { describe, expect, it } from 'vitest';
import { MSR } from '../cpu/state/msr.ts';
import type { CallFrame } from '../memory/access-cause.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { SymbolTable } from '../symbols/symbol-table.ts';
import { GuestReader, resolve, walk } from './call-chain.ts';

const RAM_BYTES = 2 ** 20;
/** Two pages of the kernel: code at 0, a stack at 64 KiB. */
const CODE = 0xc000_0000_0000_0000n;
const STACK = 0xc000_0000_0001_0000n;
const CODE_GRA = 0x80000;
const STACK_GRA = 0x90000;
const STD_R0 = 0xf8010010;
const VALID = 1n << 63n;
const LEAF = 1n << 62n;

class Guest {
  readonly memory = new GuestMemory(new WebAssembly.Memory({ initial: 16 }), 0, RAM_BYTES, { ramWritten: () => {} });
  readonly reader = new GuestReader(
    this.memory,
    { processTable: 0x1000n, processTableBytes: 0x10n, pidr: 0n, relocation: true },
    true,
  );

  constructor() {
    const { memory } = this;
    memory.storeU64BE(0x1000, (0x2n << 61n) | (5n << 5n) | 0x10000n | 13n);
    memory.storeU64BE(0x10000, VALID | 0x40000n | 9n);
    memory.storeU64BE(0x40000, VALID | 0x41000n | 9n);
    memory.storeU64BE(0x41000, VALID | 0x42000n | 5n);
    memory.storeU64BE(0x42000, VALID | LEAF | BigInt(CODE_GRA) | 5n);
    memory.storeU64BE(0x42008, VALID | LEAF | BigInt(STACK_GRA) | 6n);
  }
  /** A doubleword of the stack, by its offset. */
  put(offset: number, value: bigint) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.memory.write(STACK_GRA + offset, bytes);
  }
  code(offset: number, word: number) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, word, true);
    this.memory.write(CODE_GRA + offset, bytes);
  }
  /** A frame at `offset` whose function was called from `from`. */
  frame(offset: number, callerOffset: number, from: bigint) {
    this.put(offset, STACK + BigInt(callerOffset));
    this.put(callerOffset + 16, from);
  }
  walk(nia: bigint, lr: bigint, spOffset: number, symbols?: SymbolTable) {
    const registers = { msr: MSR.SF | MSR.LE, nia, lr, sp: STACK + BigInt(spOffset) };
    return resolve(walk(registers, this.reader), this.reader, symbols);
  }
}

const addresses = (frames: readonly CallFrame[]) => frames.map(({ address }) => address - CODE);
const table = (...names: readonly [string, bigint][]) =>
  new SymbolTable(names.map(([name, offset]) => ({ name, address: CODE + offset, code: true, global: true })));

describe('call chain', () => {
  it('follows the back chain and drops what is no address of code', () => {
    const guest = new Guest();
    guest.frame(0x100, 0x200, CODE + 0x1000n);
    guest.frame(0x200, 0x300, 0x5245_5243_4553_2121n); // "SECRET!!"
    guest.frame(0x300, 0x400, CODE + 0x3000n);
    guest.frame(0x400, 0x500, STACK + 0x40n); // data
    guest.frame(0x500, 0x600, CODE + 0x3002n); // not aligned
    guest.put(0x600, 0n);
    expect(addresses(guest.walk(CODE + 0x100n, CODE + 0x1000n, 0x100))).toEqual([0x100n, 0x1000n, 0x3000n]);
  });

  it('says whether the link register is the caller', () => {
    const guest = new Guest();
    guest.frame(0x100, 0x200, CODE + 0x1000n);
    guest.put(0x200, 0n);
    const here = CODE + 0x100n;
    const link = CODE + 0x2000n;
    // Without symbols nobody knows.
    expect(guest.walk(here, link, 0x100)).toEqual([
      { address: here, kind: 'here', certain: true },
      { address: link, kind: 'link', certain: false },
      { address: CODE + 0x1000n, kind: 'return', certain: true },
    ]);
    const symbols = table(['leaf', 0xf0n], ['next', 0x200n], ['end', 0x8000n]);
    // A function that has saved nothing.
    expect(guest.walk(here, link, 0x100, symbols)[1]).toEqual({
      address: link,
      kind: 'link',
      certain: true,
      symbol: 'next+0x1e00/0x7e00',
    });
    // One that has saved its caller.
    guest.code(0xf4, STD_R0);
    expect(addresses(guest.walk(here, link, 0x100, symbols))).toEqual([0x100n, 0x1000n]);
    guest.code(0xf4, 0);
    // One that has called already.
    expect(addresses(guest.walk(here, CODE + 0xf8n, 0x100, symbols))).toEqual([0x100n, 0x1000n]);
  });

  it.each([
    [96, 112, 0x7265677368657265n],
    [96, 112, 0x53474552n],
    [32, 48, 0x53474552n],
    [32, 48, 0x52454753n],
  ])('goes on behind an interrupt frame with its marker at %d', (marker, regs, regshere) => {
    const guest = new Guest();
    guest.frame(0x100, 0x400, CODE + 0x1000n);
    // The interrupt found the kernel at 0x5000, whose stack pointer was 0x800.
    guest.put(0x400, STACK + 0x800n);
    guest.put(0x400 + marker, regshere);
    guest.put(0x400 + regs + 256, CODE + 0x5000n);
    guest.put(0x400 + regs + 264, MSR.SF | MSR.LE);
    guest.put(0x400 + regs + 288, CODE + 0x6000n);
    guest.frame(0x800, 0x900, CODE + 0x7000n);
    // And that was a system call of a process.
    guest.put(0x900, STACK + 0xc00n);
    guest.put(0x900 + marker, regshere);
    guest.put(0x900 + regs + 256, 0x1000_0000n);
    guest.put(0x900 + regs + 264, MSR.SF | MSR.LE | MSR.PR);
    const frames = guest.walk(CODE + 0x100n, CODE + 0x1000n, 0x100);
    expect(frames.map(({ address, kind }) => [address - CODE, kind])).toEqual([
      [0x100n, 'here'],
      [0x1000n, 'return'],
      [0x5000n, 'interrupted'],
      [0x6000n, 'link'],
      [0x7000n, 'return'],
      // The address in the process is not executable in this test's tables: dropped.
    ]);
  });

  it('does not go on into the stack of a process', () => {
    const guest = new Guest();
    guest.frame(0x100, 0x200, CODE + 0x1000n);
    // Not recognised as a system call's: the back chain leads to the process, whose code the same tables map at 0.
    guest.put(0x200, 0x1_0300n);
    guest.put(0x300, 0x1_0400n);
    guest.put(0x310, 0x2000n);
    guest.put(0x410, 0x3000n);
    expect(addresses(guest.walk(CODE + 0x100n, CODE + 0x1000n, 0x100))).toEqual([0x100n, 0x1000n]);
  });

  it('ends on loops, wild pointers and in processes', () => {
    const guest = new Guest();
    guest.put(0x100, STACK + 0x100n);
    expect(addresses(guest.walk(CODE, CODE + 4n, 0x100)).length).toBeLessThanOrEqual(2);
    guest.put(0x100, STACK + 0x200n);
    guest.put(0x200, STACK + 0x100n);
    guest.put(0x110, CODE + 8n);
    guest.put(0x210, CODE + 12n);
    expect(guest.walk(CODE, CODE + 4n, 0x100).length).toBeLessThanOrEqual(48);
    guest.put(0x100, 0x4141_4141_4141_4141n);
    expect(addresses(guest.walk(CODE, CODE + 4n, 0x100))).toEqual([0n, 4n]);
    const registers = { msr: MSR.SF | MSR.PR, nia: CODE, lr: CODE, sp: STACK };
    expect(walk(registers, guest.reader)).toEqual([{ address: CODE, kind: 'process', certain: true }]);
  });
});
