// The pocket guest: every chapter passes, and guests that go wrong can be stopped and tell.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Machine, type MachineConfiguration } from '../../src/index.ts';

const kernel = readFileSync(new URL('../../guests/pocket/pocket.elf', import.meta.url));

async function run(configuration: Partial<MachineConfiguration>, options: Parameters<Machine['run']>[0] = {}) {
  const machine = await Machine.create({ kernel, memoryBytes: 2 ** 29, ...configuration });
  machine.closeInput();
  let output = '';
  machine.onConsole((bytes) => {
    output += Buffer.from(bytes).toString('latin1');
  });
  const outcome = await machine.run({ timeoutMs: 60_000, ...options });
  return { outcome, output, report: machine.report() };
}

describe('pocket guest', () => {
  for (const cpus of [1, 4]) {
    it(`passes all its chapters with ${cpus} CPU(s)`, async () => {
      const { outcome, output } = await run({ cpus, append: 'plain' });
      expect(output).not.toContain('FAILED');
      expect(output.match(/\bok\b/g)?.length).toBeGreaterThan(25);
      expect(outcome).toEqual({ reason: 'power-off' });
    });
  }

  it('tells of a panic', async () => {
    const { outcome } = await run({ append: 'plain panic' });
    expect(outcome.reason).toBe('panic');
    expect(outcome.message).toBeTruthy();
  });

  it('can be rebooted', async () => {
    const { outcome, report } = await run({ append: 'plain reboot' });
    expect(outcome).toEqual({ reason: 'power-off' });
    expect(report.reboots).toBe(1);
  });

  for (const how of ['loop', 'garbage=raw', 'nowhere=raw']) {
    it(`is stopped by a time limit when it does "${how}", and leaves a report`, async () => {
      const { outcome, report } = await run({ append: `plain ${how}` }, { timeoutMs: 3000 });
      expect(outcome).toEqual({ reason: 'timeout' });
      expect(report.instructions).toBeGreaterThan(100_000);
      expect(report.cpus[0].nia).toMatch(/^0x/);
    });
  }

  it('pauses and goes on', async () => {
    const machine = await Machine.create({ kernel, memoryBytes: 2 ** 29, append: 'plain' });
    machine.closeInput();
    expect(await machine.run({ instructions: 200_000 })).toEqual({ reason: 'stopped' });
    const { instructions } = machine.report();
    expect(instructions).toBeGreaterThanOrEqual(200_000);
    expect(await machine.run()).toEqual({ reason: 'power-off' });
    expect(machine.report().instructions).toBeGreaterThan(instructions);
  });

  it('streams console and events', async () => {
    await using machine = await Machine.create({ kernel, memoryBytes: 2 ** 29, append: 'plain only=firmware' });
    machine.closeInput();
    const events = machine.events('machine', 'firmware');
    const text = (async () => {
      let all = '';
      for await (const bytes of machine.console.output) {
        all += Buffer.from(bytes).toString('latin1');
        if (all.includes('quiesce')) break;
      }
      return all;
    })();
    await machine.run();
    expect(await text).toContain('quiesce');
    const first = await events.next();
    expect(first.value).toMatchObject({ category: 'machine', event: 'start' });
    const kinds: string[] = [];
    for await (const event of events) {
      if (event.category === 'firmware') kinds.push(event.event.kind);
      if (event.category === 'machine') break;
    }
    expect(kinds).toContain('client-architecture-support');
    expect(kinds).toContain('rtas-instantiated');
  });
});
