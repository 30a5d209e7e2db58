// Vector-scalar storage access (ISA 3.0B I 7.6.3). lxsd, lxssp, stxsd and stxssp name a VR (VSR 32 + n) and need the vector facility;
// the quadword accesses of version 3.0 need VSX or the vector facility according to TX or SX.

import type { InstructionRow } from './row.ts';

// biome-ignore format: one row a line
export const vsxMemoryRows = [
  // I 7.6.3 VSX Scalar Load
  { op: 'lxsd',     bits: '111001 vrt:5 ra:5 ds:s14 10',               class: 'vsx-load', needs: 'vec', isa: '3.0', zero: 'ra' },
  { op: 'lxsdx',    bits: '011111 xt/1:5 ra:5 rb:5 1001001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'lxsibzx',  bits: '011111 xt/1:5 ra:5 rb:5 1100001101 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'lxsihzx',  bits: '011111 xt/1:5 ra:5 rb:5 1100101101 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'lxsiwax',  bits: '011111 xt/1:5 ra:5 rb:5 0001001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.07', zero: 'ra' },
  { op: 'lxsiwzx',  bits: '011111 xt/1:5 ra:5 rb:5 0000001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.07', zero: 'ra' },
  { op: 'lxssp',    bits: '111001 vrt:5 ra:5 ds:s14 11',               class: 'vsx-load', needs: 'vec', isa: '3.0', zero: 'ra' },
  { op: 'lxsspx',   bits: '011111 xt/1:5 ra:5 rb:5 1000001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.07', zero: 'ra' },
  // I 7.6.3 VSX Vector Load
  { op: 'lxv',      bits: '111101 xt/1:5 ra:5 dq:s12 xt/0:1 001',      class: 'vsx-load', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'lxvb16x',  bits: '011111 xt/1:5 ra:5 rb:5 1101101100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'lxvd2x',   bits: '011111 xt/1:5 ra:5 rb:5 1101001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'lxvdsx',   bits: '011111 xt/1:5 ra:5 rb:5 0101001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'lxvh8x',   bits: '011111 xt/1:5 ra:5 rb:5 1100101100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'lxvl',     bits: '011111 xt/1:5 ra:5 rb:5 0100001101 xt/0:1', class: 'vsx-load', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'lxvll',    bits: '011111 xt/1:5 ra:5 rb:5 0100101101 xt/0:1', class: 'vsx-load', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'lxvw4x',   bits: '011111 xt/1:5 ra:5 rb:5 1100001100 xt/0:1', class: 'vsx-load', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'lxvwsx',   bits: '011111 xt/1:5 ra:5 rb:5 0101101100 xt/0:1', class: 'vsx-load', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'lxvx',     bits: '011111 xt/1:5 ra:5 rb:5 0100001100 xt/0:1', class: 'vsx-load', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  // I 7.6.3 VSX Scalar Store
  { op: 'stxsd',    bits: '111101 vrs:5 ra:5 ds:s14 10',               class: 'vsx-store', needs: 'vec', isa: '3.0', zero: 'ra' },
  { op: 'stxsdx',   bits: '011111 xs/1:5 ra:5 rb:5 1011001100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'stxsibx',  bits: '011111 xs/1:5 ra:5 rb:5 1110001101 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'stxsihx',  bits: '011111 xs/1:5 ra:5 rb:5 1110101101 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'stxsiwx',  bits: '011111 xs/1:5 ra:5 rb:5 0010001100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '2.07', zero: 'ra' },
  { op: 'stxssp',   bits: '111101 vrs:5 ra:5 ds:s14 11',               class: 'vsx-store', needs: 'vec', isa: '3.0', zero: 'ra' },
  { op: 'stxsspx',  bits: '011111 xs/1:5 ra:5 rb:5 1010001100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '2.07', zero: 'ra' },
  // I 7.6.3 VSX Vector Store
  { op: 'stxv',     bits: '111101 xs/1:5 ra:5 dq:s12 xs/0:1 101',      class: 'vsx-store', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'stxvb16x', bits: '011111 xs/1:5 ra:5 rb:5 1111101100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'stxvd2x',  bits: '011111 xs/1:5 ra:5 rb:5 1111001100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'stxvh8x',  bits: '011111 xs/1:5 ra:5 rb:5 1110101100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '3.0', zero: 'ra' },
  { op: 'stxvl',    bits: '011111 xs/1:5 ra:5 rb:5 0110001101 xs/0:1', class: 'vsx-store', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'stxvll',   bits: '011111 xs/1:5 ra:5 rb:5 0110101101 xs/0:1', class: 'vsx-store', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
  { op: 'stxvw4x',  bits: '011111 xs/1:5 ra:5 rb:5 1110001100 xs/0:1', class: 'vsx-store', needs: 'vsx', isa: '2.06', zero: 'ra' },
  { op: 'stxvx',    bits: '011111 xs/1:5 ra:5 rb:5 0110001100 xs/0:1', class: 'vsx-store', needs: 'vsx|vec', isa: '3.0', zero: 'ra' },
] as const satisfies readonly InstructionRow[];
