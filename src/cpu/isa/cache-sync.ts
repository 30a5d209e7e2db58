// Storage control and ordering in Book II (ISA 3.0B II 4.3, 4.4, 4.6).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const cacheSyncRows = [
  // II 4.3.1 Instruction Cache Instructions
  { op: 'icbi',    bits: '011111 ..... ra:5 rb:5 1111010110 .',  class: 'cache', zero: 'ra' },
  { op: 'icbt',    bits: '011111 . ct:4 ra:5 rb:5 0000010110 .', class: 'cache', isa: '2.07', zero: 'ra' },
  // II 4.3.2 Data Cache Instructions
  { op: 'dcbt',    bits: '011111 th:5 ra:5 rb:5 0100010110 .',    class: 'cache', isa: '2.00', zero: 'ra', asm: 'ra,rb,th' },
  { op: 'dcbtst',  bits: '011111 th:5 ra:5 rb:5 0011110110 .',    class: 'cache', isa: '2.00', zero: 'ra', asm: 'ra,rb,th' },
  { op: 'dcbz',    bits: '011111 ..... ra:5 rb:5 1111110110 .',   class: 'cache', zero: 'ra' },
  { op: 'dcbst',   bits: '011111 ..... ra:5 rb:5 0000110110 .',   class: 'cache', zero: 'ra' },
  { op: 'dcbf',    bits: '011111 ... l:2 ra:5 rb:5 0001010110 .', class: 'cache', zero: 'ra', asm: 'ra,rb,l' },
  // Data stream touch of the vector facility, phased out: executed as no-ops
  { op: 'dst',     bits: '011111 0 .. strm:2 ra:5 rb:5 0101010110 .',  class: 'cache', isa: '2.03', asm: 'ra,rb,strm' },
  { op: 'dstt',    bits: '011111 1 .. strm:2 ra:5 rb:5 0101010110 .',  class: 'cache', isa: '2.03', asm: 'ra,rb,strm' },
  { op: 'dstst',   bits: '011111 0 .. strm:2 ra:5 rb:5 0101110110 .',  class: 'cache', isa: '2.03', asm: 'ra,rb,strm' },
  { op: 'dststt',  bits: '011111 1 .. strm:2 ra:5 rb:5 0101110110 .',  class: 'cache', isa: '2.03', asm: 'ra,rb,strm' },
  { op: 'dss',     bits: '011111 0 .. strm:2 .......... 1100110110 .', class: 'cache', isa: '2.03' },
  { op: 'dssall',  bits: '011111 1 .............. 1100110110 .',       class: 'cache', isa: '2.03' },
  // II 4.4 Copy-Paste Facility
  { op: 'copy',    bits: '011111 .... 1 ra:5 rb:5 1100000110 .', class: 'copy-paste', isa: '3.0', zero: 'ra' },
  { op: 'paste.',  bits: '011111 .... 1 ra:5 rb:5 11100001101',  class: 'copy-paste', isa: '3.0', zero: 'ra' },
  { op: 'cpabort', bits: '011111 ............... 1101000110 .',  class: 'copy-paste', isa: '3.0' },
  // II 4.6.1 Instruction Synchronize
  { op: 'isync',   bits: '010011 ............... 0010010110 .', class: 'sync', ends: 'block' },
  // II 4.6.3 Memory Barrier Instructions
  { op: 'sync',    bits: '011111 ... l:2 .......... 1001010110 .', class: 'sync' },
  { op: 'eieio',   bits: '011111 ............... 1101010110 .',    class: 'sync' },
  // II 4.6.4 Wait Instruction
  { op: 'wait',    bits: '011111 ... wc:2 .......... 0000011110 .', class: 'sync', isa: '3.0' },
] as const satisfies readonly InstructionRow[];
