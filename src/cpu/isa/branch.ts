// Branch facility: branches, system calls, Condition Register logic and moves (ISA 3.0B I chapter 2).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const branchRows = [
  // I 2.4 Branch Instructions
  { op: 'b',      bits: '010010 li:s24 aa:1 lk:1',                   class: 'branch', ends: 'block' },
  { op: 'bc',     bits: '010000 bo:5 bi:5 bd:s14 aa:1 lk:1',         class: 'branch', ends: 'block' },
  { op: 'bclr',   bits: '010011 bo:5 bi:5 ... bh:2 0000010000 lk:1', class: 'branch', ends: 'block' },
  { op: 'bcctr',  bits: '010011 bo:5 bi:5 ... bh:2 1000010000 lk:1', class: 'branch', ends: 'block' },
  { op: 'bctar',  bits: '010011 bo:5 bi:5 ... bh:2 1000110000 lk:1', class: 'branch', needs: 'tar', isa: '2.07', ends: 'block' },
  // I 2.5.1 Condition Register Logical Instructions
  { op: 'crand',  bits: '010011 bt:5 ba:5 bb:5 0100000001 .', class: 'cr' },
  { op: 'cror',   bits: '010011 bt:5 ba:5 bb:5 0111000001 .', class: 'cr' },
  { op: 'crxor',  bits: '010011 bt:5 ba:5 bb:5 0011000001 .', class: 'cr' },
  { op: 'crnand', bits: '010011 bt:5 ba:5 bb:5 0011100001 .', class: 'cr' },
  { op: 'crnor',  bits: '010011 bt:5 ba:5 bb:5 0000100001 .', class: 'cr' },
  { op: 'creqv',  bits: '010011 bt:5 ba:5 bb:5 0100100001 .', class: 'cr' },
  { op: 'crandc', bits: '010011 bt:5 ba:5 bb:5 0010000001 .', class: 'cr' },
  { op: 'crorc',  bits: '010011 bt:5 ba:5 bb:5 0110100001 .', class: 'cr' },
  // I 2.5.2 Condition Register Field Instruction
  { op: 'mcrf',   bits: '010011 bf:3 .. bfa:3 ....... 0000000000 .', class: 'cr' },
  // I 2.6 System Call Instructions
  { op: 'sc',     bits: '010001 .............. lev:7 ... 1 .', class: 'syscall', ends: 'block' },
  { op: 'scv',    bits: '010001 .............. lev:7 ... 01',  class: 'syscall', needs: 'scv', isa: '3.0', ends: 'block' },
] as const satisfies readonly InstructionRow[];
