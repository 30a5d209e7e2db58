import { describe, expect, test } from 'vitest';
import { Bench, testMemory } from '../../../tests/support/hypervisor-fakes.ts';
import { SHUTDOWN_LOG_BYTES } from './error-log.ts';
import { rtasAreaBytes } from './layout.ts';

const BUFFER = 0x40000;
const RAM_END = 0x200000;

describe('time of day', () => {
  test('reads the host’s clock in UTC, to the nanosecond', () => {
    expect(new Bench().rtas('get-time-of-day', [], 8)).toEqual([0, 2024, 2, 29, 23, 59, 58, 250_500_000]);
  });

  test('setting it keeps an offset that survives reset', () => {
    const bench = new Bench();
    expect(bench.rtas('set-time-of-day', [2031, 12, 31, 23, 59, 59, 999_000_000])).toEqual([0]);
    bench.partition.wallClock += 1001;
    bench.hypervisor.reset();
    expect(bench.rtas('get-time-of-day', [], 8)).toEqual([0, 2032, 1, 1, 0, 0, 1, 0]);
  });

  test.each([
    [2023, 2, 29, 0, 0, 0, 0],
    [1900, 1, 1, 0, 0, 0, 0],
    [10000, 1, 1, 0, 0, 0, 0],
    [2024, 0, 1, 0, 0, 0, 0],
    [2024, 13, 1, 0, 0, 0, 0],
    [2024, 4, 31, 0, 0, 0, 0],
    [2024, 1, 0, 0, 0, 0, 0],
    [2024, 1, 1, 24, 0, 0, 0],
    [2024, 1, 1, 0, 60, 0, 0],
    [2024, 1, 1, 0, 0, 60, 0],
    [2024, 1, 1, 0, 0, 0, 1_000_000_000],
    [-1, -1, -1, -1, -1, -1, -1],
  ])('refuses %i-%i-%i %i:%i:%i.%i', (...args) => {
    const bench = new Bench();
    expect(bench.rtas('set-time-of-day', args)).toEqual([-3]);
    expect(bench.rtas('get-time-of-day', [], 8)[1]).toBe(2024);
  });

  test('accepts the 29th of February of a leap year', () => {
    expect(new Bench().rtas('set-time-of-day', [2028, 2, 29, 12, 0, 0, 0])).toEqual([0]);
  });
});

describe('ending it', () => {
  test('power-off and system-reboot reach the machine and write no status', () => {
    const bench = new Bench();
    expect(bench.rtas('power-off', [-1, -1])).toEqual([0x5a5a5a5a]);
    expect(bench.rtas('system-reboot')).toEqual([0x5a5a5a5a]);
    expect(bench.partition.log).toEqual(['power off', 'reboot']);
  });

  test('ibm,os-term hands over the string and returns', () => {
    const bench = new Bench();
    bench.view.write(BUFFER, new TextEncoder().encode('Attempted to kill init!\n\0garbage'));
    expect(bench.rtas('ibm,os-term', [BUFFER])).toEqual([0]);
    expect(bench.partition.log).toEqual(['panic Attempted to kill init!']);
  });

  test('ibm,os-term with a string that has no end, or no memory', () => {
    const bench = new Bench();
    bench.view.fill(BUFFER, 4096, 0x61);
    bench.view.fill(RAM_END - 8, 8, 0x62);
    expect(bench.rtas('ibm,os-term', [BUFFER])).toEqual([0]);
    expect(bench.rtas('ibm,os-term', [RAM_END - 8])).toEqual([0]);
    expect(bench.rtas('ibm,os-term', [RAM_END])).toEqual([0]);
    expect(bench.rtas('ibm,os-term', [-1])).toEqual([0]);
    expect(bench.partition.log).toEqual([`panic ${'a'.repeat(1024)}`, 'panic bbbbbbbb', 'panic ', 'panic ']);
  });

  test('display-character goes to the operator panel', () => {
    const bench = new Bench();
    let panel = '';
    bench.hypervisor.events.panel = ({ character }) => {
      panel += String.fromCharCode(character);
    };
    for (const c of 'Linux') expect(bench.rtas('display-character', [c.charCodeAt(0)])).toEqual([0]);
    expect([panel, bench.console]).toEqual(['Linux', '']);
  });
});

