// How a decimal operation leaves FPSCR (ISA 3.0B I 5.5.10).

import { ENABLES, EXCEPTIONS, FPSCR, VX_ALL } from '../fpu/fpscr.ts';

/** Enabled invalid operations and divisions by zero leave the target alone. */
export function suppressesResult(fpscr: number, raised: number): boolean {
  const invalid = (raised & VX_ALL) !== 0 && (fpscr & FPSCR.VE) !== 0;
  return invalid || ((raised & FPSCR.ZX) !== 0 && (fpscr & FPSCR.ZE) !== 0);
}

/** The low word of FPSCR with exceptions added to it, and what follows from them. */
export function withExceptions(fpscr: number, raised: number): number {
  const exceptions = raised & EXCEPTIONS;
  let next = fpscr | exceptions;
  if (exceptions & ~fpscr) next |= FPSCR.FX;
  next = next & VX_ALL ? next | FPSCR.VX : next & ~FPSCR.VX;
  // VX, OX, UX, ZX and XX stand in the same order as their enable bits.
  const enabled = (next >>> 22) & next & ENABLES;
  return (enabled ? next | FPSCR.FEX : next & ~FPSCR.FEX) >>> 0;
}
