// The transition, page by page and call by call, between a guest, the ultravisor and the hypervisor; and hypervisors that
// do what they must not. The rows of docs/ultravisor.md name these tests.

import { beforeEach, describe, expect, it } from 'vitest';
import { MSR } from '../../src/cpu/state/msr.ts';
import { H_SVM, UV } from '../../src/ultravisor/calls.ts';
import { hcallRegisters } from '../../src/ultravisor/hcall-registers.ts';
import { KERNEL, RTAS_BLOCK, SecureBench, TREE } from '../support/secure-bench.ts';

const PAGE = 0x10000;
const device = { kind: 'device', name: 'probe' } as const;
let bench: SecureBench;
beforeEach(() => {
  bench = new SecureBench(2);
});

/** The hypervisor answers `token` with `status` instead. */
function lie(token: number, status: number, meanwhile: () => void = () => {}): void {
  const { hypervisor } = bench;
  const honest = hypervisor.hcall.bind(hypervisor);
  hypervisor.hcall = (vcpu, carried) => {
    if (vcpu.gpr(3) !== BigInt(token)) {
      honest(vcpu, carried);
      return;
    }
    meanwhile();
    vcpu.setGpr(3, BigInt.asUintN(64, BigInt(status)));
  };
}

describe('UV_ESM', () => {
  it('secures all memory as it is and goes on at the kernel with MSR[S]', () => {
    bench.memory.storeU32BE(0x123450, 0x600df00d);
    bench.cpu.msr |= MSR.EE;
    bench.cpu.setGpr(20, 7n);
    bench.enterSecureMode();
    const { cpu } = bench;
    expect([cpu.gpr(3), cpu.gpr(4), cpu.gpr(5), cpu.gpr(20)]).toEqual([BigInt(TREE), BigInt(KERNEL), 0n, 0n]);
    expect(cpu.nia).toBe(BigInt(KERNEL));
    expect(cpu.msr).toBe(MSR.SF | MSR.ME | MSR.LE | MSR.S);
    expect(bench.memory.loadU32BE(0x123450)).toBe(0x600df00d);
    expect(bench.view.loadU32BE(0x123450, device)).not.toBe(0x600df00d);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 32, normal: 0 });
    expect(bench.events.map(({ step }) => step)).toEqual([
      'UV_ESM',
      'H_SVM_INIT_START',
      'H_SVM_PAGE_IN',
      'H_SVM_INIT_DONE',
    ]);
    expect(bench.phases).toEqual(['secure']);
    expect(bench.hypervisor.counts()).toMatchObject({
      H_SVM_INIT_START: 1,
      H_SVM_PAGE_IN: 32,
      H_SVM_INIT_DONE: 1,
    });
  });

  it.each([
    ['no kernel', 0, TREE, -55],
    ['a kernel outside RAM', 2 ** 40, TREE, -55],
    ['no device tree', KERNEL, 0, -56],
    ['a device tree outside RAM', KERNEL, 2 ** 40, -56],
    ['no device tree there', KERNEL, 0x80000, -4],
  ])('with %s is refused with the documented code', (_, kernel, tree, status) => {
    expect(bench.ucall(UV.ESM, [kernel, tree])).toBe(status);
    expect(bench.cpu.msr & MSR.S).toBe(0n);
    expect(bench.report.svm).toMatchObject({ state: 'normal', pages: { normal: 32 } });
  });

  it('is not for problem state, nor for a VM that is secure already', () => {
    bench.cpu.msr |= MSR.PR;
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-11);
    bench.cpu.msr &= ~MSR.PR;
    bench.enterSecureMode();
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-5);
  });

  it('is refused while another CPU runs, and for another boot CPU than the tree has', () => {
    bench.vcpus[1].state = 'running';
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-4);
    bench.vcpus[1].state = 'stopped';
    bench.writeTree('', 1);
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-4);
    expect(bench.events.at(-1)?.detail).toContain('boot CPU');
  });

  it('undoes everything when it fails after H_SVM_INIT_START, and can be tried again', () => {
    bench.writeTree('start-cpu');
    bench.memory.storeU32BE(0x123450, 0x600df00d);
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-4);
    expect(bench.events.at(-1)?.detail).toContain('/rtas lacks start-cpu');
    expect(bench.hypervisor.counts()).toMatchObject({ H_SVM_INIT_ABORT: 1 });
    expect(bench.view.loadU32BE(0x123450, device)).toBe(0x600df00d);
    expect(bench.report.violations.count).toBe(0);
    expect(bench.phases).toEqual(['normal']);
    bench.writeTree();
    bench.enterSecureMode();
  });

  it.each([
    ['H_SVM_INIT_START', H_SVM.INIT_START],
    ['H_SVM_PAGE_IN', H_SVM.PAGE_IN],
    ['H_SVM_INIT_DONE', H_SVM.INIT_DONE],
  ])('fails when the hypervisor refuses %s', (_, token) => {
    bench.memory.storeU32BE(0x123450, 0x600df00d);
    lie(token, -10);
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-4);
    expect(bench.cpu.msr & MSR.S).toBe(0n);
    expect(bench.view.loadU32BE(0x123450, device)).toBe(0x600df00d);
  });

  it('fails when the hypervisor says that it has handed over a page and has not', () => {
    lie(H_SVM.PAGE_IN, 0);
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-4);
    expect(bench.report.svm?.state).toBe('normal');
  });

  it.each<[string, () => void]>([
    ['takes a page back', () => bench.uv(UV.PAGE_OUT, 1, 3 * PAGE, 3 * PAGE, 0, 16)],
    ['ends the VM', () => bench.uv(UV.SVM_TERMINATE, 1)],
    ['takes a slot back', () => bench.uv(UV.UNREGISTER_MEM_SLOT, 1, 0)],
  ])('fails when the hypervisor %s while it says H_SVM_INIT_DONE', (_, meanwhile) => {
    lie(H_SVM.INIT_DONE, 0, meanwhile);
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-4);
    expect(bench.cpu.msr & MSR.S).toBe(0n);
    expect(bench.report.svm).toMatchObject({ state: 'normal', pages: { normal: 32 } });
  });

  it('answers H_FUNCTION without an ultravisor', () => {
    bench = new SecureBench(1, { ultravisor: false });
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(-2);
    expect(bench.hypervisor.definition(BigInt(H_SVM.INIT_START))).toBeUndefined();
  });
});

