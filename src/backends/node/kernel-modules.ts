// Kernel modules of a Debian kernel package for an initramfs: which ones, in which order, and what modprobe wants to know
// of them (modprobe(8), modules.dep(5)).

import { PowervisorError } from '../../util/errors.ts';
import type { CpioEntry } from './cpio.ts';
import type { PackageFile } from './deb-archive.ts';
import { decompress } from './decompress.ts';

const maxModuleBytes = 1 << 26;

/** The modules a guest on virtio devices loads at its start; what a kernel has built in is not in its package. */
const loaded = [
  'virtio_pci',
  'virtio_blk',
  'virtio_scsi',
  'sd_mod',
  'sg',
  'virtio_net',
  'virtio_console',
  'virtio-rng',
  'virtio_balloon',
  '9pnet_virtio',
  '9p',
  'vmw_vsock_virtio_transport',
  // Looked up by name when a file system is mounted, so no module says that it needs them.
  'crc32c_generic',
  'crc32c-vpmsum',
  'nls_cp437',
  'nls_ascii',
  'nls_iso8859-1',
  'ext4',
  'vfat',
  'af_packet',
];

/** What those need in one kernel or another. */
const needed = [
  ...['virtio', 'virtio_ring', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev'],
  ...['scsi_mod', 'scsi_common', 't10-pi', 'crc-t10dif', 'crct10dif_common', 'crc64', 'crc64-rocksoft'],
  ...['net_failover', 'failover', 'rng-core', '9pnet', 'netfs', 'fscache', 'vsock'],
  ...['vmw_vsock_virtio_transport_common', 'jbd2', 'mbcache', 'crc16', 'libcrc32c', 'fat', 'crct10dif_generic'],
];

/** All names that are looked for, those to load first. */
export const moduleNames: readonly string[] = [...loaded, ...needed];

const wanted: ReadonlySet<string> = new Set(moduleNames.map(plainName));
const modulePath = /(?:^|\/)lib\/modules\/([^/]+)\/kernel\/(?:.*\/)?([^/]+)\.ko(?:\.(?:xz|gz|zst))?$/;

/** Dashes and underscores in names of modules mean the same. */
function plainName(name: string): string {
  return name.replaceAll('-', '_');
}

/** Whether a file of a kernel package is one of the modules below. */
export function isWantedModule(path: string): boolean {
  const name = modulePath.exec(path)?.[2];
  return name !== undefined && wanted.has(plainName(name));
}

interface Module {
  readonly name: string;
  readonly data: Uint8Array;
  readonly depends: readonly string[];
}

/**
 * The modules among `files` with the names of those to load in /etc/modules, each after what it needs. Throws a
 * PowervisorError if one is damaged, or needs a module that is not there.
 */
export async function moduleEntries(files: readonly PackageFile[]): Promise<CpioEntry[]> {
  const modules = new Map<string, Module>();
  let release: string | undefined;
  for (const { path, data } of files) {
    const match = modulePath.exec(path);
    if (!match) continue;
    release ??= match[1];
    const bytes = await decompress(data, path, maxModuleBytes);
    modules.set(plainName(match[2]), { name: match[2], data: bytes, depends: dependencies(bytes, path) });
  }
  if (release === undefined) {
    throw new PowervisorError('BAD_PACKAGE', 'The kernel package has none of the modules of virtio devices.');
  }
  const order: Module[] = [];
  const visit = (name: string, by: string | undefined) => {
    const module = modules.get(plainName(name));
    if (module === undefined) {
      if (by === undefined) return; // built in
      throw new PowervisorError('BAD_PACKAGE', `The module ${by} needs the module ${name}, which is not known here.`);
    }
    if (order.includes(module)) return;
    for (const each of module.depends) visit(each, module.name);
    order.push(module);
  };
  for (const name of loaded) visit(name, undefined);
  const folder = `lib/modules/${release}`;
  const closure = (module: Module): string[] =>
    module.depends.flatMap((name) => {
      const other = modules.get(plainName(name))!;
      return [`${other.name}.ko`, ...closure(other)];
    });
  const lines = order.map((module) => `${module.name}.ko: ${[...new Set(closure(module))].join(' ')}`.trimEnd());
  return [
    { kind: 'directory', path: 'lib' },
    { kind: 'directory', path: 'lib/modules' },
    { kind: 'directory', path: folder },
    { kind: 'file', path: `${folder}/modules.dep`, data: `${lines.join('\n')}\n` },
    ...order.map(({ name, data }) => ({ kind: 'file', path: `${folder}/${name}.ko`, data }) as const),
    { kind: 'file', path: 'etc/modules', data: `${order.map(({ name }) => name).join('\n')}\n` },
  ];
}

/** The modules that a module says it needs: the text `depends=a,b` in its section .modinfo. */
function dependencies(module: Uint8Array, path: string): string[] {
  const bytes = Buffer.from(module.buffer, module.byteOffset, module.length);
  const key = '\0depends=';
  const at = bytes.indexOf(key, 0, 'latin1');
  const end = at < 0 ? -1 : bytes.indexOf(0, at + 1);
  if (end < 0) throw new PowervisorError('BAD_PACKAGE', `The module ${path} does not say what it needs.`);
  return bytes
    .toString('latin1', at + key.length, end)
    .split(',')
    .filter(Boolean);
}
