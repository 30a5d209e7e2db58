import { describe, expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_BAD_MODE, H_CONTINUE, H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import { VPA } from '../virtual-processor.ts';

const H_CEDE = 0xe0;
const H_CONFER = 0xe4;
const H_PROD = 0xe8;
const H_JOIN = 0x298;
const H_SIGNAL_SYS_RESET = 0x380;

/** A bench whose vCPUs all run. */
function running(vcpuCount: number): Bench {
  const bench = new Bench(vcpuCount);
  for (const vcpu of bench.vcpus) vcpu.state = 'running';
  return bench;
}

describe('H_CEDE', () => {
  test('enables interrupts, sleeps and completes with H_SUCCESS', () => {
    const bench = new Bench();
    expect(bench.hcall(H_CEDE)).toBe(H_SUCCESS);
    expect([bench.vcpu().externalEnabled, bench.vcpu().state]).toEqual([true, 'ceded']);
  });

  test('does not sleep with an interrupt pending', () => {
    const bench = new Bench();
    bench.vcpu().decrementerPending = true;
    expect(bench.hcall(H_CEDE)).toBe(H_SUCCESS);
    expect([bench.vcpu().externalEnabled, bench.vcpu().state]).toEqual([true, 'running']);
  });

  test('an IPI wakes it at the next slice', () => {
    const bench = running(2);
    bench.hcall(0x68, [0xff]);
    bench.hcall(H_CEDE);
    expect(bench.hypervisor.beginSlice(0)).toBe(false);
    expect(bench.hcall(0x6c, [0, 4], bench.vcpu(1))).toBe(H_SUCCESS);
    expect(bench.vcpu(0).line).toBe(true);
    expect(bench.hypervisor.beginSlice(0)).toBe(true);
    expect(bench.vcpu(0).state).toBe('running');
  });
});

describe('H_PROD', () => {
  test('wakes a ceded vCPU, without leaving a prod behind', () => {
    const bench = running(2);
    bench.hcall(H_CEDE);
    expect(bench.hcall(H_PROD, [0], bench.vcpu(1))).toBe(H_SUCCESS);
    expect(bench.vcpu(0).state).toBe('running');
    bench.hcall(H_CEDE);
    expect(bench.vcpu(0).state).toBe('ceded');
  });

  test('of a running vCPU makes its next H_CEDE return at once, the one after not', () => {
    const bench = running(2);
    bench.hcall(H_PROD, [0], bench.vcpu(1));
    bench.hcall(H_CEDE);
    expect(bench.vcpu(0).state).toBe('running');
    bench.hcall(H_CEDE);
    expect(bench.vcpu(0).state).toBe('ceded');
  });

  test('an unknown processor is an error, whatever the upper bits', () => {
    const bench = new Bench();
    expect(bench.hcall(H_PROD, [1])).toBe(H_PARAMETER);
    expect(bench.hcall(H_PROD, [1n << 32n])).toBe(H_PARAMETER);
    expect(bench.hcall(H_PROD, [-1])).toBe(H_PARAMETER);
  });

  test('does not start a stopped vCPU', () => {
    const bench = new Bench(2);
    expect(bench.hcall(H_PROD, [1])).toBe(H_SUCCESS);
    expect(bench.vcpu(1).state).toBe('stopped');
  });
});

describe('H_CONFER', () => {
  test('to all yields the slice', () => {
    const bench = running(2);
    expect(bench.hcall(H_CONFER, [-1, 0])).toBe(H_SUCCESS);
    expect(bench.vcpu().yields).toEqual([undefined]);
    expect(bench.vcpu().state).toBe('running');
  });

  test('to one yields only if that one still waits at the dispatch count the caller saw', () => {
    const bench = running(2);
    bench.view.storeU16BE(0x20000 + VPA.size, 1024);
    bench.hcall(0xdc, [1n << 45n, 1, 0x20000], bench.vcpu(1));
    const seen = () => bench.view.loadU32BE(0x20000 + VPA.dispatchCount);
    bench.hcall(H_CONFER, [1, seen()]);
    expect(bench.vcpu().yields).toEqual([]);
    bench.hypervisor.endSlice(1);
    const preempted = seen();
    bench.hcall(H_CONFER, [1, BigInt(preempted) + (1n << 32n)]);
    expect(bench.vcpu().yields).toEqual([]);
    bench.hcall(H_CONFER, [1, preempted]);
    expect(bench.vcpu().yields).toEqual([1]);
    bench.hypervisor.beginSlice(1);
    bench.hcall(H_CONFER, [1, preempted]);
    expect(bench.vcpu().yields).toEqual([1]);
  });

  test('to itself waits for a prod, and with interrupts enabled for an interrupt too', () => {
    const bench = running(2);
    bench.hcall(H_CONFER, [0, 0]);
    expect(bench.vcpu().state).toBe('conferred');
    bench.vcpu().decrementerPending = true;
    expect(bench.hypervisor.beginSlice(0)).toBe(false);
    bench.hcall(H_PROD, [0], bench.vcpu(1));
    expect(bench.vcpu().state).toBe('running');

    bench.vcpu().decrementerPending = false;
    bench.vcpu().externalEnabled = true;
    bench.hcall(H_CONFER, [0, 0]);
    expect(bench.vcpu().state).toBe('ceded');
    bench.vcpu().decrementerPending = true;
    expect(bench.hypervisor.beginSlice(0)).toBe(true);
  });

  test('an unknown processor is an error', () => {
    expect(new Bench().hcall(H_CONFER, [5, 1])).toBe(H_PARAMETER);
  });
});

describe('H_JOIN', () => {
  test('with interrupts enabled is a bad mode', () => {
    const bench = running(2);
    bench.vcpu().externalEnabled = true;
    expect(bench.hcall(H_JOIN)).toBe(H_BAD_MODE);
  });

  test('the last one continues, the others wait for prods', () => {
    const bench = new Bench(4);
    for (const id of [0, 1, 2]) bench.vcpu(id).state = 'running';
    expect(bench.hcall(H_JOIN, [], bench.vcpu(1))).toBe(H_SUCCESS);
    expect(bench.hcall(H_JOIN, [], bench.vcpu(2))).toBe(H_SUCCESS);
    expect([bench.vcpu(1).state, bench.vcpu(2).state]).toEqual(['conferred', 'conferred']);
    expect(bench.hcall(H_JOIN)).toBe(H_CONTINUE);
    bench.hcall(H_PROD, [1]);
    expect(bench.vcpu(1).state).toBe('running');
    expect(bench.hcall(H_JOIN)).toBe(H_SUCCESS);
    expect(bench.vcpu(0).state).toBe('conferred');
  });
});

describe('H_SIGNAL_SYS_RESET', () => {
  test('reaches one, all, or all but the caller, at vector 0x100; stopped ones ignore it', () => {
    const bench = new Bench(4);
    for (const id of [0, 1, 2]) bench.vcpu(id).state = 'running';
    const resets = () => bench.vcpus.map((vcpu) => vcpu.resets);
    expect(bench.hcall(H_SIGNAL_SYS_RESET, [1])).toBe(H_SUCCESS);
    expect(resets()).toEqual([[], [0x100], [], []]);
    expect(bench.hcall(H_SIGNAL_SYS_RESET, [-2])).toBe(H_SUCCESS);
    expect(resets()).toEqual([[], [0x100, 0x100], [0x100], []]);
    expect(bench.hcall(H_SIGNAL_SYS_RESET, [-1])).toBe(H_SUCCESS);
    expect(resets()).toEqual([[0x100], [0x100, 0x100, 0x100], [0x100, 0x100], []]);
    for (const target of [4, -3, 1n << 33n]) expect(bench.hcall(H_SIGNAL_SYS_RESET, [target])).toBe(H_PARAMETER);
  });

  test('wakes a vCPU from H_CEDE and H_JOIN', () => {
    const bench = running(3);
    bench.hcall(H_CEDE, [], bench.vcpu(1));
    bench.hcall(H_JOIN, [], bench.vcpu(2));
    bench.hcall(H_SIGNAL_SYS_RESET, [-2]);
    expect(bench.vcpus.map((vcpu) => vcpu.state)).toEqual(['running', 'running', 'running']);
    expect(bench.hcall(H_JOIN)).toBe(H_SUCCESS); // vCPU 2 is no longer joined
  });
});
