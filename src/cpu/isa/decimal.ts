// Decimal floating point (ISA 3.0B I 5.6). A name ending in p is a register pair and must be even.

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const decimalRows = [
  // I 5.6.1 DFP Arithmetic Instructions
  { op: 'dadd',     bits: '111011 frt:5 fra:5 frb:5 0000000010 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'daddq',    bits: '111111 frtp:5 frap:5 frbp:5 0000000010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dsub',     bits: '111011 frt:5 fra:5 frb:5 1000000010 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dsubq',    bits: '111111 frtp:5 frap:5 frbp:5 1000000010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dmul',     bits: '111011 frt:5 fra:5 frb:5 0000100010 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dmulq',    bits: '111111 frtp:5 frap:5 frbp:5 0000100010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'ddiv',     bits: '111011 frt:5 fra:5 frb:5 1000100010 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'ddivq',    bits: '111111 frtp:5 frap:5 frbp:5 1000100010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05' },
  // I 5.6.2 DFP Compare Instructions
  { op: 'dcmpu',    bits: '111011 bf:3 .. fra:5 frb:5 1010000010 .',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dcmpuq',   bits: '111111 bf:3 .. frap:5 frbp:5 1010000010 .', class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dcmpo',    bits: '111011 bf:3 .. fra:5 frb:5 0010000010 .',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dcmpoq',   bits: '111111 bf:3 .. frap:5 frbp:5 0010000010 .', class: 'dfp', needs: 'fp', isa: '2.05' },
  // I 5.6.3 DFP Test Instructions
  { op: 'dtstdc',   bits: '111011 bf:3 .. fra:5 dcm:6 011000010 .',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstdcq',  bits: '111111 bf:3 .. frap:5 dcm:6 011000010 .',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstdg',   bits: '111011 bf:3 .. fra:5 dgm:6 011100010 .',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstdgq',  bits: '111111 bf:3 .. frap:5 dgm:6 011100010 .',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstex',   bits: '111011 bf:3 .. fra:5 frb:5 0010100010 .',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstexq',  bits: '111111 bf:3 .. frap:5 frbp:5 0010100010 .', class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstsf',   bits: '111011 bf:3 .. fra:5 frb:5 1010100010 .',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstsfq',  bits: '111111 bf:3 .. fra:5 frbp:5 1010100010 .',  class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dtstsfi',  bits: '111011 bf:3 . uim:6 frb:5 1010100011 .',    class: 'dfp', needs: 'fp', isa: '3.0' },
  { op: 'dtstsfiq', bits: '111111 bf:3 . uim:6 frbp:5 1010100011 .',   class: 'dfp', needs: 'fp', isa: '3.0' },
  // I 5.6.4 DFP Quantum Adjustment Instructions
  { op: 'dquai',    bits: '111011 frt:5 te:s5 frb:5 rmc:2 01000011 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05', asm: 'te,frt,frb,rmc' },
  { op: 'dquaiq',   bits: '111111 frtp:5 te:s5 frbp:5 rmc:2 01000011 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05', asm: 'te,frtp,frbp,rmc' },
  { op: 'dqua',     bits: '111011 frt:5 fra:5 frb:5 rmc:2 00000011 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dquaq',    bits: '111111 frtp:5 frap:5 frbp:5 rmc:2 00000011 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'drrnd',    bits: '111011 frt:5 fra:5 frb:5 rmc:2 00100011 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'drrndq',   bits: '111111 frtp:5 fra:5 frbp:5 rmc:2 00100011 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'drintx',   bits: '111011 frt:5 .... r:1 frb:5 rmc:2 01100011 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05', asm: 'r,frt,frb,rmc' },
  { op: 'drintxq',  bits: '111111 frtp:5 .... r:1 frbp:5 rmc:2 01100011 rc:1', class: 'dfp', needs: 'fp', isa: '2.05', asm: 'r,frtp,frbp,rmc' },
  { op: 'drintn',   bits: '111011 frt:5 .... r:1 frb:5 rmc:2 11100011 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05', asm: 'r,frt,frb,rmc' },
  { op: 'drintnq',  bits: '111111 frtp:5 .... r:1 frbp:5 rmc:2 11100011 rc:1', class: 'dfp', needs: 'fp', isa: '2.05', asm: 'r,frtp,frbp,rmc' },
  // I 5.6.5 DFP Conversion Instructions
  { op: 'dctdp',    bits: '111011 frt:5 ..... frb:5 0100000010 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dctqpq',   bits: '111111 frtp:5 ..... frb:5 0100000010 rc:1',  class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'drsp',     bits: '111011 frt:5 ..... frb:5 1100000010 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'drdpq',    bits: '111111 frtp:5 ..... frbp:5 1100000010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dcffix',   bits: '111011 frt:5 ..... frb:5 1100100010 rc:1',   class: 'dfp', needs: 'fp', isa: '2.06' },
  { op: 'dcffixq',  bits: '111111 frtp:5 ..... frb:5 1100100010 rc:1',  class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dctfix',   bits: '111011 frt:5 ..... frb:5 0100100010 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dctfixq',  bits: '111111 frt:5 ..... frbp:5 0100100010 rc:1',  class: 'dfp', needs: 'fp', isa: '2.05' },
  // I 5.6.6 DFP Format Instructions
  { op: 'ddedpd',   bits: '111011 frt:5 sp:2 ... frb:5 0101000010 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05', asm: 'sp,frt,frb' },
  { op: 'ddedpdq',  bits: '111111 frtp:5 sp:2 ... frbp:5 0101000010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05', asm: 'sp,frtp,frbp' },
  { op: 'denbcd',   bits: '111011 frt:5 s:1 .... frb:5 1101000010 rc:1',   class: 'dfp', needs: 'fp', isa: '2.05', asm: 's,frt,frb' },
  { op: 'denbcdq',  bits: '111111 frtp:5 s:1 .... frbp:5 1101000010 rc:1', class: 'dfp', needs: 'fp', isa: '2.05', asm: 's,frtp,frbp' },
  { op: 'dxex',     bits: '111011 frt:5 ..... frb:5 0101100010 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dxexq',    bits: '111111 frt:5 ..... frbp:5 0101100010 rc:1',     class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'diex',     bits: '111011 frt:5 fra:5 frb:5 1101100010 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'diexq',    bits: '111111 frtp:5 fra:5 frbp:5 1101100010 rc:1',    class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dscli',    bits: '111011 frt:5 fra:5 sh:6 001000010 rc:1',        class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dscliq',   bits: '111111 frtp:5 frap:5 sh:6 001000010 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dscri',    bits: '111011 frt:5 fra:5 sh:6 001100010 rc:1',        class: 'dfp', needs: 'fp', isa: '2.05' },
  { op: 'dscriq',   bits: '111111 frtp:5 frap:5 sh:6 001100010 rc:1',      class: 'dfp', needs: 'fp', isa: '2.05' },
] as const satisfies readonly InstructionRow[];
