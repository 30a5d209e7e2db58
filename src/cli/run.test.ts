import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeHost, FakeMachine, type FakeMachineScript, fakeHost } from '../../tests/support/fake-host.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import { main } from './main.ts';

let directory: string;
let kernel: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-run-'));
  kernel = join(directory, 'vmlinux');
  await writeFile(kernel, 'the kernel');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

interface Ran {
  readonly status: number;
  readonly host: FakeHost;
  readonly machine: FakeMachine;
}

const powerOff = { outcome: { reason: 'power-off' } } as const;

/** `powervisor run --kernel <a file>` with more arguments and a machine that follows the script. */
async function run(args: string[], script: FakeMachineScript = powerOff, host = fakeHost()): Promise<Ran> {
  let machine: FakeMachine | undefined;
  const status = await main(['run', '--kernel', kernel, ...args], host, async (configuration) => {
    machine = new FakeMachine(configuration, script);
    return machine;
  });
  return { status, host, machine: machine as FakeMachine };
}

describe('the machine', () => {
  it('has sensible values when nothing is said', async () => {
    const { machine } = await run([]);
    expect(machine.configuration).toMatchObject({
      append: 'console=hvc0',
      cpus: 1,
      memoryBytes: 1 << 30,
      clock: 'virtual',
    });
    expect(machine.configuration.initrd).toBeUndefined();
    expect(machine.timeoutMs).toBeUndefined();
  });

  it('gets what the options say', async () => {
    const initrd = join(directory, 'initrd');
    await writeFile(initrd, gzipSync('packed for the guest'));
    const args = ['--initrd', initrd, '--append', 'quiet', '--memory', '256M', '--smp', '4', '--clock', 'host'];
    const { machine } = await run([...args, '--seed', '7', '--timeout', '1.5', '--trace', 'hcall,dma']);
    expect(machine.configuration).toMatchObject({
      append: 'quiet',
      cpus: 4,
      memoryBytes: 256 << 20,
      clock: 'host',
      seed: 7,
    });
    expect(machine.configuration.trace).toEqual(['hcall', 'dma']);
    expect(machine.configuration.initrd).toEqual(await readFile(initrd));
    expect(machine.timeoutMs).toBe(1500);
  });

  it('has the ultravisor key that is given, or that of the user', async () => {
    const host = () => fakeHost({ environment: { XDG_DATA_HOME: directory } });
    const plain = (await run([], powerOff, host())).machine.configuration;
    expect([plain.ultravisorKey, plain.requireSealed]).toEqual([undefined, undefined]);
    await mkdir(join(directory, 'powervisor'));
    await writeFile(join(directory, 'powervisor', 'uv-key.pem'), "the user's");
    await writeFile(join(directory, 'other.pem'), 'another');
    expect((await run([], powerOff, host())).machine.configuration.ultravisorKey).toBe("the user's");
    const given = await run(['--uv-key', join(directory, 'other.pem'), '--require-sealed'], powerOff, host());
    expect(given.machine.configuration).toMatchObject({ ultravisorKey: 'another', requireSealed: true });
    const missing = await run(['--uv-key', join(directory, 'none.pem')], powerOff, host());
    expect([missing.status, missing.host.errors()]).toEqual([1, expect.stringContaining('there is no such file')]);
  });

  it('limits secure memory only when told to', async () => {
    expect((await run([])).machine.configuration.secureMemoryBytes).toBeUndefined();
    expect((await run(['--secure-memory', '24M'])).machine.configuration.secureMemoryBytes).toBe(24 << 20);
    const wrong = await run(['--secure-memory', '8M']);
    expect(wrong.status).toBe(2);
    expect(wrong.host.errors()).toContain('--secure-memory must be at least 16M');
  });

  it('has the DMA policy that is named, and explains them', async () => {
    expect((await run([])).machine.configuration.dmaPolicy).toBeUndefined();
    expect((await run(['--dma-policy', 'creation'])).machine.configuration.dmaPolicy).toBe('creation');
    const help = await run(['--dma-policy', 'help']);
    expect(help.status).toBe(0);
    expect(help.host.output()).toMatch(/transition .*default[\s\S]*creation[\s\S]*quirk[\s\S]*window[\s\S]*legacy/);
    const wrong = await run(['--dma-policy', 'later']);
    expect(wrong.status).toBe(2);
    expect(wrong.host.errors()).toContain('--dma-policy is transition or creation or quirk or window or legacy');
  });

  it('runs on the clock of the host when the console is a terminal', async () => {
    expect((await run([], powerOff, fakeHost({ terminal: true }))).machine.configuration.clock).toBe('host');
  });

  it('is disposed once, however the run ends', async () => {
    expect((await run([])).machine.disposed).toBe(1);
    expect((await run([], { failure: new Error('broken') })).machine.disposed).toBe(1);
  });
});

