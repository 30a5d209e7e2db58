// The call chain of a guest, by the back chain of its stack (ELFv2 ABI for Power, 2.2): for reports about what the guest
// did. Nothing of it goes to the hypervisor or to a device.
//
// A doubleword of a stack is anything, secrets included. So what was found counts only if it is the address of an
// executable page of the guest's (`resolve`); the rest is dropped, and stack pointers are not kept.

import { MSR } from '../cpu/state/msr.ts';
import type { CallFrame, FrameKind } from '../memory/access-cause.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { type InspectedPage, inspect, type TranslationState } from '../mmu/inspect.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';

/** Registers that a walk starts from. */
export interface WalkRegisters {
  readonly msr: bigint;
  /** Of the instruction that left the guest, or behind it. */
  readonly nia: bigint;
  readonly lr: bigint;
  /** GPR 1. */
  readonly sp: bigint;
}

const MAX_FRAMES = 48;
/** Offset of the saved link register from the back chain that a stack pointer points to. */
const LR_SAVE = 16n;
/**
 * What Linux puts in frames of interrupts and system calls, 96 or (since 6.2) 32 bytes into the frame: "regshere" in older
 * kernels, "REGS" in newer ones, in either byte order.
 */
const REGS_MARKERS = [0x7265_6773_6865_7265n, 0x5245_4753n, 0x5347_4552n];
const REGS_AT: readonly (readonly [marker: bigint, regs: bigint])[] = [
  [96n, 112n],
  [32n, 48n],
];
/** In those registers, Linux's pt_regs. */
const REGS_NIP = 256n;
const REGS_MSR = 264n;
const REGS_LR = 288n;
const KERNEL_BASE = 0xc000_0000_0000_0000n;
const STD_R0_16_R1 = 0xf8010010;
/** A function longer than this is not searched for its prologue. */
const MAX_PROLOGUE_BYTES = 0x10000;

/** Reads what a guest's own addresses lead to. */
export class GuestReader {
  private readonly memory: GuestMemory;
  private readonly state: TranslationState;
  private readonly little: boolean;
  private page: (InspectedPage & { readonly ea: bigint }) | undefined;

  constructor(memory: GuestMemory, state: TranslationState, littleEndian: boolean) {
    this.memory = memory;
    this.state = state;
    this.little = littleEndian;
  }

  load64(ea: bigint): bigint | undefined {
    const gra = this.at(ea, 8);
    if (gra === undefined) return undefined;
    if (!this.little) return this.memory.loadU64BE(gra);
    return (BigInt(swap32(this.memory.loadU32BE(gra + 4))) << 32n) | BigInt(swap32(this.memory.loadU32BE(gra)));
  }
  load32(ea: bigint): number | undefined {
    const gra = this.at(ea, 4);
    if (gra === undefined) return undefined;
    const value = this.memory.loadU32BE(gra);
    return this.little ? swap32(value) : value;
  }
  /** Where the kernel has been linked what it reaches at `ea`: early code runs with translation off. */
  linked(ea: bigint): bigint {
    return this.state.relocation ? ea : ea | KERNEL_BASE;
  }
  executable(ea: bigint): boolean {
    return (ea & 3n) === 0n && inspect(this.memory, this.state, ea)?.execute === true;
  }

  /** Guest real address of an aligned item. */
  private at(ea: bigint, lenBytes: number): number | undefined {
    if (ea % BigInt(lenBytes) !== 0n) return undefined;
    const { page } = this;
    if (page && ea >= page.ea && ea < page.ea + BigInt(page.leftBytes)) return page.gra + Number(ea - page.ea);
    const found = inspect(this.memory, this.state, ea);
    if (!found || !this.memory.contains(found.gra, lenBytes)) return undefined;
    this.page = { ...found, ea };
    return found.gra;
  }
}

/** What the stack says, unchecked; it is to be resolved before anybody sees it. */
export function walk(registers: WalkRegisters, reader: GuestReader): CallFrame[] {
  const frames: CallFrame[] = [];
  const add = (address: bigint | undefined, kind: FrameKind) => {
    if (address !== undefined) frames.push({ address, kind, certain: kind !== 'link' });
  };
  add(registers.nia, registers.msr & MSR.PR ? 'process' : 'here');
  if (registers.msr & MSR.PR) return frames;
  let link: bigint | undefined = registers.lr;
  let at: bigint = registers.sp;
  while (frames.length < MAX_FRAMES) {
    add(link, 'link');
    link = undefined;
    const caller = reader.load64(at);
    const regs = REGS_AT.find(([marker]) => REGS_MARKERS.includes(reader.load64(at + marker) ?? 0n));
    if (regs) {
      const base = at + regs[1];
      const inProcess = ((reader.load64(base + REGS_MSR) ?? MSR.PR) & MSR.PR) !== 0n;
      add(reader.load64(base + REGS_NIP), inProcess ? 'process' : 'interrupted');
      if (inProcess) break;
      link = reader.load64(base + REGS_LR);
    }
    if (caller === undefined || caller === 0n || caller === at) break;
    // The stack of a process is none of the kernel's.
    if (at >= KERNEL_BASE && caller < KERNEL_BASE) break;
    if (!regs) add(reader.load64(caller + LR_SAVE), 'return');
    at = caller;
  }
  return frames;
}

/**
 * The frames that are addresses of code, with their names. With symbols, a link register that the function has saved already, and that is
 * no caller therefore, is dropped as well.
 */
export function resolve(
  frames: readonly CallFrame[],
  reader: GuestReader,
  symbols: SymbolTable | undefined,
): CallFrame[] {
  const resolved: CallFrame[] = [];
  frames.forEach((frame, index) => {
    if (!reader.executable(frame.address)) return;
    const symbol = symbols?.describe(reader.linked(frame.address));
    const named = symbol === undefined ? frame : { ...frame, symbol };
    if (frame.kind !== 'link') {
      resolved.push(named);
      return;
    }
    const saved = frames[index + 1];
    if (saved?.kind === 'return' && saved.address === frame.address) return;
    const held = linkHoldsCaller(frames[index - 1].address, frame.address, reader, symbols);
    if (held !== false) resolved.push({ ...named, certain: held === true });
  });
  return resolved;
}

/** Whether the link register still holds the caller of the function at `here`; undefined if nobody can tell. */
function linkHoldsCaller(
  here: bigint,
  link: bigint,
  reader: GuestReader,
  symbols: SymbolTable | undefined,
): boolean | undefined {
  const place = symbols?.lookup(reader.linked(here));
  if (!symbols || !place?.code) return undefined;
  const start = here - BigInt(place.offset);
  // It has called somebody, hence has saved its own caller.
  if (link > start && link <= start + BigInt(place.sizeBytes)) return false;
  if (place.offset > MAX_PROLOGUE_BYTES) return undefined;
  for (let ea = start; ea < here; ea += 4n) if (reader.load32(ea) === STD_R0_16_R1) return false;
  return true;
}

function swap32(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
