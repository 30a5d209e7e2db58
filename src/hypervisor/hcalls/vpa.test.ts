import { describe, expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_HARDWARE, H_PARAMETER, H_RESOURCE, H_SUCCESS } from '../h-status.ts';
import { VPA, VPA_STATUS_SHARED } from '../virtual-processor.ts';

const H_REGISTER_VPA = 0xdc;
const REGISTER = { vpa: 1n << 45n, traceLog: 2n << 45n, slbShadow: 3n << 45n };
const DEREGISTER = { vpa: 5n << 45n, traceLog: 6n << 45n, slbShadow: 7n << 45n };
const AREA = 0x20000;
const LOG = 0x30000;

function withVpa(vcpuCount = 1, size = 1024) {
  const bench = new Bench(vcpuCount);
  bench.view.storeU16BE(AREA + VPA.size, size);
  return bench;
}
const count = (bench: Bench, area = AREA) => bench.view.loadU32BE(area + VPA.dispatchCount);

describe('registration', () => {
  test('as Linux does it: the measured flags, the shared-processor bit, an even dispatch count', () => {
    const bench = withVpa();
    bench.view.storeU8(AREA + VPA.status, 0x40);
    bench.view.storeU32BE(AREA + VPA.dispatchCount, 77);
    expect(bench.hcall(H_REGISTER_VPA, [0x2000_0000_0000n, 0, AREA])).toBe(H_SUCCESS);
    expect(bench.view.loadU8(AREA + VPA.status)).toBe(0x40 | VPA_STATUS_SHARED);
    expect(count(bench)).toBe(0);
  });

  test('the shared-processor bit is the configuration’s choice', () => {
    const bench = new Bench(1, {
      config: { name: 'x', uuid: new Uint8Array(16), timebaseHz: 1, sharedProcessors: false },
    });
    bench.view.storeU16BE(AREA + VPA.size, 640);
    expect(bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA])).toBe(H_SUCCESS);
    expect(bench.view.loadU8(AREA + VPA.status)).toBe(0);
  });

  test.each([
    ['no such processor', REGISTER.vpa, 9n, BigInt(AREA), H_PARAMETER],
    ['address 0', REGISTER.vpa, 0n, 0n, H_HARDWARE],
    ['unaligned', REGISTER.vpa, 0n, BigInt(AREA) + 64n, H_PARAMETER],
    ['beyond RAM', REGISTER.vpa, 0n, 1n << 40n, H_PARAMETER],
    ['beyond what a number holds', REGISTER.vpa, 0n, 0x0fff_ffff_ffff_ff80n, H_PARAMETER],
    ['crosses a page', REGISTER.vpa, 0n, BigInt(AREA) + 0xf80n, H_PARAMETER],
    ['no sub-function', 0n, 0n, BigInt(AREA), H_PARAMETER],
    ['sub-function 4', 4n << 45n, 0n, BigInt(AREA), H_PARAMETER],
  ])('%s', (_, flags, processor, address, status) => {
    const bench = withVpa();
    bench.view.storeU16BE(AREA + 0xf80 + VPA.size, 640);
    expect(bench.hcall(H_REGISTER_VPA, [flags, processor, address])).toBe(status);
  });

  test('a VPA of less than 640 bytes is refused', () => {
    expect(withVpa(1, 639).hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA])).toBe(H_PARAMETER);
    expect(withVpa(1, 640).hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA])).toBe(H_SUCCESS);
  });

  test('the other areas need a VPA, and the VPA stays while they are registered', () => {
    const bench = withVpa();
    bench.view.storeU32BE(LOG + 4, 4096);
    expect(bench.hcall(H_REGISTER_VPA, [REGISTER.traceLog, 0, LOG])).toBe(H_RESOURCE);
    expect(bench.hcall(H_REGISTER_VPA, [REGISTER.slbShadow, 0, LOG])).toBe(H_RESOURCE);
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    expect(bench.hcall(H_REGISTER_VPA, [REGISTER.traceLog, 0, LOG])).toBe(H_SUCCESS);
    expect(bench.hcall(H_REGISTER_VPA, [REGISTER.slbShadow, 0, LOG])).toBe(H_SUCCESS);
    expect(bench.hcall(H_REGISTER_VPA, [DEREGISTER.vpa, 0, 0])).toBe(H_RESOURCE);
    expect(bench.hcall(H_REGISTER_VPA, [DEREGISTER.traceLog, 0, 0])).toBe(H_SUCCESS);
    expect(bench.hcall(H_REGISTER_VPA, [DEREGISTER.slbShadow, 0, 0])).toBe(H_SUCCESS);
    expect(bench.hcall(H_REGISTER_VPA, [DEREGISTER.vpa, 0, 0])).toBe(H_SUCCESS);
  });

  test('deregistering what was never registered succeeds (Linux does it before kexec)', () => {
    const bench = new Bench();
    expect(bench.hcall(H_REGISTER_VPA, [0xe000_0000_0000n, 0, 0])).toBe(H_SUCCESS);
    expect(bench.hcall(H_REGISTER_VPA, [0xa000_0000_0000n, 0, 0])).toBe(H_SUCCESS);
  });

  test('sizes of trace log and SLB shadow are checked against RAM and page', () => {
    const bench = withVpa();
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    const trySize = (which: bigint, size: number) => {
      bench.view.storeU32BE(LOG + 4, size);
      return bench.hcall(H_REGISTER_VPA, [which, 0, LOG]);
    };
    expect(trySize(REGISTER.traceLog, 47)).toBe(H_PARAMETER);
    expect(trySize(REGISTER.traceLog, 0xffffffff)).toBe(H_PARAMETER);
    expect(trySize(REGISTER.slbShadow, 7)).toBe(H_PARAMETER);
    expect(trySize(REGISTER.slbShadow, 4097)).toBe(H_PARAMETER);
    expect(trySize(REGISTER.slbShadow, 4096)).toBe(H_SUCCESS);
  });
});

