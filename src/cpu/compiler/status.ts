// FPSCR in a region: what the last arithmetic operation was is kept in locals, and settled where somebody looks, at the
// latest where the region is left. So outside of regions FPSCR is always up to date.
//
// Most regions have no scalar arithmetic, and which they are is only known at their end: until then code that settles,
// or reads the guard anew, is a place.

import type { FunctionBuilder, FunctionRef, I32, I64, Statement, Variable } from '../../wasm/ir.ts';
import { type DeferredStatus, guardOf, OWED_COMPARE } from '../semantics/fpu/deferred.ts';
import { settleStatus } from '../semantics/fpu/scalar.ts';
import { get64, type RuntimeFunction } from '../semantics/runtime.ts';

export class RegionStatus implements DeferredStatus {
  /** The instruction has called what changes FPSCR. */
  touched = false;
  private readonly fn: FunctionBuilder;
  private readonly runtime: (f: RuntimeFunction) => FunctionRef;
  private readonly guardVariable: Variable<'i32'>;
  /** 0 if nothing is owed. */
  private readonly owed: Variable<'i32'>;
  private readonly operands: readonly Variable<'f64'>[];
  /** Where variables get their first value. */
  private readonly start: Statement[];
  private readonly settling: Statement[][] = [];
  private readonly loading: Statement[][] = [];
  private guarded = false;
  private owes = false;

  constructor(fn: FunctionBuilder, runtime: (f: RuntimeFunction) => FunctionRef) {
    this.fn = fn;
    this.runtime = runtime;
    this.guardVariable = fn.variable('i32');
    this.owed = fn.variable('i32');
    this.operands = [0, 1, 2].map(() => fn.variable('f64'));
    this.start = fn.later();
  }

  guard(): I32 {
    this.guarded = true;
    return this.guardVariable.get();
  }
  owe(kind: number, operands: readonly I64[]): void {
    this.owes = true;
    operands.forEach((bits, index) => {
      this.operands[index].set(bits.reinterpretF64());
    });
    this.owed.set(this.fn.i32(kind));
  }
  oweCompare(field: I32): void {
    this.owes = true;
    const operation = this.owed.get().and(0xff);
    this.owed.set(operation.or(field.shl(8)).or(OWED_COMPARE));
  }
  settle(): void {
    this.settling.push(this.fn.later());
  }
  changed(): void {
    this.touched = false;
    this.reload();
  }
  /** Reads the guard anew. */
  reload(): void {
    this.loading.push(this.fn.later());
  }

  /** Fills in the places, at the end of the region. */
  finish(): void {
    const { fn, owed } = this;
    if (this.owes) {
      // All of them: a variable that first occurs in a loop may share its local with what comes before it there.
      fn.fillPlace(this.start, () => {
        owed.set(fn.i32(0));
        for (const operand of this.operands) operand.set(fn.f64(0));
      });
      for (const place of this.settling) {
        fn.fillPlace(place, () => {
          fn.if(owed.get(), () => {
            fn.callVoid(this.runtime(settleStatus), [owed.get(), ...this.operands.map((operand) => operand.get())]);
            owed.set(fn.i32(0));
          });
        });
      }
    }
    if (!this.guarded) return;
    for (const place of this.loading) {
      fn.fillPlace(place, () => this.guardVariable.set(guardOf(get64(fn, 'fpscr'))));
    }
  }
}
