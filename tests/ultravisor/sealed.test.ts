// Sealed images between guest, ultravisor and hypervisor: what is measured and cleared, what each step of the verification
// makes of wrong input, and hypervisors that change memory behind it. Real kernels are in tests/guest/sealed.test.ts.

import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodeSealCrypto } from '../../src/backends/node/seal-crypto.ts';
import { MSR } from '../../src/cpu/state/msr.ts';
import { rtasStub } from '../../src/hypervisor/rtas/layout.ts';
import { H_SVM, UV } from '../../src/ultravisor/calls.ts';
import { createBlob } from '../../src/ultravisor/esm/seal.ts';
import type { Sealing } from '../../src/ultravisor/esm/verify.ts';
import { changed, makeKey, type TestKey, withBlob } from '../support/sealed-image.ts';
import { KERNEL, SecureBench, TREE } from '../support/secure-bench.ts';
import { FdtBuilder } from '../support/tiny-fdt.ts';

const PAGE = 0x10000;
const INITRD = 0x80000;
const BLOB = 0xc0000;
const RTAS = 0x100000;
const KERNEL_BYTES = 0x1234;
const BOOTARGS = 'abc';
const SECRET = 'a secret of 70 bytes, which is a little more than one piece of the call';

let bench: SecureBench;
let owner: TestKey;
let key: TestKey;
let blob: Uint8Array;
const kernel = Uint8Array.from({ length: KERNEL_BYTES }, (_, i) => i * 7);
const initrd = new TextEncoder().encode('an initrd of some bytes');

beforeAll(async () => {
  [owner, key] = [await makeKey(), await makeKey()];
  blob = await seal();
});

async function seal(): Promise<Uint8Array> {
  const { sha512 } = nodeSealCrypto;
  return createBlob(nodeSealCrypto, {
    origin: { key: owner.key.publicKey, comment: '' },
    recipients: [{ key: key.key.publicKey, comment: '' }],
    digests: {
      rtas: await sha512(rtasStub()),
      kernel: await sha512(kernel),
      kernelBytes: KERNEL_BYTES,
      initrd: await sha512(initrd),
      bootargs: await sha512(new TextEncoder().encode(BOOTARGS)),
    },
    files: [{ name: 'secret', comment: '', content: new TextEncoder().encode(SECRET) }],
  });
}

interface Placement {
  readonly sealing?: Partial<Sealing>;
  /** In front of the initrd, or named by /chosen. */
  readonly carrier?: 'initrd' | 'chosen';
  readonly chosen?: readonly (readonly [string, number])[];
  readonly rtas?: readonly (readonly [string, number])[];
  readonly nodes?: (tree: FdtBuilder) => void;
  readonly blob?: Uint8Array;
}

/** A guest with a sealed image in memory, about to call UV_ESM. */
function place({
  sealing,
  carrier = 'initrd',
  chosen = [],
  rtas = [],
  nodes = () => {},
  blob: own = blob,
}: Placement = {}) {
  bench = new SecureBench(1, { sealing: { crypto: nodeSealCrypto, key: key.key, required: true, ...sealing } });
  const { memory, hypervisor } = bench;
  memory.write(KERNEL, kernel);
  memory.write(RTAS, rtasStub());
  const image = carrier === 'initrd' ? withBlob(initrd, own) : initrd;
  memory.write(INITRD, image);
  memory.write(BLOB, own);
  const tree = new FdtBuilder(0);
  const services = hypervisor.rtas.services().map(({ name, token }) => [name, token] as const);
  const area = [
    ['linux,rtas-base', RTAS],
    ['linux,rtas-entry', RTAS],
    ['rtas-size', 0x1000],
    ['slof,rtas-size', 20],
  ] as const;
  tree.node('rtas', new Map<string, number>([...services, ...area, ...rtas]));
  const named = [
    ['linux,esm-blob-start', BLOB],
    ['linux,esm-blob-end', BLOB + own.length],
  ] as const;
  // The letters of BOOTARGS and a NUL.
  const bootargs = ['bootargs', 0x61626300] as const;
  const ends = [
    ['linux,initrd-start', INITRD],
    ['linux,initrd-end', INITRD + image.length],
  ] as const;
  tree.node('chosen', new Map<string, number>([bootargs, ...ends, ...(carrier === 'chosen' ? named : []), ...chosen]));
  nodes(tree);
  memory.write(TREE, tree.bytes());
}

