// The machine that `powervisor run` boots: in this process.

import type { CreateMachine } from './machine-port.ts';

/** Loaded only when a machine is wanted, so that the other commands start quickly. */
export const createRealMachine: CreateMachine = async (configuration) => {
  const [{ Machine }, { nodeMachineHost }] = await Promise.all([
    import('../machine/machine.ts'),
    import('../backends/node/machine-host.ts'),
  ]);
  return Machine.create(configuration, nodeMachineHost);
};
