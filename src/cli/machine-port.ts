// What `powervisor run` uses of a machine: a subset of `Machine`, so that tests can run the command with another.

import type { ClockMode } from './option-values.ts';

export interface MachineConfiguration {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly append?: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly clock: ClockMode;
  readonly seed?: number;
  readonly trace?: string[];
}

export interface RunOutcome {
  readonly reason: 'power-off' | 'reboot-limit' | 'panic' | 'timeout' | 'stopped' | 'error';
  readonly message?: string;
}

export interface RunnableMachine {
  readonly console: { write(bytes: Uint8Array): void };
  onConsole(listener: (bytes: Uint8Array) => void): void;
  events(): AsyncIterable<unknown>;
  run(options: { timeoutMs?: number; signal?: AbortSignal }): Promise<RunOutcome>;
  report(): object;
  [Symbol.asyncDispose](): Promise<void>;
}

export type CreateMachine = (configuration: MachineConfiguration) => Promise<RunnableMachine>;
