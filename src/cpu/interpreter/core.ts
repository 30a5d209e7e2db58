// The CPU core of one machine: WebAssembly memory with RAM in it, the interpreter, and its vCPUs, of which one at a time
// has its registers where the interpreter works.

import { GuestMemory, type RamWriteObserver } from '../../memory/guest-memory.ts';
import { assert, PowervisorError } from '../../util/errors.ts';
import { instructions } from '../isa/table.ts';
import type { SemanticsMap } from '../semantics/emitter.ts';
import type { HostCallState } from '../semantics/hostcall.ts';
import {
  type SharedField,
  type StateField,
  sharedLayout,
  stateBytes,
  stateLayout,
  stateOffset,
} from '../state/layout.ts';
import {
  DECODED_BASE,
  DECODED_END,
  DECODED_PAGE_STRIDE,
  DECODED_SLOT_BYTES,
  decodedPageInfo,
  MAX_RAM_BYTES,
  MAX_VCPUS,
  memoryPages,
  PAGE_INFO_BASE,
  PAGE_INFO_INDEX_MASK,
  PRESENCE_BASE,
  RAM_BASE,
  SAVED_STATE_STRIDE,
  SAVED_STATES_BASE,
  SHARED_BASE,
  STATE_BASE,
} from '../state/memory-map.ts';
import { EXIT, type ExitReason, MMIO } from '../state/msr.ts';
import { type GeneratedInterpreter, generateInterpreter } from './generate.ts';
import { FETCH_MODE_USUAL, handlerSelector } from './handlers.ts';
import { type InterpreterImage, interpreterOf } from './image.ts';
import type { RegionHost, RegionService } from './region-service.ts';

/** `or 1,1,1` and `or 31,31,31`: the program lowers its priority because it waits (ISA 3.0B II 3.2). */
const isYield = (word: number) => (word | 0) === 0x7c210b78 || (word | 0) === 0x7ffffb78;

interface Exports {
  readonly table: WebAssembly.Table;
  run(): number;
  dropRegions(decodedPage: number): void;
  contextChanged(): void;
  flushAll(): void;
  forgetMarked(): void;
  enterInterrupt(vector: number, srr0: bigint, cause: number): void;
}

interface LoadedInterpreter {
  readonly semantics: SemanticsMap;
  readonly interpreter: GeneratedInterpreter;
  readonly select: (word: number, mode: number) => number;
  readonly module: WebAssembly.Module;
}

let loaded: LoadedInterpreter | undefined;

/** The interpreter for a set of meanings, from their `image` if there is one; made once for as long as they stay the same. */
function interpreterFor(semantics: SemanticsMap, image: InterpreterImage | undefined): LoadedInterpreter {
  if (loaded?.semantics !== semantics) {
    const interpreter = (image && interpreterOf(image, semantics)) ?? generateInterpreter(semantics);
    const select = handlerSelector(interpreter.handlers);
    loaded = { semantics, interpreter, select, module: new WebAssembly.Module(interpreter.bytes) };
  }
  return loaded;
}

export interface CpuCoreOptions {
  readonly semantics: SemanticsMap;
  /** A multiple of 64 KiB up to `MAX_RAM_BYTES`. */
  readonly ramBytes: number;
  /** 1 to `MAX_VCPUS`. */
  readonly cpus: number;
  /** The interpreter of these `semantics`, made earlier; without one, or for other tables, it is generated. */
  readonly image?: InterpreterImage;
  /** Compiler of hot regions; without one everything is interpreted. */
  readonly regions?: (host: RegionHost) => RegionService;
}

export class CpuCore implements RamWriteObserver {
  readonly memory: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  /** Mnemonics that have a meaning. */
  readonly implemented: ReadonlySet<string>;
  private readonly exports: Exports;
  private readonly wasmMemory: WebAssembly.Memory;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly regions: RegionService | undefined;
  private selected = -1;

