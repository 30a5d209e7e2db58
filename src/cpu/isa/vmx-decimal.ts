// Decimal integers in vector registers (ISA 3.0B I 6.18).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vmxDecimalRows = [
  // I 6.18 Decimal Integer Arithmetic Instructions
  { op: 'bcdadd.',    bits: '000100 vrt:5 vra:5 vrb:5 1 ps:1 000000001', class: 'vmx-bcd', needs: 'vec', isa: '2.07' },
  { op: 'bcdsub.',    bits: '000100 vrt:5 vra:5 vrb:5 1 ps:1 001000001', class: 'vmx-bcd', needs: 'vec', isa: '2.07' },
  // I 6.18 Decimal Integer Format Conversion Instructions
  { op: 'bcdcfn.',    bits: '000100 vrt:5 00111 vrb:5 1 ps:1 110000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdcfz.',    bits: '000100 vrt:5 00110 vrb:5 1 ps:1 110000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdctn.',    bits: '000100 vrt:5 00101 vrb:5 10110000001',      class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdctz.',    bits: '000100 vrt:5 00100 vrb:5 1 ps:1 110000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdcfsq.',   bits: '000100 vrt:5 00010 vrb:5 1 ps:1 110000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdctsq.',   bits: '000100 vrt:5 00000 vrb:5 10110000001',      class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  // I 6.18 Decimal Integer Sign Manipulation Instructions
  { op: 'bcdcpsgn.',  bits: '000100 vrt:5 vra:5 vrb:5 01101000001',      class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdsetsgn.', bits: '000100 vrt:5 11111 vrb:5 1 ps:1 110000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  // I 6.18 Decimal Integer Shift and Truncate Instructions
  { op: 'bcds.',      bits: '000100 vrt:5 vra:5 vrb:5 1 ps:1 011000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdus.',     bits: '000100 vrt:5 vra:5 vrb:5 10010000001',      class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdsr.',     bits: '000100 vrt:5 vra:5 vrb:5 1 ps:1 111000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdtrunc.',  bits: '000100 vrt:5 vra:5 vrb:5 1 ps:1 100000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'bcdutrunc.', bits: '000100 vrt:5 vra:5 vrb:5 10101000001',      class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  // I 6.9.1 Vector Multiply-by-10 Instructions
  { op: 'vmul10cuq',  bits: '000100 vrt:5 vra:5 ..... 00000000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'vmul10ecuq', bits: '000100 vrt:5 vra:5 vrb:5 00001000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'vmul10uq',   bits: '000100 vrt:5 vra:5 ..... 01000000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
  { op: 'vmul10euq',  bits: '000100 vrt:5 vra:5 vrb:5 01001000001', class: 'vmx-bcd', needs: 'vec', isa: '3.0' },
] as const satisfies readonly InstructionRow[];
