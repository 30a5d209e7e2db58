// Hypervisors that call the ultravisor when and how they must not, and what they get for it.

import { beforeEach, describe, expect, it } from 'vitest';
import { MSR } from '../../../src/cpu/state/msr.ts';
import { H_SVM, UV } from '../../../src/ultravisor/calls.ts';
import { KERNEL, SecureBench, TREE } from '../../support/secure-bench.ts';
import { LPID, lie, PAGE, secureBench, takeOut } from './support.ts';

const U_PARAMETER = -4;
const U_PERMISSION = -11;
const U_P2 = -55;
const U_P3 = -56;
const U_P4 = -57;
const U_P5 = -58;
const U_STATE = -75;
const H_SUCCESS = 0;
const device = { kind: 'device', name: 'probe' } as const;

describe('a lying UV_PAGE_IN', () => {
  let bench: SecureBench;
  let mine: number;
  beforeEach(() => {
    bench = secureBench();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    const { hostPages } = bench.hypervisor.secureGuest!;
    mine = hostPages.allocate();
    hostPages.at(mine)!.fill(0xee);
  });

  it('does not put a page of the hypervisor in place of a secure one', () => {
    expect(bench.uv(UV.PAGE_IN, LPID, mine, 3 * PAGE, 0, 16)).toBe(U_P2);
    expect(bench.uv(UV.PAGE_IN, LPID, 3 * PAGE, 3 * PAGE, 0, 16)).toBe(U_P2);
    expect(bench.memory.loadU64BE(3 * PAGE)).toBe(77n);
  });

  it('does not put one secure page in place of another', () => {
    expect(bench.uv(UV.PAGE_IN, LPID, 4 * PAGE, 3 * PAGE, 0, 16)).toBe(U_P2);
    expect(bench.memory.loadU64BE(3 * PAGE)).toBe(77n);
  });

  it('during UV_SHARE_PAGE does not get another page shared than the guest asked for', () => {
    const answers: number[] = [];
    lie(bench, H_SVM.PAGE_IN, H_SUCCESS, () => {
      for (const [source, gra] of [
        [3 * PAGE, 3 * PAGE],
        [3 * PAGE, 6 * PAGE],
        [mine, 6 * PAGE],
      ]) {
        answers.push(bench.uv(UV.PAGE_IN, LPID, source, gra, 0, 16));
      }
    });
    expect(bench.ucall(UV.SHARE_PAGE, [6, 1])).toBe(U_P2);
    expect(answers).toEqual([U_P2, U_P2, U_P2]);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 32, shared: 0 });
  });

  it('during UV_ESM does not choose what the image is made of', () => {
    bench = new SecureBench();
    const page = bench.hypervisor.secureGuest!.hostPages.allocate();
    const answers: number[] = [];
    lie(bench, H_SVM.PAGE_IN, H_SUCCESS, () => {
      answers.push(bench.uv(UV.PAGE_IN, LPID, page, Number(bench.cpu.gpr(4)), 0, 16));
    });
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(U_PARAMETER);
    expect(new Set(answers)).not.toContain(0);
    expect(bench.report.svm?.state).toBe('normal');
  });

  it('of a shared page changes nothing', () => {
    bench.ucall(UV.SHARE_PAGE, [6, 1]);
    bench.memory.storeU64BE(6 * PAGE, 5n);
    expect(bench.uv(UV.PAGE_IN, LPID, mine, 6 * PAGE, 0, 16)).toBe(U_P2);
    expect(bench.uv(UV.PAGE_IN, LPID, 6 * PAGE, 6 * PAGE, 0, 16)).toBe(0);
    expect(bench.memory.loadU64BE(6 * PAGE)).toBe(5n);
  });
});

