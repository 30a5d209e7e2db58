// Shared memory of a secure guest as text: what `powervisor run --sharing` prints at the end, and what
// `powervisor sharing REPORT` makes of a saved report.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { SharingReport } from '../machine/witness.ts';
import type { SharedRange, SharedUser } from '../memory/shared-use.ts';
import { PowervisorError } from '../util/errors.ts';
import { fileProblem } from './guest-file.ts';
import type { CliHost } from './host.ts';
import { exitStatus } from './limits.ts';
import { causeText } from './violations.ts';

/** Ranges at most; the report has all. */
const MAX_RANGES = 40;

/** Declares the command on `program`; `finish` is handed the exit status. */
export function addSharingCommand(program: Command, host: CliHost, finish: (status: number) => void): void {
  program
    .command('sharing')
    .description('show from a report which memory a secure guest shared, and who used it')
    .argument('<report>', 'a file written by "powervisor run --report"')
    .action(async (path: string) => {
      const lines = sharingLines(await readSharing(path));
      host.stdout.write(`${lines.join('\n')}\n`);
      finish(exitStatus.poweredOff);
    });
}

/** What a machine's report says about shared memory. */
export function sharingIn(report: object): SharingReport | undefined {
  return (report as { sharing?: SharingReport }).sharing;
}

export function sharingLines({ ranges, unrecorded, devices, swiotlb }: SharingReport): string[] {
  if (ranges.length === 0) return ['no memory was shared'];
  const pagesNow = ranges.reduce((sum, range) => sum + range.pagesNow, 0);
  const lines = [`shared memory: ${pagesNow} pages now; by address and call:`];
  for (const range of ranges.slice(0, MAX_RANGES)) lines.push(...rangeLines(range, swiotlb));
  if (ranges.length > MAX_RANGES) lines.push(`  and ${ranges.length - MAX_RANGES} ranges more; --report has them`);
  if (unrecorded > 0) lines.push(`  and ${unrecorded} pages without a record, for there are too many ranges`);
  if (swiotlb) {
    const { inUse, highWater, slots, slotBytes, source } = swiotlb;
    lines.push(
      `bounce slots (${source}): ${inUse} of ${slots} in use, ${slotBytes} bytes each; at most ${highWater} when a device was started`,
    );
  }
  for (const { device, bytesRead, bytesWritten } of devices) {
    lines.push(`bounced for ${device}: ${bytesRead} bytes to the device, ${bytesWritten} bytes from it`);
  }
  return lines;
}

function rangeLines(range: SharedRange, swiotlb: SharingReport['swiotlb']): string[] {
  const { startGra, pageBytes, pages, pagesNow, by, users, slotsTouched, slots } = range;
  const isSwiotlb = swiotlb !== undefined && swiotlb.startGra === startGra;
  const still = pagesNow === pages ? '' : pagesNow === 0 ? ', not any more' : `, ${pagesNow} still`;
  const lines = [
    `  0x${startGra.toString(16)}: ${pages} ${pages === 1 ? 'page' : 'pages'} of ${pageBytes / 1024} KiB${still}; ${useOf(users)}${isSwiotlb ? ' (swiotlb)' : ''}`,
  ];
  if (by) lines.push(`    shared by ${causeText(by)}`);
  if (slotsTouched > 0) lines.push(`    ${slotsTouched} of ${slots} slots of 2 KiB touched by devices`);
  return [...lines, ...users.map(userLine)];
}

function useOf(users: readonly SharedUser[]): string {
  const uses = new Set(
    users.map(({ kind, use }) => (kind !== 'device' ? 'hypervisor' : use === 'queue' ? 'rings' : 'bounce buffers')),
  );
  return uses.size === 0 ? 'not touched by the host' : [...uses].join(', ');
}

function userLine({ kind, name, queue, use, reads, bytesRead, writes, bytesWritten }: SharedUser): string {
  const place = `${queue >= 0 ? ` queue ${queue}` : ''}${use === undefined || use === 'queue' ? '' : `, ${use}s`}`;
  const parts = [
    ...(reads > 0 ? [`${reads} reads, ${bytesRead} bytes`] : []),
    ...(writes > 0 ? [`${writes} writes, ${bytesWritten} bytes`] : []),
  ];
  return `    ${kind} ${name}${place}: ${parts.join('; ')}`;
}

async function readSharing(path: string): Promise<SharingReport> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new PowervisorError('FILE', `Cannot read the report ${path}: ${fileProblem(cause)}.`, { cause });
  }
  try {
    const sharing = sharingIn(JSON.parse(text, fromHexadecimal) as object);
    if (sharing && Array.isArray(sharing.ranges)) return sharing;
  } catch (cause) {
    if (!(cause instanceof SyntaxError) && !(cause instanceof TypeError)) throw cause;
  }
  throw new PowervisorError('REPORT', `${path} is no report of "powervisor run" that tells of shared memory.`);
}

/** Numbers of 64 bits, as reports have them. */
function fromHexadecimal(key: string, value: unknown): unknown {
  const isNumber = (key === 'address' || key === 'instructions') && typeof value === 'string';
  return isNumber && /^0x[0-9a-f]+$/.test(value) ? BigInt(value) : value;
}
