// The emitter of the interpreter: operand fields come from the instruction word at run time, registers are in memory.

import { hostAddressSlow, loadSlow, probeVector, storeSlow } from '../../mmu/access.ts';
import { ACCESS } from '../../mmu/radix.ts';
import {
  contextChanged,
  contextFor,
  dataEntryOffset,
  flushAll,
  flushFetch,
  forgetPid,
  forgetRange,
} from '../../mmu/tlb.ts';
import { assert } from '../../util/errors.ts';
import type { FunctionBuilder, FunctionRef, I32, I64, V128 } from '../../wasm/ir.ts';
import { timebaseNow } from '../control/interrupts.ts';
import type { Field, Instruction } from '../isa/table.ts';
import type { Access, Emitter, StaticField } from '../semantics/emitter.ts';
import type { HostCall } from '../semantics/hostcall.ts';
import { byteSwap32, byteSwap64, get32, get64, type RuntimeFunction, set32, set64 } from '../semantics/runtime.ts';
import { type StateField, stateLayout, stateOffset } from '../state/layout.ts';
import { DECODED_SLOT_BYTES, dataTlbEntry, STATE_BASE } from '../state/memory-map.ts';
import { MSR, MSR_IMPLEMENTED, PROGRAM, VECTOR } from '../state/msr.ts';
import { checkAccess, fpEnabledDue, inProblemState, noteFacility } from './access-checks.ts';
import { addressOf, type InterpreterParts, pageOfSlot } from './parts.ts';

const loadOps = { 1: 'i64.load8_u', 2: 'i64.load16_u', 4: 'i64.load32_u', 8: 'i64.load' } as const;
const storeOps = { 1: 'i64.store8', 2: 'i64.store16', 4: 'i64.store32', 8: 'i64.store' } as const;

export class InterpreterEmitter implements Emitter {
  readonly fn: FunctionBuilder;
  readonly fuses = false;
  /** Set when the meaning looked at byte order or width, so that the usual mode and others need different handlers. */
  modeDependent = false;
  private readonly parts: InterpreterParts;
  private readonly instruction: Instruction;
  private readonly flags: Readonly<Partial<Record<StaticField, boolean>>>;
  private readonly anyMode: boolean;
  private readonly ip: I32;
  private readonly word: I32;

  constructor(
    fn: FunctionBuilder,
    parts: InterpreterParts,
    instruction: Instruction,
    flags: Readonly<Partial<Record<StaticField, boolean>>>,
    anyMode: boolean,
  ) {
    this.fn = fn;
    this.parts = parts;
    this.instruction = instruction;
    this.flags = flags;
    this.anyMode = anyMode;
    this.ip = fn.param32(0);
    this.word = fn.param32(1);
  }

  /** Privilege, then facility (ISA 3.0B III 6.5.9, 6.5.10, 6.7.19). */
  prologue(): void {
    checkAccess(this, this.instruction);
  }

  /** Goes on behind the instruction, for meanings that end without saying where. */
  finish(): void {
    this.fn.return(this.ip.add(DECODED_SLOT_BYTES));
  }

  flag(name: StaticField): boolean {
    return this.flags[name] ?? false;
  }

  private fieldOf(name: string): Field {
    const field = this.instruction.fields.get(name);
    assert(field, `${this.instruction.op} has no field ${name}`);
    return field;
  }

  field(name: string): I32 {
    const field = this.fieldOf(name);
    const { fn, word } = this;
    let value: I32 | undefined;
    let remaining = field.bits;
    field.pieces.forEach((piece, index) => {
      const length = piece.last - piece.first + 1;
      remaining -= length;
      const part =
        field.signed && index === 0
          ? word.shl(piece.first).shrS(32 - length)
          : piece.first === 0
            ? word.shrU(32 - length)
            : word.shrU(31 - piece.last).and((1 << length) - 1);
      const placed = part.shl(remaining);
      value = value ? value.or(placed) : placed;
    });
    return value ?? fn.i32(0);
  }

  field64(name: string): I64 {
    const value = this.field(name);
    return this.fieldOf(name).signed ? value.extendS() : value.extendU();
  }