describe('sharing', () => {
  beforeEach(() => bench.enterSecureMode());

  it('opens pages, empty, and closes them, empty', () => {
    bench.memory.fill(4 * PAGE, 2 * PAGE, 0x11);
    expect(bench.ucall(UV.SHARE_PAGE, [4, 2])).toBe(0);
    expect(bench.view.loadU64BE(4 * PAGE, device)).toBe(0n);
    bench.view.storeU64BE(5 * PAGE, 99n, device);
    expect(bench.memory.loadU64BE(5 * PAGE)).toBe(99n);
    // Again: nothing changes.
    expect(bench.ucall(UV.SHARE_PAGE, [4, 2])).toBe(0);
    expect(bench.memory.loadU64BE(5 * PAGE)).toBe(99n);
    expect(bench.report.violations.count).toBe(0);

    expect(bench.ucall(UV.UNSHARE_PAGE, [5, 1])).toBe(0);
    expect(bench.memory.loadU64BE(5 * PAGE)).toBe(0n);
    bench.view.storeU64BE(5 * PAGE, 98n, device);
    expect(bench.memory.loadU64BE(5 * PAGE)).toBe(0n);
    expect(bench.report.violations.records[0]).toMatchObject({ madeBy: 'UV_UNSHARE_PAGE', direction: 'write' });
    // A secure page stays as it is.
    bench.memory.storeU64BE(6 * PAGE, 5n);
    expect(bench.ucall(UV.UNSHARE_PAGE, [6, 1])).toBe(0);
    expect(bench.memory.loadU64BE(6 * PAGE)).toBe(5n);
  });

  it('closes all at once', () => {
    bench.ucall(UV.SHARE_PAGE, [4, 2]);
    bench.ucall(UV.SHARE_PAGE, [9, 1]);
    expect(bench.ucall(UV.UNSHARE_ALL_PAGES)).toBe(0);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 32, shared: 0 });
  });

  it('is all or nothing, and only of memory that is there', () => {
    for (const [frame, count] of [
      [32, 1],
      [31, 2],
      [0, 33],
      [2n ** 60n, 1],
      [0, 2n ** 60n],
    ]) {
      expect(bench.ucall(UV.SHARE_PAGE, [frame, count])).toBe(-55);
      expect(bench.ucall(UV.UNSHARE_PAGE, [frame, count])).toBe(-55);
    }
    let calls = 0;
    const { hypervisor } = bench;
    const honest = hypervisor.hcall.bind(hypervisor);
    hypervisor.hcall = (vcpu, carried) => {
      if (++calls === 3) vcpu.setGpr(3, BigInt.asUintN(64, -4n));
      else honest(vcpu, carried);
    };
    expect(bench.ucall(UV.SHARE_PAGE, [4, 5])).toBe(-55);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 32, shared: 0 });
  });

  it('fails when the hypervisor lies about H_SVM_PAGE_IN; taking back works all the same', () => {
    bench.ucall(UV.SHARE_PAGE, [8, 1]);
    lie(H_SVM.PAGE_IN, 0);
    expect(bench.ucall(UV.SHARE_PAGE, [4, 1])).toBe(-55);
    expect(bench.report.svm?.pages).toMatchObject({ shared: 1 });
    expect(bench.ucall(UV.UNSHARE_PAGE, [8, 1])).toBe(0);
    expect(bench.report.svm?.pages).toMatchObject({ shared: 0, secure: 32 });
  });

  it('is for the supervisor of a secure VM', () => {
    bench.cpu.msr |= MSR.PR;
    for (const token of [UV.SHARE_PAGE, UV.UNSHARE_PAGE, UV.UNSHARE_ALL_PAGES]) {
      expect(bench.ucall(token, [4, 1])).toBe(-11);
      expect(new SecureBench().ucall(token, [4, 1])).toBe(-11);
    }
  });

  it.each([
    ['a kernel with 4K pages, whose device tree tells', 0x1000, 0x1000, undefined],
    ['a kernel with 64K pages, whose device tree tells', 0x10000, 0x10000, undefined],
    ['who knows', 0x10000, undefined, undefined],
    ['a machine that was told', 0x1000, 0x10000, 0x1000],
  ] as const)('counts as it should for %s', (_, pageBytes, makersPageBytes, told) => {
    bench = new SecureBench(1, { pageBytes: told });
    bench.writeTree('', 0, makersPageBytes);
    bench.enterSecureMode();
    expect(bench.report.svm).toMatchObject({ pageBytes, pages: { secure: (32 * 0x10000) / pageBytes } });
    bench.ucall(UV.SHARE_PAGE, [5, 1]);
    expect(bench.report.violations.count).toBe(0);
    bench.view.loadU8(5 * pageBytes, device);
    expect(bench.report.violations.count).toBe(0);
    for (const beside of [4 * pageBytes, 6 * pageBytes]) bench.view.loadU8(beside, device);
    expect(bench.report.violations.count).toBe(2);
    const at = 9 * pageBytes;
    bench.memory.storeU64BE(at, 77n);
    expect(bench.hypervisor.secureGuest!.reclaim(at)).toBe(true);
    expect(bench.hypervisor.secureGuest!.contentsOf(at)).toHaveLength(pageBytes);
    bench.secure.guestPageFault(at + 8);
    expect(bench.memory.loadU64BE(at)).toBe(77n);
  });

  it('counts anew when another kernel turns secure after a restart', () => {
    bench = new SecureBench(1);
    bench.writeTree('', 0, 0x1000);
    bench.enterSecureMode();
    bench.secure.restart(() => bench.hypervisor.reset());
    bench.cpu.msr &= ~MSR.S;
    bench.writeTree('', 0, 0x10000);
    bench.enterSecureMode();
    expect(bench.report.svm).toMatchObject({ pageBytes: 0x10000, pages: { secure: 32 } });
  });

  it('leaves alone what is beside a page of 4 KiB', () => {
    bench = new SecureBench(1, { pageBytes: 0x1000 });
    bench.enterSecureMode();
    bench.memory.fill(0x4000, 0x3000, 0x11);
    expect(bench.ucall(UV.SHARE_PAGE, [5, 1])).toBe(0);
    expect(bench.memory.loadU8(0x4fff)).toBe(0x11);
    expect(bench.memory.loadU8(0x5000)).toBe(0);
    expect(bench.memory.loadU8(0x6000)).toBe(0x11);
    bench.view.loadU8(0x5000, device);
    expect(bench.report.violations.count).toBe(0);
    bench.view.loadU8(0x6000, device);
    expect(bench.report.violations.count).toBe(1);
  });
});

