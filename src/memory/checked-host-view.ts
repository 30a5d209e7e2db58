// The HostView of a machine with an ultravisor: looks up the owner of every page an access touches. The part of an access
// that lies in a page which is neither normal nor shared is a breach: recorded always, and settled by policy.
//
// What a blocked read returns stands in for ciphertext: bytes that depend on their address only, hence say nothing of the
// contents and are the same in every run.

import type { CauseDescription } from './access-cause.ts';
import { ByteHostView } from './byte-host-view.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { AccessOrigin } from './host-view.ts';
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
  /** Told of each access before it is settled, as long as there is anything that the host must not touch. */
  readonly observe?: (gra: number, lenBytes: number, direction: AccessDirection, origin: AccessOrigin) => void;
  /** Told when the guest gives a device work, as long as there is anything that the host must not touch. */
  readonly told?: (origin: AccessOrigin) => void;
  /** What the guest did to cause a breach, asked for while it happens. */
  readonly causeOf?: (origin: AccessOrigin) => { cause: CauseDescription; later: boolean } | undefined;
}

export class CheckedHostView extends ByteHostView {
  private readonly memory: GuestMemory;
  private readonly ownership: PageOwnership;
  private readonly options: CheckedHostViewOptions;

  constructor(options: CheckedHostViewOptions) {
    super();
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

  override told(origin: AccessOrigin): void {
    if (!this.ownership.open) this.options.told?.(origin);
  }

  readInto(gra: number, target: Uint8Array, origin: AccessOrigin): void {
    this.memory.readInto(gra, target);
    if (this.ownership.open) return;
    this.options.observe?.(gra, target.length, 'read', origin);
    this.forEachBreach(gra, target.length, 'read', origin, (offset, lenBytes) => {
      if (this.options.policy !== 'report') ciphertext(gra + offset, target.subarray(offset, offset + lenBytes));
    });
  }
  write(gra: number, source: Uint8Array, origin: AccessOrigin): void {
    if (this.ownership.open) {
      this.memory.write(gra, source);
      return;
    }
    this.options.observe?.(gra, source.length, 'write', origin);
    let done = 0;
    this.forEachBreach(gra, source.length, 'write', origin, (offset, lenBytes) => {
      if (this.options.policy === 'report') return;
      if (offset > done) this.memory.write(gra + done, source.subarray(done, offset));
      done = offset + lenBytes;
    });
    if (source.length > done) this.memory.write(gra + done, source.subarray(done));
  }
  override fill(gra: number, lenBytes: number, value: number, origin: AccessOrigin): void {
    if (this.ownership.open) this.memory.fill(gra, lenBytes, value);
    else super.fill(gra, lenBytes, value, origin);
  }

  override loadU8(gra: number, origin: AccessOrigin): number {
    return this.allowed(gra, 1, 'read', origin) ? this.memory.loadU8(gra) : super.loadU8(gra, origin);
  }
  override loadU16BE(gra: number, origin: AccessOrigin): number {
    return this.allowed(gra, 2, 'read', origin) ? this.memory.loadU16BE(gra) : super.loadU16BE(gra, origin);
  }
  override loadU32BE(gra: number, origin: AccessOrigin): number {
    return this.allowed(gra, 4, 'read', origin) ? this.memory.loadU32BE(gra) : super.loadU32BE(gra, origin);
  }
  override loadU64BE(gra: number, origin: AccessOrigin): bigint {
    return this.allowed(gra, 8, 'read', origin) ? this.memory.loadU64BE(gra) : super.loadU64BE(gra, origin);
  }
  override storeU8(gra: number, value: number, origin: AccessOrigin): void {
    if (this.allowed(gra, 1, 'write', origin)) this.memory.storeU8(gra, value);
    else super.storeU8(gra, value, origin);
  }
  override storeU16BE(gra: number, value: number, origin: AccessOrigin): void {
    if (this.allowed(gra, 2, 'write', origin)) this.memory.storeU16BE(gra, value);
    else super.storeU16BE(gra, value, origin);
  }
  override storeU32BE(gra: number, value: number, origin: AccessOrigin): void {
    if (this.allowed(gra, 4, 'write', origin)) this.memory.storeU32BE(gra, value);
    else super.storeU32BE(gra, value, origin);
  }
  override storeU64BE(gra: number, value: bigint, origin: AccessOrigin): void {
    if (this.allowed(gra, 8, 'write', origin)) this.memory.storeU64BE(gra, value);
    else super.storeU64BE(gra, value, origin);
  }

  /** Whether a scalar is in one page that the host may touch: the short way, with no copy. */
  private allowed(gra: number, lenBytes: number, direction: AccessDirection, origin: AccessOrigin): boolean {
    const { ownership } = this;
    if (ownership.open) return true;
    const page = Math.floor(gra / ownership.pageBytes);
    if (gra + lenBytes > (page + 1) * ownership.pageBytes || !ownership.hostMayTouch(page)) return false;
    this.options.observe?.(gra, lenBytes, direction, origin);
    return true;
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
          ...options.causeOf?.(origin),
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
