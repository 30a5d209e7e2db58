// Watches what the host does with a secure guest's memory, and says what the guest had to do with it: causes of accesses,
// use of shared pages, bounce slots. It sees guest memory and registers; what it finds goes to reports only.

import type { CpuCore } from '../cpu/interpreter/core.ts';
import type { CauseDescription } from '../memory/access-cause.ts';
import type { AccessOrigin } from '../memory/host-view.ts';
import type { PageOwnership } from '../memory/ownership.ts';
import { SharedUse, type SharedUseReport } from '../memory/shared-use.ts';
import type { AccessDirection } from '../memory/violations.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { GuestReader } from './call-chain.ts';
import { GuestCauses } from './causes.ts';
import { type SwiotlbReport, SwiotlbView } from './swiotlb.ts';

/** Shared memory of a secure guest. */
export interface SharingReport extends SharedUseReport {
  /** By the kernel's own count; undefined if its symbols are not known or it has none. */
  readonly swiotlb: SwiotlbReport | undefined;
}

export class Witness {
  private readonly causes: GuestCauses;
  private readonly use: SharedUse;
  private readonly swiotlb: SwiotlbView;

  constructor(
    core: CpuCore | undefined,
    ownership: PageOwnership,
    instructions: () => bigint,
    symbols: (reader: GuestReader) => SymbolTable | undefined,
  ) {
    this.causes = new GuestCauses(core, symbols);
    this.use = new SharedUse({
      ownership,
      instructions,
      cause: () => this.causes.current(),
      describe: (cause) => this.causes.describe(cause),
    });
    this.swiotlb = new SwiotlbView(symbols, () => this.use.shared());
  }

  /** Runs `serve`, which is all the machine does at once about an exit of vCPU `vcpu`. */
  during(vcpu: number, by: CauseDescription['by'], serve: () => void): void {
    this.causes.during(vcpu, by, serve);
  }

  /** The guest gives a device work. */
  told(origin: AccessOrigin): void {
    this.causes.told(origin);
    this.sample();
  }

  /** Each access of the host while there is secure memory. */
  observe(gra: number, lenBytes: number, direction: AccessDirection, origin: AccessOrigin): void {
    this.use.access(gra, lenBytes, direction, origin);
  }

  causeOf(origin: AccessOrigin): { cause: CauseDescription; later: boolean } | undefined {
    return this.causes.causeOf(origin);
  }

  /** The machine starts anew. */
  restart(): void {
    this.swiotlb.forget();
  }

  report(): SharingReport {
    this.sample();
    return { ...this.use.report(), swiotlb: this.swiotlb.report() };
  }

  private sample(): void {
    const reader = this.causes.reader();
    if (reader) this.swiotlb.sample(reader);
  }
}
