// Regions that come later than they were asked for: what the guest does must not show it.

import { describe, expect, it } from 'vitest';
import { eagerRegionOptions } from '../../../tests/support/eager-regions.ts';
import { wordBytes } from '../../../tests/support/words.ts';
import { CpuCore } from '../interpreter/core.ts';
import { encodeFields } from '../isa/decode.ts';
import { instruction } from '../isa/table.ts';
import { semantics } from '../semantics/index.ts';
import { EXIT, MSR } from '../state/msr.ts';
import { RegionCache } from './cache.ts';
import { deliver, orderOf, planOf, type RegionDelivery, type RegionOrder, type RegionWorkshop } from './workshop.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);
const addi = (rt: number, ra: number, si: number) => word('addi', { rt, ra, si });
const mtctr = (rs: number) => word('mtspr', { rs, spr: 9 });
const bdnz = (bd: number) => word('bc', { bo: 16, bi: 0, bd });
const sc1 = word('sc', { lev: 1 });
const START = 0x1000;
const ROUNDS = 20_000;

/** Adds to GPR 3 in a loop of two instructions. */
const program = [addi(4, 0, ROUNDS), mtctr(4), addi(3, 3, 1), bdnz(-1), sc1];
const LOOP = 8;

/** Works when it is told to, in the same thread. */
class SlowWorkshop implements RegionWorkshop {
  failure: string | undefined;
  closed = false;
  readonly orders: RegionOrder[] = [];
  private readonly done: RegionDelivery[] = [];

  order(order: RegionOrder): void {
    this.orders.push(order);
  }
  work(): void {
    // As on the way to another thread.
    const orders = structuredClone(this.orders.splice(0));
    if (orders.length > 0) this.done.push(deliver(orders, semantics, true, () => 0));
  }
  delivery(): RegionDelivery | undefined {
    return this.done.shift();
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

function setUp() {
  const machine = { semantics, ramBytes: 1 << 20, cpus: 1 };
  const workshop = new SlowWorkshop();
  const failures: string[] = [];
  let regions!: RegionCache;
  const wanted = new CpuCore(machine);
  const found = new CpuCore({
    ...machine,
    regions: (host) => {
      regions = new RegionCache(host, {
        ...eagerRegionOptions,
        threshold: 50,
        executedOnly: true,
        workshopThreshold: 10,
        workshop: () => workshop,
        onWorkshopFailure: (reason) => failures.push(reason),
      });
      return regions;
    },
  });
  const cores = [wanted, found];
  const write = (at: number, words: readonly number[]) => {
    for (const core of cores) core.memory.write(START + at, wordBytes(words));
  };
  for (const core of cores) {
    core.vcpus[0].set64('msr', MSR.SF | MSR.LE);
    core.vcpus[0].set64('nia', BigInt(START));
    core.vcpus[0].set64('decExpiry', 1n << 62n);
  }
  write(0, program);
  let timebase = 0n;
  const run = (budget: number) => {
    const [a, b] = cores.map((core) => core.run(0, budget, timebase));
    timebase += BigInt(a.executed);
    expect(b).toEqual(a);
    expect(Buffer.compare(cores[0].vcpus[0].block(), cores[1].vcpus[0].block())).toBe(0);
    return a.reason;
  };
  return { workshop, failures, regions, found, wanted, write, run };
}

describe('regions from a workshop', () => {
  it('are installed when they come, and the guest does the same', () => {
    const { workshop, regions, run, found } = setUp();
    run(1000);
    expect(workshop.orders).toHaveLength(1);
    expect(regions.statistics().regions).toBe(0);
    run(1000);
    expect(workshop.orders).toHaveLength(1);
    workshop.work();
    run(1000);
    expect(regions.statistics().regions).toBe(1);
    while (run(5000) === EXIT.budget);
    expect(found.vcpus[0].get64('gpr', 3)).toBe(BigInt(ROUNDS));
    expect(Number(found.shared('regionEntries'))).toBeGreaterThan(0);
    expect(regions.statistics().workshop).toMatchObject({ orders: 1, deliveries: 1, stale: 0 });
  });

  it('are not installed for code that has changed meanwhile', () => {
    const { workshop, regions, run, write, found } = setUp();
    run(1000);
    write(LOOP, [addi(3, 3, 2)]);
    workshop.work();
    run(1000);
    expect(regions.statistics()).toMatchObject({ regions: 0, workshop: { stale: 1 } });
    // The changed code becomes hot in turn.
    workshop.work();
    run(1000);
    expect(regions.statistics()).toMatchObject({ regions: 1, workshop: { orders: 2 } });
    while (run(5000) === EXIT.budget);
    expect(Number(found.vcpus[0].get64('gpr', 3))).toBeGreaterThan(ROUNDS * 1.9);
  });

  it('are not installed in a page that is decoded for another mode by then', () => {
    const { workshop, regions, run, found, wanted } = setUp();
    run(1000);
    for (const core of [found, wanted]) {
      core.vcpus[0].set64('msr', MSR.LE);
      core.flushTranslations();
    }
    run(10);
    workshop.work();
    run(100);
    expect(regions.statistics()).toMatchObject({ regions: 0, workshop: { stale: 1 } });
  });

  it('are ordered once for code that is on its way', () => {
    const { workshop, run } = setUp();
    for (let i = 0; i < 20; i++) run(1000);
    expect(workshop.orders).toHaveLength(1);
  });

  it('come several in one module', () => {
    const { workshop, regions, run, write } = setUp();
    const loop = [mtctr(4), addi(3, 3, 1), bdnz(-1)];
    write(0, [addi(4, 0, 500), ...loop, ...loop, sc1]);
    run(1200);
    expect(workshop.orders).toHaveLength(2);
    workshop.work();
    expect(run(10_000)).toBe(EXIT.hcall);
    expect(regions.statistics()).toMatchObject({ regions: 2, workshop: { orders: 2, deliveries: 1 } });
  });

  it('are planned as they are sent', () => {
    const { workshop, run } = setUp();
    run(1000);
    const [order] = workshop.orders;
    const plan = planOf(structuredClone(order));
    expect(orderOf(order.id, plan)).toEqual(order);
    expect(plan.graph.blocks[0].instructions[0].instruction?.op).toBe('addi');
  });

  it('are made in place once the workshop has failed', () => {
    const { workshop, regions, failures, run } = setUp();
    run(1000);
    workshop.failure = 'it burnt down';
    run(1000);
    expect(failures).toEqual(['it burnt down']);
    expect(regions.statistics()).toMatchObject({ regions: 1, workshop: { failure: 'it burnt down' } });
    while (run(5000) === EXIT.budget);
    expect(failures).toHaveLength(1);
  });

  it('are given up with the machine', async () => {
    const { workshop, regions, run } = setUp();
    run(1000);
    await regions.close();
    expect(workshop.closed).toBe(true);
  });
});
