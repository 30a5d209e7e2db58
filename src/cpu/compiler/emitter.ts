// The emitter of the region compiler: operand fields are constants, registers are WebAssembly locals that are written
// back where a region is left.
//
// What an instruction cannot do here it declines (`Declined`): the region then calls the interpreter's handler for it.

import { hostAddressSlow, loadSlow, probeVector, storeSlow } from '../../mmu/access.ts';
import { ACCESS } from '../../mmu/radix.ts';
import { contextFor, dataEntryOffset } from '../../mmu/tlb.ts';
import { assert } from '../../util/errors.ts';
import { fusesMultiplyAdd } from '../../wasm/fused.ts';
import {
  type F64,
  type FunctionBuilder,
  type FunctionRef,
  I32,
  I64,
  type KeptSlot,
  type Label,
  type Statement,
  type V128,
  type Value,
  Variable,
} from '../../wasm/ir.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { checkAccess, fpEnabledDue, inProblemState, noteFacility } from '../interpreter/access-checks.ts';
import { fieldValue } from '../isa/decode.ts';
import type { Field, Instruction } from '../isa/table.ts';
import type { Access, Emitter, StaticField } from '../semantics/emitter.ts';
import { get32, get64, type RuntimeFunction, set32, set64 } from '../semantics/runtime.ts';
import { type StateField, stateLayout } from '../state/layout.ts';
import { DATA_TLB_BASE, DATA_TLB_BYTES, dataTlbEntry, decodedPageInfo, TLB_MODES } from '../state/memory-map.ts';
import { PROGRAM, VECTOR } from '../state/msr.ts';
import { type Cell, CellSet, cellOf, fprCell, lowerCell, vrCell, vsrCell } from './cells.ts';
import { pageIndex } from './discover.ts';
import type { ForeignPage } from './pages.ts';
import { RegionStatus } from './status.ts';

/** Thrown by an emitter method that the region compiler does without. */
export class Declined extends Error {}

/** What a region's code reaches outside of itself. */
export interface RegionImports {
  runtime(f: RuntimeFunction): FunctionRef;
}

/** How the common way out of a region goes on. */
export const WAY_OUT = {
  /** At the slot. */
  go: 0,
  /** The instruction in the slot has set `fault`. */
  fault: 1,
  /** The instruction in the slot takes the interrupt in `vector` with the SRR1 bits in `cause`. */
  raise: 2,
} as const;

const loadOps = { 1: 'i64.load8_u', 2: 'i64.load16_u', 4: 'i64.load32_u', 8: 'i64.load' } as const;
const storeOps = { 1: 'i64.store8', 2: 'i64.store16', 4: 'i64.store32', 8: 'i64.store' } as const;

/** Stores after which nothing else is done: if they changed the region's own code they can leave at once. */
const storesLast: ReadonlySet<string> = new Set([
  'stb',
  'sth',
  'stw',
  'std',
  'stbx',
  'sthx',
  'stwx',
  'stdx',
  'stfd',
  'stfs',
  'stfdx',
  'stfsx',
  'sthbrx',
  'stwbrx',
  'stdbrx',
]);

/** What a region knows about its translations while it runs: changed only by what leaves it or is declined. */
const environment = ['dataTlb', 'contextKernel', 'contextRead', 'contextWrite'] as const;
type EnvironmentField = (typeof environment)[number];

/** What `dataTlb` is while a program in problem state runs with relocation on. */
export const USER_DATA_TLB = DATA_TLB_BASE + TLB_MODES.user * DATA_TLB_BYTES;

/** The widest piece of memory, in bytes, that one look-up is made for: the wider, the more often it lies in two pages. */
export const GROUP_SPAN = 256;

/**
 * Accesses at known distances from one value share a look-up. It is made where the first of them is, for all bytes from
 * the lowest to the highest, and changes nothing; it only says beforehand what each access would find. What takes a
 * translation away leaves the region or is declined, so what it found holds for the others, which may be in later blocks
 * that only this one leads to. Each access still happens in its own place, and where the look-up fails each goes its own
 * slow way.
 */
