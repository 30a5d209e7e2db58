// The text about breaches that `powervisor run` prints when the machine has ended: one paragraph for what is alike but
// for the page.

import type { SecureReport } from '../machine/secure-partition.ts';
import { type CauseDescription, chainText, frameText } from '../memory/access-cause.ts';
import type { Violation } from '../memory/violations.ts';

/** Paragraphs at most; the report has all records. */
const MAX_GROUPS = 20;
/** Calls shown of a chain. */
const MAX_CALLS = 12;

type Breaches = SecureReport['violations'];

/** Accesses to secure memory so far, in the report of a machine. */
export function violationsIn(report: object): Breaches | undefined {
  return (report as { violations?: Breaches }).violations;
}

/** Nothing if there was no breach. */
export function violationLines({ count, unrecorded, policy, records }: Breaches): string[] {
  if (count === 0) return [];
  const settled = { report: 'let through', block: 'blocked', stop: 'blocked, and ended the machine' }[policy];
  const groups = [...grouped(records).values()];
  const lines = groups.slice(0, MAX_GROUPS).flatMap(groupLines);
  if (groups.length > MAX_GROUPS) lines.push(`  and ${groups.length - MAX_GROUPS} others; --report has them`);
  if (unrecorded > 0)
    lines.push(`  and ${unrecorded} accesses without a record, for there are too many different ones`);
  return [`${count} accesses to secure memory, ${settled}:`, ...lines];
}

/** `CPU 0: a < b < c`, the innermost call first. */
export function causeText({ vcpu, by, chain }: CauseDescription): string {
  const shown = chain.slice(0, MAX_CALLS).map(frameText);
  if (chain.length > MAX_CALLS) shown.push('...');
  return `CPU ${vcpu} (${by}): ${shown.length > 0 ? shown.join(' < ') : 'no call chain'}`;
}

/** Of a device's origin. */
interface DevicePlace {
  readonly queue?: number;
  readonly descriptor?: number;
  readonly use?: string;
  readonly address?: string;
}

function grouped(records: readonly Violation[]): Map<string, Violation[]> {
  const groups = new Map<string, Violation[]>();
  for (const record of records) {
    const { origin, direction, pageState, madeBy, cause, later } = record;
    const { queue, use } = origin as DevicePlace;
    const calls = cause && chainText(cause.chain);
    const key = [origin.kind, origin.name, queue, use, direction, pageState, madeBy, calls, later].join('|');
    const group = groups.get(key);
    if (group) group.push(record);
    else groups.set(key, [record]);
  }
  return groups;
}

function groupLines(group: readonly Violation[]): string[] {
  const { origin, direction, gra, lenBytes, pageState, madeBy, instructions, cause, later } = group[0];
  const { queue = -1, descriptor = -1, use, address } = origin as DevicePlace;
  const times = group.reduce((sum, each) => sum + each.times, 0);
  const pages = new Set(group.map(({ pageGra }) => pageGra)).size;
  const what = use === undefined || use === 'queue' ? '' : `, ${use}`;
  const place = `${queue >= 0 ? ` queue ${queue}` : ''}${descriptor >= 0 ? ` descriptor ${descriptor}` : ''}${what}`;
  const bus = address !== undefined && address !== hex(gra) ? ` (bus address ${address})` : '';
  const repeated = times > 1 ? `; ${times} times${pages > 1 ? ` in ${pages} pages` : ''}` : '';
  const first =
    `  ${origin.kind} ${origin.name}${place}: ${direction} of ${lenBytes} bytes at ${hex(gra)}${bus}, ` +
    `a page ${pageState} since ${madeBy}, instruction ${instructions}${repeated}`;
  if (!cause) return [first, '    not by anything the guest had just done'];
  return [first, `    ${later ? 'asked for earlier by' : 'by'} ${causeText(cause)}`];
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
