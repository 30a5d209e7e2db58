// Transactional memory (ISA 3.0B II 5.5, III 10).

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const tmRows = [
  // II 5.5 Transactional Memory Instructions
  { op: 'tbegin.',    bits: '011111 .... r:1 .......... 10100011101', class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tend.',      bits: '011111 a:1 .............. 10101011101',  class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tabort.',    bits: '011111 ..... ra:5 ..... 11100011101',    class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tabortwc.',  bits: '011111 to:5 ra:5 rb:5 11000011101',      class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tabortwci.', bits: '011111 to:5 ra:5 si:s5 11010011101',     class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tabortdc.',  bits: '011111 to:5 ra:5 rb:5 11001011101',      class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tabortdci.', bits: '011111 to:5 ra:5 si:s5 11011011101',     class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tsr.',       bits: '011111 .... l:1 .......... 10111011101', class: 'tm', needs: 'tm', isa: '2.07' },
  { op: 'tcheck',     bits: '011111 bf:3 ............ 1011001110 .',  class: 'tm', needs: 'tm', isa: '2.07' },
  // III 10 Transactional Memory, privileged
  { op: 'treclaim.',  bits: '011111 ..... ra:5 ..... 11101011101', class: 'tm', priv: 's', needs: 'tm', isa: '2.07' },
  { op: 'trechkpt.',  bits: '011111 ............... 11111011101',  class: 'tm', priv: 's', needs: 'tm', isa: '2.07' },
] as const satisfies readonly InstructionRow[];
