// The machine that `powervisor run` boots: the one the package exports.

import type { CreateMachine } from './machine-port.ts';

/** Loaded only when a machine is wanted, so that the other commands start quickly. */
export const createRealMachine: CreateMachine = async (configuration) => {
  const library = (await import(new URL('../index.js', import.meta.url).href)) as {
    Machine: { create: CreateMachine };
  };
  return library.Machine.create(configuration);
};
