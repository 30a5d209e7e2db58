// `powervisor run`: options in, machine out. Boots a kernel with this process's standard input and output as its
// console, and turns the outcome into an exit status and a report.

import { open, writeFile } from 'node:fs/promises';
import { type Command, CommanderError, Option } from 'commander';
import type { GuestCache } from '../backends/node/guest-cache.ts';
import type { ClockMode } from '../machine/time.ts';
import type { ViolationPolicy } from '../memory/checked-host-view.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import type { DmaPolicy } from '../vmm/dma-policy.ts';
import { clockFor, openAttachments } from './attachments.ts';
import { type DeviceOption, parseDevice } from './devices.ts';
import { type DevicesReport, switchSummary } from './devices-command.ts';
import { type DriveOption, parseDrive } from './drives.ts';
import { fileProblem, readInput, resolveGuestFile, symbolsFile } from './guest-file.ts';
import { type CliHost, type StopSignal, say, stopSignalNumber } from './host.ts';
import { exitStatus, limits } from './limits.ts';
import { ultravisorKey } from './machine-key.ts';
import type { CreateMachine, RunnableMachine, RunOutcome } from './machine-port.ts';
import { type NetOption, Networks, parseNet } from './networks.ts';
import {
  parseClock,
  parseCpus,
  parseDmaPolicy,
  parseMemory,
  parseSecureMemory,
  parseSeed,
  parseTimeout,
  parseTrace,
  parseViolationPolicy,
} from './option-values.ts';
import { refusalLines } from './refusals.ts';
import { parseShare, parseVsock, type ShareOption, type VsockOption } from './shares.ts';
import { sharingIn, sharingLines } from './sharing.ts';
import { attachConsole } from './terminal-console.ts';
import { TextFile } from './text-file.ts';
import { violationLines, violationsIn } from './violations.ts';

export interface RunOptions {
  readonly kernel: string;
  readonly initrd?: string;
  readonly append: string;
  readonly memory: number;
  readonly smp: number;
  readonly clock?: ClockMode;
  /** Milliseconds of the host. */
  readonly timeout?: number;
  readonly report?: string;
  readonly trace?: string[];
  readonly drive?: DriveOption[];
  readonly device?: DeviceOption[];
  readonly net?: NetOption[];
  readonly share?: ShareOption[];
  readonly vsock?: VsockOption;
  readonly pcap?: string;
  readonly seed?: number;
  readonly dmaPolicy?: DmaPolicy;
  readonly ultravisor: boolean;
  readonly compiler: boolean;
  readonly compile?: 'beside' | 'inline';
  readonly dumpRegions?: string;
  readonly profile?: string;
  readonly secureMemory?: number;
  readonly uvKey?: string;
  readonly requireSealed?: boolean;
  readonly onViolation?: ViolationPolicy;
  readonly strict?: boolean;
  readonly symbols?: string;
  readonly sharing?: boolean;
  readonly consoleInput: boolean;
  readonly mirror?: string;
}

export interface RunContext {
  readonly host: CliHost;
  readonly guests: (mirror: string | undefined) => GuestCache;
  readonly createMachine: CreateMachine;
  readonly version: string;
}

