// A secure VM with a hypervisor that does what a test tells it to.

import type { SecurePartitionOptions } from '../../../src/machine/secure-partition.ts';
import type { HostSight } from '../../support/host-sight.ts';
import { SecureBench } from '../../support/secure-bench.ts';

export const PAGE = 0x10000;
export const LPID = 1;

export function secureBench(options: Partial<SecurePartitionOptions> = {}): SecureBench {
  const bench = new SecureBench(2, options);
  bench.enterSecureMode();
  return bench;
}

/** The hypervisor answers `token` with `status`, after `instead`, and does nothing else. */
export function lie(bench: SecureBench, token: number, status: number, instead: () => void = () => {}): void {
  const { hypervisor } = bench;
  const honest = hypervisor.hcall.bind(hypervisor);
  hypervisor.hcall = (vcpu, carried) => {
    if (vcpu.gpr(3) !== BigInt(token)) {
      honest(vcpu, carried);
      return;
    }
    instead();
    vcpu.setGpr(3, BigInt.asUintN(64, BigInt(status)));
  };
}

/** The hypervisor takes the page at `gra` out; what it has of it then. */
export function takeOut(bench: SecureBench, gra: number): Uint8Array {
  const { secureGuest } = bench.hypervisor;
  if (!secureGuest!.reclaim(gra)) throw new Error('the ultravisor keeps the page');
  return secureGuest!.contentsOf(gra)!;
}

export function sightOf(bench: SecureBench, more: Readonly<Record<string, unknown>> = {}): HostSight {
  const { view, hypervisor, events, halts, console } = bench;
  const texts = { report: bench.report, events, halts, console, ...more };
  return { view, hypervisor, vcpus: bench.secure.ports, texts };
}
