// Machines that take turns: programs in their place print lines and use the processor for a known time.

import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../bench/machines.ts';
import { inTurns, type Play } from '../../bench/turns.ts';

const guest = { kernel: '', append: '', memory: '', cpus: 1 };

/** A program in JavaScript; `spin` uses so many milliseconds of processor time, which do not pass while it is stopped. */
function program(name: string, text: string): Peer & { pids: number[] } {
  const spin =
    'const spin = (ms) => { const t = process.cpuUsage().user; while (process.cpuUsage().user - t < ms * 1e3); };';
  const print = "const print = (line) => require('fs').writeSync(1, line + '\\n');";
  const pids: number[] = [];
  return {
    name,
    pids,
    start: () => {
      const child = spawn(process.execPath, ['-e', `${spin}${print}${text}`], { stdio: ['pipe', 'pipe', 'inherit'] });
      pids.push(child.pid!);
      return child;
    },
  };
}

interface Outcome {
  readonly lines: string[];
  readonly lastMs: Map<string, number>;
  readonly failures: string[];
  readonly ms: number;
}

async function play(peers: readonly Peer[], more: Partial<Play> = {}): Promise<Outcome> {
  const lines: string[] = [];
  const lastMs = new Map<string, number>();
  const failures: string[] = [];
  const begun = performance.now();
  await inTurns(peers, {
    guest,
    last: 'done',
    endsTurn: (_, line) => line.startsWith('end'),
    onLine: ({ name }, line, ms) => {
      lines.push(`${name} ${line}`);
      lastMs.set(name, ms);
    },
    onFailure: ({ name }, error) => failures.push(`${name}: ${error.message}`),
    ...more,
  });
  return { lines, lastMs, failures, ms: performance.now() - begun };
}

const isGone = (pid: number) => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

describe('machines in turns', () => {
  const rows = (ms: number) =>
    `for (let n = 0; n < 3; n++) { spin(${ms}); print('end ' + n); } spin(20); print('done');`;

  it('hand over at each line that ends a turn, and count the time of their own turns only', async () => {
    const { lines, lastMs, failures, ms } = await play([program('a', rows(150)), program('b', rows(150))]);
    expect(failures).toEqual([]);
    expect(lines[0]).toBe('a end 0');
    for (const name of ['a', 'b']) {
      const own = lines.filter((line) => line.startsWith(name));
      expect(own).toEqual([0, 1, 2].map((n) => `${name} end ${n}`).concat(`${name} done`));
    }
    // What it computes takes at least so long, and nothing is computed between turns.
    expect(lastMs.get('a')).toBeGreaterThan(450);
    expect(lastMs.get('b')).toBeGreaterThan(450);
    expect(lastMs.get('a')! + lastMs.get('b')!).toBeLessThanOrEqual(ms);
  });
  it('go on if one of them ends early, and leave nothing behind', async () => {
    const a = program('a', "print('end 0'); spin(20); process.exit(1);");
    const b = program('b', rows(20));
    const { lines, failures } = await play([a, b]);
    expect(failures).toEqual(['a: a ended before "done"']);
    expect(lines.filter((line) => line.startsWith('b'))).toEqual(['b end 0', 'b end 1', 'b end 2', 'b done']);
    await expect.poll(() => [...a.pids, ...b.pids].every(isGone), { timeout: 10_000 }).toBe(true);
  });
  it('are all ended by a failure that is thrown on', async () => {
    const [a, b] = [program('a', rows(20)), program('b', 'for (;;) spin(1000);')];
    const onLine: Play['onLine'] = (_, line) => {
      if (line === 'end 0') throw new Error('wrong result');
    };
    const onFailure: Play['onFailure'] = ({ name }, error) => {
      throw new Error(`${name} gave a ${error.message}`);
    };
    await expect(play([program('c', "print('end'); spin(1e6);"), a, b], { onLine, onFailure })).rejects.toThrow(
      'a gave a wrong result',
    );
    expect(b.pids).toEqual([]);
    await expect.poll(() => a.pids.every(isGone), { timeout: 10_000 }).toBe(true);
  });
  it('fail where they cannot be started', async () => {
    const start = () => spawn('/nowhere/machine');
    const { failures, lines } = await play([{ name: 'a', start }, program('b', rows(5))]);
    expect(failures).toEqual(['a: spawn /nowhere/machine ENOENT']);
    expect(lines.at(-1)).toBe('b done');
  });
});
