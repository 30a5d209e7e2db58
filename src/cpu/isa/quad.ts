// Quad-precision floating point (ISA 3.0B I 7.6.3). Operands are VRs; an o at the end of the mnemonic rounds to odd.

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const quadRows = [
  // I 7.6.3 VSX Scalar Quad-Precision Move and Sign
  { op: 'xsabsqp',    bits: '111111 vrt:5 00 . 00 vrb:5 11001001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsnabsqp',   bits: '111111 vrt:5 01 . 00 vrb:5 11001001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsnegqp',    bits: '111111 vrt:5 10 . 00 vrb:5 11001001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscpsgnqp',  bits: '111111 vrt:5 vra:5 vrb:5 0001100100 .',  class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  // I 7.6.3 VSX Scalar Quad-Precision Arithmetic
  { op: 'xsaddqp',    bits: '111111 vrt:5 vra:5 vrb:5 00000001000',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsaddqpo',   bits: '111111 vrt:5 vra:5 vrb:5 00000001001',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xssubqp',    bits: '111111 vrt:5 vra:5 vrb:5 10000001000',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xssubqpo',   bits: '111111 vrt:5 vra:5 vrb:5 10000001001',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsmulqp',    bits: '111111 vrt:5 vra:5 vrb:5 00001001000',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsmulqpo',   bits: '111111 vrt:5 vra:5 vrb:5 00001001001',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsdivqp',    bits: '111111 vrt:5 vra:5 vrb:5 10001001000',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsdivqpo',   bits: '111111 vrt:5 vra:5 vrb:5 10001001001',   class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xssqrtqp',   bits: '111111 vrt:5 11 . 11 vrb:5 11001001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xssqrtqpo',  bits: '111111 vrt:5 11 . 11 vrb:5 11001001001', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  // I 7.6.3 VSX Scalar Quad-Precision Multiply-Add
  { op: 'xsmaddqp',   bits: '111111 vrt:5 vra:5 vrb:5 01100001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsmaddqpo',  bits: '111111 vrt:5 vra:5 vrb:5 01100001001', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsmsubqp',   bits: '111111 vrt:5 vra:5 vrb:5 01101001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsmsubqpo',  bits: '111111 vrt:5 vra:5 vrb:5 01101001001', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsnmaddqp',  bits: '111111 vrt:5 vra:5 vrb:5 01110001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsnmaddqpo', bits: '111111 vrt:5 vra:5 vrb:5 01110001001', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsnmsubqp',  bits: '111111 vrt:5 vra:5 vrb:5 01111001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsnmsubqpo', bits: '111111 vrt:5 vra:5 vrb:5 01111001001', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  // I 7.6.3 VSX Scalar Quad-Precision Compare and Test
  { op: 'xscmpoqp',   bits: '111111 bf:3 .. vra:5 vrb:5 0010000100 .', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscmpuqp',   bits: '111111 bf:3 .. vra:5 vrb:5 1010000100 .', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscmpexpqp', bits: '111111 bf:3 .. vra:5 vrb:5 0010100100 .', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xststdcqp',  bits: '111111 bf:3 dcmx:7 vrb:5 1011000100 .',   class: 'vsx-qp', needs: 'vsx', isa: '3.0', asm: 'bf,vrb,dcmx' },
  // I 7.6.3 VSX Scalar Quad-Precision Round and Convert
  { op: 'xsrqpi',     bits: '111111 vrt:5 .... r:1 vrb:5 rmc:2 000001010',  class: 'vsx-qp', needs: 'vsx', isa: '3.0', asm: 'r,vrt,vrb,rmc' },
  { op: 'xsrqpix',    bits: '111111 vrt:5 .... r:1 vrb:5 rmc:2 000001011',  class: 'vsx-qp', needs: 'vsx', isa: '3.0', asm: 'r,vrt,vrb,rmc' },
  { op: 'xsrqpxp',    bits: '111111 vrt:5 .... r:1 vrb:5 rmc:2 00100101 .', class: 'vsx-qp', needs: 'vsx', isa: '3.0', asm: 'r,vrt,vrb,rmc' },
  { op: 'xscvdpqp',   bits: '111111 vrt:5 10110 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvqpdp',   bits: '111111 vrt:5 10100 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvqpdpo',  bits: '111111 vrt:5 10100 vrb:5 11010001001',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvqpsdz',  bits: '111111 vrt:5 11001 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvqpswz',  bits: '111111 vrt:5 01001 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvqpudz',  bits: '111111 vrt:5 10001 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvqpuwz',  bits: '111111 vrt:5 00001 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvsdqp',   bits: '111111 vrt:5 01010 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xscvudqp',   bits: '111111 vrt:5 00010 vrb:5 11010001000',         class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  // I 7.6.3 VSX Scalar Quad-Precision Insert and Extract
  { op: 'xsiexpqp',   bits: '111111 vrt:5 vra:5 vrb:5 1101100100 .',  class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsxexpqp',   bits: '111111 vrt:5 00 . 10 vrb:5 11001001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
  { op: 'xsxsigqp',   bits: '111111 vrt:5 10 . 10 vrb:5 11001001000', class: 'vsx-qp', needs: 'vsx', isa: '3.0' },
] as const satisfies readonly InstructionRow[];