/** UV_ESM; what was refused, or 'secure'. */
async function esm(): Promise<string> {
  const { cpu, secure } = bench;
  cpu.setGpr(3, BigInt(UV.ESM));
  cpu.setGpr(4, BigInt(KERNEL));
  cpu.setGpr(5, BigInt(TREE));
  secure.guestUcall(cpu);
  await secure.verification;
  if (bench.report.svm?.state === 'secure') return 'secure';
  expect(BigInt.asIntN(64, cpu.gpr(3))).toBe(-4n);
  expect(cpu.msr & MSR.S).toBe(0n);
  expect(bench.report.svm).toMatchObject({ state: 'normal', pages: { normal: 32 } });
  return bench.events.at(-1)!.detail!;
}

/** What the hypervisor does before it answers `token`. */
function meanwhile(token: number, action: () => void): void {
  const { hypervisor } = bench;
  const honest = hypervisor.hcall.bind(hypervisor);
  hypervisor.hcall = (vcpu, carried) => {
    if (vcpu.gpr(3) === BigInt(token)) action();
    honest(vcpu, carried);
  };
}

describe('UV_ESM of a sealed image', () => {
  beforeEach(() => place());

  it.each(['initrd', 'chosen'] as const)('verifies it and enters the kernel; blob in %s', async (carrier) => {
    place({ carrier });
    expect(await esm()).toBe('secure');
    const { cpu } = bench;
    expect([cpu.nia, cpu.gpr(3), cpu.gpr(4), cpu.gpr(5)]).toEqual([BigInt(KERNEL), BigInt(TREE), BigInt(KERNEL), 0n]);
    expect(cpu.msr & MSR.S).toBe(MSR.S);
  });

  it('holds the guest until the verification is over', async () => {
    bench.ucall(UV.ESM, [KERNEL, TREE]);
    expect(bench.report.svm?.state).toBe('transient');
    expect(bench.cpu.msr & MSR.S).toBe(0n);
    await bench.secure.verification;
    expect(bench.secure.verification).toBeUndefined();
    expect(bench.report.svm?.state).toBe('secure');
  });

  it('clears what nobody vouches for, and nothing else', async () => {
    const { memory } = bench;
    const before = memory.read(0, memory.sizeBytes);
    const planted = [0x100, KERNEL - 8, KERNEL + KERNEL_BYTES, INITRD - 1, RTAS + 0x1000, memory.sizeBytes - 4];
    for (const gra of planted) memory.storeU8(gra, 0xee);
    expect(await esm()).toBe('secure');
    for (const gra of planted) expect(memory.loadU8(gra)).toBe(0);
    expect(memory.read(KERNEL, KERNEL_BYTES)).toEqual(kernel);
    expect(memory.read(RTAS, 20)).toEqual(rtasStub());
    const archive = withBlob(initrd, blob);
    expect(memory.read(INITRD, archive.length)).toEqual(before.slice(INITRD, INITRD + archive.length));
    expect(memory.read(TREE, 64)).toEqual(before.slice(TREE, TREE + 64));
  });

  it('leaves memory as it was when it refuses', async () => {
    const { memory } = bench;
    memory.storeU8(KERNEL + 5, 0xff);
    memory.storeU32BE(0x1c0000, 0x12345678);
    const before = memory.read(0, memory.sizeBytes);
    expect(await esm()).toMatch(/^digest of kernel differs/);
    expect(Buffer.from(memory.read(0, memory.sizeBytes)).equals(before)).toBe(true);
  });

  it('names every digest that differs, wanted and found', async () => {
    bench.memory.storeU8(KERNEL, 0xff);
    bench.memory.storeU8(RTAS + 3, 0xff);
    const detail = await esm();
    const wanted = Buffer.from(await nodeSealCrypto.sha512(kernel)).toString('hex');
    const found = Buffer.from(await nodeSealCrypto.sha512(bench.memory.read(KERNEL, KERNEL_BYTES))).toString('hex');
    expect(detail).toContain(`digest of kernel differs: wanted ${wanted}, found ${found}`);
    expect(detail).toContain('digest of rtas differs: ');
    expect(detail).not.toContain('initrd');
    const steps = bench.events.map(({ step, detail: text }) => `${step}: ${text?.split(' ')[0]}`);
    expect(steps.filter((step) => step.startsWith('digest of'))).toEqual([
      'digest of rtas: differs:',
      'digest of kernel: differs:',
      'digest of initrd: matches',
      'digest of bootargs: matches',
    ]);
  });

  it('refuses a blob with any byte changed', { timeout: 120_000 }, async () => {
    for (let at = 0; at < blob.length; at += 5) {
      place({ carrier: 'chosen', blob: changed(blob, at) });
      expect(await esm(), `byte ${at}`).not.toBe('secure');
    }
  });

  const initrdOutside = [['linux,initrd-end', 2 ** 31]] as const;
  it.each<[string, Placement, RegExp]>([
    ['no key', { sealing: { key: undefined } }, /^lockbox: this machine has no key/],
    ['no cryptography', { sealing: { crypto: undefined } }, /^lockbox: there is no cryptography here/],
    [
      'an initrd outside of memory',
      { chosen: initrdOutside },
      /^ESM blob: .*chosen says the initrd is where it cannot be/,
    ],
    ['a blob that ends before it starts', { carrier: 'chosen', chosen: [['linux,esm-blob-end', 0]] }, /^ESM blob: /],
    [
      'another thing where the blob should be',
      { carrier: 'chosen', chosen: [['linux,esm-blob-start', KERNEL]] },
      /^ESM blob: /,
    ],
    [
      'an entry of RTAS outside of its code',
      { rtas: [['linux,rtas-entry', RTAS + 20]] },
      /^digest of rtas: the entry of RTAS/,
    ],
    ['more of RTAS than was sealed', { rtas: [['slof,rtas-size', 24]] }, /^digest of rtas differs/],
    ['no RTAS', { rtas: [['linux,rtas-base', 2 ** 31]] }, /^digest of rtas: /],
    ['a second /chosen', { nodes: (tree) => tree.node('chosen@0', new Map()) }, /^the device tree is malformed/],
    ['a second /rtas', { nodes: (tree) => tree.node('rtas', new Map()) }, /^the device tree is malformed/],
  ])('refuses %s', async (_, placement, reason) => {
    place(placement);
    expect(await esm()).toMatch(reason);
  });

  it('refuses a kernel that ends behind memory', async () => {
    place();
    const { cpu, memory, secure } = bench;
    const late = memory.sizeBytes - 0x1000;
    cpu.setGpr(3, BigInt(UV.ESM));
    cpu.setGpr(4, BigInt(late));
    cpu.setGpr(5, BigInt(TREE));
    secure.guestUcall(cpu);
    await secure.verification;
    expect(bench.events.at(-1)?.detail).toMatch(/^digest of kernel: memory ends before its 4660 bytes do/);
  });

  it('refuses an image without a blob only if it has to', async () => {
    const noBlob = [['linux,initrd-start', INITRD + withBlob(initrd, blob).length - initrd.length]] as const;
    place({ chosen: noBlob, sealing: { required: false } });
    expect(await esm()).toBe('secure');
    place({ chosen: noBlob });
    expect(await esm()).toMatch(/^ESM blob: the image is not sealed, and this machine takes sealed ones only/);
  });
});