  /** Byte offset of element `field` in an array of 2^shift byte elements. */
  private scaled(name: string, shift: number): I32 {
    const field = this.fieldOf(name);
    const [piece] = field.pieces;
    const length = piece.last - piece.first + 1;
    const down = 31 - piece.last - shift;
    if (field.pieces.length === 1 && down >= 0) {
      return this.word.shrU(down).and(((1 << length) - 1) << shift);
    }
    return this.field(name).shl(shift);
  }

  gpr(field: string): I64 {
    return this.fn.load64(this.scaled(field, 3), STATE_BASE + stateOffset('gpr'));
  }
  gprOr0(field: string): I64 {
    const value = this.gpr(field);
    return value.selectIf(this.scaled(field, 3), 0n);
  }
  setGpr(field: string, value: I64): void {
    this.fn.store64(this.scaled(field, 3), value, STATE_BASE + stateOffset('gpr'));
  }
  gprAt(index: I32): I64 {
    return this.fn.load64(index.shl(3), STATE_BASE + stateOffset('gpr'));
  }
  setGprAt(index: I32, value: I64): void {
    this.fn.store64(index.shl(3), value, STATE_BASE + stateOffset('gpr'));
  }

  fpr(field: string): I64 {
    return this.fn.load64(this.scaled(field, 4), STATE_BASE + stateOffset('vsr') + 8);
  }
  setFpr(field: string, bits: I64): void {
    const at = this.scaled(field, 4);
    this.fn.store64(at, bits, STATE_BASE + stateOffset('vsr') + 8);
    this.fn.store64(at, 0n, STATE_BASE + stateOffset('vsr'));
  }
  fprAt(index: I32): I64 {
    return this.fn.load64(index.shl(4), STATE_BASE + stateOffset('vsr') + 8);
  }
  setFprAt(index: I32, bits: I64): void {
    this.fn.store64(index.shl(4), bits, STATE_BASE + stateOffset('vsr') + 8);
    this.fn.store64(index.shl(4), 0n, STATE_BASE + stateOffset('vsr'));
  }

  vr(field: string): V128 {
    return this.fn.loadV128(this.scaled(field, 4), STATE_BASE + stateOffset('vsr', 32));
  }
  setVr(field: string, value: V128): void {
    this.fn.storeV128(this.scaled(field, 4), value, STATE_BASE + stateOffset('vsr', 32));
  }
  vsr(field: string): V128 {
    return this.fn.loadV128(this.scaled(field, 4), STATE_BASE + stateOffset('vsr'));
  }
  setVsr(field: string, value: V128): void {
    this.fn.storeV128(this.scaled(field, 4), value, STATE_BASE + stateOffset('vsr'));
  }
  setVsrScalar(field: string, bits: I64): void {
    const at = this.scaled(field, 4);
    this.fn.store64(at, bits, STATE_BASE + stateOffset('vsr') + 8);
    this.fn.store64(at, 0n, STATE_BASE + stateOffset('vsr'));
  }
  vsrDoubleword(field: string, index: 0 | 1): I64 {
    return this.fn.load64(this.scaled(field, 4), STATE_BASE + stateOffset('vsr') + (index === 0 ? 8 : 0));
  }

  private crAddress(index: I32 | number): I32 {
    return this.fn.toI32(index).shl(2);
  }
  crField(index: I32 | number): I32 {
    return this.fn.load32(this.crAddress(index), STATE_BASE + stateOffset('cr'));
  }
  setCrField(index: I32 | number, value: I32): void {
    this.fn.store32(this.crAddress(index), value, STATE_BASE + stateOffset('cr'));
  }
  crBit(index: I32): I32 {
    return this.crField(index.shrU(2)).shrU(index.not().and(3)).and(1);
  }
  setCrBit(index: I32, value: I32): void {
    const field = index.shrU(2);
    const place = index.not().and(3);
    const others = this.crField(field).and(this.fn.i32(1).shl(place).not());
    this.setCrField(field, others.or(value.shl(place)));
  }
  record(value: I64): void {
    if (!this.flag('rc') && !this.instruction.op.endsWith('.')) return;
    const { fn } = this;
    const looked = value.selectIf(this.wide(), value.extend32S());
    const order = fn.i32(8).selectIf(looked.ltS(0n), fn.i32(4).selectIf(looked.ne(0n), 2));
    this.setCrField(0, order.or(get32(fn, 'so')));
  }