  constructor(options: CpuCoreOptions) {
    const { ramBytes, cpus, semantics } = options;
    assert(ramBytes % 0x10000 === 0 && ramBytes > 0 && ramBytes <= MAX_RAM_BYTES, 'RAM size checked by the caller');
    assert(cpus >= 1 && cpus <= MAX_VCPUS, 'number of vCPUs checked by the caller');
    const { interpreter, select, module } = interpreterFor(semantics, options.image);
    const pages = memoryPages(ramBytes);
    try {
      this.wasmMemory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    } catch (cause) {
      const mib = Math.round(ramBytes / 2 ** 20);
      throw new PowervisorError(
        'no-memory',
        `the host has no room for ${mib} MiB of guest memory; use a smaller size`,
        { cause },
      );
    }
    this.bytes = new Uint8Array(this.wasmMemory.buffer);
    this.view = new DataView(this.wasmMemory.buffer);
    this.implemented = new Set(instructions.map(({ op }) => op).filter((op) => semantics[op]));
    const hostState = new BlockHostCallState(this.view);
    const endsTurn = (word: number) => cpus > 1 && isYield(word);
    const handlerOf = (word: number, mode: number): number =>
      endsTurn(word) ? interpreter.yieldHandler : select(word, mode);
    const env = {
      memory: this.wasmMemory,
      decode: handlerOf,
      hot: (ip: number): void => this.regions?.hot(ip),
      hostCall: (index: number): void => interpreter.hostCalls[index].run(hostState),
    };
    const instance = new WebAssembly.Instance(module, { env });
    this.exports = instance.exports as unknown as Exports;
    this.memory = new GuestMemory(this.wasmMemory, RAM_BASE, ramBytes, this);
    this.setShared('ramBytes', BigInt(ramBytes));
    this.setShared('nextContext', 2n);
    this.regions = options.regions?.({
      memory: this.wasmMemory,
      semantics,
      table: this.exports.table,
      exports: instance.exports,
      handlerOf: (word) => handlerOf(word, FETCH_MODE_USUAL),
      endsTurn,
      shared: (name) => this.shared(name),
      setShared: (name, value) => this.setShared(name, value),
    });
    this.vcpus = Array.from({ length: cpus }, (_, id) => new Vcpu(this, id, this.view));
    this.select(0);
  }

  shared(name: SharedField): bigint {
    const { offset, type } = sharedLayout[name];
    return type === 'i64'
      ? this.view.getBigUint64(SHARED_BASE + offset, true)
      : BigInt(this.view.getUint32(SHARED_BASE + offset, true));
  }
  setShared(name: SharedField, value: bigint): void {
    const { offset, type } = sharedLayout[name];
    if (type === 'i64') this.view.setBigUint64(SHARED_BASE + offset, value, true);
    else this.view.setUint32(SHARED_BASE + offset, Number(value), true);
  }

  /** Instructions executed in compiled regions that count: all but those that a handler was called for. */
  instructionsInRegions(): number {
    const retired = this.vcpus.reduce((sum, vcpu) => sum + vcpu.retired, 0n);
    return Number(retired - this.shared('dispatches') + this.shared('regionEntries'));
  }

  /** Memory offset of a vCPU's register block at this moment. */
  blockOf(id: number): number {
    return id === this.selected ? STATE_BASE : SAVED_STATES_BASE + id * SAVED_STATE_STRIDE;
  }

  private select(id: number): void {
    if (id === this.selected) return;
    if (this.selected >= 0) {
      // A turn's end ends the reservation: the next vCPU may store to the same bytes.
      this.vcpus[this.selected].set32('reserveAddress', 0);
      this.bytes.copyWithin(
        SAVED_STATES_BASE + this.selected * SAVED_STATE_STRIDE,
        STATE_BASE,
        STATE_BASE + stateBytes,
      );
    }
    const saved = SAVED_STATES_BASE + id * SAVED_STATE_STRIDE;
    this.bytes.copyWithin(STATE_BASE, saved, saved + stateBytes);
    this.selected = id;
  }

  /**
   * Runs a vCPU for at most `budget` instructions (1 to 2^31-1) from timebase value `timebase`, which advances by one
   * with each. Returns why it stopped and how many were executed.
   */
  run(id: number, budget: number, timebase: bigint): { reason: ExitReason; executed: number } {
    this.regions?.collect?.();
    this.select(id);
    const vcpu = this.vcpus[id];
    if (vcpu.get32('mmioState') === MMIO.idle || budget <= 1) return this.runPiece(vcpu, budget, timebase);
    // An instruction whose access the host has done comes to its end; then interrupts are looked for.
    const first = this.runPiece(vcpu, 1, timebase);
    if (first.reason !== EXIT.budget) return first;
    const rest = this.runPiece(vcpu, budget - first.executed, timebase + BigInt(first.executed));
    return { reason: rest.reason, executed: first.executed + rest.executed };
  }

