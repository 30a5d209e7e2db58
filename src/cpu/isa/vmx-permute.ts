// Vector permute and formatting (ISA 3.0B I 6.8).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vmxPermuteRows = [
  // I 6.8.1 Vector Pack and Unpack Instructions
  { op: 'vpkpx',      bits: '000100 vrt:5 vra:5 vrb:5 01100001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpksdss',    bits: '000100 vrt:5 vra:5 vrb:5 10111001110', class: 'vmx-pack', needs: 'vec', isa: '2.07' },
  { op: 'vpksdus',    bits: '000100 vrt:5 vra:5 vrb:5 10101001110', class: 'vmx-pack', needs: 'vec', isa: '2.07' },
  { op: 'vpkshss',    bits: '000100 vrt:5 vra:5 vrb:5 00110001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkshus',    bits: '000100 vrt:5 vra:5 vrb:5 00100001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkswss',    bits: '000100 vrt:5 vra:5 vrb:5 00111001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkswus',    bits: '000100 vrt:5 vra:5 vrb:5 00101001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkudum',    bits: '000100 vrt:5 vra:5 vrb:5 10001001110', class: 'vmx-pack', needs: 'vec', isa: '2.07' },
  { op: 'vpkudus',    bits: '000100 vrt:5 vra:5 vrb:5 10011001110', class: 'vmx-pack', needs: 'vec', isa: '2.07' },
  { op: 'vpkuhum',    bits: '000100 vrt:5 vra:5 vrb:5 00000001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkuhus',    bits: '000100 vrt:5 vra:5 vrb:5 00010001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkuwum',    bits: '000100 vrt:5 vra:5 vrb:5 00001001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vpkuwus',    bits: '000100 vrt:5 vra:5 vrb:5 00011001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupkhpx',    bits: '000100 vrt:5 ..... vrb:5 01101001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupklpx',    bits: '000100 vrt:5 ..... vrb:5 01111001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupkhsb',    bits: '000100 vrt:5 ..... vrb:5 01000001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupkhsh',    bits: '000100 vrt:5 ..... vrb:5 01001001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupkhsw',    bits: '000100 vrt:5 ..... vrb:5 11001001110', class: 'vmx-pack', needs: 'vec', isa: '2.07' },
  { op: 'vupklsb',    bits: '000100 vrt:5 ..... vrb:5 01010001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupklsh',    bits: '000100 vrt:5 ..... vrb:5 01011001110', class: 'vmx-pack', needs: 'vec', isa: '2.03' },
  { op: 'vupklsw',    bits: '000100 vrt:5 ..... vrb:5 11011001110', class: 'vmx-pack', needs: 'vec', isa: '2.07' },
  // I 6.8.2 Vector Merge Instructions
  { op: 'vmrghb',     bits: '000100 vrt:5 vra:5 vrb:5 00000001100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vmrghh',     bits: '000100 vrt:5 vra:5 vrb:5 00001001100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vmrglb',     bits: '000100 vrt:5 vra:5 vrb:5 00100001100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vmrglh',     bits: '000100 vrt:5 vra:5 vrb:5 00101001100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vmrghw',     bits: '000100 vrt:5 vra:5 vrb:5 00010001100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vmrglw',     bits: '000100 vrt:5 vra:5 vrb:5 00110001100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vmrgew',     bits: '000100 vrt:5 vra:5 vrb:5 11110001100', class: 'vmx-perm', needs: 'vec', isa: '2.07' },
  { op: 'vmrgow',     bits: '000100 vrt:5 vra:5 vrb:5 11010001100', class: 'vmx-perm', needs: 'vec', isa: '2.07' },
  // I 6.8.3 Vector Splat Instructions
  { op: 'vspltb',     bits: '000100 vrt:5 . uim:4 vrb:5 01000001100',   class: 'vmx-perm', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vsplth',     bits: '000100 vrt:5 .. uim:3 vrb:5 01001001100',  class: 'vmx-perm', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vspltw',     bits: '000100 vrt:5 ... uim:2 vrb:5 01010001100', class: 'vmx-perm', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vspltisb',   bits: '000100 vrt:5 sim:s5 ..... 01100001100',    class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vspltish',   bits: '000100 vrt:5 sim:s5 ..... 01101001100',    class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vspltisw',   bits: '000100 vrt:5 sim:s5 ..... 01110001100',    class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  // I 6.8.4 Vector Permute Instructions
  { op: 'vperm',      bits: '000100 vrt:5 vra:5 vrb:5 vrc:5 101011', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vpermr',     bits: '000100 vrt:5 vra:5 vrb:5 vrc:5 111011', class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  // I 6.8.5 Vector Select Instruction
  { op: 'vsel',       bits: '000100 vrt:5 vra:5 vrb:5 vrc:5 101010', class: 'vmx-logic', needs: 'vec', isa: '2.03' },
  // I 6.8.6 Vector Shift Instructions
  { op: 'vsl',        bits: '000100 vrt:5 vra:5 vrb:5 00111000100',    class: 'vmx-shift', needs: 'vec', isa: '2.03' },
  { op: 'vsldoi',     bits: '000100 vrt:5 vra:5 vrb:5 . shb:4 101100', class: 'vmx-perm', needs: 'vec', isa: '2.03' },
  { op: 'vslo',       bits: '000100 vrt:5 vra:5 vrb:5 10000001100',    class: 'vmx-shift', needs: 'vec', isa: '2.03' },
  { op: 'vslv',       bits: '000100 vrt:5 vra:5 vrb:5 11101000100',    class: 'vmx-shift', needs: 'vec', isa: '3.0' },
  { op: 'vsr',        bits: '000100 vrt:5 vra:5 vrb:5 01011000100',    class: 'vmx-shift', needs: 'vec', isa: '2.03' },
  { op: 'vsro',       bits: '000100 vrt:5 vra:5 vrb:5 10001001100',    class: 'vmx-shift', needs: 'vec', isa: '2.03' },
  { op: 'vsrv',       bits: '000100 vrt:5 vra:5 vrb:5 11100000100',    class: 'vmx-shift', needs: 'vec', isa: '3.0' },
  // I 6.8.7 Vector Extract Element Instructions
  { op: 'vextractub', bits: '000100 vrt:5 . uim:4 vrb:5 01000001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vextractuh', bits: '000100 vrt:5 . uim:4 vrb:5 01001001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vextractuw', bits: '000100 vrt:5 . uim:4 vrb:5 01010001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vextractd',  bits: '000100 vrt:5 . uim:4 vrb:5 01011001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vextublx',   bits: '000100 rt:5 ra:5 vrb:5 11000001101',     class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  { op: 'vextuhlx',   bits: '000100 rt:5 ra:5 vrb:5 11001001101',     class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  { op: 'vextuwlx',   bits: '000100 rt:5 ra:5 vrb:5 11010001101',     class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  { op: 'vextubrx',   bits: '000100 rt:5 ra:5 vrb:5 11100001101',     class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  { op: 'vextuhrx',   bits: '000100 rt:5 ra:5 vrb:5 11101001101',     class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  { op: 'vextuwrx',   bits: '000100 rt:5 ra:5 vrb:5 11110001101',     class: 'vmx-perm', needs: 'vec', isa: '3.0' },
  // I 6.8.8 Vector Insert Element Instructions
  { op: 'vinsertb',   bits: '000100 vrt:5 . uim:4 vrb:5 01100001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vinserth',   bits: '000100 vrt:5 . uim:4 vrb:5 01101001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vinsertw',   bits: '000100 vrt:5 . uim:4 vrb:5 01110001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
  { op: 'vinsertd',   bits: '000100 vrt:5 . uim:4 vrb:5 01111001101', class: 'vmx-perm', needs: 'vec', isa: '3.0', asm: 'vrt,vrb,uim' },
] as const satisfies readonly InstructionRow[];