interface AccessGroup {
  readonly base: I64;
  readonly block: number;
  /** Where the look-up is, which is written when all accesses are known. */
  readonly place: Statement[];
  readonly hit: Variable<'i32'>;
  /** Memory offset of the lowest byte. */
  readonly host: Variable<'i32'>;
  /** Distances of the lowest byte, and of the byte behind the highest. */
  low: number;
  high: number;
  /** The kinds of access in it; the look-up wants the rights of a store if one is. */
  access: Access;
  /** Memory operands, whose offsets count from the lowest byte in the end. */
  readonly operands: { offset: number }[];
}

/** A cell's variable. */
interface KeptCell extends KeptSlot {
  readonly variable: Variable<ValueType>;
}

interface Located {
  readonly hit: I32;
  readonly host: I32;
  /** The memory operand to use with `host`, if it is one of a group's. */
  readonly operand: { readonly offset: number } | undefined;
}

/** Groups that further accesses may join. Neither list is changed once made: what is known at several places shares them. */
type OpenGroups = Readonly<Record<Access, readonly AccessGroup[]>>;
const NO_GROUPS: OpenGroups = { load: [], store: [] };

/** What an emitter knows at a place in the code that only one way leads to. */
export interface Knowledge {
  readonly values: (Value | undefined)[];
  readonly groups: OpenGroups;
  readonly checkedProblem: boolean;
  readonly checkedFacilities: readonly string[];
}

/** Which cells a place in the code may find changed: those of its block, and those that come in unless `fresh`. */
export interface DirtyState {
  readonly block: number;
  /** Everything was written back in this block before. */
  readonly fresh: boolean;
  readonly written: CellSet;
}

export class RegionEmitter implements Emitter {
  readonly fn: FunctionBuilder;
  readonly fuses = fusesMultiplyAdd();
  /** Memory offset of the region's own decoded page. */
  readonly page: I32;
  readonly pageEa: I64;
  /** Pages besides the region's own, by their place behind it. */
  readonly foreign: (index: number) => ForeignPage | undefined;
  /** Instructions left, the current block's subtracted. */
  readonly budget: Variable<'i32'>;
  /** For the common way out: a `WAY_OUT`, the slot to go on at, vector and cause. */
  readonly wayOut: Variable<'i32'>;
  readonly outSlot: Variable<'i32'>;
  readonly vector: Variable<'i32'>;
  readonly cause: Variable<'i32'>;
  readonly status: RegionStatus;
  readonly used = new CellSet();
  readonly everWritten = new CellSet();
  /** Set by the generator: what a jump of the current instruction does. */
  onJump: (target: I64) => void = () => assert(false, 'only a last instruction jumps');
  onRelativeJump: () => void = () => assert(false, 'only a last instruction jumps');
  /** Where the common way out is. */
  out: Label | undefined;

  /** Where variables get their first value. */
  private readonly start: Statement[];
  private readonly imports: RegionImports;
  /** Of VSR 0 to 31 those that are kept whole. */
  private readonly vectors: ReadonlySet<number>;
  private readonly cells: (KeptCell | undefined)[] = [];
  private readonly environmentVariables: Record<EnvironmentField, Variable<'i32'> | Variable<'i64'>>;
  private values: (Value | undefined)[] = [];
  private stale: Variable<'i32'> | undefined;
  private mayBeStale = false;
  private base = 0;
  private instruction!: Instruction;
  private word = 0;
  private offset = 0;
  /** Instructions of the block behind this one. */
  private behind = 0;
  private checkedProblem = false;
  private checkedFacilities: readonly string[] = [];
  private groups: OpenGroups = NO_GROUPS;
  private readonly allGroups: AccessGroup[] = [];
  /** Whether the region is only ever run in problem state with relocation on. */
  private readonly user: boolean;
  private state: { block: number; fresh: boolean; written: CellSet } = {
    block: -1,
    fresh: true,
    written: new CellSet(),
  };

  constructor(
    fn: FunctionBuilder,
    imports: RegionImports,
    page: I32,
    pageEa: I64,
    vectors: ReadonlySet<number>,
    user: boolean,
    foreign: (index: number) => ForeignPage | undefined,
  ) {
    this.fn = fn;
    this.user = user;
    this.imports = imports;
    this.foreign = foreign;
    this.vectors = vectors;
    this.page = page;
    this.pageEa = pageEa;
    this.start = fn.later();
    this.status = new RegionStatus(fn, (f) => imports.runtime(f));
    this.budget = fn.variable('i32');
    this.wayOut = fn.variable('i32');
    this.outSlot = fn.variable('i32');
    this.vector = fn.variable('i32');
    this.cause = fn.variable('i32');
    this.environmentVariables = {
      dataTlb: fn.variable('i32'),
      contextKernel: fn.variable('i64'),
      contextRead: fn.variable('i64'),
      contextWrite: fn.variable('i64'),
    };
  }

