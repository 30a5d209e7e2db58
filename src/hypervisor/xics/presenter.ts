// Interrupt presenter (ICP), one to an interrupt server, that is to a vCPU: decides which pending interrupt is worth
// presenting. LoPAR, Interrupt Support hcall()s. Priorities: 0 most favoured, 0xff least; only one that is more
// favoured than the current processor priority (CPPR) is presented.

import type { HypervisorEvents } from '../events.ts';
import { IPI_IRQ } from './irq-map.ts';
import type { InterruptServer, InterruptSources } from './sources.ts';

const LEAST_FAVOURED = 0xff;

export interface PresenterPorts {
  readonly sources: InterruptSources;
  /** The external interrupt input of the vCPU. */
  readonly setLine: (asserted: boolean) => void;
  readonly timebase: () => bigint;
  readonly events: HypervisorEvents;
}

export class Presenter implements InterruptServer {
  readonly server: number;
  private readonly ports: PresenterPorts;
  private currentPriority = 0;
  private presented = 0;
  private presentedPriority = LEAST_FAVOURED;
  private presentedTime = 0n;
  private requestPriority = LEAST_FAVOURED;

  constructor(server: number, ports: PresenterPorts) {
    this.server = server;
    this.ports = ports;
  }

  /** CPPR. */
  get cppr(): number {
    return this.currentPriority;
  }
  /** The source presented, 0 if none. The line to the vCPU is asserted while it is not 0. */
  get xisr(): number {
    return this.presented;
  }
  /** Priority of the source presented, 0xff if none. */
  get pendingPriority(): number {
    return this.presentedPriority;
  }
  /** Priority at which an inter-processor interrupt is requested, 0xff if none is. */
  get mfrr(): number {
    return this.requestPriority;
  }
  /** XIRR: CPPR in the top byte, XISR below; unsigned 32 bits. */
  get xirr(): number {
    return ((this.currentPriority << 24) | this.presented) >>> 0;
  }
  /** Timebase when the interrupt now presented arrived. */
  get presentedAt(): bigint {
    return this.presentedTime;
  }

  offer(irq: number, priority: number): boolean {
    if (priority >= this.currentPriority || priority >= this.presentedPriority) return false;
    this.withdraw();
    this.presented = irq;
    this.presentedPriority = priority;
    this.presentedTime = this.ports.timebase();
    this.ports.events.interrupt?.({ action: 'present', server: this.server, irq, priority });
    this.ports.setLine(true);
    return true;
  }

  /** H_CPPR. `cppr` is 0 to 0xff. */
  setCppr(cppr: number): void {
    const lessFavoured = cppr > this.currentPriority;
    this.applyPriority(cppr);
    if (lessFavoured) this.resend();
  }

  /** H_IPI: `mfrr` is 0 to 0xff. */
  setMfrr(mfrr: number): void {
    this.requestPriority = mfrr;
    this.offerIpi();
  }

  /** H_XIRR: accepts what is presented. Returns XIRR before; with nothing presented it changes nothing. */
  accept(): number {
    const xirr = this.xirr;
    if (this.presented === 0) return xirr;
    this.ports.events.interrupt?.({
      action: 'accept',
      server: this.server,
      irq: this.presented,
      priority: this.presentedPriority,
    });
    this.currentPriority = this.presentedPriority;
    this.clear();
    this.ports.setLine(false);
    return xirr;
  }

  /** H_EOI for source `irq` (the IPI or one that exists); `cppr` is 0 to 0xff. */
  end(irq: number, cppr: number): void {
    this.ports.events.interrupt?.({ action: 'end', server: this.server, irq, priority: cppr });
    if (irq !== IPI_IRQ) this.ports.sources.end(irq);
    this.applyPriority(cppr);
    this.resend();
  }

  /** Power-on state: CPPR 0, so nothing is presented until H_CPPR. What was presented goes back to its source. */
  reset(): void {
    this.currentPriority = 0;
    this.requestPriority = LEAST_FAVOURED;
    if (this.presented === 0) return;
    this.withdraw();
    this.ports.setLine(false);
  }

  private applyPriority(cppr: number): void {
    this.currentPriority = cppr;
    if (this.presented === 0 || this.presentedPriority < cppr) return;
    this.withdraw();
    this.ports.setLine(false);
  }

  private resend(): void {
    this.offerIpi();
    this.ports.sources.resend(this.server);
  }

  private offerIpi(): void {
    this.offer(IPI_IRQ, this.requestPriority);
  }

  /** Gives back what is presented. The request priority itself remembers an IPI. */
  private withdraw(): void {
    const irq = this.presented;
    this.clear();
    if (irq !== 0 && irq !== IPI_IRQ) this.ports.sources.giveBack(irq);
  }

  private clear(): void {
    this.presented = 0;
    this.presentedPriority = LEAST_FAVOURED;
  }
}
