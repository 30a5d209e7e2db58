// `npm start`: on a fresh machine with only Node, installs, builds and boots the pocket guest.
// Arguments after `--` are added to `powervisor run`.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureDependencies, root } from './prepare.mjs';

ensureDependencies();
ensureBuilt();
const command = [join(root, 'bin', 'powervisor'), 'run', '--kernel', join(root, 'guests', 'pocket', 'pocket.elf')];
const child = spawn(process.execPath, [...command, ...process.argv.slice(2)], { stdio: 'inherit' });
// A key that interrupts reaches the machine as well, which ends in order; this process waits for it.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => child.kill(signal));
}
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