  // --- For the generator ---

  /** Reads what the region keeps of the translation context. */
  loadEnvironment(): void {
    const { fn } = this;
    (this.environmentVariables.dataTlb as Variable<'i32'>).set(get32(fn, 'dataTlb'));
    for (const name of ['contextKernel', 'contextRead', 'contextWrite'] as const) {
      (this.environmentVariables[name] as Variable<'i64'>).set(get64(fn, name));
    }
    this.status.reload();
  }

  /** Starts a block; what is known about values ends unless only the place before leads here. */
  beginBlock(block: number, goesOn: boolean): void {
    if (goesOn) this.base = this.fn.nesting;
    else this.forget();
    this.state = { block, fresh: false, written: new CellSet() };
  }

  /** Forgets what values registers have: control comes here from several places. */
  forget(): void {
    this.values = [];
    this.base = this.fn.nesting;
    this.groups = NO_GROUPS;
    this.checkedProblem = false;
    this.checkedFacilities = [];
  }

  /** What is known here, for `recall` after the code of one of several ways on. */
  knowledge(): Knowledge {
    return {
      values: this.values.slice(),
      groups: this.groups,
      checkedProblem: this.checkedProblem,
      checkedFacilities: this.checkedFacilities,
    };
  }
  recall(known: Knowledge): void {
    this.values = known.values.slice();
    this.groups = known.groups;
    this.checkedProblem = known.checkedProblem;
    this.checkedFacilities = known.checkedFacilities;
  }

  /** All registers are in memory and have been read again: after a declined instruction. */
  refreshed(): void {
    this.forget();
    this.state = { block: this.state.block, fresh: true, written: new CellSet() };
  }

  dirty(): DirtyState {
    return { ...this.state, written: this.state.written.copy() };
  }
  resume(state: DirtyState): void {
    this.mayBeStale = false;
    this.state = { ...state, written: state.written.copy() };
  }

  /** Emits the instruction at `offset`; `behind` more of its block follow. */
  emit(instruction: Instruction, word: number, offset: number, behind: number, meaning: (s: Emitter) => void): void {
    this.instruction = instruction;
    this.word = word;
    this.offset = offset;
    this.behind = behind;
    this.mayBeStale = false;
    this.check();
    this.status.touched = false;
    meaning(this);
    if (this.status.touched) this.status.reload();
    if (this.mayBeStale) {
      const { stale } = this;
      assert(stale, 'made with the first use');
      this.fn.if(stale.get(), () => this.leave(WAY_OUT.go, offset + 4), undefined, false);
    }
  }

  private check(): void {
    const { instruction } = this;
    const { priv, needs } = instruction;
    const problemKnown = !priv || (priv !== 'h' && priv !== 'uv' && this.checkedProblem);
    const key = needs?.includes('|') ? `${needs}:${this.upper()}` : needs;
    const facilityKnown = !key || this.checkedFacilities.includes(key);
    if (problemKnown && facilityKnown) return;
    checkAccess(this, instruction);
    if (priv) this.checkedProblem = true;
    if (key) this.checkedFacilities = [...this.checkedFacilities, key];
  }
  private upper(): number {
    const name = ['xt', 'xs'].find((candidate) => this.instruction.fields.has(candidate));
    assert(name, `${this.instruction.op} has a VSX register`);
    return fieldValue(this.word, this.fieldOf(name)) >> 5;
  }

  /** Leaves by the common way, with the registers as they are now; `offset` is that of the instruction meant. */
  leave(way: number, offset: number): void {
    const { fn, out } = this;
    assert(out, 'the generator gives the way out');
    this.wayOut.set(fn.i32(way));
    this.outSlot.set(this.slotOf(offset));
    if (this.behind !== 0) this.budget.set(this.exactBudget());
    fn.br(out);
  }

