// Which words with a row the GNU disassembler shows as data: reserved bits that are not 0 and invalid forms
// (ISA 3.0B I 1.8, and the notes on invalid forms beside each instruction). The machine itself ignores reserved bits and gives
// invalid forms boundedly undefined results, so neither matters to decoding; text, however, should agree with what
// people compare it to.

import { fieldValue } from './decode.ts';
import type { Instruction } from './table.ts';

/** Reserved bits that GNU ignores, by mnemonic; the decimal class follows one rule, below. */
const ignoredReserved: ReadonlyMap<string, number> = new Map([
  ['cmpi', 0x0040_0000],
  ['cmpli', 0x0040_0000],
  ['isel', 0x0000_0001],
  ['sc', 0x0000_f01c],
  ['scv', 0x0000_f01c],
  ['lq', 0x0000_000f],
  ['dcbz', 0x0020_0000],
  ['dst', 0xffff_ffff],
  ['dstt', 0xffff_ffff],
  ['dstst', 0xffff_ffff],
  ['dststt', 0xffff_ffff],
  ['dss', 0xffff_ffff],
  ['dssall', 0xffff_ffff],
  ['xsrqpi', 0x001e_0000],
  ['xsrqpix', 0x001e_0000],
  ['xsrqpxp', 0x001e_0000],
  ['dcffix', 0],
  ['dtstsfi', 0],
  ['dtstsfiq', 0],
]);

/** Whether the reserved bits of `word` are what the assembler would have written, or bits that GNU does not look at. */
export function reservedBitsAccepted(row: Instruction, word: number): boolean {
  const ignored = ignoredReserved.get(row.op) ?? (row.class === 'dfp' ? 0x007f_0000 : 0);
  return (word & row.reserved & ~ignored) === 0;
}

/** BO values with the at and z bits as the architecture has them (ISA 3.0B I 2.4). */
function validBranchOptions(bo: number): boolean {
  switch (bo & 0b10100) {
    case 0b00000:
      return (bo & 0b00001) === 0;
    case 0b00100:
      return (bo & 0b00011) !== 0b01;
    case 0b10000:
      return (bo & 0b01001) !== 0b00001;
    default:
      return bo === 0b10100;
  }
}

type Rule = (value: (field: string) => number) => boolean;

const updateLoad: Rule = (value) => value('ra') === 0 || value('ra') === value('rt');
const update: Rule = (value) => value('ra') === 0;
const oddPairLoaded: Rule = (value) => value('rtp') % 2 === 1 || value('rtp') === value('ra');
const branch: Rule = (value) => !validBranchOptions(value('bo'));
const notOneField: Rule = (value) => ![1, 2, 4, 8, 16, 32, 64, 128].includes(value('fxm'));
const always: Rule = () => true;

/** When a form is invalid, by mnemonic. */
const invalidForms: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...['bc', 'bclr', 'bcctr', 'bctar'].map((op) => [op, branch] as const),
  ...'lbzu lbzux lhzu lhzux lhau lhaux lwzu lwzux lwaux ldu ldux'.split(' ').map((op) => [op, updateLoad] as const),
  ...'stbu stbux sthu sthux stwu stwux stdu stdux'.split(' ').map((op) => [op, update] as const),
  ...'lfsu lfsux lfdu lfdux stfsu stfsux stfdu stfdux'.split(' ').map((op) => [op, update] as const),
  ['lmw', (value) => value('ra') >= value('rt')],
  // The architecture refuses every overlap of the base with the registers loaded; GNU looks at the first one only.
  ['lswi', (value) => value('ra') === value('rt')],
  ['lswx', (value) => value('ra') === value('rt') || value('rb') === value('rt')],
  ['lq', oddPairLoaded],
  ['lqarx', (value) => oddPairLoaded(value) || value('rtp') === value('rb')],
  ['stq', (value) => value('rsp') % 2 === 1],
  ['stqcx.', (value) => value('rsp') % 2 === 1],
  ['mfocrf', notOneField],
  ['mtocrf', notOneField],
  // Reserved values.
  ['sync', (value) => value('l') === 3],
  ['dcbf', (value) => value('l') === 2],
  ['wait', (value) => value('wc') !== 0],
  // Phased out, or without a name of its own in the assembler.
  ...['mftb', 'lfdp', 'lfdpx', 'stfdp', 'stfdpx', 'rnop'].map((op) => [op, always] as const),
]);

/** Whether the operands of `word` make an invalid form, or the form is one that POWER9 assemblers no longer name. */
export function isInvalidForm(row: Instruction, word: number): boolean {
  const value = (name: string) => fieldValue(word, row.fields.get(name)!);
  if (row.class === 'dfp' && row.fields.has('frtp') && value('frtp') % 2 === 1) return true;
  return invalidForms.get(row.op)?.(value) ?? false;
}