describe('processors', () => {
  test('stopped, started, stopped again, started again', () => {
    const bench = new Bench(2);
    expect(bench.rtas('query-cpu-stopped-state', [1], 2)).toEqual([0, 0]);
    expect(bench.rtas('query-cpu-stopped-state', [0], 2)).toEqual([0, 2]);
    expect(bench.rtas('start-cpu', [1, 0xcee4, 1])).toEqual([0]);
    expect(bench.vcpu(1)).toMatchObject({ state: 'running', started: { nia: 0xcee4, r3: 1n } });
    expect(bench.rtas('query-cpu-stopped-state', [1], 2)).toEqual([0, 2]);
    expect(bench.rtas('start-cpu', [1, 0xcee4, 1])).toEqual([-1]);
    expect(bench.rtas('stop-self', [], 1, bench.vcpu(1))).toEqual([0x5a5a5a5a]);
    expect(bench.rtas('query-cpu-stopped-state', [1], 2)).toEqual([0, 0]);
    expect(bench.rtas('start-cpu', [1, 0xcee0, 0xffffffff])).toEqual([0]);
    expect(bench.vcpu(1).started).toEqual({ nia: 0xcee0, r3: 0xffffffffn });
    expect(bench.partition.log).toEqual([]);
  });

  test('a started processor has its presenter closed', () => {
    const bench = new Bench(2);
    bench.vcpu(1).state = 'running';
    bench.hcall(0x68, [0xff], bench.vcpu(1));
    bench.rtas('ibm,set-xive', [0x1300, 1, 5]);
    bench.hypervisor.xics.sources.pulse(0x1300);
    expect(bench.vcpu(1).line).toBe(true);
    bench.rtas('stop-self', [], 1, bench.vcpu(1));
    expect(bench.vcpu(1).line).toBe(false);
    bench.rtas('start-cpu', [1, 0x100, 0]);
    expect(bench.hypervisor.xics.presenter(1)).toMatchObject({ cppr: 0, mfrr: 0xff, xisr: 0 });
    bench.hcall(0x68, [0xff], bench.vcpu(1));
    expect(bench.hypervisor.xics.presenter(1)!.xisr).toBe(0x1300);
  });

  test('arguments are checked', () => {
    const bench = new Bench(2);
    expect(bench.rtas('query-cpu-stopped-state', [2], 2)[0]).toBe(-3);
    expect(bench.rtas('start-cpu', [2, 0x100, 0])).toEqual([-3]);
    expect(bench.rtas('start-cpu', [1, 0x102, 0])).toEqual([-3]);
    expect(bench.rtas('start-cpu', [1, RAM_END, 0])).toEqual([-3]);
    expect(bench.vcpu(1).state).toBe('stopped');
  });

  test('when the last one stops itself, that is the end of the guest', () => {
    const bench = new Bench(2);
    bench.rtas('stop-self');
    expect(bench.partition.log).toEqual(['panic every processor has stopped itself']);
  });
});