  private runPiece(vcpu: Vcpu, budget: number, timebase: bigint): { reason: ExitReason; executed: number } {
    const retired = vcpu.get64('retiredEnd') - BigInt(vcpu.get32('budget'));
    vcpu.set64('retiredEnd', retired + BigInt(budget));
    vcpu.set64('tbEnd', timebase + BigInt(budget));
    vcpu.set32('budget', budget);
    const reason = this.exports.run() as ExitReason;
    return { reason, executed: budget - vcpu.get32('budget') };
  }

  /** Makes `vcpu` take an interrupt before its next instruction, whatever MSR[EE] says. */
  interrupt(id: number, vector: number): void {
    this.select(id);
    this.exports.enterInterrupt(vector, this.vcpus[id].get64('nia'), 0);
  }

  /** Forgets all translations, after something outside changed what they depend on. */
  flushTranslations(): void {
    this.exports.flushAll();
  }

  /**
   * Sets the presence byte (`presence`, or 0) of the 4 KiB pages in `[gra, gra + lenBytes)`. Takes effect on translations
   * that are in use with `forgetMarkedTranslations`.
   */
  markPages(gra: number, lenBytes: number, mark: number): void {
    this.bytes.fill(mark, PRESENCE_BASE + gra / 4096, PRESENCE_BASE + (gra + lenBytes) / 4096);
  }
  /** True if all of the 4 KiB pages in `[gra, gra + lenBytes)` carry `mark`. */
  pagesMarked(gra: number, lenBytes: number, mark: number): boolean {
    for (let at = gra; at < gra + lenBytes; at += 4096) {
      if (this.bytes[PRESENCE_BASE + at / 4096] !== mark) return false;
    }
    return true;
  }
  /** Forgets the translations to pages whose presence byte is not 0. */
  forgetMarkedTranslations(): void {
    this.exports.forgetMarked();
  }

  ramWritten(gra: number, lenBytes: number): void {
    if (lenBytes === 0) return;
    for (const vcpu of this.vcpus) vcpu.set32('reserveAddress', 0);
    const last = gra + lenBytes - 1;
    for (let page = Math.floor(gra / 4096); page <= Math.floor(last / 4096); page++) {
      const index = this.view.getUint32(PAGE_INFO_BASE + page * 4, true) & PAGE_INFO_INDEX_MASK;
      if (index === 0) continue;
      const from = Math.max(gra, page * 4096) & 0xffc;
      const to = ((Math.min(last, page * 4096 + 4095) & 0xfff) | 3) + 1;
      const slots = DECODED_BASE + (index - 1) * DECODED_PAGE_STRIDE;
      if (this.view.getUint32(slots + decodedPageInfo.regions, true) !== 0) {
        const covered = slots + decodedPageInfo.covered;
        if (this.bytes.subarray(covered + from / 4, covered + to / 4).includes(1)) this.exports.dropRegions(slots);
      }
      this.bytes.fill(
        0,
        slots + (from / 4) * DECODED_SLOT_BYTES,
        slots + Math.min((to / 4) * DECODED_SLOT_BYTES, DECODED_END),
      );
    }
  }

  /** Bytes of RAM, for hashing and dumping. */
  ramBytesView(): Uint8Array {
    return this.bytes.subarray(RAM_BASE, RAM_BASE + this.memory.sizeBytes);
  }
}

/** Registers of one vCPU, wherever its block is. */
export class Vcpu {
  readonly id: number;
  private readonly core: CpuCore;
  private readonly view: DataView;

  constructor(core: CpuCore, id: number, view: DataView) {
    this.core = core;
    this.id = id;
    this.view = view;
  }

