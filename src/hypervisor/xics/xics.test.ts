import { describe, expect, test } from 'vitest';
import { FakeVcpu, seededRandom } from '../../../tests/support/hypervisor-fakes.ts';
import type { HypervisorEvents, InterruptEvent } from '../events.ts';
import { IPI_IRQ, LSI_IRQ_FIRST, MSI_IRQ_FIRST } from './irq-map.ts';
import { Xics } from './xics.ts';

const MSI = MSI_IRQ_FIRST;
const LSI = LSI_IRQ_FIRST;

function bench(vcpuCount = 2, events: HypervisorEvents = {}) {
  const vcpus = Array.from({ length: vcpuCount }, (_, id) => new FakeVcpu(id));
  let now = 0n;
  const xics = new Xics(vcpus, () => ++now, events);
  const icp = xics.presenter(0)!;
  return { vcpus, xics, icp, sources: xics.sources };
}

describe('edge sources', () => {
  test('nothing is presented at power-on until H_CPPR opens the processor', () => {
    const { icp, sources, vcpus } = bench();
    sources.setXive(MSI, 0, 5);
    sources.pulse(MSI);
    expect(vcpus[0]!.line).toBe(false);
    icp.setCppr(0xff);
    expect(vcpus[0]!.line).toBe(true);
    expect(icp.xirr).toBe(((0xff << 24) | MSI) >>> 0);
  });

  test('accept raises CPPR to the priority taken and lowers the line; end restores it', () => {
    const { icp, sources, vcpus } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.pulse(MSI);
    expect(icp.accept()).toBe(((0xff << 24) | MSI) >>> 0);
    expect([icp.cppr, icp.xisr, vcpus[0]!.line]).toEqual([5, 0, false]);
    icp.end(MSI, 0xff);
    expect([icp.cppr, icp.xisr, vcpus[0]!.line]).toEqual([0xff, 0, false]);
  });

  test('an edge while the same interrupt is being served is delivered after its end', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.pulse(MSI);
    icp.accept();
    sources.pulse(MSI);
    sources.pulse(MSI);
    expect(icp.xisr).toBe(0);
    icp.end(MSI, 0xff);
    expect(icp.xisr).toBe(MSI);
    icp.accept();
    icp.end(MSI, 0xff);
    expect(icp.xisr).toBe(0);
  });

  test('an edge on a masked source is remembered and delivered when ibm,int-on unmasks it', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.mask(MSI);
    expect(sources.find(MSI)).toMatchObject({ priority: 0xff, savedPriority: 5 });
    sources.pulse(MSI);
    expect(icp.xisr).toBe(0);
    sources.unmask(MSI);
    expect([icp.xisr, icp.pendingPriority]).toEqual([MSI, 5]);
  });

  test('masking twice does not lose the priority', () => {
    const { sources } = bench();
    sources.setXive(MSI, 0, 5);
    sources.mask(MSI);
    sources.mask(MSI);
    sources.unmask(MSI);
    expect(sources.find(MSI)!.priority).toBe(5);
  });

  test('a more favoured interrupt displaces the one presented, which follows later', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 6);
    sources.setXive(MSI + 1, 0, 5);
    sources.pulse(MSI);
    sources.pulse(MSI + 1);
    expect(icp.xisr).toBe(MSI + 1);
    icp.accept();
    icp.end(MSI + 1, 0xff);
    expect([icp.xisr, icp.pendingPriority]).toEqual([MSI, 6]);
  });

  test('one of equal favour waits', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.setXive(MSI + 1, 0, 5);
    sources.pulse(MSI);
    sources.pulse(MSI + 1);
    expect(icp.xisr).toBe(MSI);
  });

  test('a lower CPPR takes the presented interrupt back', () => {
    const { icp, sources, vcpus } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.pulse(MSI);
    icp.setCppr(5);
    expect([icp.xisr, vcpus[0]!.line]).toEqual([0, false]);
    icp.setCppr(6);
    expect([icp.xisr, vcpus[0]!.line]).toEqual([MSI, true]);
  });

  test('an edge refused by one server goes to the server set afterwards', () => {
    const { icp, sources, xics } = bench();
    xics.presenter(1)!.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.pulse(MSI);
    expect(icp.xisr).toBe(0);
    sources.setXive(MSI, 1, 5);
    expect(xics.presenter(1)!.xisr).toBe(MSI);
    icp.setCppr(0xff);
    expect(icp.xisr).toBe(0);
  });

  test('a second edge that displaces the first of its own source is not lost', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.pulse(MSI);
    sources.setXive(MSI, 0, 3);
    sources.pulse(MSI);
    expect([icp.xisr, icp.pendingPriority]).toEqual([MSI, 3]);
    icp.accept();
    icp.end(MSI, 0xff);
    expect(icp.xisr).toBe(MSI);
  });
});

