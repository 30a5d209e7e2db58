// The program of a worker that runs a machine: bundled as a file of its own, driven by MachineClient.

import { browserMachineHost } from '../backends/browser/machine-host.ts';
import { Machine } from '../machine/machine.ts';
import { serveMachine } from './machine-server.ts';
import type { ServerPort } from './protocol.ts';

serveMachine(globalThis as unknown as ServerPort, (configuration) => Machine.create(configuration, browserMachineHost));
