// Where the guest spends its instructions: every so many of them the call chain of the vCPU that runs is noted. The result
// is a profile in Chrome's format (.cpuprofile), with guest time as time.
//
// A sample is taken between two turns, which are cut shorter for it; what the guest does and sees is the same.

import type { CpuCore } from '../cpu/interpreter/core.ts';
import type { ExitReason } from '../cpu/state/msr.ts';
import { EXIT, MSR } from '../cpu/state/msr.ts';
import type { CallFrame } from '../memory/access-cause.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { GuestReader, resolve, walk } from './call-chain.ts';

/** Instructions between two samples; a prime, so that no loop keeps step with it. */
const INTERVAL = 49_999;
const TICKS_PER_US = 512;
/** Code without a symbol is told apart by so many bytes. */
const UNNAMED_BYTES = 0x1000n;

interface Node {
  readonly id: number;
  readonly name: string;
  readonly children: Map<string, Node>;
  hits: number;
}

export class GuestProfile {
  private readonly symbols: (reader: GuestReader) => SymbolTable | undefined;
  private readonly root: Node = { id: 1, name: '(root)', children: new Map(), hits: 0 };
  private nodes = 1;
  private left = INTERVAL;
  private readonly samples: number[] = [];
  private readonly deltas: number[] = [];
  private first: bigint | undefined;
  private last = 0n;

  constructor(symbols: (reader: GuestReader) => SymbolTable | undefined) {
    this.symbols = symbols;
  }

  /** What runs vCPUs of `core` and takes samples meanwhile; in place of `core.run`. */
  running(core: CpuCore): Pick<CpuCore, 'run'> {
    return {
      run: (id, budget, timebase) => {
        let executed = 0;
        let reason: ExitReason = EXIT.budget;
        while (executed < budget && reason === EXIT.budget) {
          const now = timebase + BigInt(executed);
          const done = core.run(id, Math.min(budget - executed, this.left), now);
          executed += done.executed;
          this.left -= done.executed;
          reason = done.reason;
          if (this.left <= 0) this.sample(core, id, timebase + BigInt(executed));
        }
        return { reason, executed };
      },
    };
  }

  private sample(core: CpuCore, id: number, timebase: bigint): void {
    this.left = INTERVAL;
    let node = this.child(this.root, `CPU ${id}`);
    for (const name of this.chain(core, id).reverse()) node = this.child(node, name);
    node.hits++;
    this.first ??= timebase;
    this.deltas.push(this.samples.length === 0 ? 0 : Number(timebase - this.last) / TICKS_PER_US);
    this.samples.push(node.id);
    this.last = timebase;
  }

  /** Innermost first. */
  private chain(core: CpuCore, id: number): string[] {
    const vcpu = core.vcpus[id];
    const msr = vcpu.get64('msr');
    const nia = vcpu.get64('nia');
    const state = {
      processTable: core.shared('processTable'),
      processTableBytes: core.shared('processTableBytes'),
      pidr: vcpu.get64('pidr'),
      relocation: (msr & MSR.IR) !== 0n,
    };
    if ((msr & MSR.PR) !== 0n) return [unnamed(nia), `process ${state.pidr}`];
    const reader = new GuestReader(core.memory, state, (msr & MSR.LE) !== 0n);
    const symbols = this.symbols(reader);
    const registers = { msr, nia, lr: vcpu.get64('lr'), sp: vcpu.get64('gpr', 1) };
    const frames = resolve(walk(registers, reader), reader, symbols);
    if (frames.length === 0) return [nameOf({ address: nia, kind: 'here', certain: true }, reader, symbols)];
    return frames.map((frame) => nameOf(frame, reader, symbols));
  }

  private child(node: Node, name: string): Node {
    let child = node.children.get(name);
    if (!child) {
      child = { id: ++this.nodes, name, children: new Map(), hits: 0 };
      node.children.set(name, child);
    }
    return child;
  }

  /** The profile as the JSON of a .cpuprofile file; times are microseconds of guest time. */
  toJSON(): object {
    const nodes: object[] = [];
    const waiting = [this.root];
    for (let node = waiting.pop(); node; node = waiting.pop()) {
      const children = [...node.children.values()];
      const callFrame = { functionName: node.name, scriptId: '0', url: '', lineNumber: -1, columnNumber: -1 };
      nodes.push({ id: node.id, callFrame, hitCount: node.hits, children: children.map(({ id }) => id) });
      waiting.push(...children);
    }
    const us = (timebase: bigint) => Number(timebase) / TICKS_PER_US;
    return {
      nodes,
      startTime: us(this.first ?? 0n),
      endTime: us(this.last),
      samples: this.samples,
      timeDeltas: this.deltas,
    };
  }
}

function nameOf(frame: CallFrame, reader: GuestReader, symbols: SymbolTable | undefined): string {
  const place = symbols?.lookup(reader.linked(frame.address));
  const name = place?.name ?? unnamed(frame.address);
  return frame.kind === 'interrupted' ? `${name} (interrupted)` : name;
}

function unnamed(address: bigint): string {
  return `0x${(address & -UNNAMED_BYTES).toString(16)}`;
}