describe('exit status', () => {
  it.each([
    ['power-off', 0, ''],
    ['panic', 3, 'powervisor: the guest panicked: why\n'],
    ['timeout', 124, 'powervisor: the time given by --timeout is over: why\n'],
    ['error', 1, 'powervisor: the machine cannot go on: why\n'],
  ] as const)('of %s is %i', async (reason, expected, message) => {
    const { status, host } = await run([], { outcome: { reason, message: 'why' } });
    expect(status).toBe(expected);
    expect(host.errors()).toBe(message);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('of %s is %i, and the report is written', async (signal, expected) => {
    const host = fakeHost();
    const report = join(directory, 'report.json');
    const { status } = await run(['--report', report], { onRun: () => setTimeout(() => host.signal(signal), 5) }, host);
    expect(status).toBe(expected);
    expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({
      outcome: { reason: 'stopped' },
      exitStatus: expected,
    });
    expect(host.listeners).toMatchObject({ stop: 0, exit: 0 });
  });

  it.each([
    [new PowervisorError('BAD_KERNEL', 'The kernel is for another machine.'), 1],
    [new UsageError('BAD_TRACE', 'There is no trace category "x".'), 2],
  ])('when the machine refuses: %s', async (refusal, expected) => {
    const host = fakeHost();
    const status = await main(['run', '--kernel', kernel], host, async () => {
      throw refusal;
    });
    expect(status).toBe(expected);
    expect(host.errors()).toBe(`powervisor: ${refusal.message}\n`);
  });

  it.each<[string, string[], number, string]>([
    [
      'a missing kernel',
      ['--kernel', '/nowhere/vmlinux'],
      1,
      'Cannot read the kernel /nowhere/vmlinux: there is no such file.',
    ],
    ['a folder as kernel', ['--kernel', '/'], 1, 'Cannot read the kernel /: it is a folder.'],
    [
      'a missing initrd',
      ['--initrd', '/nowhere/initrd'],
      1,
      'Cannot read the initrd /nowhere/initrd: there is no such file.',
    ],
    ['an unknown guest', ['--kernel', 'guest:nobody'], 2, 'There is no guest "nobody".'],
    ['a guest without a kernel', ['--kernel', 'guest:busybox'], 2, 'The guest busybox has no kernel; it has: initrd.'],
    ['no memory', ['--memory', '0'], 2, '--memory must be from 64M'],
    ['too many CPUs', ['--smp', '99'], 2, '--smp takes a number of CPUs from 1 to 16'],
    ['an unknown option', ['--frobnicate'], 2, "unknown option '--frobnicate'"],
    ['an option without its value', ['--memory'], 2, "option '--memory <size>' argument missing"],
    ['one argument too many', ['vmlinux'], 2, 'too many arguments'],
    [
      'an unwritable report',
      ['--report', '/nowhere/report.json'],
      1,
      'Cannot write the report /nowhere/report.json: there is no such file.',
    ],
    ['a folder as report', ['--report', '/'], 1, 'Cannot write the report /: it is a folder.'],
  ])('for %s', async (_name, args, expected, message) => {
    const { status, host, machine } = await run(args);
    expect(status).toBe(expected);
    expect(host.errors()).toContain(message);
    expect(host.errors().trimEnd().split('\n')).toHaveLength(1);
    expect(machine).toBeUndefined();
  });

  it('says that a kernel is needed', async () => {
    const host = fakeHost();
    expect(await main(['run'], host)).toBe(2);
    expect(host.errors()).toContain("'--kernel <file>' not specified");
  });
});

describe('the report', () => {
  it('has the outcome and what the machine tells', async () => {
    const report = join(directory, 'report.json');
    await run(['--report', report], { outcome: { reason: 'panic', message: 'not syncing' } });
    expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      outcome: { reason: 'panic', message: 'not syncing' },
      exitStatus: 3,
      instructions: ['0xc'],
      hostSeconds: 0.5,
    });
  });

  it('is written when the run fails, too', async () => {
    const report = join(directory, 'report.json');
    const { status } = await run(['--report', report], { failure: new PowervisorError('X', 'the machine broke') });
    expect(status).toBe(1);
    expect(JSON.parse(await readFile(report, 'utf8')).outcome).toEqual({
      reason: 'error',
      message: 'the machine broke',
    });
  });
});