  get32(name: StateField, index = 0): number {
    return this.view.getInt32(this.core.blockOf(this.id) + stateOffset(name, index), true);
  }
  set32(name: StateField, value: number, index = 0): void {
    this.view.setInt32(this.core.blockOf(this.id) + stateOffset(name, index), value, true);
  }
  get64(name: StateField, index = 0): bigint {
    return this.view.getBigUint64(this.core.blockOf(this.id) + stateOffset(name, index), true);
  }
  set64(name: StateField, value: bigint, index = 0): void {
    this.view.setBigUint64(this.core.blockOf(this.id) + stateOffset(name, index), BigInt.asUintN(64, value), true);
  }
  /** VSR as two doublewords; doubleword 0 is the FPR. */
  vsr(index: number, doubleword: 0 | 1): bigint {
    const at = this.core.blockOf(this.id) + stateOffset('vsr', index) + (doubleword === 0 ? 8 : 0);
    return this.view.getBigUint64(at, true);
  }
  setVsr(index: number, doubleword: 0 | 1, value: bigint): void {
    const at = this.core.blockOf(this.id) + stateOffset('vsr', index) + (doubleword === 0 ? 8 : 0);
    this.view.setBigUint64(at, value, true);
  }
  /** CR as a 32-bit number, field 0 leftmost. */
  get cr(): number {
    let value = 0;
    for (let field = 0; field < 8; field++) value = (value << 4) | this.get32('cr', field);
    return value >>> 0;
  }
  set cr(value: number) {
    for (let field = 0; field < 8; field++) this.set32('cr', (value >>> (28 - 4 * field)) & 15, field);
  }
  get xer(): bigint {
    let value = this.get64('xerRest');
    for (const [name, bit] of xerBits) if (this.get32(name)) value |= 1n << bit;
    return value;
  }
  set xer(value: bigint) {
    for (const [name, bit] of xerBits) this.set32(name, Number((value >> bit) & 1n));
    this.set64('xerRest', value & 0x3_ffffn);
  }
  /** Instructions executed since power-on. */
  get retired(): bigint {
    return this.get64('retiredEnd') - BigInt(this.get32('budget'));
  }
  /** The answer to an MMIO exit; the access is executed again and finds it. */
  answerMmio(value: bigint): void {
    this.set64('mmioData', value);
    this.set32('mmioState', MMIO.answered);
    this.set32('fault', 0);
  }
  /** All registers to zero, as before a start; what belongs to the vCPU itself stays. */
  clear(): void {
    const base = this.core.blockOf(this.id);
    const retired = this.retired;
    new Uint8Array(this.view.buffer, base, stateBytes).fill(0);
    this.set64('retiredEnd', retired);
    this.set32('mmioState', MMIO.idle);
  }
  /** A copy of the whole block, without what instructions put down while they are executed. */
  block(): Uint8Array {
    const base = this.core.blockOf(this.id);
    const copy = new Uint8Array(this.view.buffer, base, stateBytes).slice();
    const { offset, count } = stateLayout.scratch;
    return copy.fill(0, offset, offset + count * 16);
  }
}

const xerBits: readonly (readonly [StateField, bigint])[] = [
  ['so', 31n],
  ['ov', 30n],
  ['ca', 29n],
  ['ov32', 19n],
  ['ca32', 18n],
];

class BlockHostCallState implements HostCallState {
  private readonly view: DataView;
  constructor(view: DataView) {
    this.view = view;
  }
  scratch(index: number): bigint {
    const at = STATE_BASE + stateOffset('scratch', index);
    return (this.view.getBigUint64(at + 8, true) << 64n) | this.view.getBigUint64(at, true);
  }
  setScratch(index: number, value: bigint): void {
    const at = STATE_BASE + stateOffset('scratch', index);
    this.view.setBigUint64(at, BigInt.asUintN(64, value), true);
    this.view.setBigUint64(at + 8, BigInt.asUintN(64, value >> 64n), true);
  }
  get fpscr(): bigint {
    return this.view.getBigUint64(STATE_BASE + stateOffset('fpscr'), true);
  }
  set fpscr(value: bigint) {
    this.view.setBigUint64(STATE_BASE + stateOffset('fpscr'), value, true);
  }
  crField(index: number): number {
    return this.view.getInt32(STATE_BASE + stateOffset('cr', index), true);
  }
  setCrField(index: number, value: number): void {
    this.view.setInt32(STATE_BASE + stateOffset('cr', index), value, true);
  }
}