describe('level sources', () => {
  test('are presented again after end while the input stays asserted', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(LSI, 0, 5);
    sources.setLevel(LSI, true);
    expect(icp.xisr).toBe(LSI);
    icp.accept();
    sources.setLevel(LSI, true);
    expect(icp.xisr).toBe(0);
    icp.end(LSI, 0xff);
    expect(icp.xisr).toBe(LSI);
    icp.accept();
    sources.setLevel(LSI, false);
    icp.end(LSI, 0xff);
    expect(icp.xisr).toBe(0);
  });

  test('a masked level source is presented on unmask only if still asserted', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setLevel(LSI, true);
    sources.setLevel(LSI, false);
    sources.setXive(LSI, 0, 5);
    expect(icp.xisr).toBe(0);
    sources.setXive(LSI, 0, 0xff);
    sources.setLevel(LSI, true);
    sources.setXive(LSI, 0, 5);
    expect(icp.xisr).toBe(LSI);
  });
});

describe('inter-processor interrupts', () => {
  test('the sequence of a Linux IPI', () => {
    const { xics, vcpus } = bench();
    const target = xics.presenter(1)!;
    target.setCppr(0xff);
    target.setMfrr(4);
    expect(vcpus[1]!.line).toBe(true);
    expect(target.accept()).toBe(0xff000002);
    target.setMfrr(0xff);
    target.end(IPI_IRQ, 0xff);
    expect([target.cppr, target.xisr, target.mfrr]).toEqual([0xff, 0, 0xff]);
  });

  test('without clearing MFRR the IPI comes again after end', () => {
    const { icp } = bench();
    icp.setCppr(0xff);
    icp.setMfrr(4);
    icp.accept();
    icp.end(IPI_IRQ, 0xff);
    expect(icp.xisr).toBe(IPI_IRQ);
  });

  test('displaces a device interrupt and is itself remembered by MFRR when displaced', () => {
    const { icp, sources } = bench();
    icp.setCppr(0xff);
    sources.setXive(MSI, 0, 5);
    sources.setXive(MSI + 1, 0, 1);
    sources.pulse(MSI);
    icp.setMfrr(4);
    expect(icp.xisr).toBe(IPI_IRQ);
    sources.pulse(MSI + 1);
    expect(icp.xisr).toBe(MSI + 1);
    icp.accept();
    icp.end(MSI + 1, 0xff);
    expect(icp.xisr).toBe(IPI_IRQ);
    icp.accept();
    icp.setMfrr(0xff);
    icp.end(IPI_IRQ, 0xff);
    expect(icp.xisr).toBe(MSI);
  });
});

test('a spurious accept returns CPPR with no source and changes nothing', () => {
  const { icp } = bench();
  icp.setCppr(0x40);
  expect(icp.accept()).toBe(0x40000000);
  expect(icp.cppr).toBe(0x40);
});

test('resetting a presenter gives its interrupt back to the source', () => {
  const { icp, sources, vcpus, xics } = bench();
  icp.setCppr(0xff);
  sources.setXive(MSI, 0, 5);
  sources.pulse(MSI);
  icp.reset();
  expect([icp.cppr, icp.xisr, vcpus[0]!.line]).toEqual([0, 0, false]);
  xics.presenter(1)!.setCppr(0xff);
  sources.setXive(MSI, 1, 5);
  expect(xics.presenter(1)!.xisr).toBe(MSI);
});

test('reset forgets everything', () => {
  const { icp, sources, vcpus, xics } = bench();
  icp.setCppr(0xff);
  sources.setXive(MSI, 0, 5);
  sources.setXive(LSI, 1, 5);
  sources.pulse(MSI);
  sources.setLevel(LSI, true);
  xics.reset();
  expect(vcpus[0]!.line).toBe(false);
  icp.setCppr(0xff);
  sources.unmask(MSI);
  sources.setXive(MSI, 0, 5);
  expect(icp.xisr).toBe(0);
  expect(sources.find(LSI)).toMatchObject({ server: 0, priority: 0xff, asserted: false });
});

test('devices that name a source that is not there, or of the other kind, are bugs', () => {
  const { sources } = bench();
  expect(() => sources.pulse(0x999)).toThrow(/no interrupt source 0x999/);
  expect(() => sources.pulse(LSI)).toThrow(/level/);
  expect(() => sources.setLevel(MSI, true)).toThrow(/edge/);
});