  /** What `budget` in memory is to say after the current instruction. */
  exactBudget(): I32 {
    return this.budget.get().add(this.behind);
  }
  /** Memory offset of a decoded page, by its place behind the region's own. */
  decodedPage(index: number): I32 {
    if (index === 0) return this.page;
    const page = this.foreign(index);
    assert(page, 'a block is in a page that was found');
    return this.fn.i32(page.decoded);
  }
  /** The decoded page that the current instruction is in. */
  private get currentPage(): I32 {
    return this.decodedPage(pageIndex(this.offset));
  }
  /** The slot at a distance in the page of the current instruction, or the one behind it. */
  slotOf(offset: number): I32 {
    const index = pageIndex(this.offset);
    return this.decodedPage(index).add((offset - index * 4096) * 2);
  }
  /** 1 if the word at a distance is still part of a region: 0 once it has changed. */
  isCovered(offset: number): I32 {
    const page = this.decodedPage(pageIndex(offset));
    return this.fn.load('i32', 'i32.load8_u', page, decodedPageInfo.covered + (offset & 0xfff) / 4);
  }
  /** Distance of the current instruction. */
  get position(): number {
    return this.offset;
  }
  setPosition(offset: number, behind: number): void {
    this.offset = offset;
    this.behind = behind;
  }

  /** Stores cells to the register block, and the other way round. */
  writeBack(set: CellSet): void {
    this.fn.saveSlots(this.kept(set));
  }
  readIn(set: CellSet): void {
    this.fn.loadSlots(this.kept(set));
  }
  private kept(set: CellSet): readonly KeptCell[] {
    return set.list().map((cell) => this.keptCell(cell));
  }

  private keptCell(cell: Cell): KeptCell {
    let kept = this.cells[cell.id];
    if (!kept) {
      const variable = new Variable<ValueType>(this.fn, cell.type);
      kept = { variable, slot: variable.slot, address: cell.address };
      this.cells[cell.id] = kept;
    }
    return kept;
  }
  private variable(cell: Cell): Variable<ValueType> {
    return this.keptCell(cell).variable;
  }

  private read(cell: Cell): Value {
    const known = this.values[cell.id];
    if (known) return known;
    this.used.add(cell.id);
    const value = this.variable(cell).get();
    if (this.fn.nesting === this.base) this.values[cell.id] = value;
    return value;
  }
  private write(cell: Cell, value: Value): void {
    assert(value.type === cell.type, 'a register keeps its type');
    this.used.add(cell.id);
    this.everWritten.add(cell.id);
    this.state.written.add(cell.id);
    (this.variable(cell) as Variable<'i64'>).set(value as I64);
    this.values[cell.id] = this.fn.nesting === this.base ? value : undefined;
  }

  // --- Emitter ---

  flag(name: StaticField): boolean {
    const field = this.instruction.fields.get(name);
    return field !== undefined && fieldValue(this.word, field) !== 0;
  }
  private fieldOf(name: string): Field {
    const field = this.instruction.fields.get(name);
    if (!field) assert(false, `${this.instruction.op} has no field ${name}`);
    return field;
  }
  private number(name: string): number {
    return fieldValue(this.word, this.fieldOf(name));
  }
  field(name: string): I32 {
    return this.fn.i32(this.number(name));
  }
  field64(name: string): I64 {
    return this.fn.i64(this.number(name));
  }

  private at(index: I32): number {
    const { known } = index;
    if (known === undefined) throw new Declined('a register number that is computed');
    return known;
  }
  private gprCell(n: number): Cell {
    return cellOf('gpr', n)!;
  }
  gpr(field: string): I64 {
    return this.read(this.gprCell(this.number(field))) as I64;
  }
  gprOr0(field: string): I64 {
    return this.number(field) === 0 ? this.fn.i64(0n) : this.gpr(field);
  }
  setGpr(field: string, value: I64): void {
    this.write(this.gprCell(this.number(field)), value);
  }
  gprAt(index: I32): I64 {
    return this.read(this.gprCell(this.at(index))) as I64;
  }
  setGprAt(index: I32, value: I64): void {
    this.write(this.gprCell(this.at(index)), value);
  }

