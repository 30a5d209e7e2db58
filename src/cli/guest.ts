// `powervisor guest list|fetch|path|build`: the named guests in the user's cache.

import type { Command } from 'commander';
import type { CachedGuest, GuestCache, GuestStatus } from '../backends/node/guest-cache.ts';
import type { GuestRole } from '../backends/node/guest-catalogue.ts';
import { UsageError } from '../util/errors.ts';
import { type CliHost, stopSignalNumber } from './host.ts';
import { exitStatus, mebibyte } from './limits.ts';
import { parseJobs } from './option-values.ts';

export interface GuestContext {
  readonly host: CliHost;
  readonly guests: (how: { mirror?: string; jobs?: number; signal?: AbortSignal }) => GuestCache;
}

interface FetchOptions {
  readonly mirror?: string;
  readonly force?: boolean;
  readonly jobs?: number;
}

const mirrorHelp = "Debian mirror; else POWERVISOR_MIRROR, else the one of this machine's apt";

export function addGuestCommand(program: Command, context: GuestContext, finish: (status: number) => void): void {
  const guest = program
    .command('guest')
    .description('named guests in the cache: kernels and initial RAM disks to boot');
  guest
    .command('list')
    .description('show which guests there are and which are in the cache')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => finish(await list(options, context)));
  guest
    .command('fetch')
    .description('fetch guests into the cache')
    .argument('<name...>')
    .option('--mirror <url>', mirrorHelp)
    .option('--force', 'fetch even what is there')
    .action(async (names: string[], options: FetchOptions) => finish(await ensure(names, options, false, context)));
  guest
    .command('build')
    .description('make guests that are compiled on this machine')
    .argument('<name...>')
    .option('--mirror <url>', mirrorHelp)
    .option('--force', 'build even what is there')
    .option('--jobs <n>', 'parallel compiler runs; by default one for each CPU', parseJobs)
    .action(async (names: string[], options: FetchOptions) => finish(await ensure(names, options, true, context)));
  guest
    .command('path')
    .description('print where the files of a guest in the cache are')
    .argument('<name>')
    .argument('[part]', 'kernel, initrd, systemMap or config; without, all of them')
    .action(async (name: string, part: string | undefined) => finish(await path(name, part, context)));
}

async function list(options: { json?: boolean }, context: GuestContext): Promise<number> {
  const all = await context.guests({}).list();
  const text = options.json === true ? `${JSON.stringify(all.map(describe), undefined, 2)}\n` : table(all);
  context.host.stdout.write(text);
  return exitStatus.poweredOff;
}

function describe({ definition, state, guest }: GuestStatus): object {
  const { name, description, roles } = definition;
  return { name, description, parts: roles, state, version: guest?.version, files: guest?.files };
}

function table(all: readonly GuestStatus[]): string {
  const rows = all.map(({ definition, state, guest }) => {
    const size = Object.values(guest?.files ?? {}).reduce((sum, file) => sum + file.sizeBytes, 0);
    const where = guest === undefined ? state : `${guest.version}, ${(size / mebibyte).toFixed(1)} MB`;
    return [definition.name, where, definition.description];
  });
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => `${row[0].padEnd(widths[0])}  ${row[1].padEnd(widths[1])}  ${row[2]}\n`).join('');
}

async function ensure(
  names: readonly string[],
  options: FetchOptions,
  build: boolean,
  context: GuestContext,
): Promise<number> {
  const { host } = context;
  const stop = new AbortController();
  let stopStatus: number = exitStatus.interrupted;
  const forgetSignals = host.onStop((signal) => {
    stopStatus = 128 + stopSignalNumber[signal];
    stop.abort();
  });
  try {
    const cache = context.guests({ mirror: options.mirror, jobs: options.jobs, signal: stop.signal });
    for (const name of names) cache.definition(name);
    for (const name of names) {
      host.stdout.write(paths(await cache.ensure(name, { build, force: options.force })));
    }
    return exitStatus.poweredOff;
  } catch (error) {
    if (stop.signal.aborted) return stopStatus;
    throw error;
  } finally {
    forgetSignals();
  }
}

async function path(name: string, part: string | undefined, context: GuestContext): Promise<number> {
  const { definition, state, guest } = await context.guests({}).status(name);
  if (part !== undefined && !definition.roles.includes(part as GuestRole)) {
    throw new UsageError('NO_SUCH_PART', `The guest ${name} has no ${part}; it has: ${definition.roles.join(', ')}.`);
  }
  if (guest === undefined) {
    const verb = definition.recipe.kind === 'linux-build' ? 'build' : 'fetch';
    context.host.stderr.write(`powervisor: the guest ${name} is ${state}. Say: powervisor guest ${verb} ${name}\n`);
    return exitStatus.hostError;
  }
  context.host.stdout.write(part === undefined ? paths(guest) : `${guest.files[part as GuestRole]!.path}\n`);
  return exitStatus.poweredOff;
}

function paths(guest: CachedGuest): string {
  return Object.values(guest.files)
    .map((file) => `${file.path}\n`)
    .join('');
}
