// The address map as the cache-inhibited hypercalls (H_LOGICAL_CI_LOAD, H_LOGICAL_CI_STORE) see it: values in the order
// of a big-endian access, and a word about whether anything answers.

import type { AddressMap } from '../device/address-map.ts';
import type { MmioPort } from '../hypervisor/vcpu-port.ts';

export function logicalMmio(map: AddressMap): MmioPort {
  return {
    load(gra, sizeBytes) {
      if (!map.at(gra)) return undefined;
      return swapped(sizeBytes === 8 ? map.load64(gra) : BigInt(map.load(gra, narrow(sizeBytes))), sizeBytes);
    },
    store(gra, sizeBytes, value) {
      if (!map.at(gra)) return false;
      const little = swapped(value, sizeBytes);
      if (sizeBytes === 8) map.store64(gra, little);
      else map.store(gra, narrow(sizeBytes), Number(little));
      return true;
    },
  };
}

function narrow(sizeBytes: number): 1 | 2 | 4 {
  return sizeBytes === 4 ? 4 : sizeBytes === 2 ? 2 : 1;
}

/** The low `sizeBytes` bytes of `value` in the other order. */
function swapped(value: bigint, sizeBytes: number): bigint {
  let result = 0n;
  for (let i = 0; i < sizeBytes; i++) result = (result << 8n) | ((value >> BigInt(8 * i)) & 0xffn);
  return result;
}