/** Declares the command on `program`; `finish` is handed the exit status. */
export function addRunCommand(program: Command, context: RunContext, finish: (status: number) => void): void {
  const { memoryBytes, cpus } = limits;
  program
    .command('run')
    .description('boot a kernel')
    .requiredOption(
      '--kernel <file>',
      'kernel: an ELF vmlinux or zImage.pseries (gzip, xz, zstd allowed), or guest:NAME',
    )
    .option('--initrd <file>', 'initial RAM disk, or guest:NAME')
    .option('--append <string>', 'kernel command line', 'console=hvc0')
    .option('--memory <size>', 'memory of the guest, such as 512M or 2G', parseMemory, memoryBytes.preset)
    .option('--smp <n>', `number of CPUs, ${cpus.min} to ${cpus.max}`, parseCpus, cpus.preset)
    .option('--drive <options>', 'disk: file=F[,readonly][,snapshot][,...]; may be repeated', (text, before) => [
      ...((before as DriveOption[] | undefined) ?? []),
      parseDrive(text),
    ])
    .option('--device <name>', 'another device, NAME[,options]; "help" lists them; may be repeated', (text, before) => {
      const device = parseDevice(text);
      if (typeof device !== 'string') return [...((before as DeviceOption[] | undefined) ?? []), device];
      return helpInstead(context.host, device);
    })
    .option('--net <options>', netHelp, (text, before) => [
      ...((before as NetOption[] | undefined) ?? []),
      parseNet(text),
    ])
    .option('--share <options>', 'folder for the guest: tag=T,path=P[,readonly]; may be repeated', (text, before) => [
      ...((before as ShareOption[] | undefined) ?? []),
      parseShare(text),
    ])
    .option(
      '--vsock <path>',
      'sockets: port N of this machine is PATH_N; to the guest: connect to PATH, write CONNECT N',
      (text, before) => {
        if (before !== undefined) throw new UsageError('BAD_OPTION', '--vsock is given twice; a machine has one.');
        return parseVsock(text);
      },
    )
    .option('--pcap <file>', 'write what passes the network cards to a file for tcpdump and others')
    .option('--clock <mode>', 'virtual: time from instructions, repeatable; host: the time of this machine', parseClock)
    .option('--timeout <seconds>', 'stop after so many seconds of this machine, with exit status 124', parseTimeout)
    .option('--report <file>', 'write how it went as JSON')
    .option('--trace <categories>', 'events to print on standard error as JSON, separated by commas', parseTrace)
    .option('--seed <n>', "seed of the guest's random numbers", parseSeed)
    .option(
      '--dma-policy <name>',
      'when virtio devices turn to the DMA of the platform (default transition); "help" lists',
      (text) => {
        const policy = parseDmaPolicy(text);
        if (typeof policy === 'string') return policy;
        return helpInstead(context.host, ['Policies for --dma-policy NAME:', ...policy, ''].join('\n'));
      },
    )
    .option('--no-compiler', 'interpret everything: slower, and otherwise the same')
    .addOption(
      new Option(
        '--compile <where>',
        'compile "inline", on the thread of the vCPUs, or "beside", on another (default inline)',
      ).choices(['beside', 'inline']),
    )
    .option('--dump-regions <file>', 'write what the region compiler makes: guest code, structure, WebAssembly')
    .option('--profile <file>', 'write where the guest spends its instructions, for the viewers of .cpuprofile files')
    .option('--no-ultravisor', 'a machine whose guests cannot turn secure')
    .option(
      '--secure-memory <size>',
      'secure memory of a guest that turns secure, such as 64M; what does not fit is encrypted and paged out',
      parseSecureMemory,
    )
    .option(
      '--uv-key <file>',
      'private key of the ultravisor, a PEM file; by default that of "powervisor seal keys --machine"',
    )
    .option('--require-sealed', 'only sealed images may turn secure')
    .option(
      '--on-violation <policy>',
      'what to do when somebody touches secure memory: report, block or stop',
      parseViolationPolicy,
    )
    .option('--strict', 'exit status 4 if anybody touched secure memory')
    .option('--symbols <file>', "System.map or vmlinux of the kernel, for names in reports; default: the kernel's own")
    .option('--sharing', 'say at the end which memory the guest shared, and who used it')
    .option('--no-console-input', 'send nothing to the console of the guest')
    .option('--mirror <url>', 'Debian mirror for guests that are not in the cache yet')
    .addHelpText('after', runHelp)
    .action(async (options: RunOptions) => finish(await run(options, context)));
}

/** An option was asked for help: nothing runs. */
function helpInstead(host: CliHost, text: string): never {
  host.stdout.write(text);
  throw new CommanderError(exitStatus.poweredOff, 'powervisor.optionHelp', '');
}

const netHelp =
  'network card: user[,hostfwd=tcp:ADDR:PORT-ADDR:PORT][,dns=ADDR], stream,PATH|HOST:PORT[,server], or none; may be repeated';

