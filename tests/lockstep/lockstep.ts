// Two engines run the same guest, and after every piece of it their registers must be the same, at intervals their RAM
// too. A piece is at most a given number of instructions of one vCPU; it ends earlier where the guest leaves the core.
//
// First the reference runs and leaves a hash for each piece, then the other one follows. Where they part, both are
// started again, taken to the beginning of that piece, and the piece is run again and again from a copy of the core's
// memory with ever other budgets, until the number of instructions is known after which they differ.

import type { CpuCore, Vcpu } from '../../src/cpu/interpreter/core.ts';
import { disassemble } from '../../src/cpu/isa/disassemble.ts';
import { type StateField, stateLayout, stateOffset } from '../../src/cpu/state/layout.ts';
import { EXIT, type ExitReason, MSR } from '../../src/cpu/state/msr.ts';
import { inspect } from '../../src/mmu/inspect.ts';
import { randomWords } from '../support/random.ts';

export type Engine = 'reference' | 'tested';

/** A guest on a core; `advance` runs it for about so many instructions and returns false once it has ended. */
export interface Subject {
  readonly core: CpuCore;
  advance(instructions: number): Promise<boolean>;
  /** What else must be the same at the end: output, outcome. */
  result(): unknown;
  /** Share of the instructions that compiled regions executed. */
  share(): number;
}

export interface LockstepOptions {
  /** Makes the guest anew on one of the two engines; each time it must do the same. */
  readonly start: (engine: Engine) => Promise<Subject>;
  /** Longest piece, in instructions. Lengths vary from 1 to this, the same for both engines. Default 5000. */
  readonly pieceInstructions?: number;
  /** RAM is compared each time so many instructions have been executed. Default 20 million. */
  readonly memoryEvery?: number;
  /** The guest is stopped after so many instructions. */
  readonly maxInstructions?: number;
  readonly seed?: number;
}

export interface LockstepResult {
  readonly instructions: number;
  readonly pieces: number;
  readonly memoryComparisons: number;
  /** Share of the tested engine's instructions that compiled regions executed. */
  readonly share: number;
}

/** Fields that say how the engine works, not what the guest can see. */
const internal: ReadonlySet<StateField> = new Set([
  'scratch',
  'budget',
  'tbEnd',
  'retiredEnd',
  'contextKernel',
  'contextRead',
  'contextWrite',
  'contextFetch',
  'contextFetchKernel',
  'exitReason',
  'exitDetail',
  'dataTlb',
  'fetchTlb',
  'mmioAddress',
  'mmioData',
  'mmioSize',
  'mmioState',
  'fault',
  'faultSrr1',
]);
const bytesOf = { i32: 4, i64: 8, v128: 16 } as const;
const visible = (Object.keys(stateLayout) as StateField[]).filter((name) => !internal.has(name));
/** Words of a register block that are compared, by index. */
const visibleWords = Uint16Array.from(
  visible.flatMap((name) => {
    const { type, count } = stateLayout[name];
    const words = (bytesOf[type] * count) / 4;
    return Array.from({ length: words }, (_, i) => stateOffset(name) / 4 + i);
  }),
);

const SLICE = 4_000_000;
const HISTORY = 24;

/** Where the guests were and what they showed at the first difference. */
export class LockstepDifference extends Error {
  override readonly name = 'LockstepDifference';
}

export async function lockstep(options: LockstepOptions): Promise<LockstepResult> {
  const { maxInstructions = Infinity } = options;
  const reference = await Follower.start(options, 'reference');
  const tested = await Follower.start(options, 'tested');
  let compared = 0;
  for (;;) {
    const runningReference = await reference.advance(SLICE);
    const runningTested = await tested.advance(SLICE);
    const both = Math.min(reference.pieces, tested.pieces);
    for (; compared < both; compared++) {
      if (reference.hashes[compared] !== tested.hashes[compared]) throw await explain(options, compared);
    }
    if (!runningReference || !runningTested) break;
    if (reference.instructions >= maxInstructions) break;
  }
  if (reference.pieces !== tested.pieces) {
    throw new LockstepDifference(`one engine ended after ${reference.pieces} pieces, the other after ${tested.pieces}`);
  }
  const [first, second] = [JSON.stringify(reference.subject.result()), JSON.stringify(tested.subject.result())];
  if (first !== second) throw new LockstepDifference(`the guests ended differently:\n${first}\n${second}`);
  if (ramHash(reference.subject.core) !== ramHash(tested.subject.core)) {
    throw new LockstepDifference('RAM differs at the end');
  }
  return {
    instructions: reference.instructions,
    pieces: reference.pieces,
    memoryComparisons: reference.memoryComparisons + 1,
    share: tested.subject.share(),
  };
}

type Piece = (id: number, budget: number, timebase: bigint) => { reason: ExitReason; executed: number };

