// The package for Node: machines that run in this process.

import { nodeMachineHost } from './backends/node/machine-host.ts';
import type { MachineConfiguration } from './machine/configuration.ts';
import { Machine as PortableMachine } from './machine/machine.ts';

export type { MachineHost } from './backends/machine-host.ts';
export type { MachineConfiguration } from './machine/configuration.ts';
export type { MachineConsole } from './machine/console.ts';
export type { EventCategory, MachineEvent } from './machine/events.ts';
export type { MachineReport, RunOutcome } from './machine/report.ts';
export { PowervisorError, UsageError } from './util/errors.ts';

export type Machine = PortableMachine;
export const Machine = {
  /** A machine at power-on in this process; see MachineConfiguration. */
  create: (configuration: MachineConfiguration): Promise<PortableMachine> =>
    PortableMachine.create(configuration, nodeMachineHost),
};
