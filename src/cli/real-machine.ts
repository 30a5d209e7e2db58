// The machine that `powervisor run` boots: the one the package exports.

import type { CreateMachine } from './machine-port.ts';

/** Loaded only when a machine is wanted, so that the other commands start quickly. */
export const createRealMachine: CreateMachine = async (configuration) => {
  const { Machine } = await import('../index.ts');
  return Machine.create(configuration);
};
