// The root file system of the guest `busybox`: one static program under all its names and an /init that ends in a
// shell on the console. The names are read out of the program itself, so they are those it was built with.

import { PowervisorError } from '../../util/errors.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';

/** First process of the guest. Leaving the shell powers the guest off. */
const busyboxInit = (beforeShell: string) => `#!/bin/sh
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
hostname guest
ip link set lo up 2>/dev/null
echo "BusyBox guest, $(uname -srm), $(nproc) CPU(s). Leave the shell, or say poweroff -f, to stop."
${beforeShell}cd /root
setsid cttyhack sh -l
sync
poweroff -f
`;

const loadModules = `[ ! -d /lib/modules/$(uname -r) ] || modprobe -a $(cat /etc/modules)
`;

const directories = [
  'bin',
  'dev',
  'etc',
  'mnt',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr',
  'var',
  'var/log',
  'var/run',
];
const linkedDirectories = { sbin: 'bin', 'usr/bin': '../bin', 'usr/sbin': '../bin' };
const textFiles = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  'etc/group': 'root:x:0:\n',
  'etc/hostname': 'guest\n',
  'etc/hosts': '127.0.0.1 localhost guest\n',
};

/**
 * An uncompressed initramfs with `busybox` (the bytes of a static ppc64le busybox) and `more`. With an /etc/modules among
 * that, the modules named there are loaded at the start, by kernels that they are for.
 */
export function makeBusyboxInitramfs(busybox: Uint8Array, more: readonly CpioEntry[] = []): Uint8Array {
  const hasModules = more.some(({ path }) => path === 'etc/modules');
  const entries: CpioEntry[] = [
    ...directories.map((path) => ({ kind: 'directory', path }) as const),
    ...Object.entries(linkedDirectories).map(([path, target]) => ({ kind: 'link', path, target }) as const),
    ...Object.entries(textFiles).map(([path, data]) => ({ kind: 'file', path, data }) as const),
    // The kernel opens /dev/console for /init before anything is mounted.
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    { kind: 'file', path: 'init', mode: 0o755, data: busyboxInit(hasModules ? loadModules : '') },
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: busybox },
    ...appletNames(busybox)
      .filter((name) => name !== 'busybox')
      .map((name) => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' }) as const),
    ...more,
  ];
  return writeCpio(entries);
}

/** The archive around a program that is none: what of the initramfs is ours, for telling one recipe from another. */
export function busyboxTemplate(more: readonly CpioEntry[] = []): Uint8Array {
  return makeBusyboxInitramfs(Buffer.from('\0[\0[[\0mount\0sh\0\0'), more);
}

/**
 * The applets of a busybox program: its table of names, each closed by a zero byte, in byte order, closed by an empty
 * name. The table starts with `[` and `[[`. Throws a PowervisorError if there is no such table.
 */
export function appletNames(busybox: Uint8Array): string[] {
  const bytes = Buffer.from(busybox.buffer, busybox.byteOffset, busybox.length);
  // What lies in front of the table need not end with a zero byte.
  const start = bytes.indexOf('[\0[[\0', 0, 'latin1');
  const end = start < 0 ? -1 : bytes.indexOf('\0\0', start, 'latin1');
  const names = end < 0 ? [] : bytes.toString('latin1', start, end).split('\0');
  const plausible = names.includes('sh') && names.includes('mount') && names.every((name) => /^[\w[\]-]+$/.test(name));
  if (!plausible) throw new PowervisorError('BAD_PACKAGE', 'The busybox program has no table of applet names.');
  return names;
}