  private fprNumber(n: number): I64 {
    if (this.vectors.has(n)) return (this.read(vsrCell(n)) as V128).extract64(1);
    return (this.read(fprCell(n)) as F64).reinterpretI64();
  }
  private setFprNumber(n: number, bits: I64): void {
    const { fn } = this;
    if (this.vectors.has(n)) {
      this.write(vsrCell(n), fn.v128From64(bits, fn.i64(0)));
      return;
    }
    this.write(fprCell(n), bits.reinterpretF64());
    this.write(lowerCell(n), fn.i64(0));
  }
  private isWhole(n: number): boolean {
    return n >= 32 || this.vectors.has(n);
  }
  fpr(field: string): I64 {
    return this.fprNumber(this.number(field));
  }
  setFpr(field: string, bits: I64): void {
    this.setFprNumber(this.number(field), bits);
  }
  fprAt(index: I32): I64 {
    return this.fprNumber(this.at(index));
  }
  setFprAt(index: I32, bits: I64): void {
    this.setFprNumber(this.at(index), bits);
  }
  vr(field: string): V128 {
    return this.read(vrCell(this.number(field))) as V128;
  }
  setVr(field: string, value: V128): void {
    this.write(vrCell(this.number(field)), value);
  }
  vsr(field: string): V128 {
    const n = this.number(field);
    if (this.isWhole(n)) return this.read(vsrCell(n)) as V128;
    return this.fn.v128From64(this.fprNumber(n), this.read(lowerCell(n)) as I64);
  }
  setVsr(field: string, value: V128): void {
    const n = this.number(field);
    if (this.isWhole(n)) {
      this.write(vsrCell(n), value);
      return;
    }
    this.write(fprCell(n), value.extractF64(1));
    this.write(lowerCell(n), value.extract64(0));
  }
  setVsrScalar(field: string, bits: I64): void {
    const n = this.number(field);
    if (n < 32) this.setFprNumber(n, bits);
    else this.write(vsrCell(n), this.fn.v128From64(bits, this.fn.i64(0)));
  }
  vsrDoubleword(field: string, index: 0 | 1): I64 {
    const n = this.number(field);
    if (this.isWhole(n)) return (this.read(vsrCell(n)) as V128).extract64(1 - index);
    return index === 0 ? this.fprNumber(n) : (this.read(lowerCell(n)) as I64);
  }

  private crCell(index: I32 | number): Cell {
    return cellOf('cr', typeof index === 'number' ? index : this.at(index))!;
  }
  crField(index: I32 | number): I32 {
    return this.read(this.crCell(index)) as I32;
  }
  setCrField(index: I32 | number, value: I32): void {
    this.write(this.crCell(index), value);
  }
  crBit(index: I32): I32 {
    const bit = this.at(index);
    const value = this.crField(bit >> 2);
    return comparedBit(value, bit & 3) ?? value.shrU(3 - (bit & 3)).and(1);
  }
  setCrBit(index: I32, value: I32): void {
    const bit = this.at(index);
    const place = 3 - (bit & 3);
    const others = this.crField(bit >> 2).and(~(1 << place));
    this.setCrField(bit >> 2, others.or(value.shl(place)));
  }
  record(value: I64): void {
    if (!this.flag('rc') && !this.instruction.op.endsWith('.')) return;
    const { fn } = this;
    const order = fn.i32(8).selectIf(value.ltS(0n), fn.i32(4).selectIf(value.ne(0n), 2));
    this.setCrField(0, order.or(this.state32('so')));
  }

  state32(name: StateField, index = 0): I32 {
    assert(stateLayout[name].type === 'i32', 'a field of 32 bits');
    const cell = cellOf(name, index);
    return cell ? (this.read(cell) as I32) : get32(this.fn, name, index);
  }
  setState32(name: StateField, value: I32, index = 0): void {
    assert(stateLayout[name].type === 'i32', 'a field of 32 bits');
    const cell = cellOf(name, index);
    if (cell) this.write(cell, value);
    else set32(this.fn, name, value, index);
  }
  state64(name: StateField, index = 0): I64 {
    assert(stateLayout[name].type === 'i64', 'a field of 64 bits');
    const cell = cellOf(name, index);
    if (name === 'fpscr') this.status.settle();
    return cell ? (this.read(cell) as I64) : get64(this.fn, name, index);
  }
  setState64(name: StateField, value: I64, index = 0): void {
    assert(stateLayout[name].type === 'i64', 'a field of 64 bits');
    const cell = cellOf(name, index);
    if (cell) this.write(cell, value);
    else set64(this.fn, name, value, index);
    if (name === 'fpscr') this.status.reload();
  }

