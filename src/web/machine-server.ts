// The worker's half: a machine that is driven by messages.

import type { Machine } from '../machine/machine.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import type {
  CallMessage,
  CallName,
  ErrorData,
  MachineCalls,
  ServerPort,
  WorkerMachineConfiguration,
} from './protocol.ts';

type CreateMachine = (configuration: WorkerMachineConfiguration) => Promise<Machine>;

type Handlers = {
  readonly [Name in CallName]: (
    ...args: Parameters<MachineCalls[Name]>
  ) => ReturnType<MachineCalls[Name]> | Promise<ReturnType<MachineCalls[Name]>>;
};

/** Serves one machine on `port`, until the port is closed. Every call is answered, if only by a failure. */
export function serveMachine(port: ServerPort, createMachine: CreateMachine): void {
  const output = new OutputBatch((bytes) => port.postMessage({ kind: 'output', bytes }));
  const handlers = handlersFor(createMachine, output);
  port.onmessage = async ({ data }) => {
    const { id } = data;
    try {
      const value = await dispatch(handlers, data);
      output.flush();
      port.postMessage({ kind: 'answer', id, value });
    } catch (error) {
      output.flush();
      port.postMessage({ kind: 'failure', id, error: errorData(error) });
    }
  };
}

function handlersFor(createMachine: CreateMachine, output: OutputBatch): Handlers {
  let creation: Promise<Machine> | undefined;
  let machine: Machine | undefined;
  const present = (): Machine => {
    if (!machine) throw new UsageError('no-machine', 'This worker has no machine; create one first.');
    return machine;
  };
  return {
    create: async (configuration) => {
      if (creation) throw new UsageError('second-machine', 'A worker runs one machine; use another worker.');
      creation = createMachine(configuration);
      try {
        machine = await creation;
      } catch (error) {
        creation = undefined;
        throw error;
      }
      machine.onConsole((bytes) => output.add(bytes));
    },
    run: (limits) => present().run(limits),
    input: (bytes) => present().console.write(bytes),
    closeInput: () => present().closeInput(),
    pause: () => present().pause(),
    requestShutdown: () => present().requestShutdown(),
    report: () => present().report(),
    stateHash: () => present().stateHash(),
    dispose: () => present()[Symbol.asyncDispose](),
  };
}

function dispatch(handlers: Handlers, { call, args }: CallMessage): unknown {
  if (!Object.hasOwn(handlers, call)) throw new UsageError('call', `A machine's worker has no call "${call}".`);
  return (handlers[call] as (...args: readonly unknown[]) => unknown)(...args);
}

function errorData(error: unknown): ErrorData {
  if (error instanceof PowervisorError) return { name: error.name, message: error.message, code: error.code };
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: 'Error', message: String(error) };
}

/** Console output of one burst of execution as one message: a guest writes at most 16 bytes at a time. */
class OutputBatch {
  private pieces: Uint8Array[] = [];
  private readonly send: (bytes: Uint8Array) => void;

  constructor(send: (bytes: Uint8Array) => void) {
    this.send = send;
  }

  add(bytes: Uint8Array): void {
    if (this.pieces.length === 0) queueMicrotask(() => this.flush());
    this.pieces.push(bytes.slice());
  }

  flush(): void {
    if (this.pieces.length === 0) return;
    const all = new Uint8Array(this.pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    this.pieces = [];
    this.send(all);
  }
}