const runHelp = `
The clock is "host" when the console is a terminal or there is a network or --vsock, and "virtual" otherwise.
On a terminal, Ctrl-A x leaves and Ctrl-A h shows help.

An access of a device or of the hypervisor to secure memory is always reported. "block", the default, gives it
ciphertext and drops what it writes; "report" lets it through; "stop" blocks it and ends the machine.

Exit status: 0 guest powered off, 1 error on this machine, 2 wrong usage, 3 guest panic, 4 secure memory was touched
(with --strict), 124 timeout, 130 left by Ctrl-A x or Ctrl-C, 143 terminated.`;

/** Boots and returns the exit status. Throws a PowervisorError for what keeps the machine from starting. */
export async function run(options: RunOptions, context: RunContext): Promise<number> {
  const { host } = context;
  if (options.report !== undefined) await requireWritable(options.report);
  const networks = new Networks(options.net ?? [], options.pcap, (message) => say(host, message));
  const profile = options.profile === undefined ? undefined : new TextFile(options.profile);
  const regions = options.dumpRegions === undefined ? undefined : new TextFile(options.dumpRegions);
  let machine: RunnableMachine | undefined;
  try {
    machine = await createMachine(options, context, networks, regions);
    await networks.open();
    if (options.trace !== undefined) void printEvents(machine.events(), host);
    const end = judged(await runMachine(machine, options, host), machine, options, host);
    if (options.report !== undefined) await writeReport(options.report, context, end, machine.report());
    const switched = switchSummary(machine.report() as DevicesReport);
    if (switched !== undefined) say(host, switched);
    explain(end, host);
    return end.status;
  } catch (error) {
    if (options.report !== undefined) await writeReport(options.report, context, errorEnd(error), machine?.report());
    throw error;
  } finally {
    // However it ended: what was measured until then is wanted.
    const measured = machine?.profile?.();
    if (measured !== undefined) profile?.write(`${JSON.stringify(measured)}\n`);
    profile?.close();
    regions?.close();
    await machine?.[Symbol.asyncDispose]();
    networks.close();
  }
}

/** Says what touched secure memory; with --strict that decides the exit status. */
function judged(end: RunEnd, machine: RunnableMachine, options: RunOptions, host: CliHost): RunEnd {
  const report = machine.report();
  const sharing = options.sharing ? sharingIn(report) : undefined;
  if (sharing) for (const line of sharingLines(sharing)) say(host, line);
  for (const line of refusalLines(report)) say(host, line);
  const violations = violationsIn(report);
  if (!violations || violations.count === 0) return end;
  for (const line of violationLines(violations)) say(host, line);
  return options.strict ? { ...end, status: exitStatus.violation } : end;
}

interface RunEnd {
  readonly status: number;
  readonly outcome: RunOutcome;
}

async function createMachine(
  options: RunOptions,
  context: RunContext,
  networks: Networks,
  regions: TextFile | undefined,
): Promise<RunnableMachine> {
  const { host } = context;
  const cache = context.guests(options.mirror);
  const kernelPath = await resolveGuestFile(options.kernel, 'kernel', cache);
  const initrdPath = options.initrd === undefined ? undefined : await resolveGuestFile(options.initrd, 'initrd', cache);
  const interactive = host.stdin.isTTY === true && host.stdout.isTTY === true;
  const clock = options.clock ?? (interactive ? 'host' : clockFor(options));
  // As the machine chooses its own randomness: repeatable unless it runs on the clock of the host.
  const seed = options.seed ?? (clock === 'virtual' ? 1 : undefined);
  const attached = await openAttachments(options, networks, { clock, seed });
  return context.createMachine({
    kernel: await readInput(kernelPath, 'kernel'),
    kernelName: options.kernel,
    symbols: await symbolsFile(options.symbols, options.kernel, cache),
    initrd: initrdPath === undefined ? undefined : await readInput(initrdPath, 'initrd'),
    append: options.append,
    memoryBytes: options.memory,
    cpus: options.smp,
    clock,
    seed: options.seed,
    trace: options.trace,
    ...(options.dmaPolicy && { dmaPolicy: options.dmaPolicy }),
    ultravisor: options.ultravisor,
    compiler: options.compiler,
    ...(options.compile && { compile: options.compile }),
    ...(options.profile !== undefined && { profile: true }),
    ...(regions !== undefined && { onRegion: (text: string) => regions.write(text) }),
    ...(options.secureMemory && { secureMemoryBytes: options.secureMemory }),
    ultravisorKey: await ultravisorKey(options.uvKey, host.environment),
    requireSealed: options.requireSealed,
    onViolation: options.onViolation,
    ...attached,
  });
}