describe('UV_PAGE_OUT', () => {
  it('of a shared page is refused, and the page stays with the guest', () => {
    const bench = secureBench();
    bench.ucall(UV.SHARE_PAGE, [6, 1]);
    bench.memory.storeU64BE(6 * PAGE, 5n);
    const place = bench.hypervisor.secureGuest!.hostPages.allocate();
    expect(bench.uv(UV.PAGE_OUT, LPID, place, 6 * PAGE, 0, 16)).toBe(U_PARAMETER);
    expect(bench.hypervisor.secureGuest!.reclaim(6 * PAGE)).toBe(false);
    expect(bench.hypervisor.secureGuest!.hostPages.at(place)!.every((byte) => byte === 0)).toBe(true);
    expect(bench.memory.loadU64BE(6 * PAGE)).toBe(5n);
  });

  it('of a page of a normal VM is refused: it has none', () => {
    const bench = new SecureBench();
    const place = bench.hypervisor.secureGuest!.hostPages.allocate();
    expect(bench.uv(UV.PAGE_OUT, LPID, place, 3 * PAGE, 0, 16)).toBe(U_STATE);
  });

  it('does not write secure contents over another secure page, nor into memory of the guest', () => {
    const bench = secureBench();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    bench.ucall(UV.SHARE_PAGE, [6, 1]);
    for (const destination of [4 * PAGE, 6 * PAGE, 3 * PAGE, 0]) {
      expect(bench.uv(UV.PAGE_OUT, LPID, destination, 3 * PAGE, 0, 16)).toBe(U_P2);
    }
    expect(bench.memory.loadU64BE(3 * PAGE)).toBe(77n);
    expect(bench.memory.loadU64BE(6 * PAGE)).toBe(0n);
  });
});

describe('wrong memory slots', () => {
  const slot = (bench: SecureBench, ...args: number[]) => bench.uv(UV.REGISTER_MEM_SLOT, LPID, ...args);

  it.each<[string, number[], number]>([
    ['that start inside of a page', [0x1000, PAGE, 0, 0], U_P2],
    ['that start beyond memory', [2 ** 40, PAGE, 0, 0], U_P2],
    ['of no length', [0, 0, 0, 0], U_P3],
    ['of part of a page', [0, 0x8000, 0, 0], U_P3],
    ['that are longer than memory', [0, 2 ** 40, 0, 0], U_P3],
    ['with flags', [0, PAGE, 1, 0], U_P4],
    ['with a number too large', [0, PAGE, 0, 512], U_P5],
  ])('%s are refused', (_, args, status) => {
    const bench = new SecureBench();
    expect(slot(bench, ...args)).toBe(status);
  });

  it('that overlap are refused', () => {
    const bench = new SecureBench();
    expect(slot(bench, 0, 4 * PAGE, 0, 0)).toBe(0);
    for (const [start, lenBytes] of [
      [0, PAGE],
      [3 * PAGE, 2 * PAGE],
      [0, 32 * PAGE],
    ]) {
      expect(slot(bench, start, lenBytes, 0, 1)).toBe(U_P2);
    }
    expect(slot(bench, 4 * PAGE, 4 * PAGE, 0, 0)).toBe(U_P5);
    expect(slot(bench, 4 * PAGE, 4 * PAGE, 0, 1)).toBe(0);
  });

  it('that leave out part of memory make UV_ESM fail: it would stay with the hypervisor', () => {
    const bench = new SecureBench();
    lie(bench, H_SVM.INIT_START, H_SUCCESS, () => slot(bench, 0, 31 * PAGE, 0, 0));
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(U_PARAMETER);
    expect(bench.report.svm?.state).toBe('normal');
  });

  it('that are none make UV_ESM fail', () => {
    const bench = new SecureBench();
    lie(bench, H_SVM.INIT_START, H_SUCCESS);
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(U_PARAMETER);
    expect(bench.report.svm?.state).toBe('normal');
  });

  it('do not come to a secure VM, nor go from it', () => {
    const bench = secureBench();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    expect(slot(bench, 0, PAGE, 0, 7)).toBe(U_STATE);
    expect(bench.uv(UV.UNREGISTER_MEM_SLOT, LPID, 0)).toBe(U_STATE);
    expect(bench.view.loadU64BE(3 * PAGE, device)).not.toBe(77n);
  });
});

