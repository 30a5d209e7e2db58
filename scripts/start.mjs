// `npm start`: on a fresh machine with only Node, installs, builds and boots the pocket guest.
// The guest gets a disk (a copy of its own image that forgets what is written), a network card, random numbers and a
// console. Arguments after `--` are added to `powervisor run`.

import { spawn } from 'node:child_process';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureDependencies, root } from './prepare.mjs';

ensureDependencies();
ensureBuilt();
const pocket = join(root, 'guests', 'pocket', 'pocket.elf');
const devices = [
  ...['--drive', `file=${pocket},snapshot`],
  ...['--device', 'virtio-rng'],
  ...['--device', `virtio-console,file=${devNull}`],
  ...['--net', 'user'],
];
const command = [join(root, 'bin', 'powervisor'), 'run', '--kernel', pocket, ...devices, '--clock', 'virtual'];
const child = spawn(process.execPath, [...command, ...process.argv.slice(2)], { stdio: 'inherit' });
// A key that interrupts reaches the machine as well, which ends in order; this process waits for it.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => child.kill(signal));
}
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
