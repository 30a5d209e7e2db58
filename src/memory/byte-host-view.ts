// What every checking HostView has in common: scalars and fills are reads and writes of bytes.

import type { AccessOrigin, HostView } from './host-view.ts';

export abstract class ByteHostView implements HostView {
  private readonly scalar = new DataView(new ArrayBuffer(8));
  private readonly scalars = [1, 2, 4, 8].map((bytes) => new Uint8Array(this.scalar.buffer, 0, bytes));

  abstract readonly sizeBytes: number;
  abstract contains(gra: number, lenBytes: number): boolean;
  abstract readInto(gra: number, target: Uint8Array, origin: AccessOrigin): void;
  abstract write(gra: number, source: Uint8Array, origin: AccessOrigin): void;

  told(_origin: AccessOrigin): void {}
  read(gra: number, lenBytes: number, origin: AccessOrigin): Uint8Array<ArrayBuffer> {
    const target = new Uint8Array(lenBytes);
    this.readInto(gra, target, origin);
    return target;
  }
  fill(gra: number, lenBytes: number, value: number, origin: AccessOrigin): void {
    this.write(gra, new Uint8Array(lenBytes).fill(value), origin);
  }
  loadU8(gra: number, origin: AccessOrigin): number {
    this.readInto(gra, this.scalars[0], origin);
    return this.scalar.getUint8(0);
  }
  loadU16BE(gra: number, origin: AccessOrigin): number {
    this.readInto(gra, this.scalars[1], origin);
    return this.scalar.getUint16(0);
  }
  loadU32BE(gra: number, origin: AccessOrigin): number {
    this.readInto(gra, this.scalars[2], origin);
    return this.scalar.getUint32(0);
  }
  loadU64BE(gra: number, origin: AccessOrigin): bigint {
    this.readInto(gra, this.scalars[3], origin);
    return this.scalar.getBigUint64(0);
  }
  storeU8(gra: number, value: number, origin: AccessOrigin): void {
    this.scalar.setUint8(0, value);
    this.write(gra, this.scalars[0], origin);
  }
  storeU16BE(gra: number, value: number, origin: AccessOrigin): void {
    this.scalar.setUint16(0, value);
    this.write(gra, this.scalars[1], origin);
  }
  storeU32BE(gra: number, value: number, origin: AccessOrigin): void {
    this.scalar.setUint32(0, value);
    this.write(gra, this.scalars[2], origin);
  }
  storeU64BE(gra: number, value: bigint, origin: AccessOrigin): void {
    this.scalar.setBigUint64(0, value);
    this.write(gra, this.scalars[3], origin);
  }
}
