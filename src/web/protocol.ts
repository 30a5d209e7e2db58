// What a page and the worker with its machine say to each other: numbered calls one way, answers and console output the
// other. Everything here survives structured cloning.

import type { MachineConfiguration } from '../machine/configuration.ts';
import type { MachineReport, RunOutcome } from '../machine/report.ts';

/** A machine's configuration without what cannot be sent to a worker: devices hold functions of the host. */
export type WorkerMachineConfiguration = Omit<MachineConfiguration, 'devices'>;

export interface RunLimits {
  readonly timeoutMs?: number;
  readonly instructions?: number;
}

/** The calls, with what they take and answer. A call before `create` has succeeded, or a second `create`, is refused. */
export interface MachineCalls {
  create(configuration: WorkerMachineConfiguration): void;
  run(limits: RunLimits): RunOutcome;
  /** Answers how many bytes were taken. */
  input(bytes: Uint8Array): number;
  closeInput(): void;
  pause(): void;
  requestShutdown(): void;
  report(): MachineReport;
  stateHash(): string;
  dispose(): void;
}

export type CallName = keyof MachineCalls;

export type CallMessage = {
  [Name in CallName]: { readonly id: number; readonly call: Name; readonly args: Parameters<MachineCalls[Name]> };
}[CallName];

/** An error as data; `code` is there for a PowervisorError. */
export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
}

export type WorkerMessage =
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ErrorData };

/** The worker's way to the page: its global scope, or a MessagePort. */
export interface ServerPort {
  postMessage(message: WorkerMessage): void;
  onmessage: ((event: { readonly data: CallMessage }) => void) | null;
}

/** The page's way to the worker: a Worker, or a MessagePort. */
export interface ClientPort {
  postMessage(message: CallMessage): void;
  addEventListener(type: 'message', listener: (event: { readonly data: WorkerMessage }) => void): void;
  addEventListener(type: 'error', listener: (event: { readonly message?: string }) => void): void;
  addEventListener(type: 'messageerror', listener: () => void): void;
}