describe('interrupt sources', () => {
  test('as Linux starts one up, and masks it', () => {
    const bench = new Bench(2);
    expect(bench.rtas('ibm,get-xive', [0x1100], 3)).toEqual([0, 0, 0xff]);
    expect(bench.rtas('ibm,set-xive', [0x1100, 1, 5])).toEqual([0]);
    expect(bench.rtas('ibm,int-on', [0x1100])).toEqual([0]);
    expect(bench.rtas('ibm,get-xive', [0x1100], 3)).toEqual([0, 1, 5]);
    expect(bench.rtas('ibm,int-off', [0x1100])).toEqual([0]);
    expect(bench.rtas('ibm,get-xive', [0x1100], 3)).toEqual([0, 1, 0xff]);
    expect(bench.hypervisor.xics.sources.find(0x1100)!.priority).toBe(0xff);
  });

  test('unknown sources, servers and priorities', () => {
    const bench = new Bench();
    for (const irq of [0, 2, 0xfff, 0x2000, -1]) {
      expect(bench.rtas('ibm,set-xive', [irq, 0, 5])).toEqual([-3]);
      expect(bench.rtas('ibm,get-xive', [irq], 3)[0]).toBe(-3);
      expect(bench.rtas('ibm,int-on', [irq])).toEqual([-3]);
      expect(bench.rtas('ibm,int-off', [irq])).toEqual([-3]);
    }
    expect(bench.rtas('ibm,set-xive', [0x1100, 1, 5])).toEqual([-3]);
    expect(bench.rtas('ibm,set-xive', [0x1100, 0, 256])).toEqual([-3]);
  });
});

describe('NVRAM', () => {
  test('keeps what was stored, also over reset', () => {
    const bench = new Bench();
    bench.view.write(BUFFER, Uint8Array.of(1, 2, 3, 4));
    expect(bench.rtas('nvram-store', [65532, BUFFER, 4], 2)).toEqual([0, 4]);
    bench.hypervisor.reset();
    expect(bench.rtas('nvram-fetch', [65530, BUFFER + 16, 6], 2)).toEqual([0, 6]);
    expect([...bench.view.read(BUFFER + 16, 6)]).toEqual([0, 0, 1, 2, 3, 4]);
    expect([...bench.hypervisor.nvram.bytes.subarray(65532)]).toEqual([1, 2, 3, 4]);
  });

  test('starts with what the owner gave', () => {
    const nvram = new Uint8Array(65536).fill(0x77);
    const bench = new Bench(1, { nvram });
    bench.rtas('nvram-fetch', [0, BUFFER, 1], 2);
    expect(bench.view.loadU8(BUFFER)).toBe(0x77);
    expect(() => new Bench(1, { nvram: new Uint8Array(10) })).toThrow(/NVRAM of 10 bytes/);
  });

  test.each([
    [65533, BUFFER, 4],
    [0, BUFFER, 65537],
    [-1, BUFFER, 1],
    [0, RAM_END - 3, 4],
    [0, -1, 4],
    [0, BUFFER, -1],
  ])('refuses index %i, buffer %i, length %i', (...args) => {
    const bench = new Bench();
    expect(bench.rtas('nvram-fetch', args, 2)).toEqual([-3, 0]);
    expect(bench.rtas('nvram-store', args, 2)).toEqual([-3, 0]);
  });
});

describe('system parameters', () => {
  const read = (bench: Bench, parameter: number, length = 4002) => {
    bench.view.fill(BUFFER, 64, 0xee);
    const [status] = bench.rtas('ibm,get-system-parameter', [parameter, BUFFER, length]);
    return { status, length: bench.view.loadU16BE(BUFFER) };
  };
  const text = (bench: Bench, length: number) => String.fromCharCode(...bench.view.read(BUFFER + 2, length));

  test('characteristics, partition name, UUID, diagnostics mode', () => {
    const bench = new Bench(2);
    const splpar = 'MaxEntCap=200,DesMem=2,DesProcs=2,MaxPlatProcs=2\0';
    expect(read(bench, 20)).toEqual({ status: 0, length: splpar.length });
    expect(text(bench, splpar.length)).toBe(splpar);
    expect(read(bench, 55)).toEqual({ status: 0, length: 15 });
    expect(text(bench, 15)).toBe('test partition\0');
    expect(read(bench, 48)).toEqual({ status: 0, length: 16 });
    expect(bench.view.loadU64BE(BUFFER + 2)).toBe(0x0102030405060708n);
    expect(read(bench, 42)).toEqual({ status: 0, length: 1 });
  });

  test('a short buffer gets what fits', () => {
    const bench = new Bench();
    expect(read(bench, 55, 6)).toEqual({ status: 0, length: 15 });
    expect(text(bench, 4)).toBe('test');
    expect(bench.view.loadU8(BUFFER + 6)).toBe(0xee);
    expect(read(bench, 55, 0)).toEqual({ status: 0, length: 0xeeee });
  });

  test('unknown ones, bad buffers, and setting', () => {
    const bench = new Bench();
    for (const parameter of [0, 44, 59, -1]) expect(read(bench, parameter).status).toBe(-3);
    expect(bench.rtas('ibm,get-system-parameter', [20, RAM_END - 4, 4000])).toEqual([-3]);
    expect(bench.rtas('ibm,get-system-parameter', [20, -1, 4000])).toEqual([-3]);
    expect(bench.rtas('ibm,set-system-parameter', [20, BUFFER])).toEqual([-9002]);
    expect(bench.rtas('ibm,set-system-parameter', [44, BUFFER])).toEqual([-3]);
  });
});

