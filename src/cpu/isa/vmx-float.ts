// Vector single-precision floating point (ISA 3.0B I 6.10).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vmxFloatRows = [
  // I 6.10.1 Vector Floating-Point Arithmetic Instructions
  { op: 'vaddfp',    bits: '000100 vrt:5 vra:5 vrb:5 00000001010',  class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vsubfp',    bits: '000100 vrt:5 vra:5 vrb:5 00001001010',  class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vmaddfp',   bits: '000100 vrt:5 vra:5 vrb:5 vrc:5 101110', class: 'vmx-fp', needs: 'vec', isa: '2.03', asm: 'vrt,vra,vrc,vrb' },
  { op: 'vnmsubfp',  bits: '000100 vrt:5 vra:5 vrb:5 vrc:5 101111', class: 'vmx-fp', needs: 'vec', isa: '2.03', asm: 'vrt,vra,vrc,vrb' },
  // I 6.10.2 Vector Floating-Point Maximum and Minimum Instructions
  { op: 'vmaxfp',    bits: '000100 vrt:5 vra:5 vrb:5 10000001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vminfp',    bits: '000100 vrt:5 vra:5 vrb:5 10001001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  // I 6.10.3 Vector Floating-Point Rounding and Conversion Instructions
  { op: 'vctsxs',    bits: '000100 vrt:5 uim:5 vrb:5 01111001010', class: 'vmx-fp', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vctuxs',    bits: '000100 vrt:5 uim:5 vrb:5 01110001010', class: 'vmx-fp', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vcfsx',     bits: '000100 vrt:5 uim:5 vrb:5 01101001010', class: 'vmx-fp', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vcfux',     bits: '000100 vrt:5 uim:5 vrb:5 01100001010', class: 'vmx-fp', needs: 'vec', isa: '2.03', asm: 'vrt,vrb,uim' },
  { op: 'vrfim',     bits: '000100 vrt:5 ..... vrb:5 01011001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vrfin',     bits: '000100 vrt:5 ..... vrb:5 01000001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vrfip',     bits: '000100 vrt:5 ..... vrb:5 01010001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vrfiz',     bits: '000100 vrt:5 ..... vrb:5 01001001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  // I 6.10.4 Vector Floating-Point Compare Instructions. rc records in CR field 6
  { op: 'vcmpbfp',   bits: '000100 vrt:5 vra:5 vrb:5 rc:1 1111000110', class: 'vmx-cmp', needs: 'vec', isa: '2.03' },
  { op: 'vcmpeqfp',  bits: '000100 vrt:5 vra:5 vrb:5 rc:1 0011000110', class: 'vmx-cmp', needs: 'vec', isa: '2.03' },
  { op: 'vcmpgefp',  bits: '000100 vrt:5 vra:5 vrb:5 rc:1 0111000110', class: 'vmx-cmp', needs: 'vec', isa: '2.03' },
  { op: 'vcmpgtfp',  bits: '000100 vrt:5 vra:5 vrb:5 rc:1 1011000110', class: 'vmx-cmp', needs: 'vec', isa: '2.03' },
  // I 6.10.5 Vector Floating-Point Estimate Instructions
  { op: 'vexptefp',  bits: '000100 vrt:5 ..... vrb:5 00110001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vlogefp',   bits: '000100 vrt:5 ..... vrb:5 00111001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vrefp',     bits: '000100 vrt:5 ..... vrb:5 00100001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
  { op: 'vrsqrtefp', bits: '000100 vrt:5 ..... vrb:5 00101001010', class: 'vmx-fp', needs: 'vec', isa: '2.03' },
] as const satisfies readonly InstructionRow[];
