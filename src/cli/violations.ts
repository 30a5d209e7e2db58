// The text about breaches that `powervisor run` prints when the machine has ended.

import type { SecureReport } from '../machine/secure-partition.ts';

/** Lines at most; the report has all records. */
const MAX_LINES = 20;

type Breaches = SecureReport['violations'];

/** Accesses to secure memory so far, in the report of a machine. */
export function violationsIn(report: object): Breaches | undefined {
  return (report as { violations?: Breaches }).violations;
}

/** Nothing if there was no breach. */
export function violationLines({ count, policy, records }: Breaches): string[] {
  if (count === 0) return [];
  const settled = { report: 'let through', block: 'blocked', stop: 'blocked, and ended the machine' }[policy];
  const lines = records.slice(0, MAX_LINES).map((record) => {
    const { origin, direction, gra, lenBytes, pageState, madeBy, instructions, times } = record;
    const { queue = -1, descriptor = -1 } = origin as { queue?: number; descriptor?: number };
    const place = `${queue >= 0 ? ` queue ${queue}` : ''}${descriptor >= 0 ? ` descriptor ${descriptor}` : ''}`;
    const repeated = times > 1 ? `, ${times} times` : '';
    return `  ${origin.kind} ${origin.name}${place}: ${direction} of ${lenBytes} bytes at 0x${gra.toString(16)}, a page ${pageState} since ${madeBy}, instruction ${instructions}${repeated}`;
  });
  if (records.length > MAX_LINES) lines.push(`  and ${records.length - MAX_LINES} others; --report has them`);
  return [`${count} accesses to secure memory, ${settled}:`, ...lines];
}