/** One engine with its guest, whose `run` is cut into pieces. */
class Follower {
  readonly subject: Subject;
  readonly hashes: number[] = [];
  instructions = 0;
  pieces = 0;
  memoryComparisons = 0;
  /** Called instead of running the piece with this number. */
  private stopAt: { piece: number; instead: (piece: Piece, id: number, budget: number, timebase: bigint) => void };
  private readonly lengths: () => number;
  private readonly longest: number;
  private readonly memoryEvery: number;
  private nextMemory: number;

  static async start(options: LockstepOptions, engine: Engine): Promise<Follower> {
    return new Follower(await options.start(engine), options);
  }

  private constructor(subject: Subject, options: LockstepOptions) {
    this.subject = subject;
    this.longest = options.pieceInstructions ?? 5000;
    this.memoryEvery = options.memoryEvery ?? 20_000_000;
    this.nextMemory = this.memoryEvery;
    this.lengths = randomWords(options.seed ?? 1);
    this.stopAt = { piece: Infinity, instead: () => {} };
    const { core } = subject;
    const whole = core.run.bind(core);
    core.run = (id, budget, timebase) => {
      let executed = 0;
      for (;;) {
        const length = Math.min(budget - executed, this.nextLength());
        const done = this.piece(whole, id, length, timebase + BigInt(executed));
        executed += done.executed;
        if (done.reason !== EXIT.budget || executed >= budget) return { reason: done.reason, executed };
      }
    };
  }

  /** Short pieces try the ends of blocks, long ones let loops run. */
  private nextLength(): number {
    const word = this.lengths();
    const kind = word & 3;
    const longest = kind === 0 ? Math.min(40, this.longest) : kind === 3 ? this.longest : Math.ceil(this.longest / 8);
    return 1 + ((word >>> 2) % longest);
  }

  private piece(whole: Piece, id: number, length: number, timebase: bigint): ReturnType<Piece> {
    if (this.pieces === this.stopAt.piece) this.stopAt.instead(whole, id, length, timebase);
    const done = whole(id, length, timebase);
    this.instructions += done.executed;
    let hash = registerHash(this.subject.core) ^ Math.imul(done.reason + 1, 0x9e3779b1) ^ done.executed;
    if (this.instructions >= this.nextMemory) {
      this.nextMemory += this.memoryEvery;
      this.memoryComparisons++;
      hash ^= ramHash(this.subject.core);
    }
    this.hashes.push(hash | 0);
    this.pieces++;
    return done;
  }

  async advance(instructions: number): Promise<boolean> {
    return this.subject.advance(instructions);
  }

  /** Runs up to a piece, whose number of instructions and vCPU it returns with the means to run it. */
  async runTo(piece: number): Promise<{ run: Piece; id: number; budget: number; timebase: bigint }> {
    let found: { run: Piece; id: number; budget: number; timebase: bigint } | undefined;
    const reached = new Error('the piece is reached');
    this.stopAt = {
      piece,
      instead: (run, id, budget, timebase) => {
        found = { run, id, budget, timebase };
        throw reached;
      },
    };
    try {
      while (await this.advance(SLICE));
    } catch (error) {
      if (error !== reached) throw error;
    }
    if (!found) throw new LockstepDifference('the difference does not come again when the guest is started again');
    return found;
  }
}

/** Runs both guests again up to the piece and finds the instruction. */
async function explain(options: LockstepOptions, piece: number): Promise<LockstepDifference> {
  const reference = await Follower.start(options, 'reference');
  const tested = await Follower.start(options, 'tested');
  const first = await reference.runTo(piece);
  const second = await tested.runTo(piece);
  const { core } = reference.subject;
  const { id, budget, timebase } = first;
  const before = snapshot(core);
  const testedBefore = snapshot(tested.subject.core);
  const where = `piece ${piece}, vCPU ${id}, ${reference.instructions} instructions after the start`;

  /** State after `count` instructions on the reference; 0 the state before. */
  const after = (follower: Follower, run: Piece, saved: Uint8Array, count: number) => {
    restore(follower.subject.core, saved);
    const done = count === 0 ? { reason: EXIT.budget, executed: 0 } : run(id, count, timebase);
    return { ...done, hash: registerHash(follower.subject.core) };
  };
  const same = (count: number): boolean => {
    const a = after(reference, first.run, before, count);
    const b = after(tested, second.run, testedBefore, count);
    return a.hash === b.hash && a.reason === b.reason && a.executed === b.executed;
  };
  if (same(budget)) {
    const ram = ramDifference(core, tested.subject.core);
    if (ram === undefined) {
      return new LockstepDifference(
        `${where}: the engines differed, but not when the piece is run again from a copy: look at what they keep outside of the core's memory`,
      );
    }
    return new LockstepDifference(`${where}: registers agree, RAM differs first at 0x${ram.toString(16)}`);
  }
  let agree = 0;
  let differ = budget;
  while (differ - agree > 1) {
    const middle = (agree + differ) >> 1;
    if (same(middle)) agree = middle;
    else differ = middle;
  }
  // The way there, one instruction at a time.
  const history: string[] = [];
  restore(core, before);
  const vcpu = core.vcpus[id];
  for (let step = 0; step < differ; step++) {
    if (step >= differ - HISTORY) history.push(`  ${instructionAt(core, vcpu)}`);
    first.run(id, 1, timebase + BigInt(step));
  }
  const a = after(reference, first.run, before, differ);
  const b = after(tested, second.run, testedBefore, differ);
  const differences = compareVcpus(core, tested.subject.core);
  if (a.reason !== b.reason) differences.push(`exit: ${a.reason}, ${b.reason}`);
  if (a.executed !== b.executed) differences.push(`executed: ${a.executed}, ${b.executed}`);
  return new LockstepDifference(
    [
      `${where}: the engines agree after ${agree} instructions of it and differ after ${differ}. The last of these:`,
      ...history,
      'field: reference, tested',
      ...differences.map((line) => `  ${line}`),
    ].join('\n'),
  );
}

