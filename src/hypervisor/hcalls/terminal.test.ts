import { describe, expect, test } from 'vitest';
import { Bench } from '../../../tests/support/hypervisor-fakes.ts';
import { H_BUSY, H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import { VTY_INPUT_BYTES } from '../terminal.ts';

const H_GET_TERM_CHAR = 0x54;
const H_PUT_TERM_CHAR = 0x58;
const UNIT = 0x71000000;

const text = (value: string) => Uint8Array.from(value, (c) => c.charCodeAt(0));

function get(bench: Bench): string {
  expect(bench.hcall(H_GET_TERM_CHAR, [UNIT])).toBe(H_SUCCESS);
  const packed = new DataView(new ArrayBuffer(16));
  packed.setBigUint64(0, bench.vcpu().gpr(5));
  packed.setBigUint64(8, bench.vcpu().gpr(6));
  return String.fromCharCode(...new Uint8Array(packed.buffer, 0, Number(bench.vcpu().gpr(4))));
}

describe('output', () => {
  test('one character, sixteen, and none', () => {
    const bench = new Bench();
    expect(bench.hcall(H_PUT_TERM_CHAR, [UNIT, 1, 0x5b00000000000000n, 0])).toBe(H_SUCCESS);
    expect(bench.hcall(H_PUT_TERM_CHAR, [0, 16, 0x3031323334353637n, 0x3839414243444546n])).toBe(H_SUCCESS);
    expect(bench.hcall(H_PUT_TERM_CHAR, [UNIT, 0, 0x5b00000000000000n, 0])).toBe(H_SUCCESS);
    expect(bench.console).toBe('[0123456789ABCDEF');
  });

  test('too long, or to a terminal that is not there', () => {
    const bench = new Bench();
    for (const length of [17, -1, (1n << 32n) + 1n]) {
      expect(bench.hcall(H_PUT_TERM_CHAR, [UNIT, length, 0, 0])).toBe(H_PARAMETER);
    }
    expect(bench.hcall(H_PUT_TERM_CHAR, [UNIT + 1, 1, 0, 0])).toBe(H_PARAMETER);
    expect(bench.hcall(H_PUT_TERM_CHAR, [BigInt(UNIT) + (1n << 32n), 1, 0, 0])).toBe(H_PARAMETER);
    expect(bench.console).toBe('');
  });

  test('a host that cannot take it makes the guest retry', () => {
    let ready = false;
    let written = 0;
    const output = { ready: () => ready, write: (bytes: Uint8Array) => (written += bytes.length) };
    const bench = new Bench(1, { terminals: [{ unit: UNIT, irq: 0x1100, output }] });
    expect(bench.hcall(H_PUT_TERM_CHAR, [UNIT, 3, 0, 0])).toBe(H_BUSY);
    ready = true;
    expect(bench.hcall(H_PUT_TERM_CHAR, [UNIT, 3, 0, 0])).toBe(H_SUCCESS);
    expect(written).toBe(3);
  });
});

describe('input', () => {
  test('arrives in pieces of at most sixteen', () => {
    const bench = new Bench();
    expect(bench.hypervisor.terminals.all[0]!.input(text('the quick brown fox'))).toBe(19);
    expect(get(bench)).toBe('the quick brown ');
    expect(get(bench)).toBe('fox');
    expect(get(bench)).toBe('');
  });

  test('raises the interrupt when the queue stops being empty, and only then', () => {
    const bench = new Bench();
    const vty = bench.hypervisor.terminals.all[0]!;
    bench.rtas('ibm,set-xive', [0x1100, 0, 5]);
    bench.hcall(0x68, [0xff]);
    vty.input(text('a'));
    expect(bench.vcpu().line).toBe(true);
    bench.hcall(0x74);
    expect(bench.vcpu().gpr(4)).toBe(0xff001100n);
    bench.hcall(0x64, [0xff001100n]);
    vty.input(text('b'));
    expect(bench.vcpu().line).toBe(false);
    expect(get(bench)).toBe('ab');
    vty.input(text('c'));
    expect(bench.vcpu().line).toBe(true);
  });

  test('a NUL never follows a carriage return within one transfer', () => {
    const bench = new Bench();
    bench.hypervisor.terminals.all[0]!.input(text('x\r\0y\0'));
    expect(get(bench)).toBe('x\r');
    expect(get(bench)).toBe('\0y\0');
  });

  test('what does not fit is refused, and bytes keep their order around the ring', () => {
    const bench = new Bench();
    const vty = bench.hypervisor.terminals.all[0]!;
    const big = Uint8Array.from({ length: VTY_INPUT_BYTES + 10 }, (_, i) => 1 + (i % 251));
    expect(vty.input(big)).toBe(VTY_INPUT_BYTES);
    expect(vty.input(text('z'))).toBe(0);
    let seen = get(bench);
    expect(vty.input(text('0123456789abcdefg'))).toBe(16);
    while (vty.pending > 0) seen += get(bench);
    expect(seen.length).toBe(VTY_INPUT_BYTES + 16);
    expect(seen.endsWith('0123456789abcdef')).toBe(true);
    expect([...seen].slice(0, 1000).every((c, i) => c.charCodeAt(0) === 1 + (i % 251))).toBe(true);
  });

  test('reading a terminal that is not there', () => {
    expect(new Bench().hcall(H_GET_TERM_CHAR, [1])).toBe(H_PARAMETER);
  });
});

test('events carry both directions', () => {
  const bench = new Bench();
  const seen: string[] = [];
  bench.hypervisor.events.console = ({ unit, direction, bytes }) => {
    seen.push(`${unit.toString(16)} ${direction} ${String.fromCharCode(...bytes)}`);
  };
  bench.hcall(H_PUT_TERM_CHAR, [UNIT, 2, 0x6869000000000000n, 0]);
  bench.hypervisor.terminals.all[0]!.input(text('yo'));
  expect(seen).toEqual(['71000000 from-guest hi', '71000000 to-guest yo']);
});

test('two terminals of one unit address are refused', () => {
  const vty = { unit: 1, irq: 0x1100, output: { write: () => {} } };
  expect(() => new Bench(1, { terminals: [vty, vty] })).toThrow(/same unit/);
});