  cia(): I64 {
    return this.pageEa.add(BigInt(this.offset));
  }
  nia(): I64 {
    return this.pageEa.add(BigInt(this.offset + 4));
  }

  // Regions are only made of pages that are executed in the usual mode.
  wide(): I32 {
    return this.fn.i32(1);
  }
  ea(value: I64): I64 {
    return value;
  }
  littleEndian(): I32 {
    return this.fn.i32(1);
  }

  private context(name: Exclude<EnvironmentField, 'dataTlb'>): I64 {
    return (this.environmentVariables[name] as Variable<'i64'>).peek();
  }

  /** Looks the page of `bytes` bytes at `base` + `distance` up; `host` is the memory offset of the first of them. */
  private probe(base: I64, distance: number, bytes: number, access: Access): { hit: I32; host: I32 } {
    const { fn } = this;
    const ea = base.add(BigInt(distance));
    // In problem state every address goes with the process: the kernel's quadrant has no entries there.
    const context = this.user
      ? this.context('contextRead')
      : contextFor(ea, this.context('contextKernel'), this.context(access === 'load' ? 'contextRead' : 'contextWrite'));
    const table = this.user ? USER_DATA_TLB : 0;
    const index = dataEntryOffset(ea);
    const entry = this.user ? index : index.add((this.environmentVariables.dataTlb as Variable<'i32'>).peek());
    // The page of the last byte: an access that crosses into the next page misses.
    const wanted = base
      .add(BigInt(distance + bytes - 1))
      .and(-4096n)
      .or(context);
    const tag = fn.load64(entry, table + (access === 'load' ? dataTlbEntry.readTag : dataTlbEntry.writeTag));
    return { hit: tag.eq(wanted), host: ea.wrap().add(fn.load32(entry, table + dataTlbEntry.addend)) };
  }

  /** Whether `bytes` bytes at `ea` can be accessed directly, and if so, where. */
  private locate(ea: I64, bytes: number, access: Access): Located {
    const { fn } = this;
    const { base, distance } = distanceFrom(ea);
    if (fn.nesting !== this.base) return { ...this.probe(base, distance, bytes, access), operand: undefined };
    const group = this.groupFor(base, distance, distance + bytes, access);
    const operand = { offset: distance };
    group.operands.push(operand);
    return { hit: group.hit.peek(), host: group.host.peek(), operand };
  }

  private groupFor(base: I64, low: number, high: number, access: Access): AccessGroup {
    const { fn, groups } = this;
    const joins = (group: AccessGroup | undefined): AccessGroup | undefined => {
      if (!group) return undefined;
      const [from, to] = [Math.min(low, group.low), Math.max(high, group.high)];
      if (to - from > GROUP_SPAN) return undefined;
      group.low = from;
      group.high = to;
      return group;
    };
    const same = joins(groupOf(groups[access], base));
    if (same) return same;
    if (this.user) {
      // A process may load where it may store. A load wants the right to store only where the store is sure to come,
      // which gets it.
      const other = groupOf(groups[access === 'load' ? 'store' : 'load'], base);
      if (access === 'load' || other?.block === this.state.block) {
        const joined = joins(other);
        if (joined && access === 'store') {
          joined.access = 'store';
          const load = groups.load.filter((group) => group !== joined);
          this.groups = { load, store: replaced(groups.store, joined) };
        }
        if (joined) return joined;
      }
    }
    const group: AccessGroup = {
      base,
      block: this.state.block,
      place: fn.later(),
      hit: fn.variable('i32'),
      host: fn.variable('i32'),
      low,
      high,
      access,
      operands: [],
    };
    const list = replaced(groups[access], group);
    this.groups = access === 'load' ? { load: list, store: groups.store } : { load: groups.load, store: list };
    this.allGroups.push(group);
    return group;
  }

  /** Writes the look-ups of groups, now that it is known what is in them. */
  settleGroups(): void {
    for (const { place, base, low, high, access, hit, host, operands } of this.allGroups) {
      this.fn.fillPlace(place, () => {
        const found = this.probe(base, low, high - low, access);
        hit.set(found.hit);
        host.set(found.host);
      });
      for (const operand of operands) operand.offset -= low;
    }
  }

  private leaveOnFault(): void {
    this.fn.if(get32(this.fn, 'fault'), () => this.leave(WAY_OUT.fault, this.offset), undefined, false);
  }

