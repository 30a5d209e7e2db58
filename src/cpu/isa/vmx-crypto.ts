// Vector exclusive-OR-based instructions: AES, SHA, polynomial multiplication (ISA 3.0B I 6.11).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vmxCryptoRows = [
  // I 6.11.1 Vector AES Instructions
  { op: 'vcipher',      bits: '000100 vrt:5 vra:5 vrb:5 10100001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vcipherlast',  bits: '000100 vrt:5 vra:5 vrb:5 10100001001', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vncipher',     bits: '000100 vrt:5 vra:5 vrb:5 10101001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vncipherlast', bits: '000100 vrt:5 vra:5 vrb:5 10101001001', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vsbox',        bits: '000100 vrt:5 vra:5 ..... 10111001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  // I 6.11.2 Vector SHA-256 and SHA-512 Sigma Instructions
  { op: 'vshasigmad',   bits: '000100 vrt:5 vra:5 st:1 six:4 11011000010', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vshasigmaw',   bits: '000100 vrt:5 vra:5 st:1 six:4 11010000010', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  // I 6.11.3 Vector Binary Polynomial Multiplication Instructions
  { op: 'vpmsumb',      bits: '000100 vrt:5 vra:5 vrb:5 10000001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vpmsumh',      bits: '000100 vrt:5 vra:5 vrb:5 10001001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vpmsumw',      bits: '000100 vrt:5 vra:5 vrb:5 10010001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  { op: 'vpmsumd',      bits: '000100 vrt:5 vra:5 vrb:5 10011001000', class: 'vmx-crypto', needs: 'vec', isa: '2.07' },
  // I 6.11.4 Vector Permute and Exclusive-OR Instruction
  { op: 'vpermxor',     bits: '000100 vrt:5 vra:5 vrb:5 vrc:5 101101', class: 'vmx-perm', needs: 'vec', isa: '2.07' },
] as const satisfies readonly InstructionRow[];