describe('the console through a pipe', () => {
  it('carries bytes both ways, and the end of the input does not end the guest', async () => {
    const host = fakeHost();
    host.stdin.end(Buffer.from('ls\x01x\n', 'latin1'));
    const { status, machine } = await run([], { ...powerOff, greeting: 'boot \xff\r\n' }, host);
    expect(status).toBe(0);
    expect(machine.typed).toBe('ls\x01x\n');
    expect(host.output()).toBe('boot \xff\r\n');
    expect(host.rawModes).toEqual([]);
  });

  it('sends nothing with --no-console-input', async () => {
    const host = fakeHost();
    host.stdin.end('ls\n');
    expect((await run(['--no-console-input'], powerOff, host)).machine).toMatchObject({ typed: '', inputClosed: true });
  });

  it('tells the machine of the end of the input, and not before', async () => {
    const host = fakeHost();
    const { machine } = await run([], { ...powerOff, onRun: () => host.stdin.write('ls\n') }, host);
    expect(machine).toMatchObject({ typed: 'ls\n', inputClosed: false });
    const ended = fakeHost();
    ended.stdin.end('ls\n');
    expect((await run([], powerOff, ended)).machine).toMatchObject({ typed: 'ls\n', inputClosed: true });
  });

  it('waits for a guest that reads slowly', async () => {
    const host = fakeHost();
    const typed: string[] = [];
    const { status, machine } = await run(
      [],
      {
        onRun: (slow) => {
          slow.capacity = 3;
          host.stdin.write('abcdefgh');
          host.stdin.end('ijk');
          const reading = setInterval(() => {
            typed.push(`${slow.typed} ${slow.inputClosed}`);
            slow.capacity = 3;
            if (!slow.inputClosed) return;
            clearInterval(reading);
            host.signal('SIGINT');
          }, 15);
        },
      },
      host,
    );
    expect(status).toBe(130);
    expect(machine.typed).toBe('abcdefghijk');
    expect(typed[0]).toBe('abc false');
  });

  it('ends the run when nobody reads it any more', async () => {
    const host = fakeHost();
    const { status } = await run([], { onRun: () => host.stdout.emit('error', new Error('EPIPE')) }, host);
    expect(status).toBe(1);
  });
});

describe('the console on a terminal', () => {
  it('is raw while the guest runs, and leaves by the escape key', async () => {
    const host = fakeHost({ terminal: true });
    const { status, machine } = await run([], { onRun: () => host.stdin.write('a\x03\x01hb\x01x') }, host);
    expect(status).toBe(130);
    expect(machine.typed).toBe('a\x03b');
    expect(host.rawModes).toEqual([true, false]);
    expect(host.errors()).toMatch(/Ctrl-A x leaves[\s\S]*Ctrl-A Ctrl-A/);
  });

  it.each<[string, FakeMachineScript]>([
    ['the guest powers off', powerOff],
    ['the machine breaks', { failure: new Error('a bug') }],
  ])('is restored when %s', async (_name, script) => {
    const host = fakeHost({ terminal: true });
    await run([], script, host);
    expect(host.rawModes).toEqual([true, false]);
    expect(host.listeners).toMatchObject({ stop: 0, exit: 0 });
  });

  it('is restored when the process ends without unwinding', async () => {
    const host = fakeHost({ terminal: true });
    let atExit: boolean[] = [];
    await run(
      [],
      {
        ...powerOff,
        onRun: () => {
          host.exit();
          atExit = [...host.rawModes];
        },
      },
      host,
    );
    expect(atExit).toEqual([true, false]);
  });

  it('stays as it is with --no-console-input', async () => {
    const host = fakeHost({ terminal: true });
    await run(['--no-console-input'], powerOff, host);
    expect(host.rawModes).toEqual([]);
  });
});

it('--trace with an unknown category is wrong usage', async () => {
  const report = join(directory, 'report.json');
  const { status, host, machine } = await run(['--trace', 'nonsense', '--report', report]);
  expect(status).toBe(2);
  expect(host.errors()).toBe('powervisor: There are no such events.\n');
  expect(machine.disposed).toBe(1);
  expect(JSON.parse(await readFile(report, 'utf8')).exitStatus).toBe(2);
});

it('--trace prints events on standard error, one a line', async () => {
  const events = [
    { kind: 'hcall', token: 0x1an },
    { kind: 'console', bytes: Uint8Array.of(0x68, 0x69) },
  ];
  const { host } = await run(['--trace', 'hcall'], { ...powerOff, events });
  expect(host.errors()).toBe('{"kind":"hcall","token":"0x1a"}\n{"kind":"console","bytes":"hi"}\n');
});