  /** After a store on the slow path: it may have changed this region's own code. */
  private leaveWhenStale(): void {
    const { fn } = this;
    const gone = this.isCovered(this.offset).eqz();
    if (storesLast.has(this.instruction.op)) {
      fn.if(gone, () => this.leave(WAY_OUT.go, this.offset + 4));
      return;
    }
    if (!this.stale) {
      const stale = fn.variable('i32');
      fn.fillPlace(this.start, () => stale.set(fn.i32(0)));
      this.stale = stale;
    }
    this.stale.set(gone);
    this.mayBeStale = true;
  }

  load(ea: I64, bytes: 1 | 2 | 4 | 8): I64 {
    const { fn } = this;
    const { hit, host, operand } = this.locate(ea, bytes, 'load');
    return fn.choose(
      hit,
      () => fn.load('i64', loadOps[bytes], host, operand),
      () => {
        const slow = fn.call('i64', this.runtime(loadSlow), [ea, fn.i32(bytes)]);
        this.leaveOnFault();
        return slow;
      },
      true,
    );
  }

  store(ea: I64, bytes: 1 | 2 | 4 | 8, value: I64): void {
    const { fn } = this;
    const { hit, host, operand } = this.locate(ea, bytes, 'store');
    fn.if(
      hit,
      () => fn.store(storeOps[bytes], host, value, operand),
      () => {
        fn.callVoid(this.runtime(storeSlow), [ea, fn.i32(bytes), value, this.currentPage]);
        this.leaveOnFault();
        this.leaveWhenStale();
      },
      true,
    );
  }

  loadVector(ea: I64): V128 {
    const { fn } = this;
    const { hit, host, operand } = this.locate(ea, 16, 'load');
    return fn.choose(
      hit,
      () => fn.loadV128(host, operand),
      () => {
        fn.callVoid(this.runtime(probeVector), [ea, fn.i32(ACCESS.load)]);
        this.leaveOnFault();
        const low = fn.call('i64', this.runtime(loadSlow), [ea, fn.i32(8)]);
        this.leaveOnFault();
        const high = fn.call('i64', this.runtime(loadSlow), [ea.add(8), fn.i32(8)]);
        this.leaveOnFault();
        return fn.v128From64(high, low);
      },
      true,
    );
  }

  storeVector(ea: I64, value: V128): void {
    const { fn } = this;
    const { hit, host, operand } = this.locate(ea, 16, 'store');
    fn.if(
      hit,
      () => fn.storeV128(host, value, operand),
      () => {
        fn.callVoid(this.runtime(probeVector), [ea, fn.i32(ACCESS.store)]);
        this.leaveOnFault();
        fn.callVoid(this.runtime(storeSlow), [ea, fn.i32(8), value.extract64(0), this.currentPage]);
        this.leaveOnFault();
        fn.callVoid(this.runtime(storeSlow), [ea.add(8), fn.i32(8), value.extract64(1), this.currentPage]);
        this.leaveOnFault();
        this.leaveWhenStale();
      },
      true,
    );
  }

  hostAddress(ea: I64, bytes: number, access: Access): I32 {
    const { fn } = this;
    const { hit, host } = this.probe(ea, 0, bytes, access);
    const aligned = ea
      .wrap()
      .and(bytes - 1)
      .eqz();
    return fn.choose(
      hit.and(aligned),
      () => host,
      () => {
        const slow = fn.call('i32', this.runtime(hostAddressSlow), [
          ea,
          fn.i32(bytes),
          fn.i32(access === 'load' ? ACCESS.load : ACCESS.store),
          this.currentPage,
        ]);
        this.leaveOnFault();
        if (access === 'store') this.leaveWhenStale();
        return slow;
      },
      true,
    );
  }

  jump(target: I64): void {
    this.onJump(target.and(-4n));
  }
  jumpRelative(): void {
    this.onRelativeJump();
  }