describe('calls out of order', () => {
  it.each([
    ['UV_PAGE_IN', UV.PAGE_IN, [LPID, 0, 0, 0, 16]],
    ['UV_PAGE_OUT', UV.PAGE_OUT, [LPID, 0, 0, 0, 16]],
    ['UV_PAGE_INVAL', UV.PAGE_INVAL, [LPID, 0, 16]],
    ['UV_UNREGISTER_MEM_SLOT', UV.UNREGISTER_MEM_SLOT, [LPID, 0]],
  ] as const)('%s before there is a memory slot: U_STATE', (_, token, args) => {
    expect(new SecureBench().uv(token, ...args)).toBe(U_STATE);
  });

  it.each([
    ['UV_SHARE_PAGE', UV.SHARE_PAGE],
    ['UV_UNSHARE_PAGE', UV.UNSHARE_PAGE],
    ['UV_UNSHARE_ALL_PAGES', UV.UNSHARE_ALL_PAGES],
  ])('%s before UV_ESM: U_PERMISSION', (_, token) => {
    expect(new SecureBench().ucall(token, [1, 1])).toBe(U_PERMISSION);
  });

  it('another partition than there is: U_PARAMETER', () => {
    const bench = secureBench();
    for (const token of [
      UV.WRITE_PATE,
      UV.REGISTER_MEM_SLOT,
      UV.UNREGISTER_MEM_SLOT,
      UV.PAGE_IN,
      UV.PAGE_OUT,
      UV.PAGE_INVAL,
      UV.SVM_TERMINATE,
    ]) {
      for (const lpid of [0, 2, 2 ** 40]) expect(bench.uv(token, lpid, 0, 0, 0, 16)).toBe(U_PARAMETER);
    }
  });

  it.each([0x1000, 0x10000])(
    'slots and pages before UV_ESM: forgotten when it comes, with pages of %d',
    (pageBytes) => {
      const bench = new SecureBench();
      expect(bench.uv(UV.REGISTER_MEM_SLOT, LPID, 0, 8 * PAGE, 0, 3)).toBe(0);
      expect(bench.uv(UV.PAGE_IN, LPID, 6 * PAGE, 6 * PAGE, 0, 16)).toBe(0);
      bench.memory.storeU64BE(6 * PAGE, 77n);
      bench.writeTree('', 0, pageBytes);
      bench.enterSecureMode();
      expect(bench.report.svm?.pages).toMatchObject({ secure: (32 * PAGE) / pageBytes });
      expect(bench.memory.loadU64BE(6 * PAGE)).toBe(77n);
      expect(bench.uv(UV.UNREGISTER_MEM_SLOT, LPID, 3)).toBe(U_STATE);
    },
  );

  it('UV_SVM_TERMINATE in the middle of UV_ESM: UV_ESM fails and memory is as it was', () => {
    const bench = new SecureBench();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    let calls = 0;
    const { hypervisor } = bench;
    const honest = hypervisor.hcall.bind(hypervisor);
    hypervisor.hcall = (vcpu, carried) => {
      if (vcpu.gpr(3) === BigInt(H_SVM.PAGE_IN) && ++calls === 5) bench.uv(UV.SVM_TERMINATE, LPID);
      honest(vcpu, carried);
    };
    expect(bench.ucall(UV.ESM, [KERNEL, TREE])).toBe(U_PARAMETER);
    expect(bench.report.svm?.state).toBe('normal');
    expect(bench.view.loadU64BE(3 * PAGE, device)).toBe(77n);
  });

  it('UV_SVM_TERMINATE of a secure VM, with pages out and shared: it ends, and nothing is left', () => {
    const bench = secureBench();
    bench.memory.storeU64BE(3 * PAGE, 77n);
    takeOut(bench, 5 * PAGE);
    bench.ucall(UV.SHARE_PAGE, [6, 1]);
    expect(bench.uv(UV.SVM_TERMINATE, LPID)).toBe(0);
    expect(bench.report.svm).toMatchObject({ state: 'terminated', pages: { normal: 32 } });
    expect(bench.view.loadU64BE(3 * PAGE, device)).toBe(0n);
    expect(bench.halts).toEqual(['the hypervisor has terminated the secure VM']);
  });

  it('H_SVM_INIT_DONE twice, or H_SVM_INIT_START again, does not come from the guest', () => {
    const bench = secureBench();
    for (const token of Object.values(H_SVM)) expect(bench.hcall(token, [0, 0, 16])).toBe(-2);
    expect(bench.report.svm?.state).toBe('secure');
  });

  it('UV_WRITE_PATE with a process table of the hypervisor: U_PERMISSION', () => {
    const bench = secureBench();
    expect(bench.uv(UV.WRITE_PATE, LPID, 0, 0x20000 + 4)).toBe(U_PERMISSION);
    expect(bench.processTable).toBeUndefined();
  });

  it('a CPU started by the hypervisor alone: the machine ends before it runs', () => {
    const bench = secureBench();
    bench.secure.ports[1].start(0x60000, 1n);
    expect(bench.vcpus[1].state).toBe('stopped');
    expect(bench.halts[0]).toContain('start of CPU 1, which the guest has not asked for');
  });
});

