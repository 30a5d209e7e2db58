// A process and a machine that the tests of the command line hold in their hands.

import { PassThrough } from 'node:stream';
import type { CliHost, StopSignal } from '../../src/cli/host.ts';
import type { MachineConfiguration, RunnableMachine, RunOutcome } from '../../src/cli/machine-port.ts';

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
  timeoutMs: number | undefined;
  disposed = 0;
  private readonly script: FakeMachineScript;
  private readonly listeners: ((bytes: Uint8Array) => void)[] = [];

  constructor(configuration: MachineConfiguration, script: FakeMachineScript) {
    this.configuration = configuration;
    this.script = script;
  }

  readonly console = {
    write: (bytes: Uint8Array) => {
      this.typed += Buffer.from(bytes).toString('latin1');
    },
  };

  onConsole(listener: (bytes: Uint8Array) => void): void {
    this.listeners.push(listener);
  }

  print(text: string): void {
    for (const listener of this.listeners) listener(Buffer.from(text, 'latin1'));
  }

  async *events(): AsyncIterable<unknown> {
    yield* this.script.events ?? [];
  }

  async run(options: { timeoutMs?: number; signal?: AbortSignal }): Promise<RunOutcome> {
    this.timeoutMs = options.timeoutMs;
    const stopped = new Promise<RunOutcome>((resolve) => {
      options.signal?.addEventListener('abort', () => resolve({ reason: 'stopped' }), { once: true });
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