describe('platform events', () => {
  const check = (bench: Bench, mask = 0x40000000, length = 2048) =>
    bench.rtas('check-exception', [0x500, 0x1000, mask, 0, BUFFER, length])[0];

  test('nothing happens by itself', () => {
    const bench = new Bench();
    expect(bench.rtas('event-scan', [-1, 0, BUFFER, 2048])).toEqual([1]);
    expect(check(bench)).toBe(1);
    expect(bench.rtas('get-sensor-state', [9, 0], 2)).toEqual([0, 0]);
    expect(bench.rtas('get-sensor-state', [9003, 0], 2)[0]).toBe(-3);
    expect(bench.rtas('get-sensor-state', [9, 1], 2)[0]).toBe(-3);
  });

  test('a shutdown request: interrupt, sensor, one log', () => {
    const bench = new Bench();
    bench.hcall(0x68, [0xff]);
    bench.rtas('ibm,set-xive', [0x1000, 0, 5]);
    bench.hypervisor.requestShutdown();
    expect(bench.hypervisor.xics.presenter(0)!.xisr).toBe(0x1000);
    expect(bench.rtas('get-sensor-state', [9, 0], 2)).toEqual([0, 3]);
    expect(check(bench, 0x10000000)).toBe(1);
    expect(check(bench)).toBe(0);
    expect(check(bench)).toBe(1);
    bench.hypervisor.reset();
    expect(bench.rtas('get-sensor-state', [9, 0], 2)).toEqual([0, 0]);
  });

  test('the log has the layout that a guest parses', () => {
    const bench = new Bench();
    bench.hypervisor.requestShutdown();
    check(bench);
    const bytes = bench.view.read(BUFFER, SHUTDOWN_LOG_BYTES);
    const log = new DataView(bytes.buffer);
    expect(log.getUint32(0)).toBe(0x06340040);
    expect(log.getUint32(4)).toBe(SHUTDOWN_LOG_BYTES - 8);
    // Find the section the way the kernel does: from byte 24 on, each with id and length.
    const sections = new Map<string, number>();
    for (let at = 24; at < bytes.length; at += log.getUint16(at + 2)) {
      sections.set(String.fromCharCode(bytes[at]!, bytes[at + 1]!), at);
    }
    expect([...sections.keys()]).toEqual(['PH', 'UH', 'EP']);
    const header = sections.get('PH')!;
    expect(log.getUint32(header + 8)).toBe(0x20240229);
    expect(log.getUint32(header + 12)).toBe(0x23595800);
    expect([bytes[header + 24], bytes[header + 27]]).toEqual([0x48, 3]);
    const user = sections.get('UH')!;
    expect([bytes[user + 8], bytes[user + 10], bytes[user + 11]]).toEqual([0xa0, 0, 0xd0]);
    const epow = sections.get('EP')!;
    expect([...bytes.subarray(epow + 8, epow + 11)]).toEqual([3, 1, 1]);
    expect(String.fromCharCode(...bytes.subarray(20, 24))).toBe('IBM\0');
  });

  test('a short buffer gets a cut log; one outside RAM gets none, and the log stays', () => {
    const bench = new Bench();
    bench.hypervisor.requestShutdown();
    expect(bench.rtas('check-exception', [0x500, 0x1000, 0x40000000, 0, -1, 2048])).toEqual([-3]);
    bench.view.fill(BUFFER, 32, 0xee);
    expect(bench.rtas('check-exception', [0x500, 0x1000, 0x40000000, 0, BUFFER, 8, 0])).toEqual([0]);
    expect(bench.view.loadU32BE(BUFFER)).toBe(0x06340040);
    expect(bench.view.loadU8(BUFFER + 8)).toBe(0xee);
  });
});

