// Special Purpose Registers (ISA 3.0B III 4.4.4, figure 18) as this machine has them: number, name, where the value is
// kept and who may touch it. What needs more than storage is named in `special` and done in semantics/spr.ts.

import type { StateField } from './layout.ts';

export type SprSpecial =
  | 'xer'
  | 'timebase'
  | 'timebaseUpper'
  | 'decrementer'
  | 'context'
  | 'iamr'
  | 'virtualTime'
  | 'zero'
  | 'fscr';

export interface Spr {
  readonly number: number;
  readonly name: string;
  /** Where the value is kept; absent when `special` computes it. */
  readonly field?: StateField;
  readonly index?: number;
  readonly special?: SprSpecial;
  /** Who may read and write: problem state, supervisor, nobody (the access does nothing). */
  readonly read: 'user' | 'supervisor' | 'none';
  readonly write: 'user' | 'supervisor' | 'none';
  /** Bits that a write keeps. */
  readonly mask?: bigint;
  /** FSCR facility that gates problem-state use. */
  readonly facility?: number;
}

const u = { read: 'user', write: 'user' } as const;
const s = { read: 'supervisor', write: 'supervisor' } as const;
const userReads = { read: 'user', write: 'none' } as const;
const supervisorReads = { read: 'supervisor', write: 'none' } as const;
const WORD = 0xffff_ffffn;

