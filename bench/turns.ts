// Several machines that run the same guest, one at a time: at lines that end a turn a machine is stopped (SIGSTOP) and the
// next goes on. Each has the host to itself, none knows of the others, and what disturbs the host for a second or a minute
// disturbs the same rows of all of them. A machine's time is that of its own turns.

import type { ChildProcess } from 'node:child_process';
import type { Guest, Peer } from './machines.ts';

/** For a turn without its end. */
const PATIENCE_MS = 1_200_000;

export interface Play {
  readonly guest: Guest;
  /** The line after which a machine is no longer wanted. */
  readonly last: string;
  endsTurn(peer: Peer, line: string): boolean;
  /** A whole line, `ms` of the machine's own time after its process has begun. */
  onLine(peer: Peer, line: string, ms: number, pid: number): void;
  /** The machine came to no end or `onLine` has thrown; the others go on unless this throws. */
  onFailure(peer: Peer, error: Error): void;
}

/** Ends when all machines have printed their last line or failed; none is left behind. */
export async function inTurns(peers: readonly Peer[], play: Play): Promise<void> {
  const machines = peers.map((peer) => new Player(peer, play));
  const kill = () => {
    for (const machine of machines) machine.kill();
  };
  // A stopped process does not hear the terminal's Ctrl-C.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const leave = () => process.exit(1);
  for (const signal of signals) process.once(signal, leave);
  process.once('exit', kill);
  try {
    let left = machines;
    while (left.length > 0) {
      for (const machine of left) {
        try {
          await machine.turn();
        } catch (error) {
          machine.kill();
          play.onFailure(machine.peer, error as Error);
        }
      }
      left = left.filter(({ over }) => !over);
    }
  } finally {
    kill();
    process.off('exit', kill);
    for (const signal of signals) process.off(signal, leave);
  }
}

class Player {
  readonly peer: Peer;
  /** It has printed its last line, or was killed. */
  over = false;
  private readonly play: Play;
  private machine: ChildProcess | undefined;
  private text = '';
  private failure: Error | undefined;
  private spentMs = 0;
  /** When the present turn began, on the host's clock. */
  private since: number | undefined;
  private endTurn: () => void = () => {};

  constructor(peer: Peer, play: Play) {
    this.peer = peer;
    this.play = play;
  }

  private get ms(): number {
    return this.spentMs + (this.since === undefined ? 0 : performance.now() - this.since);
  }

  /** Lets it run up to its next line that ends a turn. Throws if there will be none. */
  async turn(): Promise<void> {
    if (!this.failure) {
      await new Promise<void>((resolve) => {
        const late = new Error(`no result within ${PATIENCE_MS / 1000} s; last output:\n${this.text}`);
        const timer = setTimeout(() => this.fail(late), PATIENCE_MS);
        this.endTurn = () => {
          this.machine?.kill('SIGSTOP');
          this.spentMs = this.ms;
          this.since = undefined;
          clearTimeout(timer);
          resolve();
        };
        this.since = performance.now();
        if (this.machine) this.machine.kill('SIGCONT');
        else this.start();
      });
      this.endTurn = () => {};
    }
    if (this.failure) throw this.failure;
  }

  kill(): void {
    this.over = true;
    this.machine?.kill('SIGKILL');
  }

  private start(): void {
    const machine = this.peer.start(this.play.guest);
    this.machine = machine;
    machine.stdout?.on('data', (bytes: Buffer) => this.read(bytes.toString('latin1')));
    machine.on('error', (error) => this.fail(error));
    machine.on('close', () => this.fail(new Error(`${this.peer.name} ended before "${this.play.last}"`)));
  }

  /** Also between turns: what was printed before the machine stopped arrives after. */
  private fail(error: Error): void {
    this.failure ??= error;
    this.endTurn();
  }

  private read(more: string): void {
    const { ms, play } = this;
    const lines = (this.text + more).split('\n');
    this.text = lines.pop() ?? '';
    try {
      for (const line of lines.map((each) => each.trim())) {
        if (this.over) return;
        play.onLine(this.peer, line, ms, this.machine?.pid ?? 0);
        if (line === play.last) this.kill();
        if (this.over || play.endsTurn(this.peer, line)) this.endTurn();
      }
    } catch (error) {
      this.fail(error as Error);
    }
  }
}
