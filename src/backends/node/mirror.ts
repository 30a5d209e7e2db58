// Which Debian mirror to fetch from. No mirror is built in: it is named by the user, by the environment variable
// POWERVISOR_MIRROR, or by the configuration of apt on this machine, in this order.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { PowervisorError, UsageError } from '../../util/errors.ts';

/** Suites of Debian's main archive; entries for security, updates, backports or another distribution do not count. */
const mainSuites = /^(bullseye|bookworm|trixie|forky|duke|sid|(old)*stable|testing|unstable)$/;

export interface MirrorSources {
  /** `--mirror`. */
  readonly option?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The output of `apt-get indextargets` in the form below, or undefined if there is no apt. */
  readonly aptIndexTargets: () => Promise<string | undefined>;
}

export const aptTargetFormat = '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)';

/** The root of the mirror (the folder that holds `dists` and `pool`), with a slash at its end. */
export async function findMirror(sources: MirrorSources): Promise<URL> {
  if (sources.option !== undefined) return parseMirror(sources.option, '--mirror');
  const variable = sources.environment.POWERVISOR_MIRROR;
  if (variable !== undefined && variable !== '') return parseMirror(variable, 'POWERVISOR_MIRROR');
  for (const line of (await sources.aptIndexTargets())?.split('\n') ?? []) {
    const [createdBy, release, component, root] = line.split(' ');
    if (createdBy !== 'Packages' || !mainSuites.test(release) || component !== 'main') continue;
    if (/^(https?|file):/.test(root)) return parseMirror(root, "apt's configuration");
  }
  throw new PowervisorError(
    'NO_MIRROR',
    "No Debian mirror is known: this machine's apt names none. Give the address of one with --mirror URL or in the " +
      'environment variable POWERVISOR_MIRROR (the folder that holds dists/ and pool/).',
  );
}

/** What apt on this machine is set up to fetch, whether or not it did already; undefined without apt. */
export async function readAptIndexTargets(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('apt-get', [
      'indextargets',
      '--no-release-info',
      '--format',
      aptTargetFormat,
    ]);
    return stdout;
  } catch {
    return undefined;
  }
}

function parseMirror(text: string, origin: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:', 'file:'].includes(url.protocol)) {
    throw new UsageError('BAD_MIRROR', `The mirror "${text}" of ${origin} is not an http, https or file URL.`);
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}