  interrupt(vector: number, srr1 = 0): void {
    this.vector.set(this.fn.i32(vector));
    this.cause.set(this.fn.i32(srr1));
    this.leave(WAY_OUT.raise, this.offset);
  }
  programInterrupt(cause: number): void {
    this.interrupt(VECTOR.program, cause);
  }
  alignmentInterrupt(ea: I64): void {
    set64(this.fn, 'dar', ea);
    this.interrupt(VECTOR.alignment);
  }
  facilityUnavailable(facility: number): void {
    noteFacility(this.fn, facility);
    this.interrupt(VECTOR.facilityUnavailable);
  }
  fpscrControls(): I64 {
    return get64(this.fn, 'fpscr');
  }
  takeFpEnabled(): void {
    this.fn.if(fpEnabledDue(this.fn), () => this.programInterrupt(PROGRAM.fpEnabled));
  }
  problemState(): I32 {
    return inProblemState(this.fn);
  }
  timebase(): I64 {
    return get64(this.fn, 'tbEnd').sub(this.exactBudget().extendS());
  }
  runtime(f: RuntimeFunction): FunctionRef {
    if (f.fpscr === 'replaces') this.status.settle();
    if (f.fpscr) this.status.touched = true;
    return this.imports.runtime(f);
  }

  interruptAfter(): never {
    throw new Declined('an interrupt behind the instruction');
  }
  setMsr(): never {
    throw new Declined('a change of MSR');
  }
  contextChanged(): never {
    throw new Declined('a change of context');
  }
  invalidateAll(): never {
    throw new Declined('invalidation');
  }
  invalidatePid(): never {
    throw new Declined('invalidation');
  }
  invalidateRange(): never {
    throw new Declined('invalidation');
  }
  hostCall(): never {
    throw new Declined('work for the host');
  }
  exit(): never {
    throw new Declined('an exit');
  }
}

const LESS = 0;
const GREATER = 1;
const EQUAL = 2;

/**
 * Bit LT, GT or EQ of a CR field whose value is visibly a comparison, as that comparison; undefined where it is not. The
 * form is the one that comparisons and record forms make: (less ? 8 : greater ? 4 : 2) | SO.
 */
function comparedBit(field: I32, bit: number): I32 | undefined {
  const order = field.op === 'i32.or' ? field.args[0] : field;
  if (order?.op !== 'select' || bit > EQUAL) return undefined;
  const [eight, rest, less] = order.args;
  if (eight.imm !== 8 || rest?.op !== 'select') return undefined;
  const [four, two, greater] = rest.args;
  if (four.imm !== 4 || two.imm !== 2 || !(less instanceof I32) || !(greater instanceof I32)) return undefined;
  if (bit === LESS) return less;
  const [a, b] = less.args;
  if (greater.args[0] !== a) return undefined;
  const sameOperands = greater.args[1] === b;
  if (a instanceof I32 && b instanceof I32) {
    const unsigned = less.op === 'i32.lt_u' && greater.op === 'i32.gt_u';
    const signed = less.op === 'i32.lt_s' && greater.op === 'i32.gt_s';
    if (!sameOperands || (!unsigned && !signed)) return undefined;
    return bit === GREATER ? greater : a.eq(b);
  }
  if (!(a instanceof I64) || !(b instanceof I64)) return undefined;
  const unsigned = less.op === 'i64.lt_u' && greater.op === 'i64.gt_u' && sameOperands;
  const signed = less.op === 'i64.lt_s' && greater.op === 'i64.gt_s' && sameOperands;
  const withZero = less.op === 'i64.lt_s' && greater.op === 'i64.ne' && b.known === 0n;
  if (!unsigned && !signed && !withZero) return undefined;
  if (bit === GREATER) return withZero ? a.gtS(0n) : greater;
  return withZero ? a.eqz() : a.eq(b);
}

function groupOf(groups: readonly AccessGroup[], base: I64): AccessGroup | undefined {
  for (const group of groups) if (group.base === base) return group;
  return undefined;
}
/** `groups` with one for a base that takes the place of an earlier one. */
function replaced(groups: readonly AccessGroup[], group: AccessGroup): readonly AccessGroup[] {
  const others = groups.filter(({ base }) => base !== group.base);
  others.push(group);
  return others;
}

/** An address as a value and a known distance from it, in bytes. */
function distanceFrom(ea: I64): { base: I64; distance: number } {
  let base = ea;
  let distance = 0;
  while (base.op === 'i64.add') {
    const [from, by] = base.args as readonly I64[];
    const sum = by.known === undefined ? Number.NaN : distance + Number(by.known);
    if (!(Math.abs(sum) < 2 ** 31)) break;
    base = from;
    distance = sum;
  }
  return { base, distance };
}
