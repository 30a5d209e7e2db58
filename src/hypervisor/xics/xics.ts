// The interrupt controller of the partition: sources, and one presenter for each vCPU.

import type { HypervisorEvents } from '../events.ts';
import type { VcpuPort } from '../vcpu-port.ts';
import { IPI_IRQ, IRQ_COUNT, IRQ_FIRST, isLevelIrq } from './irq-map.ts';
import { Presenter } from './presenter.ts';
import { InterruptSources } from './sources.ts';

export class Xics {
  readonly sources: InterruptSources;
  private readonly presenters: Map<number, Presenter>;

  constructor(vcpus: readonly VcpuPort[], timebase: () => bigint, events: HypervisorEvents) {
    this.sources = new InterruptSources((server) => this.presenters.get(server));
    this.sources.addRange(IRQ_FIRST, IRQ_COUNT, isLevelIrq);
    this.presenters = new Map(
      vcpus.map((vcpu) => {
        const setLine = (asserted: boolean) => vcpu.setExternalInterruptLine(asserted);
        return [vcpu.id, new Presenter(vcpu.id, { sources: this.sources, setLine, timebase, events })];
      }),
    );
  }

  /** By server number as in a register or cell; undefined if there is no such server. */
  presenter(server: bigint | number): Presenter | undefined {
    return server <= Number.MAX_SAFE_INTEGER ? this.presenters.get(Number(server)) : undefined;
  }

  /** True for a number that may stand in XIRR: the IPI or a source of the machine. */
  isSource(irq: number): boolean {
    return irq === IPI_IRQ || this.sources.find(irq) !== undefined;
  }

  reset(): void {
    for (const presenter of this.presenters.values()) presenter.reset();
    this.sources.reset();
  }
}
