// The hypervisor beside another one: data/qemu-hcalls.txt holds what qemu-system-ppc64 answered to a guest that issued
// the calls of operations.ts; the same calls must get the same answers here, but for the differences listed below.
//
// To record anew (needs qemu-system-ppc64, dtc and gcc-powerpc64le-linux-gnu):
//   RECORD_HCALLS=1 npx vitest run tests/hypervisor

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Bench, testMemory } from '../support/hypervisor-fakes.ts';
import { buildOperations, OPERATIONS_MEMORY_BYTES, type Operation } from './operations.ts';

const DATA = new URL('data/qemu-hcalls.txt', import.meta.url);
const GUEST = new URL('guest/', import.meta.url).pathname;
const SEED = 4242;
const PRESENTER_STEPS = 2000;
const ANSWER_REGISTERS = 4;

/** Where this hypervisor answers otherwise on purpose: [operation, its answer, why]. */
const KNOWN_DIFFERENCES: readonly (readonly [operation: string, answer: string, why: string])[] = [
  ['hcall 31c 1 3 0 0', 'fffffffffffffec1 1 3 0', 'LoPAR: H_UNSUPPORTED_FLAG less the number of the flag bit'],
  ['hcall 31c 4 3 0 0', 'fffffffffffffec3 4 3 0', 'QEMU ignores undefined flags'],
  ['hcall 31c 2 4 0 0', 'fffffffffffffec2 2 4 0', 'LoPAR: H_UNSUPPORTED_FLAG less the number of the flag bit'],
  ['hcall e4 ffffffffffffffff 0', '0 ffffffffffffffff 0 0', 'QEMU leaves the token in r3'],
  ['hcall 2ec 1 0', '0 8000800080008000 8000ffffffffffff ffffffffffffffff', '16-bit fields, QEMU packs 32-bit ones'],
  ['hcall 2ec 3 0', 'fffffffffffffffc 3 0 0', 'LoPAR: H_PARAMETER for undefined flags'],
  ['hcall 45c 300', '0 1f4000400000000 0 0', 'the shortest watchdog time is ours to choose'],
  ['hcall 64 ff000050', 'fffffffffffffffc ff000050 0 0', 'LoPAR: H_PARAMETER for what is no source'],
  ['hcall 64 ff000000', 'fffffffffffffffc ff000000 0 0', 'LoPAR: H_PARAMETER for what is no source'],
];

interface Recorded {
  readonly operation: Operation;
  /** The operation as it stands in the file. */
  readonly text: string;
  readonly answer: string | undefined;
}

function toText(operation: Operation): string {
  switch (operation.kind) {
    case 'hcall':
      return `hcall ${operation.registers.map((value) => value.toString(16)).join(' ')}`;
    case 'store':
      return `store ${operation.gra.toString(16)} ${operation.value.toString(16)}`;
    case 'store-token':
      return `store-token ${operation.gra.toString(16)} ${operation.service}`;
    case 'load':
      return `load ${operation.gra.toString(16)}`;
  }
}

function fromText(text: string): Operation {
  const [kind, first = '', ...rest] = text.split(' ');
  const gra = Number.parseInt(first, 16);
  if (kind === 'hcall') return { kind, registers: [first, ...rest].map((value) => BigInt(`0x${value}`)) };
  if (kind === 'store') return { kind, gra, value: Number.parseInt(rest[0]!, 16) };
  if (kind === 'store-token') return { kind, gra, service: rest.join(' ') };
  if (kind === 'load') return { kind, gra };
  throw new Error(`unreadable line: ${text}`);
}

function recorded(): Recorded[] {
  const lines = readFileSync(DATA, 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [text, answer] = line.split(' = ');
      return { operation: fromText(text!), text: text!, answer };
    });
}

describe('against recorded answers of QEMU', () => {
  test('every answer agrees, or differs as listed', () => {
    const view = testMemory(OPERATIONS_MEMORY_BYTES / 65536);
    const bench = new Bench(2, { view });
    const vcpu = bench.vcpu();
    const tokens = new Map(bench.hypervisor.rtas.services().map(({ name, token }) => [name, token]));
    const used = new Set<string>();
    let service = '';
    let block = 0;
    let compared = 0;

    for (const { operation, text, answer } of recorded()) {
      let ours: string;
      switch (operation.kind) {
        case 'store':
          view.storeU32BE(operation.gra, operation.value);
          continue;
        case 'store-token':
          ({ service, gra: block } = operation);
          view.storeU32BE(block, tokens.get(service) ?? 0x7777);
          continue;
        case 'load':
          ours = view.loadU32BE(operation.gra).toString(16);
          break;
        case 'hcall':
          for (let n = 0; n < 8; n++) vcpu.setGpr(3 + n, operation.registers[n] ?? 0n);
          bench.hypervisor.hcall(vcpu);
          expect(vcpu.state, text).toBe('running');
          ours = Array.from({ length: ANSWER_REGISTERS }, (_, n) => vcpu.gpr(3 + n).toString(16)).join(' ');
      }
      compared++;
      if (ours === answer) continue;
      const key = operation.kind === 'load' ? `load ${service} +${operation.gra - block}` : text;
      const known = KNOWN_DIFFERENCES.find(([known]) => known === key);
      expect(ours, `${key}: QEMU answered ${answer}`).toBe(known?.[1]);
      used.add(key);
    }
    expect(compared).toBeGreaterThan(1500);
    expect([...used].sort()).toEqual(KNOWN_DIFFERENCES.map(([operation]) => operation).sort());
  });
});