describe('ultracalls of the hypervisor', () => {
  const LPID = 1;
  it('are not for the guest, and the guest ones not for the hypervisor', () => {
    bench.enterSecureMode();
    for (const token of [UV.WRITE_PATE, UV.REGISTER_MEM_SLOT, UV.UNREGISTER_MEM_SLOT, UV.PAGE_IN, UV.PAGE_OUT]) {
      expect(bench.ucall(token, [LPID, 0])).toBe(-11);
    }
    expect(bench.ucall(UV.PAGE_INVAL, [LPID, 0])).toBe(-11);
    expect(bench.ucall(UV.SVM_TERMINATE, [LPID])).toBe(-11);
    expect(bench.uv(UV.ESM, KERNEL, TREE)).toBe(-11);
    expect(bench.uv(UV.SHARE_PAGE, 1, 1)).toBe(-11);
    expect(bench.uv(0xf1fc)).toBe(-2);
    expect(bench.ucall(UV.ESMB_GET_FILE)).toBe(-4);
  });

  it('UV_REGISTER_MEM_SLOT and UV_UNREGISTER_MEM_SLOT check their slot', () => {
    expect(bench.uv(UV.PAGE_IN, LPID, 0, 0, 0, 16)).toBe(-75);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, 9, 0, PAGE, 0, 0)).toBe(-4);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0x1000, PAGE, 0, 0)).toBe(-55);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0, 64 * PAGE, 0, 0)).toBe(-56);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0, PAGE, 1, 0)).toBe(-57);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0, PAGE, 0, 512)).toBe(-58);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0, 2 * PAGE, 0, 0)).toBe(0);
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, PAGE, PAGE, 0, 1)).toBe(-55);
    expect(bench.uv(UV.UNREGISTER_MEM_SLOT, LPID, 1)).toBe(-55);
    expect(bench.uv(UV.UNREGISTER_MEM_SLOT, LPID, 0)).toBe(0);
    bench.enterSecureMode();
    expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0, PAGE, 0, 3)).toBe(-75);
  });

  it('UV_UNREGISTER_MEM_SLOT does not take memory from a secure VM', () => {
    bench.enterSecureMode();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    expect(bench.uv(UV.UNREGISTER_MEM_SLOT, LPID, 0)).toBe(-75);
    expect(bench.view.loadU64BE(3 * PAGE, device)).not.toBe(77n);
    expect(bench.memory.loadU64BE(3 * PAGE)).toBe(77n);
  });

  it('UV_PAGE_IN, UV_PAGE_OUT and UV_PAGE_INVAL check their arguments and the state of the page', () => {
    bench.enterSecureMode();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    const at = 3 * PAGE;
    expect(bench.uv(UV.PAGE_IN, LPID, at, at, 0, 16)).toBe(-55);
    expect(bench.uv(UV.PAGE_IN, LPID, 4 * PAGE, at, 0, 16)).toBe(-55);
    expect(bench.uv(UV.PAGE_IN, LPID, at, 99 * PAGE, 0, 16)).toBe(-56);
    expect(bench.uv(UV.PAGE_IN, LPID, at, at, 4, 16)).toBe(-57);
    expect(bench.uv(UV.PAGE_IN, LPID, at, at, 0, 12)).toBe(-58);
    // Secure memory, and where there is nothing, cannot be where a page goes.
    expect(bench.uv(UV.PAGE_OUT, LPID, at, at, 0, 16)).toBe(-55);
    expect(bench.uv(UV.PAGE_OUT, LPID, 2 ** 50, at, 0, 16)).toBe(-55);
    expect(bench.uv(UV.PAGE_OUT, LPID, at, 99 * PAGE, 0, 16)).toBe(-56);
    expect(bench.uv(UV.PAGE_OUT, LPID, at, at, 1, 16)).toBe(-57);
    expect(bench.uv(UV.PAGE_OUT, LPID, at, at, 0, 12)).toBe(-58);
    expect(bench.uv(UV.PAGE_INVAL, LPID, 99 * PAGE, 16)).toBe(-55);
    expect(bench.uv(UV.PAGE_INVAL, LPID, at, 12)).toBe(-56);
    bench.ucall(UV.SHARE_PAGE, [5, 1]);
    expect(bench.uv(UV.PAGE_OUT, LPID, 5 * PAGE, 5 * PAGE, 0, 16)).toBe(-4);
    expect(bench.uv(UV.PAGE_INVAL, LPID, 5 * PAGE, 16)).toBe(0);
    expect(bench.uv(UV.PAGE_INVAL, LPID, at, 16)).toBe(-55);
    expect(bench.memory.loadU64BE(at)).toBe(77n);
  });

  it('UV_WRITE_PATE takes a process table only when the guest registers one', () => {
    expect(bench.uv(UV.WRITE_PATE, LPID, 0, 0x20000 + 4)).toBe(0);
    expect(bench.processTable).toEqual([0x20000, 16]);
    bench.enterSecureMode();
    expect(bench.uv(UV.WRITE_PATE, LPID, 0, 0x30000 + 4)).toBe(-11);
    expect(bench.processTable).toEqual([0x20000, 16]);
    // New, radix, guest translation shootdown; base, 0, size 2^(12+4).
    expect(bench.hcall(0x37c, [0x1d, 0x40000, 0, 4])).toBe(0);
    expect(bench.processTable).toEqual([0x40000, 16]);
  });

  it('UV_SVM_TERMINATE of a normal VM does nothing', () => {
    expect(bench.uv(UV.SVM_TERMINATE, LPID)).toBe(0);
    expect(bench.report.svm?.state).toBe('normal');
    expect(bench.halts).toEqual([]);
  });

  it('UV_SVM_TERMINATE ends the VM and leaves nothing of it', () => {
    bench.enterSecureMode();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    expect(bench.uv(UV.SVM_TERMINATE, 9)).toBe(-4);
    expect(bench.uv(UV.SVM_TERMINATE, LPID)).toBe(0);
    expect(bench.view.loadU64BE(3 * PAGE, device)).toBe(0n);
    expect(bench.report.violations.count).toBe(0);
    expect(bench.halts).toEqual(['the hypervisor has terminated the secure VM']);
  });

  it('a restart is the end of the secure VM, and the next one is normal', () => {
    bench.enterSecureMode();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    bench.secure.restart(() => bench.hypervisor.reset());
    expect(bench.halts).toEqual([]);
    expect(bench.report.svm?.state).toBe('normal');
    expect(bench.memory.loadU64BE(3 * PAGE)).toBe(0n);
    bench.cpu.msr &= ~MSR.S;
    bench.writeTree();
    bench.enterSecureMode();
  });
});

