// Random bytes of the host.

import { randomFillSync } from 'node:crypto';
import type { EntropyBackend } from '../entropy-backend.ts';

export const nodeEntropy: EntropyBackend = {
  fill: (target) => {
    randomFillSync(target);
  },
};
