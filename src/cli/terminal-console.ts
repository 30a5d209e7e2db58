// The guest's console on this process's standard input and output. On a terminal: raw mode with an escape key, undone
// however the process ends. From a pipe: bytes as they come; the end of the input does not end the guest.

import { ConsoleEscape, escapeHelp } from './console-escape.ts';
import { type DevicesReport, deviceLines } from './devices-command.ts';
import { type CliHost, say } from './host.ts';
import type { RunnableMachine } from './machine-port.ts';

export interface ConsoleOptions {
  /** False: the guest gets no input at all. */
  readonly input: boolean;
  /** The user asked to leave by the escape key. */
  readonly onQuit: () => void;
  /** Nobody reads the guest's output any more. */
  readonly onOutputClosed: () => void;
}

/** Connects the console; the result disconnects it and restores the terminal. */
export function attachConsole(host: CliHost, machine: RunnableMachine, options: ConsoleOptions): () => void {
  const { stdin, stdout } = host;
  const onOutputError = () => options.onOutputClosed();
  stdout.on('error', onOutputError);
  const stopOutput = machine.onConsole((bytes) => stdout.write(bytes));
  const stopInput = options.input ? attachInput(host, machine, options.onQuit) : undefined;
  if (stopInput === undefined) machine.closeInput();
  return () => {
    stopOutput();
    stopInput?.();
    stdin.pause();
    stdout.off('error', onOutputError);
  };
}

function attachInput(host: CliHost, machine: RunnableMachine, onQuit: () => void): () => void {
  const { stdin } = host;
  const raw = stdin.isTTY === true && stdin.setRawMode !== undefined;
  const queue = new InputQueue(machine, raw ? undefined : stdin);
  const typing = new ConsoleEscape();
  const onData = (typed: Buffer) => {
    if (!raw) {
      queue.add(typed);
      return;
    }
    const { send, commands } = typing.feed(typed);
    queue.add(send);
    for (const command of commands) {
      if (command === 'quit') onQuit();
      else host.stderr.write(`\n${command === 'devices' ? devicesText(machine) : escapeHelp}\n`);
    }
  };
  // A standard input that cannot be read is one that has ended.
  const onEnd = () => queue.end();
  const restore = () => {
    if (raw) stdin.setRawMode?.(false);
  };
  const forgetExit = host.onExit(restore);
  if (raw) {
    stdin.setRawMode?.(true);
    say(host, "the terminal is the guest's console; Ctrl-A x leaves, Ctrl-A h helps");
  }
  stdin.on('error', onEnd).on('end', onEnd).on('data', onData);
  return () => {
    stdin.off('error', onEnd).off('end', onEnd).off('data', onData);
    queue.close();
    restore();
    forgetExit();
  };
}

function devicesText(machine: RunnableMachine): string {
  return deviceLines(machine.report() as DevicesReport).join('\n');
}

const retryMs = 10;

/** Hands input to the machine as fast as it takes it. */
class InputQueue {
  private readonly machine: RunnableMachine;
  /** Is held back when it sends more; a keyboard is not, for the escape key must be heard. */
  private readonly source: CliHost['stdin'] | undefined;
  private waiting: Uint8Array = new Uint8Array(0);
  private timer: NodeJS.Timeout | undefined;
  private ended = false;

  constructor(machine: RunnableMachine, source: CliHost['stdin'] | undefined) {
    this.machine = machine;
    this.source = source;
  }

  add(bytes: Uint8Array): void {
    this.waiting = this.waiting.length === 0 ? bytes : Buffer.concat([this.waiting, bytes]);
    this.pass();
  }

  /** Nothing more comes; what waits still goes to the machine. */
  end(): void {
    this.ended = true;
    this.pass();
  }

  close(): void {
    clearTimeout(this.timer);
  }

  private pass(): void {
    clearTimeout(this.timer);
    if (this.waiting.length > 0) this.waiting = this.waiting.subarray(this.machine.console.write(this.waiting));
    if (this.waiting.length > 0) {
      this.source?.pause();
      this.timer = setTimeout(() => this.pass(), retryMs);
    } else if (this.ended) {
      this.machine.closeInput();
    } else {
      this.source?.resume();
    }
  }
}
