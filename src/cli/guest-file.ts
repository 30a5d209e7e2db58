// `--kernel` and `--initrd`: a path, or `guest:NAME` for a file of a named guest.

import { readFile } from 'node:fs/promises';
import type { GuestCache } from '../backends/node/guest-cache.ts';
import type { GuestRole } from '../backends/node/guest-catalogue.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';

const guestPrefix = 'guest:';

/** The path of the file meant by `value`; a named guest is fetched if need be. */
export async function resolveGuestFile(value: string, role: GuestRole, cache: GuestCache): Promise<string> {
  if (!value.startsWith(guestPrefix)) return value;
  const definition = cache.definition(value.slice(guestPrefix.length));
  if (!definition.roles.includes(role)) {
    const has = definition.roles.join(', ');
    throw new UsageError('NO_SUCH_PART', `The guest ${definition.name} has no ${role}; it has: ${has}.`);
  }
  const guest = await cache.ensure(definition.name);
  return guest.files[role]!.path;
}

/**
 * The bytes of what `--symbols` means: a path, `guest:NAME` for the System.map of a named guest, or if nothing is said
 * that of the named guest that is the kernel. Undefined if there is none, and then the kernel's own symbols do.
 */
export async function symbolsFile(
  value: string | undefined,
  kernel: string,
  cache: GuestCache,
): Promise<Uint8Array | undefined> {
  if (value !== undefined) return readInput(await resolveGuestFile(value, 'systemMap', cache), 'file of symbols');
  if (!kernel.startsWith(guestPrefix)) return undefined;
  if (!cache.definition(kernel.slice(guestPrefix.length)).roles.includes('systemMap')) return undefined;
  return readInput(await resolveGuestFile(kernel, 'systemMap', cache), 'file of symbols');
}

/** The bytes of a file; `what` says in a message what it was to be. */
export async function readInput(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new PowervisorError('FILE', `Cannot read the ${what} ${path}: ${fileProblem(cause)}.`, { cause });
  }
}

const fileProblems: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

/** The reason of a failed file operation in words. */
export function fileProblem(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return fileProblems[code] ?? (error instanceof Error ? error.message : String(error));
}
