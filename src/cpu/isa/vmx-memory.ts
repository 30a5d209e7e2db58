// Vector storage access and VSCR (ISA 3.0B I 6.7, 6.19).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vmxMemoryRows = [
  // I 6.7.2 Vector Load Instructions
  { op: 'lvebx',  bits: '011111 vrt:5 ra:5 rb:5 0000000111 .', class: 'vmx-load', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'lvehx',  bits: '011111 vrt:5 ra:5 rb:5 0000100111 .', class: 'vmx-load', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'lvewx',  bits: '011111 vrt:5 ra:5 rb:5 0001000111 .', class: 'vmx-load', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'lvx',    bits: '011111 vrt:5 ra:5 rb:5 0001100111 .', class: 'vmx-load', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'lvxl',   bits: '011111 vrt:5 ra:5 rb:5 0101100111 .', class: 'vmx-load', needs: 'vec', isa: '2.03', zero: 'ra' },
  // I 6.7.3 Vector Store Instructions
  { op: 'stvebx', bits: '011111 vrs:5 ra:5 rb:5 0010000111 .', class: 'vmx-store', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'stvehx', bits: '011111 vrs:5 ra:5 rb:5 0010100111 .', class: 'vmx-store', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'stvewx', bits: '011111 vrs:5 ra:5 rb:5 0011000111 .', class: 'vmx-store', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'stvx',   bits: '011111 vrs:5 ra:5 rb:5 0011100111 .', class: 'vmx-store', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'stvxl',  bits: '011111 vrs:5 ra:5 rb:5 0111100111 .', class: 'vmx-store', needs: 'vec', isa: '2.03', zero: 'ra' },
  // I 6.7.4 Vector Alignment Support Instructions
  { op: 'lvsl',   bits: '011111 vrt:5 ra:5 rb:5 0000000110 .', class: 'vmx-perm', needs: 'vec', isa: '2.03', zero: 'ra' },
  { op: 'lvsr',   bits: '011111 vrt:5 ra:5 rb:5 0000100110 .', class: 'vmx-perm', needs: 'vec', isa: '2.03', zero: 'ra' },
  // I 6 Vector Status and Control Register Instructions
  { op: 'mtvscr', bits: '000100 .......... vrb:5 11001000100', class: 'vmx-sys', needs: 'vec', isa: '2.03' },
  { op: 'mfvscr', bits: '000100 vrt:5 .......... 11000000100', class: 'vmx-sys', needs: 'vec', isa: '2.03' },
] as const satisfies readonly InstructionRow[];
