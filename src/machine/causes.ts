// What the guest did that the machine is serving right now, and what it had done when a device got its work: kept as
// tokens on the accesses that follow from it, and told only to the reports (memory/access-cause.ts).

import type { CpuCore } from '../cpu/interpreter/core.ts';
import { MSR } from '../cpu/state/msr.ts';
import type { AccessCause, CallFrame, CauseDescription } from '../memory/access-cause.ts';
import type { AccessOrigin } from '../memory/host-view.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { GuestReader, resolve, walk } from './call-chain.ts';

interface Captured extends Omit<CauseDescription, 'chain'> {
  readonly frames: readonly CallFrame[];
  readonly reader: GuestReader;
  description?: CauseDescription;
}

export class GuestCauses {
  private readonly core: CpuCore | undefined;
  private readonly symbols: (reader: GuestReader) => SymbolTable | undefined;
  private readonly captured = new WeakMap<AccessCause, Captured>();
  private serving: { readonly vcpu: number; readonly by: CauseDescription['by'] } | undefined;
  /** The token of what is being served, once somebody has asked for it. */
  private token: AccessCause | undefined;
  private tokens = 0;

  /** `symbols` of the guest's kernel, if there are any; asked for when a report needs names. */
  constructor(core: CpuCore | undefined, symbols: (reader: GuestReader) => SymbolTable | undefined) {
    this.core = core;
    this.symbols = symbols;
  }

  /** Runs `serve`, which is all the machine does at once about an exit of vCPU `vcpu`. */
  during(vcpu: number, by: CauseDescription['by'], serve: () => void): void {
    this.serving = { vcpu, by };
    this.token = undefined;
    serve();
    this.serving = undefined;
    this.token = undefined;
  }

  /** A token for what is being served; undefined if the guest is not the one who asked. Walks the guest's stack. */
  current(): AccessCause | undefined {
    if (!this.token && this.serving && this.core) {
      this.token = { number: this.tokens++ };
      this.captured.set(this.token, this.capture(this.core, this.serving));
    }
    return this.token;
  }

  /** The guest has told a device of work: what the device does for `origin` from now on follows from what it did. */
  told(origin: AccessOrigin): void {
    origin.cause = this.current();
  }

  /** What is behind an access that is happening. `later`: the guest has gone on since. */
  causeOf(origin: AccessOrigin): { cause: CauseDescription; later: boolean } | undefined {
    const cause = origin.kind === 'device' ? origin.cause : this.current();
    if (!cause) return undefined;
    return { cause: this.describe(cause), later: cause !== this.token };
  }

  describe(cause: AccessCause): CauseDescription {
    const captured = this.captured.get(cause)!;
    if (!captured.description) {
      const { vcpu, instructions, by, frames, reader } = captured;
      captured.description = { vcpu, instructions, by, chain: resolve(frames, reader, this.symbols(reader)) };
    }
    return captured.description;
  }

  /** Reads addresses as the kernel does now on the vCPU that is being served, or on vCPU `id`. */
  reader(id = this.serving?.vcpu ?? 0): GuestReader | undefined {
    return this.core && readerOf(this.core, id);
  }

  private capture(core: CpuCore, { vcpu: id, by }: { vcpu: number; by: CauseDescription['by'] }): Captured {
    const vcpu = core.vcpus[id];
    const reader = readerOf(core, id);
    const registers = {
      msr: vcpu.get64('msr'),
      nia: vcpu.get64('nia'),
      lr: vcpu.get64('lr'),
      sp: vcpu.get64('gpr', 1),
    };
    return { vcpu: id, instructions: vcpu.retired, by, frames: walk(registers, reader), reader };
  }
}

/** In the byte order of the kernel, which is not that of the vCPU while a little-endian kernel is in RTAS. */
function readerOf(core: CpuCore, id: number): GuestReader {
  const vcpu = core.vcpus[id];
  const msr = vcpu.get64('msr');
  const little = (msr & MSR.LE) !== 0n || vcpu.get32('interruptLittleEndian') !== 0;
  return new GuestReader(
    core.memory,
    {
      processTable: core.shared('processTable'),
      processTableBytes: core.shared('processTableBytes'),
      pidr: vcpu.get64('pidr'),
      relocation: (msr & MSR.DR) !== 0n,
    },
    little,
  );
}
