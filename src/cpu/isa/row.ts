// The shape of a row of the instruction tables. One row describes one instruction of the Power ISA 3.0B; the tables
// stand in this folder, one file a group of sections, and everything else (decoder, assembler, disassembler, engines,
// coverage report) derives from them.
//
// `bits` is the manual's picture of the instruction word, 32 bits from the most significant, pieces between spaces:
//   001110     literal bits; they alone decide which instruction a word is
//   ...        reserved bits, ignored by the decoder and written as 0 by the assembler
//   rt:5       a field with its length; names are the manual's in lower case
//   si:s16     a signed field
//   sh/1:5     piece 1 of a split field; piece 0 holds its most significant bits, whatever the order in the word.
//              `d/0:s10` marks the whole field as signed.
// Fields with a fixed meaning in every row: rc (record bit), oe (overflow enable), aa (absolute address), lk (link).
// The register operand RC is spelt rcr, so that it is not taken for the record bit. Register fields are rt rs ra rb rcr
// (GPR), rtp rsp (even GPR pair), frt frs fra frb frc (FPR), frtp frsp frap frbp (even FPR pair), vrt vrs vra vrb vrc (VR),
// xt xs xa xb xc (VSR, 6 bits with their extension bit). Values are those of the field: ds, li and bd count words,
// dq quadwords; spr and tbr are the architected numbers, their halves put in order.

/** The facility whose absence or MSR/FSCR disablement makes the instruction interrupt. `x|vec`: by bit 31 (TX, SX) or bit 28. */
export type Facility = 'fp' | 'vec' | 'vsx' | 'vsx|vec' | 'fp|vec' | 'tm' | 'tar' | 'scv' | 'ebb' | 'bhrb' | 'msgp';

/** Family of an instruction, for reports and for grouping semantics. */
// biome-ignore format: one group a line
export type InstructionClass =
  | 'branch' | 'cr' | 'syscall' | 'trap' | 'nop' | 'spr' | 'ebb'
  | 'fx-arith' | 'fx-mul' | 'fx-div' | 'fx-cmp' | 'fx-logic' | 'fx-rot' | 'fx-shift' | 'fx-bcd' | 'fx-misc'
  | 'load' | 'store' | 'load-multi' | 'store-multi' | 'load-quad' | 'store-quad' | 'load-ci' | 'store-ci'
  | 'atomic' | 'atomic-mem' | 'cache' | 'sync' | 'copy-paste' | 'tm'
  | 'fp-load' | 'fp-store' | 'fp-move' | 'fp-arith' | 'fp-est' | 'fp-fma' | 'fp-conv' | 'fp-cmp' | 'fpscr' | 'dfp'
  | 'vmx-load' | 'vmx-store' | 'vmx-sys' | 'vmx-perm' | 'vmx-pack' | 'vmx-int' | 'vmx-mul' | 'vmx-cmp' | 'vmx-logic'
  | 'vmx-shift' | 'vmx-fp' | 'vmx-crypto' | 'vmx-bcd'
  | 'vsx-load' | 'vsx-store' | 'vsx-move' | 'vsx-sc-fp' | 'vsx-sc-fma' | 'vsx-vec-fp' | 'vsx-vec-fma' | 'vsx-cmp'
  | 'vsx-conv' | 'vsx-logic' | 'vsx-perm' | 'vsx-qp'
  | 'sys' | 'sys-hv' | 'mmu' | 'mmu-slb';

/** The version of the architecture an instruction came with; no mark means it was there before 2.00. */
export type IsaVersion = '2.00' | '2.02' | '2.03' | '2.05' | '2.06' | '2.07' | '3.0' | '3.0B' | '3.0C';

export interface InstructionRow {
  /** Mnemonic without the optional `o` and `.`; the name of an instruction that always records ends in `.`. */
  readonly op: string;
  readonly bits: string;
  readonly class: InstructionClass;
  /** Least privilege: supervisor, hypervisor, supervisor unless LPCR denies it, ultravisor. Absent: problem state. */
  readonly priv?: 's' | 'h' | 's/h' | 'uv';
  readonly needs?: Facility;
  readonly isa?: IsaVersion;
  /** Ends a translation block: the next instruction may be elsewhere or mean something else. */
  readonly ends?: 'block';
  /** The base register field whose value 0 means the number 0 instead of GPR 0: (RA|0). */
  readonly zero?: 'ra';
  /** Operands as the assembler writes them, when not simply the fields from left to right (d, ds, dq as `d(ra)`). */
  readonly asm?: string;
}
