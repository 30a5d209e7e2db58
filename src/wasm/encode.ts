// From a function's statements to the bytes of its WebAssembly body.

import { assert } from '../util/errors.ts';
import { ByteWriter } from './bytes.ts';
import {
  type FunctionBuilder,
  FunctionRef,
  type GlobalRef,
  type Label,
  type SignatureRef,
  type Statement,
  type Value,
  type VariableSlot,
} from './ir.ts';
import { opcode, type ValueType, valueTypeCode } from './opcodes.ts';

const OP_END = 0x0b;
const OP_ELSE = 0x05;

const loadOps = { i32: 'i32.load', i64: 'i64.load', f32: 'f32.load', f64: 'f64.load', v128: 'v128.load' } as const;
const storeOps = {
  i32: 'i32.store',
  i64: 'i64.store',
  f32: 'f32.store',
  f64: 'f64.store',
  v128: 'v128.store',
} as const;

/** A branch of a body by its byte offset, and whether it is usually taken. */
export interface BranchHint {
  readonly offset: number;
  readonly likely: boolean;
}

export interface EncodedBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly hints: readonly BranchHint[];
}

export function encodeBody(fn: FunctionBuilder): EncodedBody {
  return new BodyEncoder(fn).encode();
}

/** Values that nobody uses do not use their operands either. Users come after what they use. */
function dropDeadUses(list: readonly Statement[]): void {
  for (let i = list.length - 1; i >= 0; i--) {
    const s = list[i];
    switch (s.kind) {
      case 'pure':
        if (s.uses === 0) for (const arg of s.args) arg.uses--;
        break;
      case 'if':
        dropDeadUses(s.no);
        dropDeadUses(s.yes);
        break;
      case 'block':
      case 'loop':
      case 'list':
        dropDeadUses(s.body);
        break;
    }
  }
}

class BodyEncoder {
  private readonly fn: FunctionBuilder;
  private readonly code = new ByteWriter();
  private readonly locals: ValueType[] = [];
  private readonly hints: BranchHint[] = [];
  /** Locals whose value nobody needs any more. */
  private readonly free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  private readonly labels: Label[] = [];
  /** The value whose local the last instruction sets, if `setTo` is where the code ends, and where that instruction starts. */
  private lastSet: Value | undefined;
  private setFrom = 0;
  private setTo = -1;

  constructor(fn: FunctionBuilder) {
    this.fn = fn;
  }

  encode(): EncodedBody {
    dropDeadUses(this.fn.body);
    this.statements(this.fn.body);
    if (this.fn.signature.result) this.code.u8(0x00); // a result is always returned by a statement
    this.code.u8(OP_END);
    const out = new ByteWriter();
    const groups: { type: ValueType; count: number }[] = [];
    for (const type of this.locals) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    out.unsigned(groups.length);
    for (const { type, count } of groups) {
      out.unsigned(count);
      out.u8(valueTypeCode[type]);
    }
    const start = out.length;
    out.append(this.code.bytes());
    const hints = this.hints.map(({ offset, likely }) => ({ offset: offset + start, likely }));
    return { bytes: out.bytes(), hints };
  }

  private statements(list: readonly Statement[]): void {
    for (const statement of list) this.statement(statement);
  }

  private statement(s: Statement): void {
    const { code } = this;
    switch (s.kind) {
      case 'pure':
      case 'effect':
        this.compute(s);
        return;
      case 'saveSlots':
        for (const { slot, address } of s.slots) {
          code.u8(0x41);
          code.signed(address);
          code.u8(0x20);
          code.unsigned(this.slotLocal(slot));
          this.op(storeOps[slot.type]);
          code.unsigned(0);
          code.unsigned(0);
        }
        return;
      case 'loadSlots':
        for (const { slot, address } of s.slots) {
          code.u8(0x41);
          code.signed(address);
          this.op(loadOps[slot.type]);
          code.unsigned(0);
          code.unsigned(0);
          code.u8(0x21);
          code.unsigned(this.slotLocal(slot));
        }
        return;
      case 'store':
        this.push(s.address);
        this.push(s.value);
        this.op(s.op);
        code.unsigned(0);
        code.unsigned(s.operand.offset);
        return;
      case 'set':
        this.push(s.value);
        code.u8(0x21);
        code.unsigned(this.slotLocal(s.slot));
        return;
      case 'setGlobal':
        this.push(s.value);
        code.u8(0x24);
        code.unsigned(s.global.index);
        return;
      case 'call':
        for (const arg of s.args) this.push(arg);
        code.u8(0x10);
        code.unsigned(s.target.index);
        return;
      case 'bulk':
        for (const arg of s.args) this.push(arg);
        code.u8(0xfc);
        code.unsigned(s.op === 'memory.copy' ? 10 : 11);
        code.u8(0);
        if (s.op === 'memory.copy') code.u8(0);
        return;
      case 'if':
        this.push(s.condition);
        if (s.likely !== undefined) this.hints.push({ offset: code.length, likely: s.likely });
        code.u8(0x04);
        code.u8(0x40);
        this.labels.push(s.label);
        this.statements(s.yes);
        if (s.no.length) {
          code.u8(OP_ELSE);
          this.statements(s.no);
        }
        this.labels.pop();
        code.u8(OP_END);
        return;
      case 'block':
      case 'loop':
        code.u8(s.kind === 'block' ? 0x02 : 0x03);
        code.u8(0x40);
        this.labels.push(s.label);
        this.statements(s.body);
        this.labels.pop();
        code.u8(OP_END);
        return;
      case 'list':
        this.statements(s.body);
        return;
      case 'br':
        if (s.condition) {
          this.push(s.condition);
          code.u8(0x0d);
        } else code.u8(0x0c);
        code.unsigned(this.depth(s.label));
        return;
      case 'switch':
        this.push(s.index);
        code.u8(0x0e);
        code.unsigned(s.cases.length);
        for (const label of s.cases) code.unsigned(this.depth(label));
        code.unsigned(this.depth(s.otherwise));
        return;
      case 'return':
        if (s.value) this.push(s.value);
        code.u8(0x0f);
        return;
      case 'returnCall':
        for (const arg of s.args) this.push(arg);
        if (s.target instanceof FunctionRef) {
          code.u8(0x12);
          code.unsigned(s.target.index);
        } else {
          code.u8(0x13);
          code.unsigned(s.target.index);
          code.u8(0);
        }
        return;
      case 'unreachable':
        code.u8(0x00);
        return;
    }
  }

