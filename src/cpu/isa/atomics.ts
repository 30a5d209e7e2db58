// Load and reserve, store conditional, atomic memory operations (ISA 3.0B II 4.5, 4.6.2).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const atomicRows = [
  // II 4.6.2 Load And Reserve and Store Conditional Instructions
  { op: 'lbarx',  bits: '011111 rt:5 ra:5 rb:5 0000110100 eh:1',  class: 'atomic', isa: '2.07', zero: 'ra' },
  { op: 'lharx',  bits: '011111 rt:5 ra:5 rb:5 0001110100 eh:1',  class: 'atomic', isa: '2.07', zero: 'ra' },
  { op: 'lwarx',  bits: '011111 rt:5 ra:5 rb:5 0000010100 eh:1',  class: 'atomic', zero: 'ra' },
  { op: 'stbcx.', bits: '011111 rs:5 ra:5 rb:5 10101101101',      class: 'atomic', isa: '2.07', zero: 'ra' },
  { op: 'sthcx.', bits: '011111 rs:5 ra:5 rb:5 10110101101',      class: 'atomic', isa: '2.07', zero: 'ra' },
  { op: 'stwcx.', bits: '011111 rs:5 ra:5 rb:5 00100101101',      class: 'atomic', zero: 'ra' },
  { op: 'ldarx',  bits: '011111 rt:5 ra:5 rb:5 0001010100 eh:1',  class: 'atomic', zero: 'ra' },
  { op: 'stdcx.', bits: '011111 rs:5 ra:5 rb:5 00110101101',      class: 'atomic', zero: 'ra' },
  { op: 'lqarx',  bits: '011111 rtp:5 ra:5 rb:5 0100010100 eh:1', class: 'atomic', isa: '2.07', zero: 'ra' },
  { op: 'stqcx.', bits: '011111 rsp:5 ra:5 rb:5 00101101101',     class: 'atomic', isa: '2.07', zero: 'ra' },
  // II 4.5 Atomic Memory Operations
  { op: 'lwat',   bits: '011111 rt:5 ra:5 fc:5 1001000110 .', class: 'atomic-mem', isa: '3.0', zero: 'ra' },
  { op: 'ldat',   bits: '011111 rt:5 ra:5 fc:5 1001100110 .', class: 'atomic-mem', isa: '3.0', zero: 'ra' },
  { op: 'stwat',  bits: '011111 rs:5 ra:5 fc:5 1011000110 .', class: 'atomic-mem', isa: '3.0', zero: 'ra' },
  { op: 'stdat',  bits: '011111 rs:5 ra:5 fc:5 1011100110 .', class: 'atomic-mem', isa: '3.0', zero: 'ra' },
] as const satisfies readonly InstructionRow[];
