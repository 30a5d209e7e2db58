// The user's cache of named guests: `<cache>/guests/<name>/` holds the files and manifest.json, which says where they
// came from and what their checksums are. A guest whose manifest holds is used without asking the network.
// Folders are put in place by renaming, so a run that is cut short leaves nothing that looks finished.

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, PowervisorError, UsageError } from '../../util/errors.ts';
import { busyboxTemplate, makeBusyboxInitramfs } from './busybox-initramfs.ts';
import type { CpioEntry } from './cpio.ts';
import { extractAll, extractFiles } from './deb-archive.ts';
import { DebianRepository, type SignatureState } from './debian-repository.ts';
import { digestOf, type FileDigest } from './download.ts';
import { type GuestDefinition, type GuestRecipe, type GuestRole, guestCatalogue } from './guest-catalogue.ts';
import { isWantedModule, moduleEntries, moduleNames } from './kernel-modules.ts';
import { buildLinux, requireBuildTools } from './linux-build.ts';
import { findMirror, readAptIndexTargets } from './mirror.ts';
import { packageFile } from './package-files.ts';
import { type Progress, silentProgress } from './progress.ts';

export interface GuestCacheOptions {
  /** The folder for everything Powervisor caches. */
  readonly directory: string;
  /** The user's choice of mirror, before the environment and apt are asked. */
  readonly mirror?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly aptIndexTargets?: () => Promise<string | undefined>;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
  /** Parallel compiler runs; by default one for each CPU. */
  readonly jobs?: number;
  readonly retryDelaysMs?: readonly number[];
  readonly catalogue?: readonly GuestDefinition[];
}

export interface CachedGuestFile extends FileDigest {
  readonly path: string;
}

export interface CachedGuest {
  readonly name: string;
  /** Of the package that the guest was made from. */
  readonly version: string;
  readonly directory: string;
  readonly files: Partial<Record<GuestRole, CachedGuestFile>>;
}

export interface GuestStatus {
  readonly definition: GuestDefinition;
  /** `stale`: made by another recipe than today's, or damaged. */
  readonly state: 'cached' | 'stale' | 'absent';
  readonly guest?: CachedGuest;
}

interface Manifest {
  readonly format: 1;
  readonly guest: string;
  readonly recipe: string;
  readonly source: {
    readonly package: string;
    readonly version: string;
    readonly suite: string;
    readonly sha256: string;
    readonly signature: SignatureState;
  };
  readonly files: Partial<Record<GuestRole, FileDigest & { readonly name: string }>>;
}

interface PackageChoice {
  readonly suite: string;
  readonly package: string;
  readonly follow?: RegExp;
}

interface MadeGuest {
  readonly source: Manifest['source'];
  readonly files: Partial<Record<GuestRole, Uint8Array>>;
}

const workingSuffix = '.tmp-';
const pollMs = 500;

const fileNames: Record<GuestRole, string> = {
  kernel: 'vmlinux',
  initrd: 'initrd',
  systemMap: 'System.map',
  config: 'config',
};

/** The folder of the cache: POWERVISOR_CACHE, else `powervisor` in XDG_CACHE_HOME, else in `.cache` of the home folder. */
export function cacheDirectory(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  home = homedir(),
): string {
  const own = environment.POWERVISOR_CACHE;
  if (own !== undefined && own !== '') return own;
  const base = environment.XDG_CACHE_HOME;
  return join(base !== undefined && isAbsolute(base) ? base : join(home, '.cache'), 'powervisor');
}

export class GuestCache {
  readonly directory: string;
  private readonly options: GuestCacheOptions;
  private readonly progress: Progress;
  private readonly catalogue: readonly GuestDefinition[];
  private readonly making = new Map<string, Promise<CachedGuest>>();
  private readonly repositories = new Map<string, Promise<DebianRepository>>();

  constructor(options: GuestCacheOptions) {
    this.options = options;
    this.directory = options.directory;
    this.progress = options.progress ?? silentProgress;
    this.catalogue = options.catalogue ?? guestCatalogue;
  }

  /** Throws a UsageError for a name that is not in the catalogue. */
  definition(name: string): GuestDefinition {
    const definition = this.catalogue.find((each) => each.name === name);
    if (definition !== undefined) return definition;
    const names = this.catalogue.map((each) => each.name).join(', ');
    throw new UsageError('UNKNOWN_GUEST', `There is no guest "${name}". Known guests: ${names}.`);
  }

