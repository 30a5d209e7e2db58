// Hypervisors and devices that reach for secure memory, and the search for a canary in all that they can see.

import { beforeEach, describe, expect, it } from 'vitest';
import type { ViolationPolicy } from '../../../src/memory/checked-host-view.ts';
import { type DmaMode, DmaSpace, deviceOrigin } from '../../../src/pci/dma-space.ts';
import { DmaWindowSet } from '../../../src/pci/dma-windows.ts';
import { UV } from '../../../src/ultravisor/calls.ts';
import { whereFound } from '../../support/host-sight.ts';
import { SecureBench } from '../../support/secure-bench.ts';
import { PAGE, secureBench, sightOf, takeOut } from './support.ts';

const hypercall = { kind: 'hcall', name: 'H_PUT_TCE_INDIRECT' } as const;
const AT = 3 * PAGE;
const SECRET = 'CANARY-9e3779b97f4a7c15';
const secretBytes = new TextEncoder().encode(SECRET);
let bench: SecureBench;
beforeEach(() => {
  bench = secureBench();
  bench.memory.write(AT + 0x100, secretBytes);
});

describe('the hypervisor', () => {
  it('reads ciphertext where memory is secure, the same each time, and is named', () => {
    const read = () => bench.view.read(AT + 0x100, secretBytes.length, hypercall);
    expect(read()).toEqual(read());
    expect(Buffer.from(read()).toString('latin1')).not.toContain('CANARY');
    expect(bench.report.violations.records).toHaveLength(1);
    expect(bench.report.violations.records[0]).toMatchObject({
      origin: hypercall,
      direction: 'read',
      pageState: 'secure',
      madeBy: 'UV_ESM',
      times: 3,
    });
  });

  it('writes nothing where memory is secure, not even beside shared memory', () => {
    bench.ucall(UV.SHARE_PAGE, [AT / PAGE + 1, 1]);
    bench.view.write(AT + PAGE - 4, new Uint8Array(8).fill(0xee), hypercall);
    expect(bench.memory.loadU64BE(AT + PAGE - 4)).toBe(0x0000_0000_eeee_eeeen);
    expect(bench.report.violations.records).toMatchObject([{ direction: 'write', gra: AT + PAGE - 4, lenBytes: 4 }]);
  });

  it.each<ViolationPolicy>(['block', 'stop'])('is held off under policy %s', (policy) => {
    bench = secureBench({ policy });
    bench.memory.write(AT, secretBytes);
    expect(Buffer.from(bench.view.read(AT, 32, hypercall)).toString('latin1')).not.toContain('CANARY');
    expect(bench.halts).toHaveLength(policy === 'stop' ? 1 : 0);
  });
});

describe('a secure page offered as DMA target', () => {
  function device(mode: DmaMode) {
    const windows = new DmaWindowSet({ liobn: 1, defaultBytes: 2 ** 20, memoryBytes: 2 ** 30 });
    const space = new DmaSpace({ view: bench.view, windows, mode });
    space.enabled = true;
    return { space, windows, origin: deviceOrigin('disk', 0) };
  }

  it.each<DmaMode>(['bypass', 'platform'])('gives the device ciphertext and takes nothing from it: %s', (mode) => {
    const { space, windows, origin } = device(mode);
    // Who fills the table does not matter: what it says is no permission.
    windows.all()[0].set(0, 0, AT | 3);
    const address = mode === 'bypass' ? AT : 0;
    expect(Buffer.from(space.read(address, 4096, origin)!).toString('latin1')).not.toContain('CANARY');
    expect(space.write(address, new Uint8Array(4096), origin)).toBeUndefined();
    expect(Buffer.from(bench.memory.read(AT + 0x100, secretBytes.length)).toString()).toBe(SECRET);
    expect(bench.report.violations.records).toMatchObject([
      { origin: { kind: 'device', name: 'disk' }, direction: 'read', pageGra: AT, lenBytes: 4096 },
      { origin: { kind: 'device', name: 'disk' }, direction: 'write', pageGra: AT, lenBytes: 4096 },
    ]);
  });

  it('is a breach as well when the page is out', () => {
    takeOut(bench, AT);
    const { space, origin } = device('bypass');
    space.write(AT, new Uint8Array(16).fill(1), origin);
    expect(bench.report.violations.records).toMatchObject([{ pageState: 'paged-out' }]);
  });
});

describe('a canary in secure memory', () => {
  it('is nowhere that the host can see, whatever has happened', () => {
    const { cpu } = bench;
    // In registers too, at a hypercall and between them.
    for (const n of [9, 20]) cpu.setGpr(n, new DataView(secretBytes.buffer).getBigUint64(0));
    bench.hcall(0x58, [0x71000000, 2, 0x4f4b_0000_0000_0000n, 0]);
    bench.rtas('get-time-of-day', [], 8);
    bench.ucall(UV.SHARE_PAGE, [6, 1]);
    bench.view.read(AT, PAGE, hypercall);
    expect(whereFound(SECRET, sightOf(bench))).toEqual([]);
    takeOut(bench, AT);
    expect(whereFound(SECRET, sightOf(bench))).toEqual([]);
    bench.secure.guestPageFault(AT);
    expect(Buffer.from(bench.memory.read(AT + 0x100, secretBytes.length)).toString()).toBe(SECRET);
    bench.ucall(UV.SHARE_PAGE, [AT / PAGE, 1]);
    expect(whereFound(SECRET, sightOf(bench))).toEqual([]);
  });

  it('is nowhere after the VM was ended by the hypervisor, by tampering, or by a restart', () => {
    takeOut(bench, 5 * PAGE)[0] ^= 1;
    bench.secure.guestPageFault(5 * PAGE);
    expect(bench.report.svm?.tampering?.kind).toBe('changed');
    expect(whereFound(SECRET, sightOf(bench))).toEqual([]);
    for (const end of [
      () => bench.uv(UV.SVM_TERMINATE, 1),
      () => bench.secure.restart(() => bench.hypervisor.reset()),
    ]) {
      bench = secureBench();
      bench.memory.write(AT, secretBytes);
      end();
      expect(whereFound(SECRET, sightOf(bench))).toEqual([]);
    }
  });

  it('would be found where it can be seen: in a normal VM, a shared page, registers, and what a guest says', () => {
    bench.ucall(UV.SHARE_PAGE, [6, 1]);
    bench.memory.write(6 * PAGE + 5, secretBytes);
    expect(whereFound(SECRET, sightOf(bench))).toEqual(['memory, as a hcall reads it', 'memory, as a device reads it']);
    const normal = new SecureBench();
    normal.memory.write(PAGE - 8, secretBytes);
    normal.cpu.setGpr(20, new DataView(secretBytes.buffer).getBigUint64(0));
    normal.console = `it is ${SECRET}`;
    expect(whereFound(SECRET, sightOf(normal))).toEqual([
      'memory, as a hcall reads it',
      'memory, as a device reads it',
      'registers of CPU 0',
      'console',
    ]);
  });
});
