// A process and a machine that the tests of the command line hold in their hands.

import { PassThrough, Readable } from 'node:stream';
import type { CliHost, StopSignal } from '../../src/cli/host.ts';
import type { MachineConfiguration, RunnableMachine, RunOutcome } from '../../src/cli/machine-port.ts';
import type { AbortSignalLike } from '../../src/machine/machine.ts';
import { UsageError } from '../../src/util/errors.ts';

export interface FakeHost extends CliHost {
  readonly stdin: PassThrough & { isTTY?: boolean; setRawMode(raw: boolean): void };
  readonly stdout: PassThrough & { isTTY?: boolean };
  /** What `setRawMode` was called with, in order. */
  readonly rawModes: boolean[];
  output(): string;
  errors(): string;
  signal(signal: StopSignal): void;
  /** As if the process ended without unwinding. */
  exit(): void;
  readonly listeners: { stop: number; exit: number };
}

export function fakeHost(how: { terminal?: boolean; environment?: Record<string, string> } = {}): FakeHost {
  const rawModes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: how.terminal,
    setRawMode: (raw: boolean) => {
      rawModes.push(raw);
    },
  });
  const stdout = Object.assign(new PassThrough(), { isTTY: how.terminal });
  const stderr = Object.assign(new PassThrough(), { isTTY: false });
  const collected = [stdout, stderr].map((stream) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    return () => Buffer.concat(chunks).toString('latin1');
  });
  const stopHandlers = new Set<(signal: StopSignal) => void>();
  const exitHandlers = new Set<() => void>();
  return {
    stdin,
    stdout,
    stderr,
    environment: how.environment ?? {},
    rawModes,
    output: collected[0],
    errors: collected[1],
    onStop(handler) {
      stopHandlers.add(handler);
      return () => stopHandlers.delete(handler);
    },
    onExit(handler) {
      exitHandlers.add(handler);
      return () => exitHandlers.delete(handler);
    },
    signal(signal) {
      for (const handler of stopHandlers) handler(signal);
    },
    exit() {
      for (const handler of exitHandlers) handler();
    },
    listeners: {
      get stop() {
        return stopHandlers.size;
      },
      get exit() {
        return exitHandlers.size;
      },
    },
  };
}

export interface FakeMachineScript {
  /** What the machine ends with, unless it is stopped first. Never, if absent. */
  readonly outcome?: RunOutcome;
  /** Thrown by `run`. */
  readonly failure?: Error;
  readonly greeting?: string;
  readonly events?: readonly unknown[];
  /** Run when the machine starts. */
  readonly onRun?: (machine: FakeMachine) => void;
}

export class FakeMachine implements RunnableMachine {
  readonly configuration: MachineConfiguration;
  typed = '';
  inputClosed = false;
  /** How many bytes the console takes until `typed` is emptied. */
  capacity = Number.POSITIVE_INFINITY;
  timeoutMs: number | undefined;
  disposed = 0;
  private readonly script: FakeMachineScript;
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();

  constructor(configuration: MachineConfiguration, script: FakeMachineScript) {
    this.configuration = configuration;
    this.script = script;
  }

  readonly console = {
    write: (bytes: Uint8Array) => {
      const taken = Math.min(bytes.length, this.capacity);
      this.capacity -= taken;
      this.typed += Buffer.from(bytes.subarray(0, taken)).toString('latin1');
      return taken;
    },
  };

  onConsole(listener: (bytes: Uint8Array) => void): () => boolean {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  closeInput(): void {
    this.inputClosed = true;
  }

  print(text: string): void {
    for (const listener of this.listeners) listener(Buffer.from(text, 'latin1'));
  }

  events(): AsyncIterable<unknown> {
    if (this.configuration.trace?.includes('nonsense')) throw new UsageError('trace', 'There are no such events.');
    return Readable.from(this.script.events ?? []);
  }

  async run(options: { timeoutMs?: number; signal?: AbortSignalLike }): Promise<RunOutcome> {
    this.timeoutMs = options.timeoutMs;
    const stopped = new Promise<RunOutcome>((resolve) => {
      options.signal?.addEventListener('abort', () => resolve({ reason: 'stopped' }));
    });
    this.print(this.script.greeting ?? '');
    this.script.onRun?.(this);
    if (this.script.failure !== undefined) throw this.script.failure;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return this.script.outcome ?? stopped;
  }

  report(): object {
    return { instructions: [12n], hostSeconds: 0.5 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
  }
}
