// Who runs when. The vCPUs take turns of fixed length in one thread; a turn ends at the next event the vCPU must see, so
// that interrupts arrive on the same instruction in every run.

import type { CpuCore } from '../cpu/interpreter/core.ts';
import { EXIT, type ExitReason } from '../cpu/state/msr.ts';
import type { MachineTime } from './time.ts';
import type { VcpuAdapter } from './vcpu-adapter.ts';

/** Instructions of a turn when several vCPUs want the processor: 40 us of guest time. */
const TURN = 20_000;
/** The same for a vCPU that is alone. */
const LONE_TURN = 1_000_000;

/** What the scheduler asks of the rest of the machine. */
export interface SchedulerPorts {
  beginSlice(id: number): boolean;
  endSlice(id: number): void;
  /** Handles an exit other than the end of the turn; false ends the run. */
  exit(id: number, reason: ExitReason): void;
  /** Timebase value of the next timer, if any is set; `fire` is called when it has come. */
  nextTimer(): bigint | undefined;
  fireTimer(): void;
  /** True once the machine must not execute another instruction. */
  halted(): boolean;
}

/** What `round` found: `idle` until the given timebase value, or for ever. */
export type RoundResult = { readonly kind: 'ran' } | { readonly kind: 'idle'; readonly until: bigint | undefined };

export class Scheduler {
  private readonly core: Pick<CpuCore, 'run'>;
  private readonly vcpus: readonly VcpuAdapter[];
  private readonly time: MachineTime;
  private readonly ports: SchedulerPorts;
  private next = 0;
  private preferred: number | undefined;
  private endTurn = false;
  /** Exits so far by reason. */
  readonly exits = new Map<ExitReason, number>();

  constructor(core: Pick<CpuCore, 'run'>, vcpus: readonly VcpuAdapter[], time: MachineTime, ports: SchedulerPorts) {
    this.core = core;
    this.vcpus = vcpus;
    this.time = time;
    this.ports = ports;
  }

  /** The running vCPU gives up its turn, or another became runnable. */
  rescheduled(): void {
    this.endTurn = true;
  }
  preferNext(id: number): void {
    this.preferred = id;
  }

  /** Gives one turn to the next vCPU that can use it. */
  round(): RoundResult {
    this.time.sample();
    if (this.timerDue()) this.ports.fireTimer();
    const id = this.pick();
    if (id === undefined) return { kind: 'idle', until: this.nextEvent() };
    this.turn(id);
    return { kind: 'ran' };
  }

  private timerDue(): boolean {
    const timer = this.ports.nextTimer();
    return timer !== undefined && timer <= this.time.now;
  }

  private pick(): number | undefined {
    const count = this.vcpus.length;
    const first = this.preferred ?? this.next;
    this.preferred = undefined;
    for (let i = 0; i < count; i++) {
      const id = (first + i) % count;
      if (this.ports.beginSlice(id)) {
        this.next = (id + 1) % count;
        return id;
      }
    }
    return undefined;
  }

  private turn(id: number): void {
    const vcpu = this.vcpus[id];
    let left = this.vcpus.length === 1 ? LONE_TURN : TURN;
    this.endTurn = false;
    while (left > 0 && vcpu.state === 'running' && !this.ports.halted()) {
      const budget = this.budget(vcpu, left);
      const { reason, executed } = this.core.run(id, budget, this.time.now);
      this.time.advance(executed);
      left -= executed;
      this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
      if (reason === EXIT.yield) break;
      if (reason === EXIT.budget || reason === EXIT.timer) {
        if (this.timerDue()) break;
        continue;
      }
      this.ports.exit(id, reason);
      if (this.endTurn) break;
    }
    this.ports.endSlice(id);
  }

  /** Instructions until the turn ends or the decrementer or a timer calls, whichever is first. */
  private budget(vcpu: VcpuAdapter, left: number): number {
    let budget = BigInt(left);
    const decrementer = vcpu.decrementerDelay(this.time.now);
    if (decrementer > 0n && decrementer < budget) budget = decrementer;
    const timer = this.ports.nextTimer();
    if (timer !== undefined) {
      const delay = timer - this.time.now;
      if (delay > 0n && delay < budget) budget = delay;
    }
    return Number(budget);
  }

  /** The first timebase value at which a ceded vCPU or a timer wants attention. */
  private nextEvent(): bigint | undefined {
    let soonest = this.ports.nextTimer();
    for (const vcpu of this.vcpus) {
      if (vcpu.state !== 'ceded') continue;
      const at = this.time.now + vcpu.decrementerDelay(this.time.now);
      if (soonest === undefined || at < soonest) soonest = at;
    }
    return soonest;
  }
}
