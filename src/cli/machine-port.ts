// What `powervisor run` uses of a machine, so that tests can run the command with another.

import type { Machine, MachineConfiguration } from '../machine/machine.ts';

export type { MachineConfiguration, RunOutcome } from '../machine/machine.ts';

export type RunnableMachine = Pick<Machine, 'onConsole' | 'closeInput' | 'run' | typeof Symbol.asyncDispose> & {
  readonly console: Pick<Machine['console'], 'write'>;
  /** Throws a UsageError for a category that does not exist. */
  events(): AsyncIterable<unknown>;
  report(): object;
};

export type CreateMachine = (configuration: MachineConfiguration) => Promise<RunnableMachine>;