  private depth(label: Label): number {
    const at = this.labels.lastIndexOf(label);
    if (at < 0) assert(false, `${this.fn.name}: branch to a label that is not open`);
    return this.labels.length - 1 - at;
  }

  private newLocal(type: ValueType): number {
    const again = this.free[type].pop();
    if (again !== undefined) return again;
    this.locals.push(type);
    return this.fn.params.length + this.locals.length - 1;
  }

  private slotLocal(slot: VariableSlot): number {
    if (slot.local < 0) slot.local = this.newLocal(slot.type);
    return slot.local;
  }

  /** An effect happens where it stands; its result waits in a local unless nobody wants it. */
  private compute(value: Value): void {
    // A pure value with one use is emitted at that use, and one without any never.
    if (value.kind === 'pure' && (value.uses === 0 || (value.uses < 2 && !value.usedInInnerLoop))) return;
    if (value.op === 'get') {
      const slot = value.imm as VariableSlot;
      if (slot.once) {
        if (value.uses === 0) this.free[value.type].push(this.slotLocal(slot));
        else value.local = this.slotLocal(slot);
        return;
      }
      if (value.uses === 0) return;
    }
    this.instruction(value);
    if (value.uses === 0) {
      this.code.u8(0x1a);
      return;
    }
    value.local = this.newLocal(value.type);
    this.setFrom = this.code.length;
    this.code.u8(0x21);
    this.code.unsigned(value.local);
    this.setTo = this.code.length;
    this.lastSet = value;
  }

  private push(value: Value): void {
    if (value.local >= 0) {
      // What a loop may come back to keeps its local.
      const last = --value.uses === 0 && !value.usedInInnerLoop;
      if (this.lastSet === value && this.setTo === this.code.length) {
        // It has just been put there: it stays on the stack, and in the local if there is more to come.
        this.code.truncate(this.setFrom);
        this.lastSet = undefined;
        if (!last) {
          this.code.u8(0x22);
          this.code.unsigned(value.local);
        }
      } else {
        this.code.u8(0x20);
        this.code.unsigned(value.local);
      }
      if (last) this.free[value.type].push(value.local);
      return;
    }
    switch (value.kind) {
      case 'const':
        this.constant(value);
        return;
      case 'param':
        this.code.u8(0x20);
        this.code.unsigned(value.imm as number);
        return;
      case 'effect':
        assert(false, `${this.fn.name}: ${value.op} is used outside the part that computed it`);
        return;
      case 'pure':
        this.instruction(value);
    }
  }

  private instruction(value: Value): void {
    for (const arg of value.args) this.push(arg);
    const { code } = this;
    const { imm, op } = value;
    if (op === 'call') {
      code.u8(0x10);
      code.unsigned((imm as FunctionRef).index);
    } else if (op === 'call_indirect') {
      code.u8(0x11);
      code.unsigned((imm as SignatureRef).index);
      code.u8(0);
    } else if (op === 'get') {
      code.u8(0x20);
      code.unsigned(this.slotLocal(imm as VariableSlot));
    } else if (op === 'global.get') {
      code.u8(0x23);
      code.unsigned((imm as GlobalRef).index);
    } else if (op === 'select') {
      if (value.type === 'v128') {
        code.u8(0x1c);
        code.u8(1);
        code.u8(valueTypeCode.v128);
      } else code.u8(0x1b);
    } else {
      this.op(op);
      if (imm instanceof Uint8Array) code.append(imm);
      else if (typeof imm === 'number') code.u8(imm);
      else if (imm && typeof imm === 'object' && 'operand' in imm) {
        code.unsigned(0);
        code.unsigned(imm.operand.offset);
        if (imm.lane !== undefined) code.u8(imm.lane);
      }
    }
  }

  private constant(value: Value): void {
    const { code } = this;
    switch (value.type) {
      case 'i32':
        code.u8(0x41);
        code.signed(value.imm as number);
        return;
      case 'i64':
        code.u8(0x42);
        code.signed64(value.imm as bigint);
        return;
      case 'f32':
        code.u8(0x43);
        code.f32(value.imm as number);
        return;
      case 'f64':
        code.u8(0x44);
        code.f64(value.imm as number);
        return;
      case 'v128':
        code.u8(0xfd);
        code.unsigned(12);
        code.append(value.imm as Uint8Array);
    }
  }

  private op(name: string): void {
    const { prefix, code } = opcode(name);
    if (prefix) {
      this.code.u8(prefix);
      this.code.unsigned(code);
    } else this.code.u8(code);
  }
}