describe('a hostile hypervisor, while an image is verified', () => {
  beforeEach(() => place());
  const swap = (gra: number) => () => {
    const page = Math.floor(gra / PAGE) * PAGE;
    bench.uv(UV.PAGE_OUT, 1, page, page, 0, 16);
    bench.view.storeU32BE(gra, 0xbadc0de, { kind: 'hcall', name: 'attack' });
    bench.uv(UV.PAGE_IN, 1, page, page, 0, 16);
  };

  it('cannot change the tree between the look at it and the measurement', async () => {
    let pages = 0;
    meanwhile(H_SVM.PAGE_IN, () => {
      if (pages++ === 0) bench.view.storeU32BE(TREE, 0, { kind: 'hcall', name: 'attack' });
    });
    expect(await esm()).toMatch(/^there is no device tree/);
  });

  it('cannot change the kernel after it has been measured', async () => {
    meanwhile(H_SVM.INIT_DONE, swap(KERNEL));
    expect(await esm()).toBe('secure');
    expect(bench.memory.read(KERNEL, KERNEL_BYTES)).toEqual(kernel);
    expect(bench.report.violations.records[0]).toMatchObject({ origin: { name: 'attack' }, direction: 'write' });
  });

  it('cannot end the VM and begin again with another kernel', async () => {
    meanwhile(H_SVM.INIT_DONE, () => {
      bench.uv(UV.SVM_TERMINATE, 1);
      bench.view.storeU32BE(KERNEL, 0xbadc0de, { kind: 'hcall', name: 'attack' });
      bench.uv(UV.REGISTER_MEM_SLOT, 1, 0, bench.memory.sizeBytes, 0, 0);
      for (let gra = 0; gra < bench.memory.sizeBytes; gra += PAGE) bench.uv(UV.PAGE_IN, 1, gra, gra, 0, 16);
    });
    expect(await esm()).toMatch(/^the hypervisor has kept memory to itself/);
  });

  it('cannot take a slot away and give it back', async () => {
    meanwhile(H_SVM.INIT_DONE, () => {
      expect(bench.uv(UV.UNREGISTER_MEM_SLOT, 1, 0)).toBe(-75);
    });
    expect(await esm()).toBe('secure');
  });
});