// biome-ignore format: one register a line
export const sprs: readonly Spr[] = [
  { number: 1,   name: 'XER',    special: 'xer', ...u },
  { number: 3,   name: 'DSCR',   field: 'dscr', ...u, facility: 2 },
  { number: 8,   name: 'LR',     field: 'lr', ...u },
  { number: 9,   name: 'CTR',    field: 'ctr', ...u },
  { number: 13,  name: 'AMR',    field: 'amr', special: 'context', ...u },
  { number: 17,  name: 'DSCR',   field: 'dscr', ...s },
  { number: 18,  name: 'DSISR',  field: 'dsisr', ...s, mask: WORD },
  { number: 19,  name: 'DAR',    field: 'dar', ...s },
  { number: 22,  name: 'DEC',    special: 'decrementer', ...s },
  { number: 26,  name: 'SRR0',   field: 'srr0', ...s },
  { number: 27,  name: 'SRR1',   field: 'srr1', ...s },
  { number: 28,  name: 'CFAR',   field: 'cfar', ...s },
  { number: 29,  name: 'AMR',    field: 'amr', special: 'context', ...s },
  { number: 31,  name: 'ACOP',   field: 'acop', ...s },
  { number: 48,  name: 'PIDR',   field: 'pidr', special: 'context', ...s, mask: 0xf_ffffn },
  { number: 61,  name: 'IAMR',   field: 'iamr', special: 'iamr', ...s },
  { number: 136, name: 'CTRL',   field: 'ctrl', ...userReads },
  { number: 144, name: 'TIDR',   field: 'tidr', ...s },
  { number: 152, name: 'CTRL',   field: 'ctrl', read: 'none', write: 'supervisor', mask: 1n },
  { number: 153, name: 'FSCR',   field: 'fscr', ...s },
  { number: 157, name: 'UAMOR',  field: 'uamor', ...s },
  { number: 159, name: 'PSPB',   field: 'pspb', ...s, mask: WORD },
  { number: 176, name: 'DPDES',  field: 'dpdes', ...supervisorReads },
  { number: 256, name: 'VRSAVE', field: 'vrsave', ...u, mask: WORD },
  { number: 259, name: 'SPRG3',  field: 'sprg', index: 3, ...userReads },
  { number: 268, name: 'TB',     special: 'timebase', ...userReads },
  { number: 269, name: 'TBU',    special: 'timebaseUpper', ...userReads },
  { number: 272, name: 'SPRG0',  field: 'sprg', index: 0, ...s },
  { number: 273, name: 'SPRG1',  field: 'sprg', index: 1, ...s },
  { number: 274, name: 'SPRG2',  field: 'sprg', index: 2, ...s },
  { number: 275, name: 'SPRG3',  field: 'sprg', index: 3, ...s },
  { number: 283, name: 'CIR',    special: 'zero', ...supervisorReads },
  { number: 287, name: 'PVR',    field: 'pvr', ...supervisorReads },
  { number: 308, name: 'SPURR',  special: 'virtualTime', ...supervisorReads },
  { number: 309, name: 'PURR',   special: 'virtualTime', ...supervisorReads },
  { number: 446, name: 'TIR',    special: 'zero', ...supervisorReads },
  // Performance monitor: storage that reads back; the counters do not count (facility 3 for problem state).
  { number: 768, name: 'SIER',   field: 'sier', ...userReads, facility: 3 },
  { number: 769, name: 'MMCR2',  field: 'mmcr2', ...u, facility: 3 },
  { number: 770, name: 'MMCRA',  field: 'mmcra', ...u, facility: 3 },
  { number: 771, name: 'PMC1',   field: 'pmc', index: 0, ...u, facility: 3, mask: WORD },
  { number: 772, name: 'PMC2',   field: 'pmc', index: 1, ...u, facility: 3, mask: WORD },
  { number: 773, name: 'PMC3',   field: 'pmc', index: 2, ...u, facility: 3, mask: WORD },
  { number: 774, name: 'PMC4',   field: 'pmc', index: 3, ...u, facility: 3, mask: WORD },
  { number: 775, name: 'PMC5',   field: 'pmc', index: 4, ...u, facility: 3, mask: WORD },
  { number: 776, name: 'PMC6',   field: 'pmc', index: 5, ...u, facility: 3, mask: WORD },
  { number: 779, name: 'MMCR0',  field: 'mmcr0', ...u, facility: 3 },
  { number: 780, name: 'SIAR',   field: 'siar', ...userReads, facility: 3 },
  { number: 781, name: 'SDAR',   field: 'sdar', ...userReads, facility: 3 },
  { number: 782, name: 'MMCR1',  field: 'mmcr1', ...userReads, facility: 3 },
  { number: 784, name: 'SIER',   field: 'sier', ...s },
  { number: 785, name: 'MMCR2',  field: 'mmcr2', ...s },
  { number: 786, name: 'MMCRA',  field: 'mmcra', ...s },
  { number: 787, name: 'PMC1',   field: 'pmc', index: 0, ...s, mask: WORD },
  { number: 788, name: 'PMC2',   field: 'pmc', index: 1, ...s, mask: WORD },
  { number: 789, name: 'PMC3',   field: 'pmc', index: 2, ...s, mask: WORD },
  { number: 790, name: 'PMC4',   field: 'pmc', index: 3, ...s, mask: WORD },
  { number: 791, name: 'PMC5',   field: 'pmc', index: 4, ...s, mask: WORD },
  { number: 792, name: 'PMC6',   field: 'pmc', index: 5, ...s, mask: WORD },
  { number: 795, name: 'MMCR0',  field: 'mmcr0', ...s },
  { number: 796, name: 'SIAR',   field: 'siar', ...s },
  { number: 797, name: 'SDAR',   field: 'sdar', ...s },
  { number: 798, name: 'MMCR1',  field: 'mmcr1', ...s },
  { number: 804, name: 'EBBHR',  field: 'ebbhr', ...u, facility: 7 },
  { number: 805, name: 'EBBRR',  field: 'ebbrr', ...u, facility: 7 },
  { number: 806, name: 'BESCR',  field: 'bescr', ...u, facility: 7 },
  // Reserved for no-op accesses (III 4.4.4).
  { number: 808, name: 'RESERVED', special: 'zero', ...userReads },
  { number: 809, name: 'RESERVED', special: 'zero', ...userReads },
  { number: 810, name: 'RESERVED', special: 'zero', ...userReads },
  { number: 811, name: 'RESERVED', special: 'zero', ...userReads },
  { number: 815, name: 'TAR',    field: 'tar', ...u, facility: 8 },
  { number: 849, name: 'VTB',    special: 'virtualTime', ...supervisorReads },
  { number: 896, name: 'PPR',    field: 'ppr', ...u, mask: 0x001c_0000_0000_0000n },
  { number: 898, name: 'PPR32',  special: 'zero', ...userReads },
  { number: 1023, name: 'PIR',   field: 'pir', ...supervisorReads },
];
