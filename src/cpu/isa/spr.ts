// Moves to and from special registers (ISA 3.0B I 3.3.17, II 6, III 4.4.4). Who may execute mfspr and mtspr depends on the SPR number,
// see cpu/state; the rows carry no privilege for that reason.

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const sprRows = [
  // I 3.3.17 and III 4.4.4 Move To/From System Register Instructions
  { op: 'mtspr',  bits: '011111 rs:5 spr/1:5 spr/0:5 0111010011 .', class: 'spr', asm: 'spr,rs' },
  { op: 'mfspr',  bits: '011111 rt:5 spr/1:5 spr/0:5 0101010011 .', class: 'spr' },
  { op: 'mtcrf',  bits: '011111 rs:5 0 fxm:8 . 0010010000 .',       class: 'cr', asm: 'fxm,rs' },
  { op: 'mtocrf', bits: '011111 rs:5 1 fxm:8 . 0010010000 .',       class: 'cr', asm: 'fxm,rs' },
  { op: 'mfcr',   bits: '011111 rt:5 0 ......... 0000010011 .',     class: 'cr', asm: 'rt,-1' },
  { op: 'mfocrf', bits: '011111 rt:5 1 fxm:8 . 0000010011 .',       class: 'cr' },
  { op: 'mcrxrx', bits: '011111 bf:3 ............ 1001000000 .',    class: 'cr', isa: '3.0' },
  // III 4.4.4 Move To/From Machine State Register
  { op: 'mtmsr',  bits: '011111 rs:5 .... l:1 ..... 0010010010 .', class: 'sys', priv: 's', ends: 'block' },
  { op: 'mtmsrd', bits: '011111 rs:5 .... l:1 ..... 0010110010 .', class: 'sys', priv: 's', ends: 'block' },
  { op: 'mfmsr',  bits: '011111 rt:5 .......... 0001010011 .',     class: 'sys', priv: 's' },
  // II 6.1 Time Base
  { op: 'mftb',   bits: '011111 rt:5 tbr/1:5 tbr/0:5 0101110011 .', class: 'spr' },
] as const satisfies readonly InstructionRow[];
