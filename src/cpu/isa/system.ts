// System linkage, power saving, translation management, processor control and event-based branches (ISA 3.0B III 3.3, 5.9.3, 11.2; II 7, 8).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const systemRows = [
  // III 3.3.1 System Linkage Instructions (sc and scv are in branch.ts)
  { op: 'rfid',    bits: '010011 ............... 0000010010 .', class: 'sys', priv: 's', ends: 'block' },
  { op: 'rfscv',   bits: '010011 ............... 0001010010 .', class: 'sys', priv: 's', isa: '3.0', ends: 'block' },
  { op: 'hrfid',   bits: '010011 ............... 0100010010 .', class: 'sys-hv', priv: 'h', isa: '2.02', ends: 'block' },
  { op: 'urfid',   bits: '010011 ............... 0100110010 .', class: 'sys-hv', priv: 'uv', isa: '3.0C', ends: 'block' },
  // III 3.3.2 Power-Saving Mode
  { op: 'stop',    bits: '010011 ............... 0101110010 .', class: 'sys-hv', priv: 'h', isa: '3.0', ends: 'block' },
  // III 5.9.3.2 SLB Management Instructions
  { op: 'slbie',   bits: '011111 .......... rb:5 0110110010 .',    class: 'mmu-slb', priv: 's' },
  { op: 'slbieg',  bits: '011111 rs:5 ..... rb:5 0111010010 .',    class: 'mmu-slb', priv: 's', isa: '3.0' },
  { op: 'slbia',   bits: '011111 .. ih:3 .......... 0111110010 .', class: 'mmu-slb', priv: 's', isa: '2.05' },
  { op: 'slbiag',  bits: '011111 rs:5 .......... 1101010010 .',    class: 'mmu-slb', priv: 's', isa: '3.0' },
  { op: 'slbmte',  bits: '011111 rs:5 ..... rb:5 0110010010 .',    class: 'mmu-slb', priv: 's' },
  { op: 'slbmfev', bits: '011111 rt:5 .... l:1 rb:5 1101010011 .', class: 'mmu-slb', priv: 's', isa: '3.0', asm: 'rt,rb,l' },
  { op: 'slbmfee', bits: '011111 rt:5 .... l:1 rb:5 1110010011 .', class: 'mmu-slb', priv: 's', isa: '3.0', asm: 'rt,rb,l' },
  { op: 'slbfee.', bits: '011111 rt:5 ..... rb:5 11110100111',     class: 'mmu-slb', priv: 's', isa: '2.05' },
  { op: 'slbsync', bits: '011111 ............... 0101010010 .',    class: 'mmu-slb', priv: 's', isa: '3.0' },
  // III 5.9.3.3 TLB Management Instructions
  { op: 'tlbie',   bits: '011111 rs:5 . ric:2 prs:1 r:1 rb:5 0100110010 .', class: 'mmu', priv: 's/h', isa: '3.0', asm: 'rb,rs,ric,prs,r' },
  { op: 'tlbiel',  bits: '011111 rs:5 . ric:2 prs:1 r:1 rb:5 0100010010 .', class: 'mmu', priv: 's', isa: '3.0', asm: 'rb,rs,ric,prs,r' },
  { op: 'tlbsync', bits: '011111 ............... 1000110110 .',             class: 'mmu', priv: 's/h' },
  // III 5.9 Radix tree management
  { op: 'rmieg',   bits: '011111 .......... rb:5 1101110010 .', class: 'mmu', priv: 'h', isa: '3.0' },
  // III 11.2 Processor Control Instructions
  { op: 'msgsnd',  bits: '011111 .......... rb:5 0011001110 .', class: 'sys-hv', priv: 'h', isa: '2.07' },
  { op: 'msgclr',  bits: '011111 .......... rb:5 0011101110 .', class: 'sys-hv', priv: 'h', isa: '2.07' },
  { op: 'msgsndp', bits: '011111 .......... rb:5 0010001110 .', class: 'sys', priv: 's', needs: 'msgp', isa: '2.07' },
  { op: 'msgclrp', bits: '011111 .......... rb:5 0010101110 .', class: 'sys', priv: 's', needs: 'msgp', isa: '2.07' },
  { op: 'msgsync', bits: '011111 ............... 1101110110 .', class: 'sys-hv', priv: 'h', isa: '3.0' },
  { op: 'msgsndu', bits: '011111 .......... rb:5 0001001110 .', class: 'sys-hv', priv: 'uv', isa: '3.0C' },
  { op: 'msgclru', bits: '011111 .......... rb:5 0001101110 .', class: 'sys-hv', priv: 'uv', isa: '3.0C' },
  // II 7 Event-Based Branch, II 8 Branch History Rolling Buffer
  { op: 'rfebb',   bits: '010011 .............. s:1 0010010010 .', class: 'ebb', needs: 'ebb', isa: '2.07', ends: 'block' },
  { op: 'clrbhrb', bits: '011111 ............... 0110101110 .',    class: 'ebb', needs: 'bhrb', isa: '2.07' },
  { op: 'mfbhrbe', bits: '011111 rt:5 bhrbe:10 0100101110 .',      class: 'ebb', needs: 'bhrb', isa: '2.07' },
] as const satisfies readonly InstructionRow[];