describe('H_SVM hypercalls', () => {
  it('are not for a guest, normal or secure', () => {
    for (const token of [H_SVM.PAGE_IN, H_SVM.PAGE_OUT, H_SVM.INIT_START, H_SVM.INIT_DONE]) {
      expect(bench.hcall(token, [0, 0, 16])).toBe(-67);
    }
    expect(bench.hcall(H_SVM.INIT_ABORT)).toBe(-67);
    bench.enterSecureMode();
    for (const token of Object.values(H_SVM)) expect(bench.hcall(token, [0, 0, 16])).toBe(-2);
    expect(bench.report.svm?.state).toBe('secure');
  });

  it('come in order and with checked arguments', () => {
    const call = (token: number, ...args: number[]) => {
      bench.cpu.msr |= MSR.S;
      [token, ...args].forEach((value, n) => {
        bench.cpu.setGpr(3 + n, BigInt(value));
      });
      bench.hypervisor.hcall(bench.cpu);
      bench.cpu.msr &= ~MSR.S;
      return Number(BigInt.asIntN(64, bench.cpu.gpr(3)));
    };
    expect(call(H_SVM.PAGE_IN, 0, 0, 16)).toBe(-67);
    expect(call(H_SVM.INIT_DONE)).toBe(-67);
    expect(call(H_SVM.INIT_ABORT)).toBe(-67);
    expect(call(H_SVM.INIT_START)).toBe(0);
    expect(call(H_SVM.INIT_START)).toBe(-75);
    expect(call(H_SVM.PAGE_IN, 0, 0, 12)).toBe(-56);
    expect(call(H_SVM.PAGE_IN, 0, 2, 16)).toBe(-55);
    expect(call(H_SVM.PAGE_IN, 0x1000, 0, 16)).toBe(-4);
    expect(call(H_SVM.PAGE_IN, 99 * PAGE, 0, 16)).toBe(-4);
    expect(call(H_SVM.PAGE_IN, PAGE, 0, 16)).toBe(0);
    expect(call(H_SVM.PAGE_IN, PAGE, 0, 16)).toBe(-4);
    expect(call(H_SVM.PAGE_OUT, PAGE, 1, 16)).toBe(-55);
    expect(call(H_SVM.PAGE_OUT, PAGE, 0, 12)).toBe(-56);
    expect(call(H_SVM.PAGE_OUT, PAGE, 0, 16)).toBe(0);
    expect(call(H_SVM.PAGE_OUT, PAGE, 0, 16)).toBe(0);
    expect(call(H_SVM.INIT_ABORT)).toBe(-4);
    expect(call(H_SVM.INIT_START)).toBe(0);
    expect(call(H_SVM.INIT_DONE)).toBe(0);
    expect(call(H_SVM.INIT_ABORT)).toBe(-75);
    expect(call(H_SVM.INIT_DONE)).toBe(-67);
    expect(call(H_SVM.INIT_START)).toBe(-75);
  });
});

