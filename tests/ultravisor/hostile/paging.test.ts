// What a hypervisor can do to pages that it was given to keep: each ends the VM, and the report says what it was.

import { beforeEach, describe, expect, it } from 'vitest';
import { H_SVM, UV } from '../../../src/ultravisor/calls.ts';
import type { SecureBench } from '../../support/secure-bench.ts';
import { LPID, lie, PAGE, secureBench, takeOut } from './support.ts';

const AT = 3 * PAGE;
const OTHER = 5 * PAGE;
let bench: SecureBench;
beforeEach(() => {
  bench = secureBench();
  bench.memory.storeU64BE(AT, 77n);
  bench.memory.storeU64BE(OTHER, 88n);
});

/** The guest touches the page; what the ultravisor makes of that. */
function touch(gra = AT) {
  bench.secure.guestPageFault(gra);
  return bench.report.svm!;
}

function expectEnd(kind: string, detail: string | RegExp): void {
  const svm = touch();
  expect(svm.tampering).toMatchObject({ gra: AT, kind });
  expect(svm.tampering!.detail).toMatch(detail);
  expect(svm.state).toBe('terminated');
  expect(bench.events.map(({ step }) => step).slice(-2)).toEqual(['tampering', 'terminated']);
  expect(bench.halts[0]).toContain(`secure page 0x${AT.toString(16)} was ${kind} by the hypervisor`);
  // Nothing is left for whoever looks afterwards.
  expect(bench.memory.loadU64BE(AT)).toBe(0n);
  expect(bench.memory.loadU64BE(OTHER)).toBe(0n);
}

describe('a page that is out', () => {
  it('comes back as it was when nobody has touched it', () => {
    const outside = takeOut(bench, AT);
    expect(outside).toHaveLength(PAGE);
    expect(bench.memory.loadU64BE(AT)).toBe(0n);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 31, 'paged-out': 1 });
    expect(touch()).toMatchObject({ state: 'secure', pages: { secure: 32 }, paging: { pagedOut: 1, pagedIn: 1 } });
    expect(bench.memory.loadU64BE(AT)).toBe(77n);
    expect(bench.hypervisor.counts()).toMatchObject({ H_SVM_PAGE_IN: 33 });
    expect(bench.hypervisor.secureGuest?.hostPages.count).toBe(0);
    expect(bench.halts).toEqual([]);
  });

  it.each([0, 1234, PAGE - 16, PAGE - 1])('is found changed: byte %d', (byte) => {
    takeOut(bench, AT)[byte] ^= 1;
    expectEnd('changed', 'none that were paged out');
  });

  it('has no tag that could be changed: 64 KiB of ciphertext are all there is', () => {
    // Where programs that use the same cipher put their tag: behind, or in front.
    for (const at of [0, PAGE - 16]) {
      bench = secureBench();
      const outside = takeOut(bench, AT);
      outside.fill(0, at, at + 16);
      expectEnd('changed', 'none that were paged out');
    }
  });

  it('is found swapped for another', () => {
    const [mine, other] = [takeOut(bench, AT), takeOut(bench, OTHER)];
    const kept = mine.slice();
    mine.set(other);
    other.set(kept);
    expectEnd('swapped', `those of page ${OTHER / PAGE}, of page-out number 2`);
  });

  it('is found replayed: its older contents', () => {
    const old = takeOut(bench, AT).slice();
    touch();
    bench.memory.storeU64BE(AT, 78n);
    takeOut(bench, AT).set(old);
    expectEnd('replayed', 'older ones of the page, of page-out number 1');
  });

  it('is found replayed even if it has not changed in between', () => {
    const old = takeOut(bench, AT).slice();
    touch();
    takeOut(bench, AT).set(old);
    expectEnd('replayed', 'page-out number 1');
  });

  it('is found replayed from an earlier life of the VM as changed: it had another key', () => {
    const old = takeOut(bench, AT).slice();
    bench.secure.restart(() => bench.hypervisor.reset());
    bench.cpu.msr = 0x8000000000001001n;
    bench.writeTree();
    bench.enterSecureMode();
    takeOut(bench, AT).set(old);
    expectEnd('changed', 'none that were paged out');
  });

  it.each([
    ['says that it has none', -4],
    ['says that it has brought it', 0],
  ])('is found dropped: the hypervisor %s', (_, status) => {
    takeOut(bench, AT);
    lie(bench, H_SVM.PAGE_IN, status);
    expectEnd('dropped', `H_SVM_PAGE_IN answered ${status}`);
  });

  it('is found changed when the hypervisor brings a fresh page', () => {
    takeOut(bench, AT).fill(0);
    expectEnd('changed', 'none that were paged out');
  });

  it('is not harmed by a device that writes to it as if it were there', () => {
    takeOut(bench, AT);
    const device = { kind: 'device', name: 'disk' } as const;
    bench.view.storeU64BE(AT, 99n, device);
    expect(bench.report.violations.records[0]).toMatchObject({ pageState: 'paged-out', madeBy: 'UV_PAGE_OUT' });
    // The write was dropped, so the guest finds what it had.
    expect(touch().state).toBe('secure');
    expect(bench.memory.loadU64BE(AT)).toBe(77n);
  });

  it('cannot be taken out again, nor brought to where it is not', () => {
    takeOut(bench, AT);
    const { secureGuest } = bench.hypervisor;
    const place = secureGuest!.hostPages.allocate();
    expect(bench.uv(UV.PAGE_OUT, LPID, place, AT, 0, 16)).toBe(-4);
    expect(secureGuest!.reclaim(AT)).toBe(false);
    expect(bench.uv(UV.PAGE_IN, LPID, AT, AT, 0, 16)).toBe(-55);
    expect(bench.uv(UV.PAGE_IN, LPID, 2 ** 50, AT, 0, 16)).toBe(-55);
    expect(bench.report.svm?.state).toBe('secure');
    // For another page, which is there: refused before anybody looks.
    expect(bench.uv(UV.PAGE_IN, LPID, place, OTHER, 0, 16)).toBe(-55);
    expect(touch().state).toBe('secure');
  });

  it('can be shared: its contents are not wanted back then, and not given away', () => {
    const outside = takeOut(bench, AT).slice();
    expect(bench.ucall(UV.SHARE_PAGE, [AT / PAGE, 1])).toBe(0);
    expect(bench.memory.loadU64BE(AT)).toBe(0n);
    expect(bench.report.svm?.pages).toMatchObject({ shared: 1, 'paged-out': 0 });
    expect(bench.hypervisor.secureGuest?.hostPages.count).toBe(0);
    bench.ucall(UV.UNSHARE_PAGE, [AT / PAGE, 1]);
    bench.memory.storeU64BE(AT, 79n);
    takeOut(bench, AT).set(outside);
    expectEnd('replayed', 'page-out number 1');
  });

  it('is forgotten with the VM', () => {
    takeOut(bench, AT);
    bench.secure.restart(() => bench.hypervisor.reset());
    expect(bench.report.svm?.pages).toMatchObject({ normal: 32 });
    expect(bench.hypervisor.secureGuest?.hostPages.count).toBe(0);
  });

  it('comes back for the ultravisor as well, when RTAS needs it', () => {
    const buffer = 0x30000;
    bench.memory.write(buffer, new TextEncoder().encode('in nvram'));
    takeOut(bench, buffer);
    expect(bench.rtas('nvram-store', [0x100, buffer, 8], 2)).toEqual([0, 8]);
    takeOut(bench, buffer);
    expect(bench.rtas('nvram-fetch', [0x100, buffer + 16, 8], 2)).toEqual([0, 8]);
    expect(new TextDecoder().decode(bench.memory.read(buffer, 24))).toBe('in nvram\0\0\0\0\0\0\0\0in nvram');
    expect(bench.report.svm?.paging).toMatchObject({ pagedOut: 2, pagedIn: 2 });
    expect(bench.report.violations.count).toBe(0);
  });
});

