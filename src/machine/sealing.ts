// What a machine's ultravisor has for sealed images: the host's cryptography, its key, and whether it insists on them.

import type { MachineHost } from '../backends/machine-host.ts';
import type { Sealing } from '../ultravisor/esm/verify.ts';
import { UsageError } from '../util/errors.ts';
import type { MachineConfiguration } from './configuration.ts';

/** Throws a UsageError (`KEY`) for a key that cannot be used. */
export async function sealingOf(
  { ultravisorKey, requireSealed = false }: MachineConfiguration,
  { sealCrypto }: MachineHost,
): Promise<Sealing> {
  if (ultravisorKey !== undefined && !sealCrypto) {
    throw new UsageError('KEY', 'There is no cryptography here for the ultravisor key; use https or localhost.');
  }
  const key =
    ultravisorKey === undefined ? undefined : await sealCrypto?.privateKey(ultravisorKey, 'The ultravisor key');
  return { crypto: sealCrypto, key, required: requireSealed };
}
