// How a run ended, and a machine's account of itself.

import { EXIT, type ExitReason } from '../cpu/state/msr.ts';
import type { DeviceDescription } from '../vmm/devices.ts';
import type { DmaPolicy } from '../vmm/dma-policy.ts';
import type { CompilerReport } from './compiler-report.ts';
import type { SecureReport } from './secure-partition.ts';
import type { ClockMode } from './time.ts';

export type EndReason = 'power-off' | 'panic' | 'timeout' | 'stopped' | 'error';

export interface RunOutcome {
  readonly reason: EndReason;
  /** What the guest or the machine said about it. */
  readonly message?: string;
}

/** How it went, as plain JSON. */
export interface MachineReport extends SecureReport {
  readonly outcome: RunOutcome | undefined;
  readonly clock: ClockMode;
  readonly memoryBytes: number;
  /** Per vCPU: instructions retired since power-on, state, and where it stands. */
  readonly cpus: readonly { id: number; instructions: number; state: string; nia: string; msr: string; lr: string }[];
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly hostSeconds: number;
  readonly reboots: number;
  readonly hcalls: Readonly<Record<string, number>>;
  readonly rtas: Readonly<Record<string, number>>;
  readonly exits: Readonly<Record<string, number>>;
  readonly translations: { readonly flushes: number; readonly decodedPageResets: number };
  /** What the region compiler did; absent with `compiler: false`. */
  readonly compiler?: CompilerReport;
  readonly dmaPolicy: DmaPolicy;
  readonly devices: readonly DeviceDescription[];
  /** Accesses to guest real addresses where there is nothing. */
  readonly unassignedAccesses: number;
  readonly warnings: readonly string[];
}

const exitNames: Readonly<Record<ExitReason, string>> = {
  [EXIT.budget]: 'budget',
  [EXIT.hcall]: 'hcall',
  [EXIT.ucall]: 'ucall',
  [EXIT.mmioRead]: 'mmio-read',
  [EXIT.mmioWrite]: 'mmio-write',
  [EXIT.timer]: 'timer',
  [EXIT.yield]: 'yield',
  [EXIT.checkstop]: 'checkstop',
  [EXIT.absentPage]: 'absent-page',
};

/** Counts by the name of the exit reason. */
export function namedExits(exits: ReadonlyMap<ExitReason, number>): Record<string, number> {
  return Object.fromEntries([...exits].map(([reason, count]) => [exitNames[reason], count]));
}