/** What the vCPU is about to execute. */
function instructionAt(core: CpuCore, vcpu: Vcpu): string {
  const nia = vcpu.get64('nia');
  const address = `0x${nia.toString(16).padStart(16, '0')}`;
  const msr = vcpu.get64('msr');
  const page = inspect(
    core.memory,
    {
      processTable: core.shared('processTable'),
      processTableBytes: core.shared('processTableBytes'),
      pidr: vcpu.get64('pidr'),
      relocation: (msr & MSR.IR) !== 0n,
    },
    nia,
  );
  if (page === undefined) return `${address}  (not mapped)`;
  const view = new DataView(core.ramBytesView().buffer, core.ramBytesView().byteOffset);
  const word = view.getUint32(page.gra, (msr & MSR.LE) !== 0n);
  const text = disassemble(word, { address: nia });
  const meaning = text ? `${text.mnemonic} ${text.operands}` : 'illegal';
  return `${address}  ${word.toString(16).padStart(8, '0')}  ${meaning}`;
}

function snapshot(core: CpuCore): Uint8Array {
  return wholeMemory(core).slice();
}
function restore(core: CpuCore, saved: Uint8Array): void {
  wholeMemory(core).set(saved);
}
function wholeMemory(core: CpuCore): Uint8Array {
  return new Uint8Array(core.ramBytesView().buffer);
}

function registerHash(core: CpuCore): number {
  const words = new Uint32Array(core.ramBytesView().buffer);
  let hash = 0;
  for (const { id } of core.vcpus) {
    const base = core.blockOf(id) / 4;
    for (const index of visibleWords) hash = Math.imul(hash ^ words[base + index], 0x01000193) + (hash >>> 15);
  }
  return hash | 0;
}

function ramHash(core: CpuCore): number {
  const ram = core.ramBytesView();
  const words = new Uint32Array(ram.buffer, ram.byteOffset, ram.length / 4);
  let a = 0;
  let b = 0;
  for (let i = 0; i < words.length; i += 2) {
    a = Math.imul(a ^ words[i], 0x01000193);
    b = Math.imul(b ^ words[i + 1], 0x85ebca6b) + i;
  }
  return (a ^ (b >>> 7) ^ (b << 11)) | 0;
}

function ramDifference(first: CpuCore, second: CpuCore): number | undefined {
  const [a, b] = [first.ramBytesView(), second.ramBytesView()];
  for (let at = 0; at < a.length; at += 0x10000) {
    if (Buffer.compare(a.subarray(at, at + 0x10000), b.subarray(at, at + 0x10000)) === 0) continue;
    for (let i = at; i < at + 0x10000; i++) if (a[i] !== b[i]) return i;
  }
  return undefined;
}

/** Differences as lines: which register, both values. */
function compareVcpus(first: CpuCore, second: CpuCore): string[] {
  const lines: string[] = [];
  const [a, b] = [first, second].map((core) => new DataView(core.ramBytesView().buffer));
  for (const { id } of first.vcpus) {
    for (const name of visible) {
      const { type, count } = stateLayout[name];
      for (let index = 0; index < count; index++) {
        const read = (view: DataView, core: CpuCore): string => {
          const at = core.blockOf(id) + stateOffset(name, index);
          const half = (offset: number) =>
            view
              .getBigUint64(at + offset, true)
              .toString(16)
              .padStart(16, '0');
          if (type === 'i32') return view.getUint32(at, true).toString(16);
          return type === 'i64' ? half(0) : `${half(8)}_${half(0)}`;
        };
        const [x, y] = [read(a, first), read(b, second)];
        if (x !== y) lines.push(`vCPU ${id} ${name}${count > 1 ? index : ''}: ${x}, ${y}`);
      }
    }
  }
  return lines;
}