describe('UV_ESMB_GET_FILE', () => {
  const nameWords = (name: string) => {
    const bytes = Buffer.alloc(64);
    bytes.write(name, 'latin1');
    return Array.from({ length: 8 }, (_, n) => bytes.readBigUInt64BE(8 * n));
  };
  const get = (offset: number, name = 'secret') => {
    const count = bench.ucall(UV.ESMB_GET_FILE, [offset, ...nameWords(name)]);
    const data = Buffer.alloc(64);
    for (let n = 0; n < 8; n++) data.writeBigUInt64BE(bench.cpu.gpr(4 + n), 8 * n);
    return count < 0 ? count : data.subarray(0, count).toString('latin1');
  };

  it('gives a file in pieces of 64 bytes, to programs too', async () => {
    place();
    expect(await esm()).toBe('secure');
    bench.cpu.msr |= MSR.PR;
    expect([get(0), get(64), get(SECRET.length)]).toEqual([SECRET.slice(0, 64), SECRET.slice(64), '']);
  });

  it('is for a secure VM, and for files that are there', async () => {
    place();
    expect(get(0)).toBe(-11);
    expect(await esm()).toBe('secure');
    expect(get(0, 'other')).toBe(-4);
    expect(get(SECRET.length + 1)).toBe(-55);
  });

  it('gives each byte to one process, once', async () => {
    place();
    expect(await esm()).toBe('secure');
    expect(get(10)).toBe(SECRET.slice(10));
    expect(get(0)).toBe(-55);
    bench.cpu.processId = 2n;
    expect(get(20)).toBe(-11);
  });

  it('has nothing for an image that is not sealed, nor after a restart', async () => {
    place();
    expect(await esm()).toBe('secure');
    bench.secure.restart(() => {});
    bench.cpu.msr |= MSR.S;
    expect(get(0)).toBe(-4);
  });
});
