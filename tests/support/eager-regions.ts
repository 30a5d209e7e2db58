// Options of a region cache that compiles whatever a branch comes to, for tests.

import { defaultRegionOptions, type RegionOptions } from '../../src/cpu/compiler/cache.ts';

export const eagerRegionOptions: RegionOptions = {
  ...defaultRegionOptions,
  threshold: 1,
  reluctant: 0,
  executedOnly: false,
};
