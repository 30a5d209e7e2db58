// The HostView of a machine with an ultravisor: looks up the owner of every page an access touches. The part of an access
// that lies in a page which is neither normal nor shared is a breach: recorded always, and settled by policy.
//
// What a blocked read returns stands in for ciphertext: bytes that depend on their address only, hence say nothing of the
// contents and are the same in every run.

import type { GuestMemory } from './guest-memory.ts';
import type { AccessOrigin, HostView } from './host-view.ts';
import type { PageOwnership } from './ownership.ts';
import type { AccessDirection, ViolationLog } from './violations.ts';

/**
 * `report`: the access happens as on a machine without protection, to see all that would break in one run. `block`:
 * reads return ciphertext, writes are dropped. `stop`: as `block`, and the machine ends.
 */
export type ViolationPolicy = 'report' | 'block' | 'stop';
export const VIOLATION_POLICIES: readonly ViolationPolicy[] = ['report', 'block', 'stop'];

export interface CheckedHostViewOptions {
  readonly memory: GuestMemory;
  readonly ownership: PageOwnership;
  readonly violations: ViolationLog;
  readonly policy: ViolationPolicy;
  /** Instructions retired so far, for the records. */
  readonly instructions: () => bigint;
  /** Called after a breach under policy `stop`. */
  readonly stop?: () => void;
}

export class CheckedHostView implements HostView {
  private readonly memory: GuestMemory;
  private readonly ownership: PageOwnership;
  private readonly options: CheckedHostViewOptions;
  private readonly scalar = new DataView(new ArrayBuffer(8));
  private readonly scalars = [1, 2, 4, 8].map((bytes) => new Uint8Array(this.scalar.buffer, 0, bytes));

  constructor(options: CheckedHostViewOptions) {
    this.memory = options.memory;
    this.ownership = options.ownership;
    this.options = options;
  }

  get sizeBytes(): number {
    return this.memory.sizeBytes;
  }
  contains(gra: number, lenBytes: number): boolean {
    return this.memory.contains(gra, lenBytes);
  }

  read(gra: number, lenBytes: number, origin: AccessOrigin): Uint8Array<ArrayBuffer> {
    const target = new Uint8Array(lenBytes);
    this.readInto(gra, target, origin);
    return target;
  }
  readInto(gra: number, target: Uint8Array, origin: AccessOrigin): void {
    this.memory.readInto(gra, target);
    if (this.ownership.open) return;
    this.forEachBreach(gra, target.length, 'read', origin, (offset, lenBytes) => {
      if (this.options.policy !== 'report') ciphertext(gra + offset, target.subarray(offset, offset + lenBytes));
    });
  }
  write(gra: number, source: Uint8Array, origin: AccessOrigin): void {
    if (this.ownership.open) {
      this.memory.write(gra, source);
      return;
    }
    let done = 0;
    this.forEachBreach(gra, source.length, 'write', origin, (offset, lenBytes) => {
      if (this.options.policy === 'report') return;
      if (offset > done) this.memory.write(gra + done, source.subarray(done, offset));
      done = offset + lenBytes;
    });
    if (source.length > done) this.memory.write(gra + done, source.subarray(done));
  }
  fill(gra: number, lenBytes: number, value: number, origin: AccessOrigin): void {
    if (this.ownership.open) this.memory.fill(gra, lenBytes, value);
    else this.write(gra, new Uint8Array(lenBytes).fill(value), origin);
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

  /** Records the breaches in a range, page by page, and calls `settle` with each part, as offset from `gra` and length. */
  private forEachBreach(
    gra: number,
    lenBytes: number,
    direction: AccessDirection,
    origin: AccessOrigin,
    settle: (offset: number, lenBytes: number) => void,
  ): void {
    const { ownership, options } = this;
    const { pageBytes } = ownership;
    let breached = false;
    for (let at = gra; at < gra + lenBytes; ) {
      const page = Math.floor(at / pageBytes);
      const next = Math.min((page + 1) * pageBytes, gra + lenBytes);
      if (!ownership.hostMayTouch(page)) {
        breached = true;
        options.violations.add({
          origin,
          direction,
          gra: at,
          lenBytes: next - at,
          pageGra: page * pageBytes,
          pageState: ownership.state(page),
          madeBy: ownership.cause(page),
          instructions: options.instructions(),
        });
        settle(at - gra, next - at);
      }
      at = next;
    }
    if (breached && options.policy === 'stop') options.stop?.();
  }
}

/** Fills `target`, which stands for memory from `gra` on. Each aligned 4 bytes are a hash of their address. */
function ciphertext(gra: number, target: Uint8Array): void {
  for (let i = 0; i < target.length; i++) {
    const address = gra + i;
    // 32-bit finaliser of MurmurHash3 over the word number.
    let word = (Math.floor(address / 4) + 0x9e3779b9) | 0;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    word ^= word >>> 16;
    target[i] = word >>> (8 * (address % 4));
  }
}