async function runMachine(machine: RunnableMachine, options: RunOptions, host: CliHost): Promise<RunEnd> {
  const stop = new AbortController();
  let stopStatus: number = exitStatus.interrupted;
  const stopWith = (status: number) => {
    stopStatus = status;
    stop.abort();
  };
  const forgetSignals = host.onStop((signal: StopSignal) => stopWith(128 + stopSignalNumber[signal]));
  const detachConsole = attachConsole(host, machine, {
    input: options.consoleInput,
    onQuit: () => stopWith(exitStatus.interrupted),
    onOutputClosed: () => stopWith(exitStatus.hostError),
  });
  try {
    const outcome = await machine.run({ timeoutMs: options.timeout, signal: stop.signal });
    return { outcome, status: statusOf(outcome, stopStatus) };
  } finally {
    detachConsole();
    forgetSignals();
  }
}

function statusOf(outcome: RunOutcome, stopStatus: number): number {
  switch (outcome.reason) {
    case 'power-off':
      return exitStatus.poweredOff;
    case 'panic':
      return exitStatus.guestPanic;
    case 'timeout':
      return exitStatus.timeout;
    case 'stopped':
      return stopStatus;
    case 'error':
      return exitStatus.hostError;
  }
}

const endings: Record<RunOutcome['reason'], string | undefined> = {
  'power-off': undefined,
  panic: 'the guest panicked',
  timeout: 'the time given by --timeout is over',
  stopped: 'stopped',
  error: 'the machine cannot go on',
};

function explain({ outcome }: RunEnd, host: CliHost): void {
  const ending = endings[outcome.reason];
  if (ending === undefined) return;
  say(host, outcome.message === undefined ? `${ending}.` : `${ending}: ${outcome.message}`);
}

/** One event a line. Numbers of 64 bits are printed in hexadecimal, bytes as text. */
async function printEvents(events: AsyncIterable<unknown>, host: CliHost): Promise<void> {
  for await (const event of events) host.stderr.write(`${toJson(event)}\n`);
}

function toJson(value: unknown, indent?: number): string {
  const plain = (_key: string, each: unknown) => {
    if (typeof each === 'bigint') return `0x${each.toString(16)}`;
    return each instanceof Uint8Array ? Buffer.from(each).toString('latin1') : each;
  };
  return JSON.stringify(value, plain, indent);
}

/** Fails before the guest runs rather than after. Creates the file if there is none. */
async function requireWritable(path: string): Promise<void> {
  try {
    await (await open(path, 'a')).close();
  } catch (cause) {
    throw new PowervisorError('REPORT', `Cannot write the report ${path}: ${fileProblem(cause)}.`, { cause });
  }
}

function errorEnd(error: unknown): RunEnd {
  const message = error instanceof Error ? error.message : String(error);
  const status = error instanceof UsageError ? exitStatus.usage : exitStatus.hostError;
  return { status, outcome: { reason: 'error', message } };
}

async function writeReport(path: string, context: RunContext, end: RunEnd, report: object = {}): Promise<void> {
  const whole = { version: context.version, ...report, outcome: end.outcome, exitStatus: end.status };
  try {
    await writeFile(path, `${toJson(whole, 2)}\n`);
  } catch (cause) {
    throw new PowervisorError('REPORT', `Cannot write the report ${path}: ${fileProblem(cause)}.`, { cause });
  }
}
