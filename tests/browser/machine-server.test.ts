// Page and worker talking over a MessageChannel, with the real machine: what is refused, and when.

import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeMachineHost } from '../../src/backends/node/machine-host.ts';
import { Machine } from '../../src/machine/machine.ts';
import { MachineClient, type MachineWorker } from '../../src/web/client.ts';
import { serveMachine } from '../../src/web/machine-server.ts';
import type { CallMessage, ServerPort, WorkerMessage } from '../../src/web/protocol.ts';

const kernel = readFileSync(new URL('../../guests/pocket/pocket.elf', import.meta.url));
const configuration = { kernel, memoryBytes: 2 ** 28, append: 'plain loop' };
const open: { close(): void }[] = [];

interface TestWorker extends MachineWorker {
  terminated: boolean;
  fail(message: string): void;
}

type ListenerEvent = { readonly data: WorkerMessage; readonly message?: string };
type Listener = (event: ListenerEvent) => void;

/** A MessageChannel in the place of a worker. */
function worker(): TestWorker {
  const { port1, port2 } = new MessageChannel();
  open.push(port1, port2);
  serveMachine(port2 as unknown as ServerPort, (wanted) => Machine.create(wanted, nodeMachineHost));
  let onError: Listener = () => {};
  const page = {
    terminated: false,
    postMessage: (message: CallMessage) => port1.postMessage(message),
    addEventListener: (type: 'message' | 'error' | 'messageerror', listener: Listener) => {
      if (type === 'message') port1.on('message', (data: WorkerMessage) => listener({ data }));
      if (type === 'error') onError = listener;
    },
    terminate: () => {
      page.terminated = true;
      port1.close();
    },
    fail: (message: string) => onError({ message } as ListenerEvent),
  };
  return page as TestWorker;
}

afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

describe('a machine behind messages', () => {
  it('runs, is paused, goes on, and is disposed of', async () => {
    const page = worker();
    const machine = await MachineClient.create(page, configuration);
    const run = machine.run();
    await expect(machine.run()).rejects.toMatchObject({ name: 'UsageError', code: 'running' });
    await machine.pause();
    expect(await run).toEqual({ reason: 'stopped' });
    const { instructions } = await machine.report();
    expect(await machine.run({ instructions: 1_000_000 })).toEqual({ reason: 'stopped' });
    expect((await machine.report()).instructions).toBeGreaterThan(instructions);
    await machine[Symbol.asyncDispose]();
    expect(page.terminated).toBe(true);
    await expect(machine.report()).rejects.toMatchObject({ code: 'disposed' });
  });

  it('is stopped by a signal', async () => {
    const machine = await MachineClient.create(worker(), configuration);
    const stop = new AbortController();
    machine.onConsole(() => stop.abort());
    expect(await machine.run({ signal: stop.signal })).toEqual({ reason: 'stopped' });
    expect(await machine.run({ signal: AbortSignal.abort() })).toEqual({ reason: 'stopped' });
  });

  it('refuses a second machine, calls without one, and calls that do not exist', async () => {
    const page = worker();
    const answers: WorkerMessage[] = [];
    page.addEventListener('message', ({ data }) => answers.push(data));
    const send = async (call: string, ...args: readonly unknown[]) => {
      const count = answers.length;
      page.postMessage({ id: count, call, args } as unknown as CallMessage);
      await expect.poll(() => answers.length).toBe(count + 1);
      return answers[count];
    };
    expect(await send('report')).toMatchObject({ kind: 'failure', error: { code: 'no-machine' } });
    expect(await send('toString')).toMatchObject({ kind: 'failure', error: { code: 'call' } });
    expect(await send('create', { ...configuration, cpus: 0 })).toMatchObject({ kind: 'failure' });
    expect(await send('create', configuration)).toMatchObject({ kind: 'answer' });
    expect(await send('create', configuration)).toMatchObject({ kind: 'failure', error: { code: 'second-machine' } });
    expect(await send('report')).toMatchObject({ kind: 'answer', value: { instructions: 0 } });
  });

  it('says so when the worker fails', async () => {
    const page = worker();
    const machine = await MachineClient.create(page, configuration);
    const run = machine.run();
    page.fail('out of memory');
    await expect(run).rejects.toMatchObject({
      code: 'WORKER_FAILED',
      message: 'The worker that runs the machine has failed: out of memory.',
    });
    await expect(machine.pause()).rejects.toMatchObject({ code: 'WORKER_FAILED' });
  });
});
