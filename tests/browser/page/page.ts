// The page of the browser tests. It draws and counts while machines run in workers, and hands the test what it asks for.

import type { MachineReport, RunOutcome } from '../../../src/machine/report.ts';
import { MachineClient, type RunLimits, type WorkerMachineConfiguration } from '../../../src/web/client.ts';

export interface BootRequest {
  /** Where the page gets the kernel. */
  readonly kernelUrl: string;
  readonly configuration: Omit<WorkerMachineConfiguration, 'kernel'>;
  readonly limits?: RunLimits;
  /** Types `text` when the output ends with `prompt`. */
  readonly answers?: readonly { readonly prompt: string; readonly text: string }[];
  /** Presses pause when the output has `pauseAfter`. */
  readonly pauseAfter?: string;
}

export interface BootResult {
  readonly outcome: RunOutcome;
  readonly output: string;
  readonly report: MachineReport;
  readonly stateHash: string;
  /** Of the run alone, as the page saw it. */
  readonly elapsedMs: number;
  readonly frames: number;
  readonly timerTicks: number;
  readonly longestTimerGapMs: number;
}

export type BootAnswer =
  | { readonly result: BootResult }
  | { readonly error: { readonly name: string; readonly code: unknown; readonly message: string } };

declare global {
  interface Window {
    boot(request: BootRequest): Promise<BootAnswer>;
  }
}

const screen = document.querySelector('pre') as HTMLPreElement;

/** How alive the page is: animation frames and timers that ran, and the longest wait between two timers. */
class Pulse {
  frames = 0;
  timerTicks = 0;
  longestTimerGapMs = 0;
  private readonly startMs = performance.now();
  private lastMs = this.startMs;
  private stopped = false;

  constructor() {
    const frame = () => {
      if (this.stopped) return;
      this.frames++;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    const timer = setInterval(() => {
      if (this.stopped) {
        clearInterval(timer);
        return;
      }
      const now = performance.now();
      this.longestTimerGapMs = Math.max(this.longestTimerGapMs, now - this.lastMs);
      this.lastMs = now;
      this.timerTicks++;
    }, 10);
  }

  stop() {
    this.stopped = true;
    const { frames, timerTicks, longestTimerGapMs } = this;
    return { elapsedMs: performance.now() - this.startMs, frames, timerTicks, longestTimerGapMs };
  }
}

async function boot(request: BootRequest): Promise<BootResult> {
  const kernel = new Uint8Array(await (await fetch(request.kernelUrl)).arrayBuffer());
  const worker = new Worker('worker.js', { type: 'module' });
  await using machine = await MachineClient.create(worker, { ...request.configuration, kernel });
  const answers = [...(request.answers ?? [])];
  if (answers.length === 0) await machine.closeInput();
  let output = '';
  const decoder = new TextDecoder('latin1');
  let read = 0;
  machine.onConsole((bytes) => {
    output += decoder.decode(bytes);
    screen.textContent = output;
    const at = answers.length > 0 ? output.indexOf(answers[0].prompt, read) : -1;
    if (at >= 0) {
      read = output.length;
      void machine.input(new TextEncoder().encode(answers.shift()?.text));
    }
    if (request.pauseAfter !== undefined && output.includes(request.pauseAfter)) void machine.pause();
  });
  const pulse = new Pulse();
  const outcome = await machine.run(request.limits);
  const alive = pulse.stop();
  return { outcome, output, report: await machine.report(), stateHash: await machine.stateHash(), ...alive };
}

window.boot = async (request) => {
  try {
    return { result: await boot(request) };
  } catch (thrown) {
    const error = thrown as Error & { code?: unknown };
    return { error: { name: error.name, code: error.code, message: error.message } };
  }
};