describe('system resets with a registered routine', () => {
  const AREA = 0x1f0000;

  test('r3 points to the save slot that holds the old r3', () => {
    const bench = new Bench(2);
    bench.vcpu(1).state = 'running';
    bench.vcpu(1).setGpr(3, 0x1122334455667788n);
    expect(bench.rtas('ibm,nmi-interlock')).toEqual([-3]);
    expect(bench.rtas('ibm,nmi-register', [0x1920, 0x1990])).toEqual([-1]);
    expect(bench.hypervisor.setRtasArea(AREA)).toBe(true);
    expect(bench.rtas('ibm,nmi-register', [0x1920, 0x1990])).toEqual([0]);
    expect(bench.rtas('ibm,nmi-interlock')).toEqual([0]);
    expect(bench.hcall(0x380, [1])).toBe(0);
    const slot = AREA + 2048 + 16;
    expect(bench.vcpu(1).resets).toEqual([0x1920]);
    expect(bench.vcpu(1).gpr(3)).toBe(BigInt(slot));
    expect(bench.view.loadU64BE(slot)).toBe(0x1122334455667788n);
    expect(bench.view.loadU64BE(slot + 8)).toBe(0n);
  });

  test('a reset of the caller itself saves the completed hypercall’s return code', () => {
    const bench = new Bench();
    bench.hypervisor.setRtasArea(AREA);
    bench.rtas('ibm,nmi-register', [0x1920, 0x1990]);
    bench.hcall(0x380, [0]);
    expect(bench.vcpu().gpr(3)).toBe(BigInt(AREA + 2048));
    expect(bench.view.loadU64BE(AREA + 2048)).toBe(0n);
    bench.hypervisor.reset();
    bench.hypervisor.systemReset(0);
    expect(bench.vcpu().resets).toEqual([0x1920, 0x100]);
  });

  test('addresses and area are checked', () => {
    const bench = new Bench();
    expect(bench.hypervisor.setRtasArea(RAM_END - rtasAreaBytes(1) + 4)).toBe(false);
    expect(bench.hypervisor.setRtasArea(RAM_END - rtasAreaBytes(1))).toBe(true);
    for (const args of [
      [0x1921, 0x1990],
      [0x1920, 0x1992],
      [RAM_END, 0x1990],
      [0x1920, 0x2000000],
      [-4, 0x1990],
    ]) {
      expect(bench.rtas('ibm,nmi-register', args)).toEqual([-3]);
    }
  });

  test('routines lie in the first 32 MiB, however much RAM there is', () => {
    const view = testMemory(640);
    const bench = new Bench(1, { view });
    bench.hypervisor.setRtasArea(AREA);
    const register = (gra: number) => {
      const { token } = bench.hypervisor.rtas.services().find(({ name }) => name === 'ibm,nmi-register')!;
      [token, 2, 1, gra, 0x1990, 7].forEach((cell, i) => {
        view.storeU32BE(0x8000 + 4 * i, cell);
      });
      bench.hcall(0xf000, [0x8000]);
      return view.loadU32BE(0x8000 + 20) | 0;
    };
    expect(register(0x1fffffc)).toBe(0);
    expect(register(0x2000000)).toBe(-3);
  });
});
