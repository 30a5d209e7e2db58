// RTAS calls of a secure guest. The argument block and the buffers that it names are secure; the ultravisor copies what
// the service needs into memory of its own, lets the hypervisor work there, and copies the results back (UV-API, RTAS).
// The hypervisor finds the copies at the guest's addresses. It learns these addresses; an ultravisor with real pages
// would show it others.

import { ByteHostView } from '../memory/byte-host-view.ts';
import type { AccessOrigin, HostView } from '../memory/host-view.ts';
import type { ResidentMemory } from './resident-memory.ts';

const HEADER_BYTES = 12;
const MAX_CELLS = 16;
/** No service moves more. */
const MAX_BUFFER_BYTES = 0x10000;
const OS_TERM_BYTES = 1024;

/** A buffer of a service: which argument has its address, and how long it is. */
interface BufferRule {
  readonly address: number;
  readonly length: { readonly argument: number } | 'string' | 'counted';
  readonly direction: 'to-hypervisor' | 'to-guest';
}

/** Services with buffers. All others carry numbers only. */
const bufferRules: Readonly<Record<string, BufferRule>> = {
  'check-exception': { address: 4, length: { argument: 5 }, direction: 'to-guest' },
  'event-scan': { address: 2, length: { argument: 3 }, direction: 'to-guest' },
  'ibm,get-system-parameter': { address: 1, length: { argument: 2 }, direction: 'to-guest' },
  'ibm,set-system-parameter': { address: 1, length: 'counted', direction: 'to-hypervisor' },
  'ibm,os-term': { address: 0, length: 'string', direction: 'to-hypervisor' },
  'nvram-fetch': { address: 1, length: { argument: 2 }, direction: 'to-guest' },
  'nvram-store': { address: 1, length: { argument: 2 }, direction: 'to-hypervisor' },
};

interface Copy {
  readonly gra: number;
  readonly bytes: Uint8Array;
  /** Parts the hypervisor has written, as offset and end. */
  readonly written: (readonly [number, number])[];
}

function copyOf(gra: number, bytes: Uint8Array): Copy {
  return { gra, bytes, written: [] };
}

/** One call on its way. */
export class CarriedCall {
  readonly token: number;
  readonly args: readonly number[];
  readonly view: HostView;
  private readonly memory: ResidentMemory;
  private readonly block: Copy;
  private readonly blockView: DataView;
  private readonly outputsOffset: number;
  private readonly returned: Copy | undefined;

  private constructor(memory: ResidentMemory, block: Copy, nargs: number, services: Services, beyond: HostView) {
    this.memory = memory;
    this.block = block;
    this.blockView = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
    this.token = this.blockView.getUint32(0);
    this.args = Array.from({ length: nargs }, (_, n) => this.blockView.getUint32(HEADER_BYTES + 4 * n));
    this.outputsOffset = HEADER_BYTES + 4 * nargs;
    const rule = bufferRules[services.get(this.token) ?? ''];
    const buffer = rule && this.copyBuffer(rule);
    this.returned = rule?.direction === 'to-guest' ? buffer : undefined;
    this.view = new CarriedView(buffer ? [block, buffer] : [block], beyond);
  }

  /**
   * Copies the call whose block is at `gra`; undefined if no block can be there. `services`: name by token. Whatever the
   * hypervisor touches outside of the copies goes to `beyond`.
   */
  static from(memory: ResidentMemory, gra: number, services: Services, beyond: HostView): CarriedCall | undefined {
    if (!memory.contains(gra, HEADER_BYTES)) return undefined;
    const nargs = memory.loadU32BE(gra + 4);
    const nret = memory.loadU32BE(gra + 8);
    const lenBytes = HEADER_BYTES + 4 * (nargs + nret);
    if (nargs > MAX_CELLS || nret > MAX_CELLS || !memory.contains(gra, lenBytes)) return undefined;
    return new CarriedCall(memory, copyOf(gra, memory.read(gra, lenBytes)), nargs, services, beyond);
  }

  /** Shows the hypervisor another value of input `n`. */
  replaceArgument(n: number, value: number): void {
    this.blockView.setUint32(HEADER_BYTES + 4 * n, value);
  }

  /** Output 0, signed. */
  get status(): number | undefined {
    return this.outputsOffset < this.block.bytes.length ? this.blockView.getInt32(this.outputsOffset) : undefined;
  }

  /** Gives the guest the outputs and the buffer that the service filled; nothing else that was changed. */
  deliver(): void {
    this.memory.write(this.block.gra + this.outputsOffset, this.block.bytes.subarray(this.outputsOffset));
    const { returned } = this;
    for (const [from, to] of returned?.written ?? []) {
      this.memory.write(returned!.gra + from, returned!.bytes.subarray(from, to));
    }
  }

  private copyBuffer({ address, length, direction }: BufferRule): Copy | undefined {
    const { memory } = this;
    const gra = this.args[address];
    if (gra === undefined || !memory.contains(gra, 2)) return undefined;
    const available = Math.min(MAX_BUFFER_BYTES, memory.sizeBytes - gra);
    let lenBytes: number;
    if (length === 'string') {
      const bytes = memory.read(gra, Math.min(OS_TERM_BYTES, available));
      const end = bytes.indexOf(0);
      // As long as a reader may look, and nothing of what follows the string.
      return copyOf(gra, end < 0 ? bytes : bytes.fill(0, end));
    }
    if (length === 'counted') lenBytes = 2 + memory.loadU16BE(gra);
    else lenBytes = this.args[length.argument] ?? 0;
    lenBytes = Math.min(lenBytes, available);
    // A buffer to be filled shows the hypervisor zeros, not what the guest had there.
    return copyOf(gra, direction === 'to-guest' ? new Uint8Array(lenBytes) : memory.read(gra, lenBytes));
  }
}

/** Names of RTAS services by token, as the guest's device tree has them. */
export type Services = ReadonlyMap<number, string>;

/** Some copies, each at a guest real address; all other addresses are those of another view. */
class CarriedView extends ByteHostView {
  private readonly copies: readonly Copy[];
  private readonly beyond: HostView;

  constructor(copies: readonly Copy[], beyond: HostView) {
    super();
    this.copies = copies;
    this.beyond = beyond;
  }
  get sizeBytes(): number {
    return this.beyond.sizeBytes;
  }
  contains(gra: number, lenBytes: number): boolean {
    return this.beyond.contains(gra, lenBytes);
  }
  readInto(gra: number, target: Uint8Array, origin: AccessOrigin): void {
    const copy = this.find(gra, target.length);
    if (copy) target.set(copy.bytes.subarray(gra - copy.gra, gra - copy.gra + target.length));
    else this.beyond.readInto(gra, target, origin);
  }
  write(gra: number, source: Uint8Array, origin: AccessOrigin): void {
    const copy = this.find(gra, source.length);
    if (!copy) {
      this.beyond.write(gra, source, origin);
      return;
    }
    const offset = gra - copy.gra;
    copy.bytes.set(source, offset);
    copy.written.push([offset, offset + source.length]);
  }
  private find(gra: number, lenBytes: number): Copy | undefined {
    return this.copies.find((copy) => gra >= copy.gra && gra + lenBytes <= copy.gra + copy.bytes.length);
  }
}
