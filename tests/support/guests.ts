// Named guests for the tests that boot them, out of the user's cache. In CI a guest that cannot be had is a failure;
// elsewhere the tests that want it are skipped with the reason.

import { type CachedGuest, cacheDirectory, GuestCache } from '../../src/backends/node/guest-cache.ts';
import { PowervisorError } from '../../src/util/errors.ts';

export type GuestForTest = { readonly guest: CachedGuest } | { readonly reason: string };

const missingMeans = ['NO_MIRROR', 'NETWORK', 'BUILD_TOOLS_MISSING'];

/** Fetches or builds the guest if need be, which for `linux-svm` takes minutes. */
export async function guestForTest(name: string): Promise<GuestForTest> {
  const progress = {
    note: (message: string) => process.stderr.write(`guest ${name}: ${message}\n`),
    begin() {},
    advance() {},
    end() {},
  };
  try {
    const cache = new GuestCache({ directory: cacheDirectory(), progress });
    return { guest: await cache.ensure(name, { build: true }) };
  } catch (error) {
    if (process.env.CI === undefined && error instanceof PowervisorError && missingMeans.includes(error.code)) {
      return { reason: `the guest ${name} cannot be had here: ${error.message}` };
    }
    throw error;
  }
}

/** The guest if it is in the cache. For guests that take longer to build than all other tests take to run. */
export async function guestAtHand(name: string): Promise<GuestForTest> {
  const cache = new GuestCache({ directory: cacheDirectory() });
  const { guest } = await cache.status(name);
  if (guest) return { guest };
  return { reason: `not in the cache: bin/powervisor guest build ${name} puts it there` };
}
