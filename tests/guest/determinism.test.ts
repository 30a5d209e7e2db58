// The virtual clock: the same inputs give the same run, down to the last instruction and the last bit of RAM.

import { describe, expect, it } from 'vitest';
import { Machine } from '../../src/index.ts';
import { filesOf } from '../support/guest-session.ts';

const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `repeated runs (skipped: ${files.reason})` : 'repeated runs';

describe.skipIf('reason' in files)(title, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };

  /** Types each answer when its prompt appears, at the instruction that wrote the prompt's last character. */
  async function scriptedRun(cpus: number) {
    const machine = await Machine.create({ kernel, initrd, cpus, append: 'console=hvc0', memoryBytes: 2 ** 28 });
    const script: [string, string][] = [
      ['~ # ', 'seq 1 3000 | sha256sum; sleep 1; date\n'],
      ['~ # ', 'poweroff -f\n'],
    ];
    let output = '';
    let read = 0;
    machine.onConsole((bytes) => {
      output += Buffer.from(bytes).toString('latin1');
      const next = script[0];
      const at = next === undefined ? -1 : output.indexOf(next[0], read);
      if (next === undefined || at < 0) return;
      read = output.length;
      script.shift();
      machine.console.write(new TextEncoder().encode(next[1]));
      if (script.length === 0) machine.closeInput();
    });
    const outcome = await machine.run({ timeoutMs: 300_000 });
    const { instructions, guestSeconds } = machine.report();
    return { outcome, instructions, guestSeconds, hash: await machine.stateHash(), output };
  }

  for (const cpus of [1, 3]) {
    it(`with ${cpus} CPU(s) end alike`, { timeout: 900_000 }, async () => {
      const first = await scriptedRun(cpus);
      expect(first.outcome).toEqual({ reason: 'power-off' });
      expect(await scriptedRun(cpus)).toEqual(first);
    });
  }
});