describe('limited secure memory', () => {
  it('has pages leave before the guest goes on, and as others come back', () => {
    bench = secureBench({ secureBytes: 8 * PAGE });
    expect(bench.report.svm).toMatchObject({
      pages: { secure: 8, 'paged-out': 24 },
      paging: { limitPages: 8, pagedOut: 24, pagedIn: 0 },
    });
    for (let page = 0; page < 32; page++) touch(page * PAGE);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 8, 'paged-out': 24 });
    expect(bench.hypervisor.counts().H_SVM_PAGE_OUT).toBe(bench.report.svm?.paging.pagedOut);
    expect(bench.halts).toEqual([]);
  });

  it('keeps the contents of all pages through many rounds', () => {
    bench = secureBench({ secureBytes: 8 * PAGE });
    for (let round = 0; round < 3; round++) {
      for (let page = 0; page < 32; page++) {
        touch(page * PAGE);
        if (round > 0) expect(bench.memory.loadU64BE(page * PAGE + 8)).toBe(BigInt(round * 100 + page));
        bench.memory.storeU64BE(page * PAGE + 8, BigInt((round + 1) * 100 + page));
      }
    }
    expect(bench.halts).toEqual([]);
  });

  it('makes room when a shared page becomes secure, and gains some when one is shared', () => {
    bench = secureBench({ secureBytes: 8 * PAGE });
    bench.ucall(UV.SHARE_PAGE, [4, 2]);
    bench.ucall(UV.UNSHARE_PAGE, [4, 2]);
    expect(bench.report.svm?.pages).toMatchObject({ secure: 8, shared: 0, 'paged-out': 24 });
  });

  it.each([-4, 0])('ends the VM when the hypervisor does not take pages and answers %d', (status) => {
    bench = secureBench({ secureBytes: 8 * PAGE });
    lie(bench, H_SVM.PAGE_OUT, status);
    const out = Array.from({ length: 32 }, (_, page) => page * PAGE).find(
      (gra) => bench.hypervisor.secureGuest!.contentsOf(gra) !== undefined,
    )!;
    const svm = touch(out);
    expect(svm).toMatchObject({ state: 'terminated', tampering: { kind: 'refused' } });
    expect(bench.halts[0]).toContain(`H_SVM_PAGE_OUT answered ${status}`);
  });
});