describe('reflected hypercalls', () => {
  beforeEach(() => bench.enterSecureMode());

  it('show the hypervisor the arguments and nothing else, and take the results and nothing else', () => {
    const { cpu, hypervisor } = bench;
    for (let n = 0; n < 32; n++) cpu.setGpr(n, 0x1000n + BigInt(n));
    cpu.nia = 0xc000000000123456n;
    cpu.setGpr(3, 0x54n);
    const seen: bigint[] = [];
    hypervisor.hcall = (vcpu) => {
      for (let n = 0; n < 32; n++) seen.push(vcpu.gpr(n));
      seen.push(vcpu.nia);
      for (let n = 0; n < 32; n++) vcpu.setGpr(n, 0xbad00n + BigInt(n));
    };
    bench.secure.guestHcall(cpu);
    expect([seen[3], seen[4]]).toEqual([0x54n, 0x1004n]);
    expect(seen.filter((value) => value >= 0x1000n && value < 0x1020n)).toEqual([0x1004n]);
    expect(seen).not.toContain(0xc000000000123456n);
    for (let n = 0; n < 32; n++) {
      const isResult = n >= 3 && n <= 6;
      expect(cpu.gpr(n), `r${n}`).toBe((isResult ? 0xbad00n : 0x1000n) + BigInt(n));
    }
    expect(cpu.nia).toBe(0xc000000000123456n);
  });

  it('hide registers between calls as well', () => {
    bench.cpu.setGpr(9, 0x5ec2e7n);
    expect(bench.secure.ports[0].gpr(9)).not.toBe(0x5ec2e7n);
    bench.secure.ports[0].setGpr(9, 1n);
    expect(bench.cpu.gpr(9)).toBe(0x5ec2e7n);
  });

  it('serve H_RANDOM in the ultravisor and refuse what they do not know', () => {
    expect(bench.hcall(0x300)).toBe(0);
    expect(bench.hcall(0xbad0)).toBe(-2);
    expect(bench.hypervisor.counts()).not.toHaveProperty('H_RANDOM');
    bench.cpu.msr |= MSR.PR;
    expect(bench.hcall(0x58, [0x71000000])).toBe(-3);
  });

  it('carry characters to the console', () => {
    expect(bench.hcall(0x58, [0x71000000, 2, 0x4f4b_0000_0000_0000n, 0])).toBe(0);
    expect(bench.console).toBe('OK');
  });

  it('have the register counts of the hypervisor, call by call', () => {
    const served = bench.hypervisor.definitions().filter(({ token }) => token < 0xef00 || token >= 0xf000);
    expect(served.map(({ token, name, inputs, outputs }) => [token, { name, inputs, outputs }])).toEqual(
      [...hcallRegisters].sort(([a], [b]) => a - b),
    );
  });
});