test('events tell of presentation, acceptance and end', () => {
  const seen: InterruptEvent[] = [];
  const { icp, sources } = bench(1, { interrupt: (event) => seen.push(event) });
  icp.setCppr(0xff);
  sources.setXive(MSI, 0, 5);
  sources.pulse(MSI);
  icp.accept();
  icp.end(MSI, 0xff);
  expect(seen.map(({ action, irq, priority }) => [action, irq, priority])).toEqual([
    ['present', MSI, 5],
    ['accept', MSI, 5],
    ['end', MSI, 0xff],
  ]);
});

describe('properties over random traffic', () => {
  // Guests that accept what is presented and end it, devices that fire at random, priorities and servers that change.
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i', (seed) => {
    const random = seededRandom(seed * 7919);
    const pick = (n: number) => random() % n;
    const { xics, sources, vcpus } = bench(3);
    const edges = [MSI, MSI + 1, MSI + 2, MSI + 3];
    const levels = [LSI, LSI + 1];
    const all = [...edges, ...levels];
    /** Edge events since the guest last accepted one of the source: at least one acceptance must follow. */
    const owed = new Set<number>();
    const stacks: number[][] = [[], [], []];
    const inService = () => stacks.flat().map((xirr) => xirr & 0xffffff);

    // Plain throws: the checks run some hundred thousand times.
    const require = (holds: boolean, what: string) => {
      if (!holds) throw new Error(`seed ${seed}: ${what}`);
    };
    const check = () => {
      for (const vcpu of vcpus) {
        const icp = xics.presenter(vcpu.id)!;
        require(vcpu.line === (icp.xisr !== 0), 'the line does not follow XISR');
        if (icp.xisr === 0) require(icp.pendingPriority === 0xff, 'a pending priority without a source');
        else require(icp.pendingPriority < icp.cppr, 'presented against CPPR');
        require(icp.mfrr >= icp.cppr || icp.pendingPriority <= icp.mfrr, 'an eligible IPI is not presented');
      }
      // A level source is presented at one server at a time. (Two edges may be, when the source moved in between.)
      const presented = vcpus.map(({ id }) => xics.presenter(id)!.xisr).filter((irq) => levels.includes(irq));
      require(new Set(presented).size === presented.length, 'a level source is presented twice');
    };
    const serve = (server: number) => {
      const icp = xics.presenter(server)!;
      const xirr = icp.accept();
      const irq = xirr & 0xffffff;
      if (irq === 0) return;
      owed.delete(irq);
      if (irq === IPI_IRQ) icp.setMfrr(0xff);
      stacks[server]!.push(xirr);
    };
    const finish = (server: number) => {
      const xirr = stacks[server]!.pop();
      if (xirr === undefined) return;
      const irq = xirr & 0xffffff;
      if (levels.includes(irq)) sources.setLevel(irq, false);
      xics.presenter(server)!.end(irq, xirr >>> 24);
    };

    for (let step = 0; step < 4000; step++) {
      const server = pick(3);
      switch (pick(9)) {
        case 0: {
          const irq = edges[pick(edges.length)]!;
          sources.pulse(irq);
          owed.add(irq);
          break;
        }
        case 1: {
          // A level input does not fall while its interrupt is on the way, as with a device that waits for its driver.
          sources.setLevel(levels[pick(levels.length)]!, true);
          break;
        }
        case 2: {
          const irq = all[pick(all.length)]!;
          if (!inService().includes(irq)) sources.setXive(irq, server, pick(4) === 0 ? 0xff : pick(8));
          break;
        }
        case 3:
          sources.mask(all[pick(all.length)]!);
          break;
        case 4:
          sources.unmask(all[pick(all.length)]!);
          break;
        case 5:
          if (stacks[server]!.length === 0) xics.presenter(server)!.setCppr([0, 4, 0xff][pick(3)]!);
          break;
        case 6:
          xics.presenter(server)!.setMfrr(pick(2) === 0 ? 4 : 0xff);
          break;
        case 7:
          serve(server);
          break;
        default:
          finish(server);
      }
      check();
    }

    // Drain: everything unmasked, all processors open. Nothing that was owed may be missing, no level left asserted.
    for (let server = 0; server < 3; server++) while (stacks[server]!.length > 0) finish(server);
    for (let server = 0; server < 3; server++) xics.presenter(server)!.setCppr(0xff);
    for (const irq of all) sources.setXive(irq, 0, 5);
    for (let round = 0; round < 100; round++) {
      for (let server = 0; server < 3; server++) {
        serve(server);
        finish(server);
        check();
      }
    }
    expect([...owed], `seed ${seed}`).toEqual([]);
    for (const vcpu of vcpus) expect(vcpu.line).toBe(false);
    for (const irq of levels) expect(sources.find(irq)).toMatchObject({ asserted: false });
  });
});
