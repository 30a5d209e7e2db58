// The command `powervisor`. Each command has a file of its own; this one puts them together and turns every way of
// failing into one sentence on standard error and an exit status.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { cacheDirectory, GuestCache } from '../backends/node/guest-cache.ts';
import { packageFile } from '../backends/node/package-files.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import { addDevicesCommand } from './devices-command.ts';
import { addDisasmCommand } from './disasm.ts';
import { addGuestCommand } from './guest.ts';
import { type CliHost, processHost, say } from './host.ts';
import { exitStatus } from './limits.ts';
import type { CreateMachine } from './machine-port.ts';
import { cliProgressFor } from './progress.ts';
import { createRealMachine } from './real-machine.ts';
import { addRunCommand } from './run.ts';
import { addSealCommand } from './seal.ts';
import { addSharingCommand } from './sharing.ts';

/** Runs the command with the arguments after the program's name and returns its exit status. Never rejects. */
export async function main(
  args: readonly string[],
  host: CliHost = processHost(),
  createMachine: CreateMachine = createRealMachine,
): Promise<number> {
  let status: number = exitStatus.poweredOff;
  try {
    const program = buildProgram(host, createMachine, (value) => {
      status = value;
    });
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    return explainFailure(error, host);
  }
}

function buildProgram(host: CliHost, createMachine: CreateMachine, finish: (status: number) => void): Command {
  const version = packageVersion();
  const program = new Command('powervisor')
    .description('A POWER9 pseries machine with an ultravisor: boots unmodified ppc64le Linux.')
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'show help')
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'powervisor: ')),
    })
    .exitOverride();
  const cache = (how: { mirror?: string; jobs?: number; signal?: AbortSignal }) =>
    new GuestCache({
      directory: cacheDirectory(host.environment),
      environment: host.environment,
      progress: cliProgressFor(host),
      ...how,
    });
  addRunCommand(program, { host, createMachine, version, guests: (mirror) => cache({ mirror }) }, finish);
  addDevicesCommand(program, host, finish);
  addGuestCommand(program, { host, guests: cache }, finish);
  addSealCommand(program, { host, guests: () => cache({}) }, finish);
  addSharingCommand(program, host, finish);
  addDisasmCommand(program, host, finish);
  return program;
}

function explainFailure(error: unknown, host: CliHost): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.poweredOff : exitStatus.usage;
  if (error instanceof UsageError) {
    say(host, error.message);
    return exitStatus.usage;
  }
  if (error instanceof PowervisorError) {
    say(host, error.message);
    return exitStatus.hostError;
  }
  // A mistake of ours: the stack is what its report needs.
  say(host, error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitStatus.hostError;
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version;
}
