// The escape key of the interactive console. Everything typed goes to the guest except what follows Ctrl-A.

export const escapeHelp = [
  'Ctrl-A x        stop the machine and leave',
  'Ctrl-A d        show the devices and how they reach memory',
  'Ctrl-A h        this help',
  'Ctrl-A Ctrl-A   send one Ctrl-A to the guest',
].join('\n');

export type ConsoleCommand = 'quit' | 'devices' | 'help';

const ctrlA = 0x01;
const commands: Readonly<Record<string, ConsoleCommand>> = {
  x: 'quit',
  X: 'quit',
  d: 'devices',
  D: 'devices',
  h: 'help',
  '?': 'help',
};

export interface ConsoleTyping {
  readonly send: Uint8Array;
  readonly commands: readonly ConsoleCommand[];
}

/** Splits what is typed into bytes for the guest and commands. Remembers a Ctrl-A that ended the bytes before. */
export class ConsoleEscape {
  private pending = false;

  /** An unknown key after Ctrl-A asks for help and is dropped. Bytes after a quit are dropped too. */
  feed(typed: Uint8Array): ConsoleTyping {
    const send: number[] = [];
    const found: ConsoleCommand[] = [];
    for (const byte of typed) {
      if (found.includes('quit')) break;
      if (!this.pending) {
        if (byte === ctrlA) this.pending = true;
        else send.push(byte);
        continue;
      }
      this.pending = false;
      if (byte === ctrlA) send.push(byte);
      else found.push(commands[String.fromCharCode(byte)] ?? 'help');
    }
    return { send: Uint8Array.from(send), commands: found };
  }
}