  state32(name: StateField, index = 0): I32 {
    assert(stateLayout[name].type === 'i32', `${name} is 32-bit`);
    return get32(this.fn, name, index);
  }
  setState32(name: StateField, value: I32, index = 0): void {
    assert(stateLayout[name].type === 'i32', `${name} is 32-bit`);
    set32(this.fn, name, value, index);
  }
  state64(name: StateField, index = 0): I64 {
    assert(stateLayout[name].type === 'i64', `${name} is 64-bit`);
    return get64(this.fn, name, index);
  }
  setState64(name: StateField, value: I64, index = 0): void {
    assert(stateLayout[name].type === 'i64', `${name} is 64-bit`);
    set64(this.fn, name, value, index);
  }

  cia(): I64 {
    return addressOf(this.fn, this.parts.pageEa, this.ip);
  }
  nia(): I64 {
    return this.cia().add(4);
  }

  wide(): I32 {
    this.modeDependent = true;
    return this.anyMode ? get64(this.fn, 'msr').ltS(0n) : this.fn.i32(1);
  }
  ea(value: I64): I64 {
    return value.selectIf(this.wide(), value.low32());
  }
  littleEndian(): I32 {
    this.modeDependent = true;
    return this.anyMode ? get64(this.fn, 'msr').and(MSR.LE).wrap() : this.fn.i32(1);
  }
  private ordered(value: I64, bytes: 1 | 2 | 4 | 8): I64 {
    if (bytes === 1) return value;
    const swapped =
      bytes === 8
        ? byteSwap64(value)
        : bytes === 4
          ? byteSwap32(value.wrap()).extendU()
          : byteSwap32(value.wrap()).shrU(16).extendU();
    return value.selectIf(this.littleEndian(), swapped);
  }

  private probe(ea: I64, bytes: number, access: Access): { hit: I32; address: I32 } {
    const { fn } = this;
    const entry = dataEntryOffset(ea).add(get32(fn, 'dataTlb'));
    const context = contextFor(
      ea,
      get64(fn, 'contextKernel'),
      get64(fn, access === 'load' ? 'contextRead' : 'contextWrite'),
    );
    // The page of the last byte: an access that crosses into the next page misses.
    const wanted = ea
      .add(bytes - 1)
      .and(-4096n)
      .or(context);
    const tag = fn.load64(entry, access === 'load' ? dataTlbEntry.readTag : dataTlbEntry.writeTag);
    return { hit: tag.eq(wanted), address: ea.wrap().add(fn.load32(entry, dataTlbEntry.addend)) };
  }

  private leaveOnFault(): void {
    const { fn } = this;
    fn.if(get32(fn, 'fault'), () => fn.return(fn.call('i32', this.parts.leave, [this.ip])));
  }

  load(address: I64, bytes: 1 | 2 | 4 | 8): I64 {
    const { fn } = this;
    const ea = this.ea(address);
    const { hit, address: host } = this.probe(ea, bytes, 'load');
    const value = fn.choose(
      hit,
      () => fn.load('i64', loadOps[bytes], host),
      () => {
        const slow = fn.call('i64', this.runtime(loadSlow), [ea, fn.i32(bytes)]);
        this.leaveOnFault();
        return slow;
      },
    );
    return this.ordered(value, bytes);
  }

  store(address: I64, bytes: 1 | 2 | 4 | 8, value: I64): void {
    const { fn } = this;
    const ea = this.ea(address);
    const ordered = this.ordered(value, bytes);
    const { hit, address: host } = this.probe(ea, bytes, 'store');
    fn.if(
      hit,
      () => fn.store(storeOps[bytes], host, ordered),
      () => {
        fn.callVoid(this.runtime(storeSlow), [ea, fn.i32(bytes), ordered, pageOfSlot(this.ip)]);
        this.leaveOnFault();
      },
    );
  }

