// The pocket guest: every chapter passes, and guests that go wrong can be stopped and tell.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MemoryBlock } from '../../src/backends/memory/block.ts';
import { MemoryConsole } from '../../src/backends/memory/console.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { UserNetwork } from '../../src/backends/net/user-network.ts';
import { nodeSockets } from '../../src/backends/node/net/node-sockets.ts';
import type { DevicePorts } from '../../src/device/ports.ts';
import { Machine, type MachineConfiguration, type MachineReport } from '../../src/index.ts';
import { DMA_POLICIES, type DmaPolicy } from '../../src/vmm/dma-policy.ts';
import {
  type TransportOptions,
  virtioBalloon,
  virtioBlock,
  virtioConsole,
  virtioNet,
  virtioRng,
} from '../../src/vmm/virtio-devices.ts';

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

/** One device of each kind that the guest makes requests of, and a balloon. */
function cabinet(transport: TransportOptions = {}) {
  const disk = new MemoryBlock({ sizeBytes: 2 ** 20, limitBytes: 2 ** 20 });
  const console = new MemoryConsole();
  const makeNetwork = (ports: DevicePorts) => new UserNetwork({ ...ports, sockets: nodeSockets, warn: () => {} });
  const mac = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
  const devices = [
    virtioBlock(disk, {}, transport),
    virtioNet(makeNetwork, { mac }, transport),
    virtioRng(new SeededEntropy(3), transport),
    virtioConsole({ ports: [{ backend: console }] }, transport),
    virtioBalloon(() => {}),
  ].map((make) => ({ make }));
  return { devices, console };
}
const NAMES = ['virtio-blk', 'virtio-net', 'virtio-rng', 'virtio-console', 'virtio-balloon'];

describe('the DMA policies, with each device', () => {
  /** What touched secret memory, as `virtio-blk write`. */
  const breachers = ({ violations }: MachineReport) =>
    violations.records.map(({ origin, direction }) => `${origin.name} ${direction}`);
  /** The guest asks for these in every run. */
  const ASKED = ['virtio-rng write', 'virtio-blk write', 'virtio-blk read'];
  const ofRings = NAMES.map((name) => `${name} read`);
  const line = (output: string, name: string, device: string) =>
    output.split(/\r?\n/).find((text) => text.startsWith(`  ${name}`) && text.includes(device)) ?? `no line "${name}"`;

  describe.each(Object.keys(DMA_POLICIES) as DmaPolicy[])('%s', (dmaPolicy) => {
    const fromPowerOn = dmaPolicy === 'creation' || dmaPolicy === 'window';
    const switched = dmaPolicy === 'transition' || dmaPolicy === 'quirk';
    const configuration = (order: string, transport?: TransportOptions) => ({
      append: `plain only=secure dma=${dmaPolicy} order=${order}`,
      dmaPolicy,
      ...cabinet(transport),
    });
    const causes = (report: MachineReport) =>
      report.devices.map(({ kind, dmaSwitches = [] }) => [kind, dmaSwitches.map(({ cause, to }) => `${cause}: ${to}`)]);

    it('in the right order, everything works and only what is asked for is a breach', async () => {
      const { console, ...rest } = configuration('right');
      const { outcome, output, report } = await run(rest);
      expect(output).not.toContain('FAILED');
      expect(outcome).toEqual({ reason: 'power-off' });
      for (const name of NAMES.slice(0, 4)) {
        const before = fromPowerOn ? 'through the DMA window: ' : 'plain: ';
        expect(line(output, name, before), name).toMatch(/ ok$/);
        expect(line(output, name, dmaPolicy === 'legacy' ? 'bounced by the guest itself' : 'bounced: ')).toMatch(
          / ok$/,
        );
      }
      expect(output.match(/10.0.2.2 is at 52:55:0a:00:02:02/g)?.length).toBe(2);
      expect(console.text()).toBe('the pocket guest was here\n'.repeat(2));
      expect(breachers(report)).toEqual(ASKED);
      expect(report.violations.count).toBe(3);
      expect(report.warnings).toEqual([]);
      const how = dmaPolicy === 'transition' ? 'H_SVM_INIT_DONE' : 'guest';
      expect(causes(report)).toEqual(
        NAMES.map((name) => {
          if (name !== 'virtio-balloon') return [name, switched ? [`${how}: platform`] : []];
          // The balloon is reset, and stays as it is.
          return [name, switched ? [`${how}: bypass`] : []];
        }),
      );
      // All had a driver, which lost them.
      for (const { kind, dmaSwitches = [] } of report.devices) {
        for (const { reset } of dmaSwitches) {
          const queues = kind === 'virtio-blk' || kind === 'virtio-rng' ? [0] : [0, 1];
          expect(reset, kind).toEqual({ reason: 'dma-switch', queues });
        }
      }
    });

    it('in the wrong order, no device does anything in secret memory', async () => {
      const { outcome, output, report } = await run(configuration('wrong'));
      expect(output).not.toContain('FAILED');
      expect(outcome).toEqual({ reason: 'power-off' });
      for (const name of NAMES) {
        const stale = dmaPolicy === 'transition' ? 'was reset, hears nothing' : 'its rings are secret: it stopped';
        expect(line(output, 'stale driver', name)).toContain(stale);
        const plain = name === 'virtio-balloon' || dmaPolicy === 'legacy' || dmaPolicy === 'quirk';
        expect(line(output, 'unshared rings', name)).toContain(`${plain ? 'plain' : 'through the window'}: it stopped`);
      }
      // The same page of the same device, a second time, is the same breach.
      const sorted = [...new Set(breachers(report))].sort();
      expect(sorted).toEqual([...new Set([...ofRings, ...ASKED])].sort());
      expect(report.violations.count).toBe((dmaPolicy === 'transition' ? 1 : 2) * NAMES.length + ASKED.length);
      expect(report.warnings.length).toBeGreaterThanOrEqual(NAMES.length);
    });

    it.skipIf(fromPowerOn)('transitional devices have no legacy interface on the platform', async () => {
      const { devices } = cabinet({ transitional: true });
      // Random numbers of VIRTIO 1.2 have a transitional form, too; the guest checks BAR 0.
      const { outcome, output, report } = await run({
        append: `plain only=secure dma=${dmaPolicy}`,
        dmaPolicy,
        devices,
      });
      expect(output).not.toContain('FAILED');
      expect(outcome).toEqual({ reason: 'power-off' });
      const ids = report.devices.slice(0, 4).map(({ functions }) => functions[0].id);
      const legacy = ['1af4:1001', '1af4:1000', '1af4:1005', '1af4:1003'];
      expect(ids).toEqual(switched ? ['1af4:1042', '1af4:1041', '1af4:1044', '1af4:1043'] : legacy);
    });
  });
});

describe('pocket guest', () => {
  for (const cpus of [1, 4]) {
    it(`passes all its chapters with ${cpus} CPU(s)`, async () => {
      const { outcome, output } = await run({ cpus, append: 'plain' });
      expect(output).not.toContain('FAILED');
      expect(output.match(/\bok\b/g)?.length).toBeGreaterThan(25);
      expect(outcome).toEqual({ reason: 'power-off' });
    });
  }

  it('goes on as a normal VM where there is no ultravisor', async () => {
    const { outcome, output } = await run({ append: 'plain only=secure', ultravisor: false });
    expect(output).toContain('UV_ESM          skipped: H_FUNCTION: there is no ultravisor');
    expect(outcome).toEqual({ reason: 'power-off' });
  });

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
