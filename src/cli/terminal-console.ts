// The guest's console on this process's standard input and output. On a terminal: raw mode with an escape key, undone
// however the process ends. From a pipe: bytes as they come; the end of the input does not end the guest.

import { ConsoleEscape, escapeHelp } from './console-escape.ts';
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
  let connected = true;
  machine.onConsole((bytes) => {
    if (connected) stdout.write(bytes);
  });
  const detachInput = options.input ? attachInput(host, machine, options.onQuit) : () => {};
  return () => {
    connected = false;
    detachInput();
    stdin.pause();
    stdout.off('error', onOutputError);
  };
}

function attachInput(host: CliHost, machine: RunnableMachine, onQuit: () => void): () => void {
  const { stdin } = host;
  const raw = stdin.isTTY === true && stdin.setRawMode !== undefined;
  const typing = new ConsoleEscape();
  const onData = (typed: Buffer) => {
    if (!raw) {
      machine.console.write(typed);
      return;
    }
    const { send, commands } = typing.feed(typed);
    if (send.length > 0) machine.console.write(send);
    for (const command of commands) {
      if (command === 'quit') onQuit();
      else host.stderr.write(`\n${escapeHelp}\n`);
    }
  };
  const ignore = () => {}; // a standard input that cannot be read is one without input
  const restore = () => {
    if (raw) stdin.setRawMode?.(false);
  };
  const forgetExit = host.onExit(restore);
  stdin.on('error', ignore);
  if (raw) {
    stdin.setRawMode?.(true);
    say(host, "the terminal is the guest's console; Ctrl-A x leaves, Ctrl-A h helps");
  }
  stdin.on('data', onData);
  return () => {
    stdin.off('data', onData);
    restore();
    forgetExit();
  };
}
