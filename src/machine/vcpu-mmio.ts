// Accesses of a vCPU outside of RAM.

import type { Vcpu } from '../cpu/interpreter/core.ts';
import type { AddressMap, MmioBytes } from '../device/address-map.ts';

/** Answers the MMIO exit of `vcpu` with what `map` has at the address. */
export function answerMmio(vcpu: Vcpu, map: AddressMap, isLoad: boolean): void {
  // Beyond 2^53 the number is rounded, and still nothing is there.
  const gra = Number(vcpu.get64('mmioAddress'));
  const lenBytes = vcpu.get32('mmioSize');
  if (isLoad) {
    vcpu.answerMmio(lenBytes === 8 ? map.load64(gra) : BigInt(map.load(gra, lenBytes as MmioBytes)));
    return;
  }
  const value = vcpu.get64('mmioData');
  if (lenBytes === 8) map.store64(gra, value);
  else map.store(gra, lenBytes as MmioBytes, Number(BigInt.asUintN(8 * lenBytes, value)));
  vcpu.answerMmio(0n);
}
