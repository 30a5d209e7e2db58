// Logic and permutation of vector-scalar registers (ISA 3.0B I 7.6.3).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vsxPermuteRows = [
  // I 7.6.3 VSX Vector Logical
  { op: 'xxland',      bits: '111100 xt/1:5 xa/1:5 xb/1:5 10000010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.06' },
  { op: 'xxlandc',     bits: '111100 xt/1:5 xa/1:5 xb/1:5 10001010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.06' },
  { op: 'xxleqv',      bits: '111100 xt/1:5 xa/1:5 xb/1:5 10111010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.07' },
  { op: 'xxlnand',     bits: '111100 xt/1:5 xa/1:5 xb/1:5 10110010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.07' },
  { op: 'xxlorc',      bits: '111100 xt/1:5 xa/1:5 xb/1:5 10101010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.07' },
  { op: 'xxlnor',      bits: '111100 xt/1:5 xa/1:5 xb/1:5 10100010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.06' },
  { op: 'xxlor',       bits: '111100 xt/1:5 xa/1:5 xb/1:5 10010010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.06' },
  { op: 'xxlxor',      bits: '111100 xt/1:5 xa/1:5 xb/1:5 10011010 xa/0:1 xb/0:1 xt/0:1',         class: 'vsx-logic', needs: 'vsx', isa: '2.06' },
  { op: 'xxsel',       bits: '111100 xt/1:5 xa/1:5 xb/1:5 xc/1:5 11 xc/0:1 xa/0:1 xb/0:1 xt/0:1', class: 'vsx-logic', needs: 'vsx', isa: '2.06' },
  // I 7.6.3 VSX Vector Permute, Merge, Shift and Splat
  { op: 'xxmrghw',     bits: '111100 xt/1:5 xa/1:5 xb/1:5 00010010 xa/0:1 xb/0:1 xt/0:1',     class: 'vsx-perm', needs: 'vsx', isa: '2.06' },
  { op: 'xxmrglw',     bits: '111100 xt/1:5 xa/1:5 xb/1:5 00110010 xa/0:1 xb/0:1 xt/0:1',     class: 'vsx-perm', needs: 'vsx', isa: '2.06' },
  { op: 'xxperm',      bits: '111100 xt/1:5 xa/1:5 xb/1:5 00011010 xa/0:1 xb/0:1 xt/0:1',     class: 'vsx-perm', needs: 'vsx', isa: '3.0' },
  { op: 'xxpermr',     bits: '111100 xt/1:5 xa/1:5 xb/1:5 00111010 xa/0:1 xb/0:1 xt/0:1',     class: 'vsx-perm', needs: 'vsx', isa: '3.0' },
  { op: 'xxpermdi',    bits: '111100 xt/1:5 xa/1:5 xb/1:5 0 dm:2 01010 xa/0:1 xb/0:1 xt/0:1', class: 'vsx-perm', needs: 'vsx', isa: '2.06' },
  { op: 'xxsldwi',     bits: '111100 xt/1:5 xa/1:5 xb/1:5 0 dm:2 00010 xa/0:1 xb/0:1 xt/0:1', class: 'vsx-perm', needs: 'vsx', isa: '2.06' },
  { op: 'xxspltib',    bits: '111100 xt/1:5 .. imm8:8 0101101000 xt/0:1',                     class: 'vsx-perm', needs: 'vsx|vec', isa: '3.0' },
  { op: 'xxspltw',     bits: '111100 xt/1:5 ... uim:2 xb/1:5 010100100 xb/0:1 xt/0:1',        class: 'vsx-perm', needs: 'vsx', isa: '2.06', asm: 'xt,xb,uim' },
  // I 7.6.3 VSX Vector Insert and Extract, Byte-Reverse
  { op: 'xxextractuw', bits: '111100 xt/1:5 . uim:4 xb/1:5 010100101 xb/0:1 xt/0:1', class: 'vsx-perm', needs: 'vsx', isa: '3.0', asm: 'xt,xb,uim' },
  { op: 'xxinsertw',   bits: '111100 xt/1:5 . uim:4 xb/1:5 010110101 xb/0:1 xt/0:1', class: 'vsx-perm', needs: 'vsx', isa: '3.0', asm: 'xt,xb,uim' },
  { op: 'xxbrh',       bits: '111100 xt/1:5 00111 xb/1:5 111011011 xb/0:1 xt/0:1',   class: 'vsx-perm', needs: 'vsx', isa: '3.0' },
  { op: 'xxbrw',       bits: '111100 xt/1:5 01111 xb/1:5 111011011 xb/0:1 xt/0:1',   class: 'vsx-perm', needs: 'vsx', isa: '3.0' },
  { op: 'xxbrd',       bits: '111100 xt/1:5 10111 xb/1:5 111011011 xb/0:1 xt/0:1',   class: 'vsx-perm', needs: 'vsx', isa: '3.0' },
  { op: 'xxbrq',       bits: '111100 xt/1:5 11111 xb/1:5 111011011 xb/0:1 xt/0:1',   class: 'vsx-perm', needs: 'vsx', isa: '3.0' },
] as const satisfies readonly InstructionRow[];
