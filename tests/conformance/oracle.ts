// QEMU as the oracle: builds oracle/harness.c with the cross compiler into the user's cache, runs it under qemu-ppc64le
// and exchanges blocks of vectors with it. The format of requests and answers is described in harness.c.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outcomes, type SlotState, slotCount } from './state.ts';
import type { Block } from './vectors.ts';

export const qemu = 'qemu-ppc64le';
export const compiler = 'powerpc64le-linux-gnu-gcc';

function runs(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

let missing: string | undefined | null = null;
/** What of QEMU and the cross compiler is not installed, or undefined if both are. */
export function missingTools(): string | undefined {
  if (missing === null) {
    const absent = [
      ...(runs(qemu) ? [] : [`${qemu} (Debian package qemu-user)`]),
      ...(runs(compiler) ? [] : [`${compiler} (Debian package gcc-powerpc64le-linux-gnu)`]),
    ];
    missing = absent.length > 0 ? absent.join(', ') : undefined;
  }
  return missing;
}

export function qemuVersion(): string {
  return spawnSync(qemu, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
}

/** The folder for things built by the tests: in the user's cache directory. */
export function cacheDirectory(): string {
  const root = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folder = join(root, 'powervisor', 'conformance');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Compiles `source` with `flags` unless the cache has it; returns the path of the executable. */
export function buildCached(name: string, source: string, flags: readonly string[]): string {
  const key = createHash('sha256')
    .update(flags.join(' '))
    .update('\0')
    .update(readFileSync(source))
    .digest('hex')
    .slice(0, 16);
  const target = join(cacheDirectory(), `${name}-${key}`);
  if (existsSync(target)) return target;
  const scratch = `${target}.${process.pid}.tmp`;
  const result = spawnSync(compiler, [...flags, source, '-o', scratch, '-lm'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${compiler} failed on ${source}:\n${result.stderr}`);
  renameSync(scratch, target);
  return target;
}

function harness(): string {
  const source = fileURLToPath(new URL('./oracle/harness.c', import.meta.url));
  const flags = ['-O2', '-static', '-mcpu=power9', '-fno-stack-protector'];
  // Near the code under test: a relative branch leads there and back.
  const places = ['-Wl,-Ttext-segment=0x02800000', '-Wl,--defsym=fixedCode=0x02100000'];
  return buildCached('harness', source, [...flags, ...places]);
}

function decodeOutcome(signal: number, code: number): number {
  switch (signal) {
    case 0:
      return outcomes.ok;
    case 4: // SIGILL; codes 5 and 6 are privileged instruction and register
      return code === 5 || code === 6 ? outcomes.privileged : outcomes.illegal;
    case 5:
      return outcomes.trap;
    case 7:
      return outcomes.alignment;
    case 8:
      return outcomes.floatingPoint;
    default:
      return outcomes.dataStorage;
  }
}

/** The answers to a block; `read` puts the state after vector `v` into `state`, given the state before in it. */
export class Answers {
  private readonly data: Uint32Array;
  private readonly starts: Uint32Array;

  constructor(data: Uint32Array, vectors: number) {
    this.data = data;
    this.starts = new Uint32Array(vectors);
    let at = 0;
    for (let v = 0; v < vectors; v++) {
      this.starts[v] = at;
      at += 8 + 4 * data[at + 6];
    }
  }

  read(v: number, state: SlotState): void {
    const { data } = this;
    let at = this.starts[v];
    state.outcome = decodeOutcome(data[at + 1], data[at]);
    state.nia = (BigInt(data[at + 3]) << 32n) | BigInt(data[at + 2]);
    const count = data[at + 6];
    at += 8;
    for (let c = 0; c < count; c++, at += 4) {
      const index = 2 * data[at];
      state.words[index] = data[at + 2];
      state.words[index + 1] = data[at + 3];
    }
  }
}

function encodeRequest(block: Block): Uint8Array {
  let bytes = 8 * slotCount;
  for (const words of block.programs) bytes += 4 + 4 * words.length;
  bytes = (bytes + 7) & ~7;
  const vectorsAt = bytes;
  bytes += 8 * block.vectors + 16 * block.changeSlot.length;
  const data = new Uint32Array((16 + bytes) / 4);
  data[0] = bytes;
  data[1] = block.fixed ? 1 : 0;
  data[2] = block.programs.length;
  data[3] = block.vectors;
  data.set(block.base.words, 4);
  let at = 4 + 2 * slotCount;
  for (const words of block.programs) {
    data[at++] = words.length;
    data.set(words, at);
    at += words.length;
  }
  at = 4 + vectorsAt / 4;
  for (let v = 0; v < block.vectors; v++) {
    const [from, to] = [block.changeStart[v], block.changeStart[v + 1]];
    data[at++] = block.programOf[v];
    data[at++] = to - from;
    for (let c = from; c < to; c++) {
      data[at] = block.changeSlot[c];
      data[at + 2] = block.changeValue[2 * c];
      data[at + 3] = block.changeValue[2 * c + 1];
      at += 4;
    }
  }
  return new Uint8Array(data.buffer);
}

interface Waiting {
  readonly block: Block;
  readonly resolve: (answers: Answers) => void;
  readonly reject: (error: Error) => void;
}

export class Oracle {
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly waiting: Waiting[] = [];
  private chunks: Buffer[] = [];
  private buffered = 0;
  private closed = false;

  constructor() {
    this.process = spawn(qemu, ['-cpu', 'power9', harness()], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.process.stdout.on('data', (chunk: Buffer) => this.receive(chunk));
    let stderr = '';
    this.process.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    this.process.on('close', (code, signal) => {
      this.closed = true;
      const first = this.waiting[0]?.block;
      const words = first?.programs.map((p) => [...p].map((word) => word.toString(16)).join(' ')).join(', ');
      for (const { reject } of this.waiting)
        reject(
          new Error(`the harness ended (${signal ?? code}) at ${first?.op} block ${first?.index}: ${words}\n${stderr}`),
        );
      this.waiting.length = 0;
    });
    this.process.stdin.on('error', () => undefined);
  }

  private receive(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.buffered += chunk.length;
    let data = this.chunks[0];
    if (data.length < 8 && this.chunks.length > 1) data = this.join();
    while (data.length >= 8) {
      const length = data.readUInt32LE(0);
      if (this.buffered < 8 + length) return;
      if (data.length < 8 + length) data = this.join();
      const copy = new Uint8Array(length);
      copy.set(data.subarray(8, 8 + length));
      const { block, resolve } = this.waiting.shift()!;
      resolve(new Answers(new Uint32Array(copy.buffer), block.vectors));
      data = data.subarray(8 + length);
      this.chunks = [data, ...this.chunks.slice(1)];
      this.buffered -= 8 + length;
    }
  }

  private join(): Buffer {
    const whole = Buffer.concat(this.chunks);
    this.chunks = [whole];
    return whole;
  }

  /** Executes a block; several may be under way at once. */
  run(block: Block): Promise<Answers> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new Error('the harness has ended'));
        return;
      }
      this.waiting.push({ block, resolve, reject });
      this.process.stdin.write(encodeRequest(block));
    });
  }

  close(): void {
    this.process.stdin.end();
  }
}
