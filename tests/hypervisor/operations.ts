// What the recording guest does and what this hypervisor is asked in turn: hypercalls with good and bad arguments, RTAS
// calls, and random traffic on the interrupt presenter. Left out: what ends or stalls the guest.

import { Bench, seededRandom } from '../support/hypervisor-fakes.ts';

/** `service` names an RTAS service whose token, different on each platform, is stored at the address. */
export type Operation =
  | { readonly kind: 'hcall'; readonly registers: readonly bigint[] }
  | { readonly kind: 'store'; readonly gra: number; readonly value: number }
  | { readonly kind: 'store-token'; readonly gra: number; readonly service: string }
  | { readonly kind: 'load'; readonly gra: number };

type Argument = number | bigint;

const BLOCK = 0x2800000;
const VPA = 0x2900000;
const PAGE = 0x2a00000;
const TABLE = 0x2000000;
const TERMINAL = 0x71000000;

/** Memory the operations touch; a machine that replays them has at least this much. */
export const OPERATIONS_MEMORY_BYTES = 0x4000000;

export function buildOperations(seed: number, presenterSteps: number): Operation[] {
  const operations: Operation[] = [];
  const hcall = (...registers: Argument[]) =>
    operations.push({ kind: 'hcall', registers: registers.map((value) => BigInt.asUintN(64, BigInt(value))) });
  const store = (gra: number, value: number) => operations.push({ kind: 'store', gra, value: value >>> 0 });
  const load = (gra: number) => operations.push({ kind: 'load', gra });
  const rtas = (service: string, args: number[], nret: number) => {
    operations.push({ kind: 'store-token', gra: BLOCK, service });
    [args.length, nret, ...args, ...Array(nret).fill(0x5a5a5a5a)].forEach((cell, i) => {
      store(BLOCK + 4 + 4 * i, cell);
    });
    hcall(0xf000, BLOCK);
    for (let i = 0; i < nret; i++) load(BLOCK + 12 + 4 * (args.length + i));
  };

  modes(hcall);
  areas(hcall, store, load);
  memory(hcall, store, load);
  others(hcall);
  services(rtas, hcall);
  presenter(hcall, seed, presenterSteps);
  return operations;
}

type Call = (...registers: Argument[]) => void;
type Store = (gra: number, value: number) => void;
type Load = (gra: number) => void;

function modes(hcall: Call): void {
  for (const args of [
    [3, 3, 0, 0],
    [0, 3, 0, 0],
    [2, 3, 0, 0],
    [1, 3, 0, 0],
    [4, 3, 0, 0],
    [3, 3, 1, 0],
    [3, 3, 0, 1],
    [0, 1, 0, 0],
    [0, 2, 0, 0],
    [0, 5, 0, 0],
    [2, 4, 0, 0],
    [0, 4, 0, 0],
    [0, 4, 1, 0],
    [0, 4, 0, 1],
  ]) {
    hcall(0x31c, ...args);
  }
  for (const args of [
    [0x1d, TABLE, 0, 12],
    [0x1d, TABLE + 0x800, 0, 12],
    [0x1d, (1n << 60n) | BigInt(TABLE), 0, 12],
    [0x1d, TABLE, 1, 12],
    [0x1d, TABLE, 0, 25],
    [0x3d, TABLE, 0, 12],
    [0x1c, TABLE, 0, 0],
    [0x05, 0, 0, 0],
    [0x04, 0, 0, 0],
    [0, 0, 0, 0],
    [0x10, 0, 0, 0],
    [0x1d, TABLE, 0, 12],
  ]) {
    hcall(0x37c, ...args);
  }
}

function areas(hcall: Call, store: Store, load: Load): void {
  const register = (subfunction: number, cpu: number, gra: Argument) =>
    hcall(0xdc, BigInt(subfunction) << 45n, cpu, gra);
  store(VPA + 4, 1024 << 16);
  store(VPA + 8, 0);
  for (const subfunction of [2, 3]) register(subfunction, 0, VPA + 0x1000);
  for (const subfunction of [5, 6, 7]) register(subfunction, 0, 0);
  for (const subfunction of [0, 4]) register(subfunction, 0, VPA);
  register(1, 0, 0);
  register(1, 0, VPA + 64);
  register(1, 9, VPA);
  register(1, 0, VPA);
  load(VPA + 8);
  load(VPA + 0x100);
  for (const [size, subfunction] of [
    [47, 2],
    [4096, 2],
    [7, 3],
    [128, 3],
  ] as const) {
    store(VPA + 0x1004, size);
    register(subfunction, 0, VPA + 0x1000);
  }
  for (const subfunction of [5, 6, 5, 7, 5, 5]) register(subfunction, 0, 0);
  store(VPA + 0xf84, 640 << 16);
  register(1, 0, VPA + 0xf80);
  for (const size of [639, 640]) {
    store(VPA + 4, size << 16);
    register(1, 0, VPA);
  }
  register(5, 0, 0);
}