describe('dispatch accounting', () => {
  test('the count is odd while ceded and even again when the scheduler finds an interrupt', () => {
    const bench = withVpa();
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    bench.hcall(0xe0);
    expect([bench.vcpu().state, count(bench)]).toEqual(['ceded', 1]);
    expect(bench.hypervisor.beginSlice(0)).toBe(false);
    bench.vcpu().decrementerPending = true;
    bench.partition.now += 500n;
    expect(bench.hypervisor.beginSlice(0)).toBe(true);
    expect([bench.vcpu().state, count(bench)]).toEqual(['running', 2]);
    expect(bench.view.loadU64BE(AREA + VPA.waitForReady)).toBe(500n);
    expect(bench.view.loadU64BE(AREA + VPA.waitForProcessor)).toBe(0n);
  });

  test('a preempted vCPU of several has an odd count, and its wait is time stolen', () => {
    const bench = withVpa(2);
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    bench.hypervisor.endSlice(0);
    expect([bench.vcpu().state, count(bench)]).toEqual(['running', 1]);
    bench.partition.now += 30n;
    expect(bench.hypervisor.beginSlice(0)).toBe(true);
    expect(bench.hypervisor.beginSlice(0)).toBe(true);
    expect(count(bench)).toBe(2);
    expect(bench.view.loadU64BE(AREA + VPA.waitForProcessor)).toBe(30n);
  });

  test('a lone vCPU is never preempted', () => {
    const bench = withVpa(1);
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    bench.hypervisor.endSlice(0);
    expect(count(bench)).toBe(0);
  });

  test('the trace log gets an entry for each enabled cause and wraps', () => {
    const bench = withVpa();
    bench.view.storeU32BE(LOG + 4, 2 * 48 + 20);
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    bench.hcall(H_REGISTER_VPA, [REGISTER.traceLog, 0, LOG]);
    const index = () => bench.view.loadU64BE(AREA + VPA.traceLogIndex);
    const cedeAndWake = (ticks: bigint) => {
      bench.vcpu().decrementerPending = false;
      bench.hcall(0xe0);
      bench.partition.now += ticks;
      bench.vcpu().decrementerPending = true;
      bench.hypervisor.beginSlice(0);
    };
    cedeAndWake(1n);
    expect(index()).toBe(0n);
    bench.view.storeU8(AREA + VPA.traceLogMask, 0x01);
    cedeAndWake(7n);
    cedeAndWake(8n);
    cedeAndWake(9n);
    expect(index()).toBe(3n);
    const entry = (n: number) => new DataView(bench.view.read(LOG + 48 * n, 48).buffer);
    expect([entry(0).getUint8(0), entry(0).getUint8(1)]).toEqual([3, 2]); // decrementer ended a cede
    expect(entry(0).getUint32(12)).toBe(9); // the third entry overwrote the first
    expect(entry(1).getUint32(12)).toBe(8);
    expect(entry(0).getBigUint64(16)).toBe(bench.partition.now);
    expect(entry(0).getBigUint64(32)).toBe(bench.vcpu().nia);
    expect(entry(0).getBigUint64(40)).toBe(bench.vcpu().msr);
  });

  test('after deregistration the guest’s memory is left alone', () => {
    const bench = withVpa();
    bench.hcall(H_REGISTER_VPA, [REGISTER.vpa, 0, AREA]);
    bench.hcall(H_REGISTER_VPA, [DEREGISTER.vpa, 0, 0]);
    bench.view.storeU32BE(AREA + VPA.dispatchCount, 0x1234);
    bench.hcall(0xe0);
    expect(count(bench)).toBe(0x1234);
  });
});