  async list(): Promise<GuestStatus[]> {
    return Promise.all(this.catalogue.map((definition) => this.status(definition.name)));
  }

  /** Whether the guest is there, by its manifest and the checksums of its files. */
  async status(name: string): Promise<GuestStatus> {
    const definition = this.definition(name);
    const manifest = await this.readManifest(name);
    if (manifest === undefined) return { definition, state: 'absent' };
    const current = manifest.recipe === (await recipeDigest(definition.recipe));
    const guest = current ? await this.readFiles(definition, manifest) : undefined;
    return guest === undefined ? { definition, state: 'stale' } : { definition, state: 'cached', guest };
  }

  /**
   * The guest, fetched first if it is not in the cache. A guest that has to be compiled is compiled only with
   * `build`, since that takes minutes; without, a PowervisorError says how to ask for it.
   */
  async ensure(name: string, how: { build?: boolean; force?: boolean } = {}): Promise<CachedGuest> {
    const before = this.making.get(name)?.catch(() => {});
    const result = Promise.resolve(before).then(() => this.ensureNow(name, how));
    this.making.set(name, result);
    return result;
  }

  private async ensureNow(name: string, how: { build?: boolean; force?: boolean }): Promise<CachedGuest> {
    if (how.force !== true) await this.waitForOthers(name);
    const { definition, state, guest } = await this.status(name);
    if (guest !== undefined && how.force !== true) return guest;
    if (definition.recipe.kind === 'linux-build') {
      if (how.build !== true) {
        const why = state === 'stale' ? 'was built by an older recipe' : 'is not built yet';
        throw new PowervisorError('NOT_BUILT', `The guest ${name} ${why}. Say: powervisor guest build ${name}`);
      }
      await requireBuildTools(name);
    }
    await this.make(definition);
    const made = await this.status(name);
    if (made.guest !== undefined) return made.guest;
    throw new PowervisorError('CACHE', `The guest ${name} was written to ${this.directory} but does not read back.`);
  }

  private guestDirectory(name: string): string {
    return join(this.directory, 'guests', name);
  }

  private async readManifest(name: string): Promise<Manifest | undefined> {
    try {
      const parsed: unknown = JSON.parse(await readFile(join(this.guestDirectory(name), 'manifest.json'), 'utf8'));
      return isManifest(parsed) ? parsed : undefined;
    } catch {
      return undefined;
    }
  }

  private async readFiles(definition: GuestDefinition, manifest: Manifest): Promise<CachedGuest | undefined> {
    const directory = this.guestDirectory(definition.name);
    const files: Partial<Record<GuestRole, CachedGuestFile>> = {};
    for (const role of definition.roles) {
      const recorded = manifest.files[role];
      if (recorded === undefined) return undefined;
      const path = join(directory, fileNames[role]);
      const bytes = await readFile(path).catch(() => undefined);
      if (bytes === undefined || bytes.length !== recorded.sizeBytes) return undefined;
      if (digestOf(bytes).sha256 !== recorded.sha256) return undefined;
      files[role] = { path, sizeBytes: recorded.sizeBytes, sha256: recorded.sha256 };
    }
    return { name: definition.name, version: manifest.source.version, directory, files };
  }

