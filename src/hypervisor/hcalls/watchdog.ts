// H_WATCHDOG: timers of the guest's that end or restart it when it stops feeding them (PAPR; numbers as Linux
// drivers/watchdog/pseries-wdt.c uses them). Time is the guest's own timebase, so a run is repeatable.

import { H_NOOP, H_P2, H_P3, H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import type { HypervisorLog, PartitionPort } from '../vcpu-port.ts';

export const WATCHDOG_COUNT = 4;
export const WATCHDOG_MIN_MS = 500;
/** Longest time accepted, so that deadlines stay far from wrapping the timebase. */
const WATCHDOG_MAX_MS = 0xffff_ffffn;

const OPERATION = { start: 1, stop: 2, query: 3 } as const;
const ACTION = { powerOff: 1, restart: 2, dumpAndRestart: 3 } as const;

/** Flag bits 0 to 46 are reserved; bit 47 leaves the other watchdogs running when this one expires. */
const RESERVED_FLAGS = ~0x1_ffffn;
const LEAVE_OTHERS = 1n << 16n;
const ALL_WATCHDOGS = 0xffff_ffff_ffff_ffffn;

interface Watchdog {
  readonly number: number;
  readonly deadline: bigint;
  readonly action: number;
  readonly leaveOthers: boolean;
}

export class Watchdogs {
  private readonly partition: PartitionPort;
  private readonly timebaseHz: number;
  private readonly log: HypervisorLog | undefined;
  private readonly running = new Map<number, Watchdog>();

  constructor(partition: PartitionPort, timebaseHz: number, log: HypervisorLog | undefined) {
    this.partition = partition;
    this.timebaseHz = timebaseHz;
    this.log = log;
  }

  hcalls(): HcallDefinition[] {
    return [
      {
        token: 0x45c,
        name: 'H_WATCHDOG',
        inputs: 3,
        outputs: 1,
        functionSet: 'hcall-watchdog',
        handler: (call) => this.control(call),
        ref: 'Linux drivers/watchdog/pseries-wdt.c',
      },
    ];
  }

  /** To be called when the timebase has reached the deadline last given to PartitionPort.setTimer. */
  expire(): void {
    const now = this.partition.timebase();
    const due = [...this.running.values()].filter((dog) => dog.deadline <= now).sort(byDeadline)[0];
    if (due) this.act(due);
    this.arm();
  }

  reset(): void {
    if (this.running.size === 0) return;
    this.running.clear();
    this.arm();
  }

  /** r4 flags, r5 number from 1, r6 milliseconds. */
  private control(call: Hcall): number {
    const flags = call.arg(0);
    if ((flags & RESERVED_FLAGS) !== 0n) return H_PARAMETER;
    switch (Number((flags >> 8n) & 0xffn)) {
      case OPERATION.start:
        return this.start(flags, call.arg(1), call.arg(2));
      case OPERATION.stop:
        return this.stop(call.arg(1));
      case OPERATION.query:
        call.result(0, (BigInt(WATCHDOG_MIN_MS) << 48n) | (BigInt(WATCHDOG_COUNT) << 32n));
        return H_SUCCESS;
      default:
        return H_PARAMETER;
    }
  }

  private start(flags: bigint, number: bigint, milliseconds: bigint): number {
    const action = Number(flags & 0xffn);
    if (action < ACTION.powerOff || action > ACTION.dumpAndRestart) return H_PARAMETER;
    if (number < 1n || number > BigInt(WATCHDOG_COUNT)) return H_P2;
    if (milliseconds < BigInt(WATCHDOG_MIN_MS) || milliseconds > WATCHDOG_MAX_MS) return H_P3;
    this.running.set(Number(number), {
      number: Number(number),
      deadline: this.partition.timebase() + (milliseconds * BigInt(this.timebaseHz)) / 1000n,
      action,
      leaveOthers: (flags & LEAVE_OTHERS) !== 0n,
    });
    this.arm();
    return H_SUCCESS;
  }

  private stop(number: bigint): number {
    let stopped: boolean;
    if (number === ALL_WATCHDOGS) {
      stopped = this.running.size > 0;
      this.running.clear();
    } else {
      if (number < 1n || number > BigInt(WATCHDOG_COUNT)) return H_P2;
      stopped = this.running.delete(Number(number));
    }
    this.arm();
    return stopped ? H_SUCCESS : H_NOOP;
  }

  private act(dog: Watchdog): void {
    this.running.delete(dog.number);
    if (!dog.leaveOthers) this.running.clear();
    this.log?.warn(`the guest's watchdog ${dog.number} expired`);
    if (dog.action === ACTION.powerOff) this.partition.powerOff();
    else this.partition.reboot();
  }

  private arm(): void {
    this.partition.setTimer([...this.running.values()].sort(byDeadline)[0]?.deadline);
  }
}

function byDeadline(a: Watchdog, b: Watchdog): number {
  return a.deadline < b.deadline ? -1 : a.deadline > b.deadline ? 1 : a.number - b.number;
}
