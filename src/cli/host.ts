// What the commands use of the process they run in, so that tests can stand in for it.

import type { Readable, Writable } from 'node:stream';

export interface TerminalInput extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

export interface TextOutput extends Writable {
  readonly isTTY?: boolean;
}

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface CliHost {
  readonly stdin: TerminalInput;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Calls `handler` on a signal that asks the process to end. The result takes the handler away. */
  onStop(handler: (signal: StopSignal) => void): () => void;
  /** Calls `handler` when the process ends for whatever reason, even without unwinding. The result takes it away. */
  onExit(handler: () => void): () => void;
}

export const stopSignalNumber: Record<StopSignal, number> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

export function processHost(): CliHost {
  const signals = Object.keys(stopSignalNumber) as StopSignal[];
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    onStop(handler) {
      for (const signal of signals) process.on(signal, handler);
      return () => {
        for (const signal of signals) process.off(signal, handler);
      };
    },
    onExit(handler) {
      process.on('exit', handler);
      return () => process.off('exit', handler);
    },
  };
}

/** A line for the person at the terminal, kept apart from the guest's console, which is standard output. */
export function say(host: CliHost, message: string): void {
  host.stderr.write(`powervisor: ${message}\n`);
}