  /** Makes the guest in a folder of its own beside the final one, then renames. */
  private async make(definition: GuestDefinition): Promise<void> {
    const final = this.guestDirectory(definition.name);
    const parent = join(this.directory, 'guests');
    await this.prepareDirectory(parent, definition.name);
    const working = `${final}${workingSuffix}${process.pid}`;
    try {
      await mkdir(working, { recursive: true });
      const made = await this.run(definition.recipe, working);
      const filesIn = join(working, 'done');
      await mkdir(filesIn);
      const files: Partial<Record<GuestRole, FileDigest & { name: string }>> = {};
      for (const role of definition.roles) {
        const bytes = made.files[role]!;
        files[role] = { name: fileNames[role], ...digestOf(bytes) };
        await writeFile(join(filesIn, fileNames[role]), bytes);
      }
      const recipe = await recipeDigest(definition.recipe);
      const manifest: Manifest = { format: 1, guest: definition.name, recipe, source: made.source, files };
      await writeFile(join(filesIn, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
      await rename(final, join(working, 'old')).catch(ignoreMissing);
      await rename(filesIn, final).catch(ignoreOvertaken);
    } finally {
      await rm(working, { recursive: true, force: true });
    }
  }

  /** Another process that makes the same guest right now saves us the work. */
  private async waitForOthers(name: string): Promise<void> {
    const isBusy = async () => {
      const entries = await readdir(join(this.directory, 'guests')).catch(() => []);
      return entries.some((entry) => isAliveOther(workingOwner(entry, name)));
    };
    if (!(await isBusy())) return;
    this.progress.note(`waiting for another powervisor that makes the guest ${name}`);
    while (await isBusy()) await sleep(pollMs, undefined, { signal: this.options.signal });
  }

  /** Removes what runs that were killed left behind. */
  private async prepareDirectory(parent: string, name: string): Promise<void> {
    try {
      await mkdir(parent, { recursive: true });
      for (const entry of await readdir(parent)) {
        const owner = workingOwner(entry, name);
        if (owner !== undefined && !isAlive(owner)) await rm(join(parent, entry), { recursive: true, force: true });
      }
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new PowervisorError('CACHE', `The cache folder ${parent} cannot be used: ${reason}.`, { cause });
    }
  }

  private async run(recipe: GuestRecipe, working: string): Promise<MadeGuest> {
    const repository = await this.repository(recipe.suite, 'ppc64el');
    if (recipe.kind === 'package-files') {
      const roles = Object.keys(recipe.files) as GuestRole[];
      const { files, source } = await this.packageFiles(
        repository,
        recipe,
        roles.map((role) => recipe.files[role]!),
      );
      return { source, files: Object.fromEntries(roles.map((role, index) => [role, files[index].data])) };
    }
    if (recipe.kind === 'busybox') {
      const { files, source } = await this.packageFiles(repository, recipe, [/^(usr\/)?bin\/busybox$/]);
      return { source, files: { initrd: makeBusyboxInitramfs(files[0].data) } };
    }
    if (recipe.kind === 'modules-initramfs') return this.modulesInitramfs(repository, recipe);
    const { files, source } = await this.packageFiles(repository, recipe, [/^usr\/src\/linux-source-[\d.]+\.tar\.xz$/]);
    const logFile = join(this.directory, 'logs', `${recipe.package}.log`);
    await mkdir(join(this.directory, 'logs'), { recursive: true });
    await rm(logFile, { force: true });
    const built = await buildLinux({
      sourceTarXz: files[0].data,
      config: await configOf(recipe),
      directory: working,
      logFile,
      progress: this.progress,
      jobs: this.options.jobs,
      signal: this.options.signal,
    });
    return {
      source,
      files: {
        kernel: await readFile(built.vmlinux),
        systemMap: await readFile(built.systemMap),
        config: await readFile(built.config),
      },
    };
  }

  private async modulesInitramfs(
    repository: DebianRepository,
    recipe: Extract<GuestRecipe, { kind: 'modules-initramfs' }>,
  ): Promise<MadeGuest> {
    const tool = async (name: string, pattern: RegExp) =>
      (await this.packageFiles(repository, { suite: recipe.suite, package: name }, [pattern])).files[0].data;
    const busybox = await tool(recipe.busybox, /^(usr\/)?bin\/busybox$/);
    const checker = await tool(recipe.checker, /^(usr\/)?sbin\/e2fsck\.static$/);
    const { deb, chosen, source } = await this.package(repository, recipe);
    const modules = await moduleEntries(await extractAll(deb, chosen.name, isWantedModule));
    return { source, files: { initrd: makeBusyboxInitramfs(busybox, [checkerEntry(checker), ...modules]) } };
  }

  private async packageFiles(repository: DebianRepository, recipe: PackageChoice, wanted: readonly RegExp[]) {
    const { deb, chosen, source } = await this.package(repository, recipe);
    return { files: await extractFiles(deb, chosen.name, wanted), source };
  }

  /** The package of a recipe, or the one it depends on. */
  private async package(repository: DebianRepository, recipe: PackageChoice) {
    let chosen = repository.find(recipe.package);
    if (recipe.follow !== undefined) {
      const target = recipe.follow.exec(chosen.depends)?.[0];
      if (target === undefined) {
        throw new PowervisorError(
          'PACKAGE_MISSING',
          `Package ${chosen.name} ${chosen.version} depends on nothing like ${recipe.follow}; it has: ${chosen.depends}.`,
        );
      }
      chosen = repository.find(target);
    }
    const deb = await repository.fetch(chosen);
    this.progress.note(`unpacking ${chosen.name} ${chosen.version}`);
    const source = {
      package: chosen.name,
      version: chosen.version,
      suite: recipe.suite,
      sha256: chosen.digest.sha256,
      signature: repository.signature,
    };
    return { deb, chosen, source };
  }

  private repository(suite: string, architecture: string): Promise<DebianRepository> {
    const open = async () => {
      const mirror = await findMirror({
        option: this.options.mirror,
        environment: this.options.environment ?? process.env,
        aptIndexTargets: this.options.aptIndexTargets ?? readAptIndexTargets,
      });
      const repository = await DebianRepository.open({
        mirror,
        suite,
        architecture,
        indexDirectory: join(this.directory, 'indexes'),
        progress: this.progress,
        signal: this.options.signal,
        retryDelaysMs: this.options.retryDelaysMs,
      });
      if (repository.signature === 'unchecked') {
        this.progress.note(
          `the signature of ${suite} could not be checked (gpgv and the package debian-archive-keyring do it); ` +
            'checksums are those the mirror states',
        );
      }
      return repository;
    };
    const opened = this.repositories.get(suite) ?? open();
    this.repositories.set(suite, opened);
    opened.catch(() => this.repositories.delete(suite));
    return opened;
  }
}

/** Options of a kernel built here. */
function readConfig(name: string): Promise<string> {
  return readFile(packageFile(`guests/${name}`), 'utf8');
}

/** Changes whenever the same packages would give other files, so that a guest made by an older Powervisor is redone. */
function checkerEntry(data: Uint8Array | string): CpioEntry {
  return { kind: 'file', path: 'bin/e2fsck', mode: 0o755, data };
}

/** A module that is none: what of an initramfs with modules is ours, for telling one recipe from another. */
const templateModule = { path: 'lib/modules/0/kernel/virtio_blk.ko', data: Buffer.from('\0depends=\0') };

/** The options of a kernel. */
async function configOf(recipe: Extract<GuestRecipe, { kind: 'linux-build' }>): Promise<string> {
  const lines = (await readConfig(recipe.config)).split('\n');
  for (const line of Object.keys(recipe.instead ?? {})) assert(lines.includes(line), `${recipe.config} has ${line}`);
  return lines.map((line) => recipe.instead?.[line] ?? line).join('\n');
}

async function recipeDigest(recipe: GuestRecipe): Promise<string> {
  const text = JSON.stringify(recipe, (_key, value: unknown) => (value instanceof RegExp ? value.source : value));
  const own =
    recipe.kind === 'busybox'
      ? busyboxTemplate()
      : recipe.kind === 'modules-initramfs'
        ? busyboxTemplate([checkerEntry(moduleNames.join()), ...(await moduleEntries([templateModule]))])
        : recipe.kind === 'linux-build'
          ? await configOf(recipe)
          : '';
  return createHash('sha256').update(text).update(own).digest('hex');
}

function isManifest(value: unknown): value is Manifest {
  const manifest = value as Partial<Manifest> | null;
  return (
    typeof manifest === 'object' &&
    manifest !== null &&
    manifest.format === 1 &&
    typeof manifest.recipe === 'string' &&
    typeof manifest.source?.version === 'string' &&
    typeof manifest.files === 'object' &&
    manifest.files !== null
  );
}

/** The process that works in a folder of the cache, if it is a folder to make `guest` in. */
function workingOwner(entry: string, guest: string): number | undefined {
  const prefix = `${guest}${workingSuffix}`;
  return entry.startsWith(prefix) ? Number(entry.slice(prefix.length)) : undefined;
}

function isAliveOther(owner: number | undefined): boolean {
  return owner !== undefined && owner !== process.pid && isAlive(owner);
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Another process put the same guest in place a moment ago; the caller reads that one back. */
function ignoreOvertaken(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
