// The key of this user's machines, with which their ultravisor opens sealed images: `--uv-key`, or a file of the user's that
// is made the first time somebody asks for it. Public keys are files, or `machine` for the one that belongs to it.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { nodeSealCrypto } from '../backends/node/seal-crypto.ts';
import type { SealPrivateKey, SealPublicKey } from '../backends/seal-crypto.ts';
import { PowervisorError } from '../util/errors.ts';
import { fileProblem, readInput } from './guest-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The name for the machine's key where a file is expected. */
export const MACHINE = 'machine';
const PRIVATE_MODE = 0o600;

/** Where the key is kept: below XDG_DATA_HOME, or in ~/.local/share. */
export function machineKeyPath(environment: Environment, home = homedir()): string {
  const base = environment.XDG_DATA_HOME;
  const data = base !== undefined && isAbsolute(base) ? base : join(home, '.local', 'share');
  return join(data, 'powervisor', 'uv-key.pem');
}

/** For `run`: the PEM text of the key given, or else of the user's if there is one. */
export async function ultravisorKey(path: string | undefined, environment: Environment): Promise<string | undefined> {
  if (path !== undefined && path !== MACHINE) return readText(path, 'ultravisor key');
  const own = machineKeyPath(environment);
  try {
    return await readFile(own, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && path === undefined) return undefined;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return (await ensureMachineKey(environment)).pem;
    throw unreadable('ultravisor key', own, cause);
  }
}

/** The user's key, made if there is none. */
export async function ensureMachineKey(
  environment: Environment,
): Promise<{ readonly path: string; readonly pem: string; readonly made: boolean }> {
  const path = machineKeyPath(environment);
  try {
    return { path, pem: await readFile(path, 'utf8'), made: false };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable('ultravisor key', path, cause);
  }
  const { privatePem } = await nodeSealCrypto.generateKey();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await writeNew(path, privatePem, PRIVATE_MODE);
  } catch (cause) {
    // Somebody else has made one meanwhile.
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    return { path, pem: await readFile(path, 'utf8'), made: false };
  }
  return { path, pem: privatePem, made: true };
}

/** `what` names the key's part in messages. */
export async function privateKeyOf(value: string, what: string, environment: Environment): Promise<SealPrivateKey> {
  if (value === MACHINE) return nodeSealCrypto.privateKey((await ensureMachineKey(environment)).pem, what);
  return nodeSealCrypto.privateKey(await readText(value, what), value);
}

export async function publicKeyOf(value: string, what: string, environment: Environment): Promise<SealPublicKey> {
  if (value === MACHINE) return (await privateKeyOf(MACHINE, what, environment)).publicKey;
  return nodeSealCrypto.publicKey(await readText(value, what), value);
}

/** Writes a file that must not exist yet. */
export async function writeNew(path: string, text: string, mode = 0o644): Promise<void> {
  await writeFile(path, text, { flag: 'wx', mode });
}

async function readText(path: string, what: string): Promise<string> {
  return new TextDecoder().decode(await readInput(path, what));
}

function unreadable(what: string, path: string, cause: unknown): PowervisorError {
  return new PowervisorError('FILE', `Cannot read the ${what} ${path}: ${fileProblem(cause)}.`, { cause });
}
