// Which instructions of the table the single-instruction suites cover, and why the others are left out.

import type { Instruction } from '../../src/cpu/isa/table.ts';
import { instructions } from '../../src/cpu/isa/table.ts';

const reasons: Readonly<Record<string, string>> = {
  sc: 'enters the supervisor; covered by the user-mode programs',
  scv: 'enters the supervisor; covered by the user-mode programs',
  wait: 'stops until an event that a single instruction does not bring',
  darn: 'its result is random',
  mftb: 'its result is the time',
  copy: 'needs an accelerator to paste to',
  'paste.': 'needs an accelerator to paste to',
  cpabort: 'needs an accelerator to paste to',
};

/** Why `instruction` is not covered by single-instruction vectors, or undefined if it is. */
export function exclusion(instruction: Instruction): string | undefined {
  if (reasons[instruction.op]) return reasons[instruction.op];
  if (instruction.priv) return 'privileged';
  if (instruction.class === 'load-multi' || instruction.class === 'store-multi')
    return 'always an alignment interrupt in little-endian mode; covered by alignment.test.ts';
  if (instruction.class === 'tm') return 'transactional memory is not offered';
  if (instruction.class === 'ebb') return 'event-based branches and the branch history buffer are not offered';
  return undefined;
}

export const covered: readonly Instruction[] = instructions.filter((entry) => exclusion(entry) === undefined);