function memory(hcall: Call, store: Store, load: Load): void {
  const zero = 1n << 15n;
  const copy = 1n << 14n;
  for (const args of [
    [zero, PAGE, 0],
    [copy, PAGE, PAGE + 0x1000],
    [copy, PAGE, PAGE + 4],
    [zero, PAGE + 4, 0],
    [1, PAGE, 0],
    [(1n << 23n) | (1n << 22n) | zero, PAGE, 0],
    [zero, 1n << 40n, 0],
    [0, PAGE, 0],
  ]) {
    hcall(0x2c, ...args);
  }
  store(PAGE, 0x01234567);
  store(PAGE + 4, 0x89abcdef);
  for (const size of [1, 2, 4, 8, 3, 0]) for (const token of [0x3c, 0x44]) hcall(token, size, PAGE);
  for (const token of [0x40, 0x48]) {
    for (const size of [1, 2, 4, 8, 3]) {
      hcall(token, size, PAGE, 0x1122334455667788n);
      load(PAGE);
      load(PAGE + 4);
    }
  }
  hcall(0x4c, PAGE);
  hcall(0x50, PAGE);
}

function others(hcall: Call): void {
  hcall(0x298); // H_JOIN of the only running processor
  for (const cpu of [0, 9]) hcall(0xe8, cpu);
  for (const target of [-1, 9, 1]) hcall(0xe4, target, 0);
  hcall(0x28, 0);
  hcall(0x134, 0, 3);
  hcall(0x24, 5);
  hcall(0x58, TERMINAL, 17, 0, 0);
  hcall(0x58, 0x1234, 1, 0, 0);
  hcall(0x58, TERMINAL, 0, 0, 0);
  for (const unit of [TERMINAL, 0x1234, 0]) hcall(0x54, unit);
  hcall(0x2ec, 1, 0);
  hcall(0x2ec, 1, 9);
  hcall(0x2ec, 3, 0);
  hcall(0x380, 9);
  hcall(0x380, -3);
  for (const args of [
    [0x300],
    [0x200, 1],
    [0x200, -1],
    [0x200, 9],
    [0x101, 1, 0],
    [0x104, 1, 1000],
    [0x100, 1, 1000],
    [0x40101, 1, 1000],
    [0x101, 1, 600000],
    [0x200, 1],
    [0x200, 1],
  ]) {
    hcall(0x45c, ...args);
  }
  for (const token of [0xf8, 0x7ffc, 0x3a8, 0x398]) hcall(token);
}

function services(rtas: (service: string, args: number[], nret: number) => void, hcall: Call): void {
  for (const cpu of [1, 0, 9]) rtas('query-cpu-stopped-state', [cpu], 2);
  rtas('query-cpu-stopped-state', [0], 1);
  rtas('start-cpu', [9, 0x100, 0], 1);
  rtas('start-cpu', [0, 0x100, 0], 1);
  for (const irq of [0x1100, 0x1000, 0x1200]) {
    rtas('ibm,get-xive', [irq], 3);
    rtas('ibm,set-xive', [irq, 0, 5], 1);
    rtas('ibm,get-xive', [irq], 3);
    rtas('ibm,int-off', [irq], 1);
    rtas('ibm,get-xive', [irq], 3);
    rtas('ibm,int-on', [irq], 1);
    rtas('ibm,get-xive', [irq], 3);
    rtas('ibm,set-xive', [irq, 9, 5], 1);
    rtas('ibm,set-xive', [irq, 0, 0xff], 1);
    rtas('ibm,set-xive', [irq, 0], 1);
  }
  rtas('ibm,get-xive', [0x50], 3);
  rtas('ibm,int-on', [0x50], 1);
  rtas('ibm,get-xive', [0x2000], 3);
  for (const parameter of [20, 42, 44]) rtas('ibm,get-system-parameter', [parameter, PAGE, 64], 1);
  rtas('ibm,set-system-parameter', [20, PAGE], 1);
  rtas('ibm,set-system-parameter', [44, PAGE], 1);
  rtas('event-scan', [-1, 0, PAGE, 2048], 1);
  rtas('check-exception', [0x500, 0x1000, 0x40000000, 0, PAGE, 2048], 1);
  rtas('check-exception', [0x500, 0x1000, 0x40000000, 0, PAGE], 1);
  rtas('get-sensor-state', [9003, 0], 1);
  rtas('set-time-of-day', [2024, 2, 29, 1, 2, 3, 0], 1);
  rtas('get-time-of-day', [], 7);
  rtas('ibm,nmi-interlock', [], 1);
  rtas('no such service', [1], 1);
  hcall(0xf000, 0x0fff_ffff_0000_0000n);
}

/**
 * Random H_CPPR, H_IPI, H_XIRR, H_EOI and H_IPOLL. A model keeps out of the two cases where platforms differ and guests
 * never are: accepting with nothing presented, and ending an interrupt at a more favoured priority.
 */
function presenter(hcall: Call, seed: number, steps: number): void {
  const random = seededRandom(seed);
  const model = new Bench(2);
  const own = model.hypervisor.xics.presenter(0)!;
  const both = (token: number, ...args: Argument[]) => {
    hcall(token, ...args);
    model.hcall(token, args);
  };
  both(0x68, 0xff);
  for (let step = 0; step < steps; step++) {
    const priority = [0, 4, 5, 6, 0x40, 0xff][random() % 6]!;
    switch (random() % 8) {
      case 0:
        both(0x68, priority);
        break;
      case 1:
      case 2:
        both(0x6c, random() % 2, priority);
        break;
      case 3:
      case 4:
        if (own.xisr !== 0) both(0x74);
        break;
      case 5:
        if (priority >= own.cppr) both(0x64, (BigInt(priority) << 24n) | 2n);
        break;
      default:
        both(0x70, random() % 2);
    }
  }
  for (const args of [
    [0x6c, 2, 4],
    [0x70, 2],
    [0x64, 0xff000050],
    [0x64, 0xff000000],
    [0x64, 0xff001100],
  ]) {
    hcall(...args);
  }
}
