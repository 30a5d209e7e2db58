import { expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';

const H_EOI = 0x64;
const H_CPPR = 0x68;
const H_IPI = 0x6c;
const H_IPOLL = 0x70;
const H_XIRR = 0x74;
const H_XIRR_X = 0x2fc;

test('a device interrupt from trigger to end', () => {
  const bench = new Bench();
  expect(bench.hcall(H_CPPR, [0xff])).toBe(H_SUCCESS);
  expect(bench.rtas('ibm,set-xive', [0x1300, 0, 5])).toEqual([0]);
  bench.hypervisor.xics.sources.pulse(0x1300);
  expect(bench.vcpu().line).toBe(true);
  expect(bench.hcall(H_XIRR, [0xff])).toBe(H_SUCCESS);
  expect(bench.vcpu().gpr(4)).toBe(0xff001300n);
  expect(bench.vcpu().line).toBe(false);
  expect(bench.hcall(H_EOI, [0xff001300n])).toBe(H_SUCCESS);
  expect(bench.hypervisor.xics.presenter(0)!.cppr).toBe(0xff);
});

test('the measured IPI sequence between two processors', () => {
  const bench = new Bench(2);
  bench.vcpu(1).state = 'running';
  bench.hcall(H_CPPR, [0xff], bench.vcpu(1));
  expect(bench.hcall(H_IPI, [1, 4])).toBe(H_SUCCESS);
  bench.hcall(H_XIRR, [], bench.vcpu(1));
  expect(bench.vcpu(1).gpr(4)).toBe(0xff000002n);
  expect(bench.hcall(H_IPI, [1, 0xff], bench.vcpu(1))).toBe(H_SUCCESS);
  expect(bench.hcall(H_EOI, [0xff000002n], bench.vcpu(1))).toBe(H_SUCCESS);
  expect(bench.vcpu(1).line).toBe(false);
});

test('H_IPOLL looks without accepting', () => {
  const bench = new Bench(2);
  bench.hcall(H_CPPR, [0xff]);
  bench.hcall(H_IPI, [0, 4]);
  expect(bench.hcall(H_IPOLL, [0])).toBe(H_SUCCESS);
  expect([bench.vcpu().gpr(4), bench.vcpu().gpr(5)]).toEqual([0xff000002n, 4n]);
  expect(bench.vcpu().line).toBe(true);
  expect(bench.hcall(H_IPOLL, [2])).toBe(H_PARAMETER);
});

test('H_XIRR_X adds the timebase at which the interrupt came', () => {
  const bench = new Bench();
  bench.hcall(H_CPPR, [0xff]);
  bench.partition.now = 4711n;
  bench.hcall(H_IPI, [0, 4]);
  bench.partition.now = 5000n;
  expect(bench.hcall(H_XIRR_X, [0xff])).toBe(H_SUCCESS);
  expect([bench.vcpu().gpr(4), bench.vcpu().gpr(5)]).toEqual([0xff000002n, 4711n]);
});

test('what is not a server or a source is refused', () => {
  const bench = new Bench();
  for (const server of [1, 1n << 32n, -1]) expect(bench.hcall(H_IPI, [server, 4])).toBe(H_PARAMETER);
  for (const irq of [0, 1, 3, 0xfff, 0x2000, 0xffffff])
    expect(bench.hcall(H_EOI, [0xff000000 + irq])).toBe(H_PARAMETER);
  expect(bench.hypervisor.xics.presenter(0)!.cppr).toBe(0);
});

test('only the low bytes of CPPR and MFRR count', () => {
  const bench = new Bench();
  bench.hcall(H_CPPR, [0x1234_5678_9abc_de40n]);
  bench.hcall(H_IPI, [0, 0xffff_ffff_ffff_ff07n]);
  expect(bench.hypervisor.xics.presenter(0)).toMatchObject({ cppr: 0x40, mfrr: 7, xisr: 2 });
});
