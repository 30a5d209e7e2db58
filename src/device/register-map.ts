// A block of device registers as data: an ordered list of [name, bytes, access] whose sizes add up to the block. Partial,
// straddling and reserved accesses are settled here, once; a device reads and writes whole registers by name.

import { assert } from '../util/errors.ts';
import type { MmioBytes, MmioHandler } from './address-map.ts';

/** `reserved` reads as zero and ignores writes; it needs no name. */
export type RegisterAccess = 'ro' | 'rw' | 'wo' | 'reserved';

/** [name, bytes, access]. A register that the device is asked for by name has 1, 2 or 4 bytes. */
export type RegisterRow<Name extends string> = readonly [name: Name | '', bytes: number, access: RegisterAccess];

/** What a device does behind its registers. */
export interface RegisterPort<Name extends string> {
  /** The whole register, unsigned. Also called to complete a partial store to an `rw` register. */
  readRegister(name: Name): number;
  writeRegister(name: Name, value: number): void;
}

interface Register<Name extends string> {
  readonly name: Name | '';
  readonly offset: number;
  readonly bytes: number;
  readonly access: RegisterAccess;
}

export class RegisterMap<Name extends string> {
  readonly sizeBytes: number;
  private readonly registers: readonly Register<Name>[];
  /** For each byte of the block, the register it is part of. */
  private readonly byByte: readonly Register<Name>[];

  /** The rows must add up to `sizeBytes`. */
  constructor(sizeBytes: number, rows: readonly RegisterRow<Name>[]) {
    let offset = 0;
    this.registers = rows.map(([name, bytes, access]) => {
      assert(access === 'reserved' || [1, 2, 4].includes(bytes), `register ${name} has ${bytes} bytes`);
      const register = { name, offset, bytes, access };
      offset += bytes;
      return register;
    });
    assert(offset === sizeBytes, `the registers take ${offset} bytes, not ${sizeBytes}`);
    this.sizeBytes = sizeBytes;
    this.byByte = this.registers.flatMap((register) => Array.from({ length: register.bytes }, () => register));
  }

  /** Offset of a register from the start of the block. */
  offsetOf(name: Name): number {
    const register = this.registers.find((candidate) => candidate.name === name);
    assert(register, `no register ${name}`);
    return register.offset;
  }

  /** The block as something an address map or a BAR can hold; bytes beyond it read as zero and ignore writes. */
  handler(port: RegisterPort<Name>): MmioHandler {
    return {
      load: (offset, lenBytes) => this.load(port, offset, lenBytes),
      store: (offset, lenBytes, value) => this.store(port, offset, lenBytes, value),
    };
  }

  private load(port: RegisterPort<Name>, offset: number, lenBytes: MmioBytes): number {
    const register = this.byByte[offset];
    if (register?.offset === offset && register.bytes === lenBytes) return this.value(port, register);
    let result = 0;
    for (let at = offset; at < offset + lenBytes; ) {
      const part = this.byByte[at];
      if (part === undefined) break;
      // Each register is read once, whatever part of it is wanted.
      const value = this.value(port, part);
      const end = Math.min(part.offset + part.bytes, offset + lenBytes);
      for (; at < end; at++) result += byteOf(value, at - part.offset) * 2 ** (8 * (at - offset));
    }
    return result;
  }

  private store(port: RegisterPort<Name>, offset: number, lenBytes: MmioBytes, value: number): void {
    for (let at = offset; at < offset + lenBytes; ) {
      const part = this.byByte[at];
      if (part === undefined) return;
      const end = Math.min(part.offset + part.bytes, offset + lenBytes);
      if (part.access === 'rw' || part.access === 'wo') {
        const whole = at === part.offset && end === part.offset + part.bytes;
        let merged = whole || part.access === 'wo' ? 0 : port.readRegister(part.name as Name);
        for (let byte = at; byte < end; byte++) {
          merged = withByte(merged, byte - part.offset, byteOf(value, byte - offset));
        }
        port.writeRegister(part.name as Name, merged);
      }
      at = end;
    }
  }

  private value(port: RegisterPort<Name>, register: Register<Name>): number {
    return register.access === 'ro' || register.access === 'rw' ? port.readRegister(register.name as Name) : 0;
  }
}

function byteOf(value: number, index: number): number {
  return index < 4 ? (value >>> (8 * index)) & 0xff : 0;
}

function withByte(value: number, index: number, byte: number): number {
  return ((value & ~(0xff << (8 * index))) | (byte << (8 * index))) >>> 0;
}
