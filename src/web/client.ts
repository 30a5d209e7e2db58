// The page's half: a machine in a worker, with the calls of a machine in this process.

import type { AbortSignalLike } from '../machine/machine.ts';
import type { MachineReport, RunOutcome } from '../machine/report.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import type {
  CallMessage,
  CallName,
  ClientPort,
  ErrorData,
  MachineCalls,
  RunLimits,
  WorkerMachineConfiguration,
  WorkerMessage,
} from './protocol.ts';

export type { RunLimits, WorkerMachineConfiguration } from './protocol.ts';

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A worker that runs the program of worker.ts. */
export interface MachineWorker extends ClientPort {
  terminate(): void;
}

export class MachineClient implements AsyncDisposable {
  private readonly worker: MachineWorker;
  private readonly pending = new Map<number, Pending>();
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();
  private calls = 0;
  /** Why no call can be answered any more. */
  private ended: Error | undefined;

  /**
   * A machine at power-on in `worker`, which belongs to the client from now on. Rejects as Machine.create does, and
   * with `WORKER_FAILED` if the worker's program does not start; the worker is then terminated.
   */
  static async create(worker: MachineWorker, configuration: WorkerMachineConfiguration): Promise<MachineClient> {
    const client = new MachineClient(worker);
    try {
      await client.call('create', configuration);
    } catch (error) {
      worker.terminate();
      throw error;
    }
    return client;
  }

  private constructor(worker: MachineWorker) {
    this.worker = worker;
    worker.addEventListener('message', ({ data }) => this.receive(data));
    worker.addEventListener('error', ({ message }) => this.fail(workerFailed(message ?? 'its program did not load')));
    worker.addEventListener('messageerror', () => this.fail(workerFailed('it sent what cannot be read')));
  }

  /** Calls `listener` with what the guest writes. Returns what ends that. */
  onConsole(listener: (bytes: Uint8Array) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** As Machine.run. All output of the run has been handed out when this resolves. */
  async run(options: RunLimits & { signal?: AbortSignalLike } = {}): Promise<RunOutcome> {
    const { signal, timeoutMs, instructions } = options;
    if (signal?.aborted) return { reason: 'stopped' };
    const onAbort = () => void this.pause().catch(() => {});
    signal?.addEventListener('abort', onAbort);
    try {
      return await this.call('run', { timeoutMs, instructions });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Types on the console. Resolves to the number of bytes taken. */
  input(bytes: Uint8Array): Promise<number> {
    return this.call('input', bytes);
  }

  /** Says that nothing more will be typed. */
  closeInput(): Promise<void> {
    return this.call('closeInput');
  }

  /** Makes `run` return soon, with reason `stopped`. */
  pause(): Promise<void> {
    return this.call('pause');
  }

  /** Asks the guest to shut down, as a power button does. */
  requestShutdown(): Promise<void> {
    return this.call('requestShutdown');
  }

  report(): Promise<MachineReport> {
    return this.call('report');
  }

  /** Hex SHA-256 of all RAM and of the registers of all vCPUs. */
  stateHash(): Promise<string> {
    return this.call('stateHash');
  }

  /** Ends the machine and its worker. Calls that are under way and calls that come later are refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended) return;
    await this.call('dispose').catch(() => {});
    this.fail(new UsageError('disposed', 'The machine has been disposed of.'));
  }

  private call<Name extends CallName>(
    name: Name,
    ...args: Parameters<MachineCalls[Name]>
  ): Promise<ReturnType<MachineCalls[Name]>> {
    return new Promise((resolve, reject) => {
      if (this.ended) {
        reject(this.ended);
        return;
      }
      const id = ++this.calls;
      this.pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.worker.postMessage({ id, call: name, args } as CallMessage);
    });
  }

  private receive(message: WorkerMessage): void {
    if (message.kind === 'output') {
      for (const listener of this.listeners) listener(message.bytes);
      return;
    }
    const pending = this.pending.get(message.id);
    this.pending.delete(message.id);
    if (message.kind === 'answer') pending?.resolve(message.value);
    else pending?.reject(errorOf(message.error));
  }

  private fail(reason: Error): void {
    if (this.ended) return;
    this.ended = reason;
    this.worker.terminate();
    for (const { reject } of this.pending.values()) reject(reason);
    this.pending.clear();
    this.listeners.clear();
  }
}

function workerFailed(how: string): PowervisorError {
  return new PowervisorError('WORKER_FAILED', `The worker that runs the machine has failed: ${how}.`);
}

function errorOf({ name, message, code }: ErrorData): Error {
  if (code !== undefined) {
    return name === 'UsageError' ? new UsageError(code, message) : new PowervisorError(code, message);
  }
  const error = new Error(message);
  error.name = name;
  return error;
}
