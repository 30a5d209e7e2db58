// Regions of compiled code from another thread of this process.

import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { RegionDelivery, RegionOrder, RegionWorkshop } from '../../cpu/compiler/workshop.ts';
import { packageFile } from './package-files.ts';
import type { RegionWorkerData } from './region-worker.ts';

/**
 * A workshop on a thread of its own; `counts`: whether regions count their entries. Undefined in a checkout that has not been
 * built, for threads run JavaScript.
 */
export function openRegionWorkshop(counts: boolean): RegionWorkshop | undefined {
  if (import.meta.url.endsWith('.ts')) return undefined;
  return new ThreadWorkshop(counts, pathToFileURL(packageFile('dist/backends/node/region-worker.js')));
}

export class ThreadWorkshop implements RegionWorkshop {
  private readonly worker: Worker;
  private readonly deliveries: MessagePort;
  private readonly delivered = new Int32Array(new SharedArrayBuffer(4));
  private taken = 0;
  private closed = false;
  private trouble: string | undefined;

  /** `program` is what the thread runs: region-worker.ts as JavaScript. */
  constructor(counts: boolean, program: URL) {
    const { port1, port2 } = new MessageChannel();
    this.deliveries = port1;
    const workerData: RegionWorkerData = { counts, deliveries: port2, delivered: this.delivered };
    this.worker = new Worker(program, { workerData, transferList: [port2], execArgv: [] });
    this.worker.on('error', (error: Error) => this.fail(error.message));
    this.worker.on('exit', () => this.fail('it has ended'));
    // A process that has nothing else to do ends.
    this.worker.unref();
  }

  get failure(): string | undefined {
    return this.trouble;
  }

  private fail(reason: string): void {
    if (!this.closed) this.trouble ??= reason;
  }

  order(order: RegionOrder): void {
    this.worker.postMessage(order);
  }

  delivery(): RegionDelivery | undefined {
    if (Atomics.load(this.delivered, 0) === this.taken) return undefined;
    const received = receiveMessageOnPort(this.deliveries);
    if (!received) return undefined;
    this.taken++;
    return received.message as RegionDelivery;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.deliveries.close();
    await this.worker.terminate();
  }
}
