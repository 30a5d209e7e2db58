// A machine with somebody at its console: waits for text, types, and reads what commands print.

import { readFile } from 'node:fs/promises';
import { Machine, type MachineConfiguration, type RunOutcome } from '../../src/index.ts';
import { type GuestForTest, guestForTest } from './guests.ts';

/** Long enough for a loaded machine of two cores; a test that needs it has failed in another way before. */
const PATIENCE_MS = 240_000;

export class GuestSession implements AsyncDisposable {
  readonly machine: Machine;
  /** Ends when the guest does. */
  readonly ended: Promise<RunOutcome>;
  /** Everything the guest has written. */
  transcript = '';
  private read = 0;
  private look: (() => void) | undefined;

  private constructor(machine: Machine) {
    this.machine = machine;
    const decoder = new TextDecoder();
    machine.onConsole((bytes) => {
      this.transcript += decoder.decode(bytes, { stream: true });
      this.look?.();
    });
    this.ended = machine.run();
    const look = () => this.look?.();
    void this.ended.then(look, look);
  }

  static async start(configuration: MachineConfiguration): Promise<GuestSession> {
    return new GuestSession(await Machine.create(configuration));
  }

  /** With a machine that has not run yet. */
  static of(machine: Machine): GuestSession {
    return new GuestSession(machine);
  }

  /** Waits for text behind what was matched before, and returns all up to its end. */
  async expect(wanted: string | RegExp, patienceMs = PATIENCE_MS): Promise<string> {
    const deadline = Date.now() + patienceMs;
    let over: string | undefined;
    void this.ended.then(
      () => {
        over = 'the guest ended';
      },
      (error: unknown) => {
        over = `the machine failed (${error})`;
      },
    );
    for (;;) {
      const rest = this.transcript.slice(this.read);
      const found = typeof wanted === 'string' ? indexed(rest, wanted) : matched(rest, wanted);
      if (found !== undefined) {
        this.read += found;
        return rest.slice(0, found);
      }
      if (over || Date.now() > deadline) {
        throw new Error(
          `${over ?? 'time is over'} while waiting for ${wanted}; last output:\n${this.transcript.slice(-2000)}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.look = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  type(text: string): void {
    const bytes = new TextEncoder().encode(text);
    if (this.machine.console.write(bytes) !== bytes.length) throw new Error('the console input queue is full');
  }

  /** Runs a shell command and returns what it printed. */
  async command(line: string): Promise<string> {
    // The markers are quoted where they are typed, so that the echo does not match them.
    this.type(`echo "BE""GIN"; ${line}; echo "DO""NE $?"\n`);
    await this.expect(/BEGIN\r?\n/);
    const output = await this.expect(/DONE \d+\r?\n/);
    return output
      .replace(/DONE \d+\r?\n$/, '')
      .replaceAll('\r', '')
      .trim();
  }

  /** Drops what has been matched from the transcript, for sessions that last. */
  forget(): void {
    this.transcript = this.transcript.slice(this.read);
    this.read = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    await this.ended;
  }
}

function indexed(text: string, wanted: string): number | undefined {
  const at = text.indexOf(wanted);
  return at < 0 ? undefined : at + wanted.length;
}

function matched(text: string, wanted: RegExp): number | undefined {
  const match = wanted.exec(text);
  return match === null ? undefined : match.index + match[0].length;
}

/** Kernel and initrd of named guests, or why they cannot be had. */
export async function filesOf(
  kernel: string,
  initrd?: string,
): Promise<{ kernel: Uint8Array; initrd?: Uint8Array } | { reason: string }> {
  const wanted: GuestForTest[] = [await guestForTest(kernel)];
  if (initrd !== undefined) wanted.push(initrd === kernel ? wanted[0] : await guestForTest(initrd));
  for (const each of wanted) if ('reason' in each) return each;
  const [kernelGuest, initrdGuest] = wanted as { guest: { files: Record<string, { path: string }> } }[];
  return {
    kernel: await readFile(kernelGuest.guest.files.kernel.path),
    initrd: initrdGuest && (await readFile(initrdGuest.guest.files.initrd.path)),
  };
}
