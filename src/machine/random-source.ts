import type { MachineHost } from '../backends/machine-host.ts';

/** Random numbers of the platform: from a seed (splitmix64), so that runs repeat, or from the host. */
export class RandomSource {
  private state: bigint | undefined;
  private readonly host: MachineHost;

  constructor(seed: number | undefined, host: MachineHost) {
    this.state = seed === undefined ? undefined : BigInt(seed);
    this.host = host;
  }
  /** 64 bits, unsigned. */
  next(): bigint {
    if (this.state === undefined) {
      return this.host.randomBytes(8).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
    }
    this.state = BigInt.asUintN(64, this.state + 0x9e37_79b9_7f4a_7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  }
  bytes(count: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: count }, () => Number(this.next() & 0xffn));
  }
}