describe('register peeking', () => {
  /** Each register of the guest has a value of its own that nothing else has. */
  const secretOf = (n: number) => 0x5ec2_e700_0000_0000n + BigInt(n);

  it.each([
    ['H_PUT_TERM_CHAR', 0x58, 4],
    ['H_CEDE', 0xe0, 0],
    ['H_GET_TERM_CHAR', 0x54, 1],
    ['H_SET_MODE', 0x31c, 4],
  ])('at %s shows the arguments', (_, token, inputs) => {
    const bench = secureBench();
    const { cpu, hypervisor } = bench;
    for (let n = 0; n < 32; n++) cpu.setGpr(n, secretOf(n));
    cpu.nia = 0xc000_0000_0012_3450n;
    cpu.msr |= MSR.VSX | MSR.FP;
    cpu.setGpr(3, BigInt(token));
    const seen: bigint[] = [];
    hypervisor.hcall = (vcpu) => {
      for (let n = 0; n < 32; n++) seen.push(vcpu.gpr(n));
      seen.push(vcpu.nia, vcpu.msr);
    };
    bench.secure.guestHcall(cpu);
    const known = Array.from({ length: 32 }, (__, n) => secretOf(n)).filter((value) => seen.includes(value));
    expect(known).toEqual(Array.from({ length: inputs }, (__, n) => secretOf(4 + n)));
    expect(seen[32]).not.toBe(cpu.nia);
    expect(seen[33] & (MSR.VSX | MSR.FP)).toBe(0n);
  });

  it('between calls shows nothing, twice something else, and changes nothing', () => {
    const bench = secureBench();
    const { cpu } = bench;
    for (let n = 0; n < 32; n++) cpu.setGpr(n, secretOf(n));
    const [port] = bench.secure.ports;
    const look = () => Array.from({ length: 32 }, (_, n) => port.gpr(n));
    const first = look();
    expect(first.filter((value) => value >> 32n === 0x5ec2_e700n)).toEqual([]);
    expect(look()).not.toEqual(first);
    for (let n = 0; n < 32; n++) port.setGpr(n, 1n);
    expect(Array.from({ length: 32 }, (_, n) => cpu.gpr(n))).toEqual(Array.from({ length: 32 }, (_, n) => secretOf(n)));
  });
});