describe('RTAS of a secure guest', () => {
  beforeEach(() => bench.enterSecureMode());

  it('works without a breach: numbers, buffers to and from the hypervisor', () => {
    expect(bench.rtas('get-time-of-day', [], 8)[0]).toBe(0);
    const buffer = 0x30000;
    bench.memory.write(buffer, new TextEncoder().encode('in nvram'));
    expect(bench.rtas('nvram-store', [0x100, buffer, 8], 2)).toEqual([0, 8]);
    bench.memory.fill(buffer, 32, 0x2e);
    expect(bench.rtas('nvram-fetch', [0x100, buffer + 4, 8], 2)).toEqual([0, 8]);
    expect(new TextDecoder().decode(bench.memory.read(buffer, 16))).toBe('....in nvram....');
    bench.memory.write(buffer, new TextEncoder().encode('goodbye\0secret'));
    bench.rtas('ibm,os-term', [buffer]);
    expect(bench.partition.log).toContain('panic goodbye');
    expect(bench.report.violations.records).toEqual([]);
    expect(bench.memory.loadU32BE(RTAS_BLOCK)).toBe(bench.hypervisor.rtas.token('ibm,os-term'));
  });

  it('keeps from the hypervisor what a service does not need', () => {
    const secret = 0x30000;
    bench.memory.storeU32BE(secret, 0x5ec2e7);
    let found = 0;
    const { hypervisor } = bench;
    hypervisor.hcall = (vcpu, carried) => {
      found = carried!.loadU32BE(secret, device);
      vcpu.setGpr(3, 0n);
    };
    // A buffer to be filled; then one that the service does not have.
    bench.rtas('nvram-fetch', [0, secret, 8], 2);
    expect(found).toBe(0);
    bench.rtas('get-time-of-day', [secret], 8);
    expect(found).not.toBe(0x5ec2e7);
    expect(bench.report.violations.count).toBe(1);
  });

  it('start-cpu starts where the guest said, in secure mode, and only then', () => {
    expect(bench.rtas('start-cpu', [1, 0x50000, 0x77])).toEqual([0]);
    expect(bench.vcpus[1]).toMatchObject({ state: 'running', started: { nia: 0x50000, r3: 0x77n } });
    expect(bench.vcpus[1].msr & MSR.S).toBe(MSR.S);
    bench.vcpus[1].state = 'stopped';
    bench.secure.ports[1].start(0x60000, 1n);
    expect(bench.vcpus[1].state).toBe('stopped');
    expect(bench.halts[0]).toContain('start of CPU 1');
  });

  it('refuses blocks that are not there', () => {
    expect(bench.hcall(0xf000, [2 ** 40])).toBe(-4);
    bench.memory.storeU32BE(RTAS_BLOCK + 4, 17);
    expect(bench.hcall(0xf000, [RTAS_BLOCK])).toBe(-4);
    expect(bench.report.violations.count).toBe(0);
  });
});

describe('breaches', () => {
  it('are what a device of the machine before the transition makes of its old addresses', () => {
    bench.enterSecureMode();
    bench.view.write(0x3fff0, new Uint8Array(32).fill(9), device);
    expect(bench.memory.loadU8(0x3fff0)).toBe(0);
    expect(
      bench.report.violations.records.map(({ gra, lenBytes, instructions }) => [gra, lenBytes, instructions]),
    ).toEqual([
      [0x3fff0, 16, 42n],
      [0x40000, 16, 42n],
    ]);
  });
  it('end the machine under policy stop', () => {
    bench = new SecureBench(1, { policy: 'stop' });
    bench.enterSecureMode();
    bench.view.loadU8(0x40000, device);
    expect(bench.halts).toEqual(['probe (device) read of 1 bytes at 0x40000: the page is secure since UV_ESM']);
  });
});
