// `powervisor devices`: how each device of a machine reaches memory, since when and why. Read from the report of a run; the
// same lines are shown for a running machine by the escape key of its console.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { MachineReport } from '../machine/report.ts';
import { PowervisorError } from '../util/errors.ts';
import type { DmaSwitch, DmaSwitchCause } from '../vmm/dma-policy.ts';
import { fileProblem } from './guest-file.ts';
import type { CliHost } from './host.ts';
import { exitStatus } from './limits.ts';

/** The part of a report that is shown. Counts of instructions are in hexadecimal in a report that was a file. */
export type DevicesReport = Partial<Pick<MachineReport, 'dmaPolicy' | 'devices'>>;

const causes: Readonly<Record<DmaSwitchCause, string>> = {
  H_SVM_INIT_DONE: 'the VM turned secure (H_SVM_INIT_DONE)',
  'normal again': 'the VM was a normal one again',
  'machine reset': 'the machine started anew',
  guest: 'the guest asked for it',
};

const devicesHelp = `
A machine runs in the foreground of its own "powervisor run", which leaves the report:

  powervisor run --kernel ... --report run.json
  powervisor devices run.json

While it runs on a terminal, Ctrl-A d shows the same; --trace device prints each switch as it happens.
"bypass": the device uses guest real addresses. "platform": its addresses go through the TCE tables, and virtio drivers
have to accept ACCESS_PLATFORM. When devices are switched is up to "powervisor run --dma-policy".`;

export function addDevicesCommand(program: Command, host: CliHost, finish: (status: number) => void): void {
  program
    .command('devices')
    .description("show how a machine's devices reach memory, and when that changed")
    .argument('<report>', 'what "powervisor run --report" wrote')
    .addHelpText('after', devicesHelp)
    .action(async (path: string) => {
      host.stdout.write(`${deviceLines(await readReport(path)).join('\n')}\n`);
      finish(exitStatus.poweredOff);
    });
}

async function readReport(path: string): Promise<DevicesReport> {
  let report: DevicesReport | null;
  try {
    report = JSON.parse(await readFile(path, 'utf8')) as typeof report;
  } catch (cause) {
    const problem = cause instanceof SyntaxError ? 'it is not JSON' : fileProblem(cause);
    throw new PowervisorError('REPORT', `Cannot read the report ${path}: ${problem}.`, { cause });
  }
  if (typeof report === 'object' && report !== null && Array.isArray(report.devices) && report.dmaPolicy) return report;
  throw new PowervisorError(
    'REPORT',
    `${path} has no devices: it is not the report of a machine that was started by "powervisor run --report".`,
  );
}

/** The devices in order, each with the ways it has reached memory since power-on. */
export function deviceLines({ dmaPolicy = 'transition', devices = [] }: DevicesReport): string[] {
  const lines = [`DMA policy: ${dmaPolicy}`];
  if (devices.length === 0) lines.push('The machine has no devices on PCI.');
  for (const { kind, place, functions, dmaSwitches = [] } of devices) {
    for (const { name, id, dma } of functions) {
      const first = dmaSwitches[0]?.from ?? dma;
      lines.push(`${place.padEnd(6)}${name === kind ? kind : `${kind} "${name}"`}  ${id}`);
      lines.push(`      ${first.padEnd(9)} from power-on`);
      for (const each of dmaSwitches) lines.push(`      ${each.to.padEnd(9)} ${switchText(each)}`);
    }
  }
  return lines;
}

function switchText({ guestSeconds, instructions, cause, reset }: DmaSwitch): string {
  const queues = reset?.queues.length ? `, with ${listed('queue', reset.queues)} set up` : '';
  const taken = reset ? `; the driver had it and it was reset${queues}` : '';
  return `from ${guestSeconds.toFixed(6)} s, instruction ${BigInt(instructions)}: ${causes[cause]}${taken}`;
}

function listed(what: string, numbers: readonly number[]): string {
  return `${what}${numbers.length > 1 ? 's' : ''} ${numbers.join(', ')}`;
}

/** What happened to the devices, in a sentence; undefined if nothing did. */
export function switchSummary({ devices = [] }: DevicesReport): string | undefined {
  const switched = devices.filter(({ dmaSwitches = [] }) => dmaSwitches.some(({ to }) => to === 'platform'));
  if (switched.length === 0) return undefined;
  const [first] = switched.flatMap(({ dmaSwitches = [] }) => dmaSwitches.filter(({ to }) => to === 'platform'));
  const names = switched.map(({ kind }) => kind).join(', ');
  return `${names} went to the DMA of the platform at ${first.guestSeconds.toFixed(3)} s, when ${causes[first.cause]}.`;
}
