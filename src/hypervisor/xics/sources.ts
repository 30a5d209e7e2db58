// Interrupt sources (ICS): what remembers an interrupt until a presenter takes it. LoPAR, PowerPC External Interrupt
// Option. An edge source (message-signalled, virtual I/O) latches one event; a level source (PCI pin) follows its input
// and is offered again after H_EOI while the input stays asserted.

import { assert } from '../../util/errors.ts';

/** Least favoured priority: the source is masked. */
export const MASKED = 0xff;

/** A source's settings; changed through InterruptSources only. */
export interface InterruptSource {
  readonly irq: number;
  readonly level: boolean;
  readonly server: number;
  /** 0 (most favoured) to 0xff (masked). */
  readonly priority: number;
  /** What ibm,int-on restores. */
  readonly savedPriority: number;
}

interface Source extends InterruptSource {
  server: number;
  priority: number;
  savedPriority: number;
  /** Level: the input. */
  asserted: boolean;
  /** Level: presented and not yet ended. */
  sent: boolean;
  /** Edge: an event that no presenter has taken. */
  latched: boolean;
}

/** A presenter, seen from the sources. */
export interface InterruptServer {
  /** True if the interrupt is now presented; a displaced one has then been given back through `giveBack`. */
  offer(irq: number, priority: number): boolean;
}

export class InterruptSources {
  private readonly sources = new Map<number, Source>();
  private readonly servers: (server: number) => InterruptServer | undefined;
  /** Sources with something to present, whether masked or refused. */
  private readonly wanting = new Set<Source>();

  constructor(servers: (server: number) => InterruptServer | undefined) {
    this.servers = servers;
  }

  /** Adds `count` sources from `first`, masked, directed at server 0. */
  addRange(first: number, count: number, isLevel: (irq: number) => boolean): void {
    for (let irq = first; irq < first + count; irq++) {
      assert(!this.sources.has(irq), `interrupt source 0x${irq.toString(16)} added twice`);
      this.sources.set(irq, {
        irq,
        level: isLevel(irq),
        server: 0,
        priority: MASKED,
        savedPriority: MASKED,
        asserted: false,
        sent: false,
        latched: false,
      });
    }
  }

  find(irq: number): InterruptSource | undefined {
    return this.sources.get(irq);
  }

  /** An edge on `irq`, which must exist and be an edge source. */
  pulse(irq: number): void {
    const source = this.existing(irq);
    assert(!source.level, `pulse on level interrupt source 0x${irq.toString(16)}`);
    source.latched = true;
    this.present(source);
  }

  /** The input of level source `irq`. Devices that share a pin combine their levels before they come here. */
  setLevel(irq: number, asserted: boolean): void {
    const source = this.existing(irq);
    assert(source.level, `level on edge interrupt source 0x${irq.toString(16)}`);
    source.asserted = asserted;
    this.present(source);
  }

  /** ibm,set-xive. The arguments were checked: a known server, a priority of 0 to 0xff. */
  setXive(irq: number, server: number, priority: number): void {
    this.configure(this.existing(irq), server, priority, priority);
  }

  /** ibm,int-off: masks, keeping what ibm,int-on restores. */
  mask(irq: number): void {
    const source = this.existing(irq);
    this.configure(source, source.server, MASKED, source.savedPriority);
  }

  /** ibm,int-on. */
  unmask(irq: number): void {
    const source = this.existing(irq);
    this.configure(source, source.server, source.savedPriority, source.savedPriority);
  }

  /** A presenter returns an interrupt that it had taken and that the guest has not accepted. */
  giveBack(irq: number): void {
    const source = this.existing(irq);
    if (source.level) source.sent = false;
    else source.latched = true;
    this.track(source);
  }

  /** H_EOI: a level source may be presented again. The presenter asks for what is waiting afterwards. */
  end(irq: number): void {
    const source = this.existing(irq);
    source.sent = false;
    this.track(source);
  }

  /** Offers `server` all that waits for it; called when the server may accept more than before. */
  resend(server: number): void {
    if (this.wanting.size === 0) return;
    for (const source of [...this.wanting]) {
      if (source.server === server) this.present(source);
    }
  }

  reset(): void {
    this.wanting.clear();
    for (const source of this.sources.values()) {
      source.server = 0;
      source.priority = MASKED;
      source.savedPriority = MASKED;
      source.asserted = false;
      source.sent = false;
      source.latched = false;
    }
  }

  private configure(source: Source, server: number, priority: number, savedPriority: number): void {
    source.server = server;
    source.priority = priority;
    source.savedPriority = savedPriority;
    this.present(source);
  }

  private wants(source: Source): boolean {
    return source.level ? source.asserted && !source.sent : source.latched;
  }

  private track(source: Source): void {
    if (this.wants(source)) this.wanting.add(source);
    else this.wanting.delete(source);
  }

  private present(source: Source): void {
    if (this.wants(source) && source.priority !== MASKED) {
      // Cleared first: the offer may displace an earlier event of this very source, which latches it again.
      source.latched = false;
      source.sent = source.level;
      if (!this.servers(source.server)?.offer(source.irq, source.priority)) {
        source.latched = !source.level;
        source.sent = false;
      }
    }
    this.track(source);
  }

  private existing(irq: number): Source {
    const source = this.sources.get(irq);
    assert(source, `no interrupt source 0x${irq.toString(16)}`);
    return source;
  }
}