describe.runIf(process.env.RECORD_HCALLS)('recording', () => {
  test('runs the guest under QEMU and writes the data file', { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'hcalls-'));
    try {
      const machine = [
        '-M',
        'pseries,x-vof=on,ic-mode=xics,kernel-addr=0',
        '-cpu',
        'power9',
        '-m',
        '512M',
        '-smp',
        '2',
      ];
      const quiet = ['-display', 'none', '-nodefaults'];
      const version = execFileSync('qemu-system-ppc64', ['--version'], { encoding: 'utf8' }).split('\n')[0]!;
      const operations = buildOperations(SEED, PRESENTER_STEPS);
      const tokens = rtasTokens(folder, machine, quiet);
      writeFileSync(join(folder, 'operations.h'), operations.map(toC(tokens)).join('\n'));
      for (const name of ['start.S', 'main.c', 'guest.ld']) copyFileSync(join(GUEST, name), join(folder, name));
      const options = [
        '-mbig-endian',
        '-mabi=elfv2',
        '-mcpu=power8',
        '-O1',
        '-ffreestanding',
        '-nostdlib',
        '-static',
        '-fno-pic',
        '-fno-stack-protector',
        '-mno-altivec',
        '-mno-vsx',
        '-msoft-float',
        '-w',
        '-Wl,-T,guest.ld,--build-id=none',
      ];
      execFileSync(
        'powerpc64le-linux-gnu-gcc',
        [...options, `-DPOWER_OFF=${tokens.get('power-off')}`, '-o', 'guest.elf', 'start.S', 'main.c'],
        { cwd: folder },
      );
      const run = spawnSync(
        'qemu-system-ppc64',
        [...machine, ...quiet, '-serial', 'stdio', '-kernel', join(folder, 'guest.elf')],
        { encoding: 'latin1', timeout: 45_000 },
      );
      const answers = run.stdout
        .replaceAll(/[\r\0]/g, '')
        .split('\n')
        .filter((line) => line.startsWith('> '))
        .map((line) =>
          line
            .slice(2)
            .trim()
            .split(' ')
            .map((value) => BigInt(`0x${value}`).toString(16))
            .join(' '),
        );
      expect(run.stdout).toContain('done');
      const lines = operations.map((operation) => {
        const answered = operation.kind === 'hcall' || operation.kind === 'load';
        return answered ? `${toText(operation)} = ${answers.shift()}` : toText(operation);
      });
      expect(answers).toEqual([]);
      const header = [
        `# Answers of ${version} to the calls of tests/hypervisor/operations.ts, seed ${SEED}.`,
        '# Recorded by tests/hypervisor/hcalls.test.ts; all numbers are hexadecimal.',
        '# hcall r3 r4 ... = r3 r4 r5 r6 afterwards; load address = 32-bit value.',
      ];
      writeFileSync(DATA, `${[...header, ...lines].join('\n')}\n`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Tokens by service name, out of the device tree QEMU would give its guest. */
function rtasTokens(folder: string, machine: readonly string[], quiet: readonly string[]): Map<string, bigint> {
  const blob = join(folder, 'tree.dtb');
  const dump = [machine[0]!, `${machine[1]},dumpdtb=${blob}`, ...machine.slice(2), ...quiet, '-serial', 'null'];
  execFileSync('qemu-system-ppc64', dump, { stdio: 'ignore' });
  const tree = execFileSync('dtc', ['-q', '-I', 'dtb', '-O', 'dts', blob], { encoding: 'utf8' });
  const node = tree.slice(tree.indexOf('rtas {'));
  const properties = node.slice(0, node.indexOf('};')).matchAll(/([\w,-]+) = <(0x20[0-9a-f]{2})>/g);
  return new Map([...properties].map(([, name, token]) => [name!, BigInt(token!)]));
}

/** A row of the guest's table. */
function toC(tokens: ReadonlyMap<string, bigint>): (operation: Operation) => string {
  const row = (kind: number, values: readonly (bigint | number)[]) =>
    `{${kind},{${values.map((value) => `0x${value.toString(16)}ul`).join(',')}}},`;
  return (operation) => {
    switch (operation.kind) {
      case 'hcall':
        return row(0, operation.registers);
      case 'store':
        return row(1, [operation.gra, operation.value]);
      case 'store-token':
        return row(1, [operation.gra, tokens.get(operation.service) ?? 0x7777]);
      case 'load':
        return row(2, [operation.gra]);
    }
  };
}