  private orderedVector(value: V128): V128 {
    const reversed = value.shuffle(value, [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    return value.selectIf(this.littleEndian(), reversed);
  }

  loadVector(address: I64): V128 {
    const { fn } = this;
    const ea = this.ea(address);
    const { hit, address: host } = this.probe(ea, 16, 'load');
    const value = fn.choose(
      hit,
      () => fn.loadV128(host),
      () => {
        fn.callVoid(this.runtime(probeVector), [ea, fn.i32(ACCESS.load)]);
        this.leaveOnFault();
        const low = fn.call('i64', this.runtime(loadSlow), [ea, fn.i32(8)]);
        this.leaveOnFault();
        const high = fn.call('i64', this.runtime(loadSlow), [this.ea(ea.add(8)), fn.i32(8)]);
        this.leaveOnFault();
        return fn.v128From64(high, low);
      },
    );
    return this.orderedVector(value);
  }

  storeVector(address: I64, value: V128): void {
    const { fn } = this;
    const ea = this.ea(address);
    const ordered = this.orderedVector(value);
    const { hit, address: host } = this.probe(ea, 16, 'store');
    fn.if(
      hit,
      () => fn.storeV128(host, ordered),
      () => {
        const running = pageOfSlot(this.ip);
        fn.callVoid(this.runtime(probeVector), [ea, fn.i32(ACCESS.store)]);
        this.leaveOnFault();
        fn.callVoid(this.runtime(storeSlow), [ea, fn.i32(8), ordered.extract64(0), running]);
        this.leaveOnFault();
        fn.callVoid(this.runtime(storeSlow), [this.ea(ea.add(8)), fn.i32(8), ordered.extract64(1), running]);
        this.leaveOnFault();
      },
    );
  }

  hostAddress(address: I64, bytes: number, access: Access): I32 {
    const { fn } = this;
    const ea = this.ea(address);
    const { hit, address: host } = this.probe(ea, bytes, access);
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
          pageOfSlot(this.ip),
        ]);
        this.leaveOnFault();
        return slow;
      },
    );
  }

  jump(target: I64): void {
    const { fn } = this;
    const to = this.ea(target).and(-4n);
    fn.return(fn.call('i32', this.parts.goTo, [to]));
  }

  jumpRelative(displacement: I64): void {
    const { fn, ip } = this;
    const target = ip.add(displacement.wrap().shl(1));
    // Within the page the slots are side by side.
    fn.if(target.xor(ip).and(-0x2000).eqz(), () => fn.return(fn.call('i32', this.parts.arrive, [target])));
    this.jump(this.cia().add(displacement));
  }

  private raise(vector: I32, cause: I32, ahead: number): void {
    const { fn } = this;
    fn.return(fn.call('i32', this.parts.raise, [this.ip, vector, cause, fn.i32(ahead)]));
  }
  interrupt(vector: number, srr1 = 0): void {
    this.raise(this.fn.i32(vector), this.fn.i32(srr1), 0);
  }
  interruptAfter(vector: number): void {
    this.raise(this.fn.i32(vector), this.fn.i32(0), 4);
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

  setMsr(msr: I64, nia: I64): void {
    const { fn } = this;
    const old = get64(fn, 'msr');
    const next = msr.and(MSR_IMPLEMENTED);
    set64(fn, 'msr', next);
    const width = MSR.SF | MSR.LE;
    fn.if(old.xor(next).and(width).ne(0n), () => fn.callVoid(this.runtime(flushFetch), []));
    fn.callVoid(this.runtime(contextChanged), []);
    set64(fn, 'nia', nia.low32().selectIf(next.geS(0n), nia).and(-4n));
    fn.return(fn.call('i32', this.parts.resume, []));
  }
  contextChanged(): void {
    this.fn.callVoid(this.runtime(contextChanged), []);
  }
  invalidateAll(): void {
    this.fn.callVoid(this.runtime(flushAll), []);
    this.contextChanged();
  }
  invalidatePid(pid: I64): void {
    this.fn.callVoid(this.runtime(forgetPid), [pid]);
    this.contextChanged();
  }
  invalidateRange(ea: I64, bytes: I64): void {
    this.fn.callVoid(this.runtime(forgetRange), [ea, bytes]);
  }
  timebase(): I64 {
    return timebaseNow(this.fn);
  }

  runtime(f: RuntimeFunction): FunctionRef {
    return this.parts.runtime.ref(f);
  }
  hostCall(call: HostCall): void {
    this.fn.callVoid(this.parts.runtime.hostCall, [this.fn.i32(this.parts.hostCallNumber(call))]);
  }
  exit(reason: number, detail?: I32): void {
    const { fn } = this;
    set64(fn, 'nia', this.nia());
    set32(fn, 'exitReason', reason);
    if (detail) set32(fn, 'exitDetail', detail);
    fn.return(fn.i32(0));
  }
}
