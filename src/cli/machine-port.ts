// What `powervisor run` uses of a machine, so that tests can run the command with another.

import type { MachineConfiguration } from '../machine/configuration.ts';
import type { Machine } from '../machine/machine.ts';

export type { MachineConfiguration } from '../machine/configuration.ts';
export type { RunOutcome } from '../machine/report.ts';

export type RunnableMachine = Pick<Machine, 'onConsole' | 'closeInput' | 'run' | typeof Symbol.asyncDispose> & {
  readonly console: Pick<Machine['console'], 'write'>;
  /** Throws a UsageError for a category that does not exist. */
  events(): AsyncIterable<unknown>;
  report(): object;
  /** With `profile` in the configuration. */
  profile?(): object | undefined;
};

export type CreateMachine = (configuration: MachineConfiguration) => Promise<RunnableMachine>;
