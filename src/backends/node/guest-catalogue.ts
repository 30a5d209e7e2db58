// The named guests that `powervisor guest` knows, and how each is made from packages of a Debian mirror.
// Data only: guest-cache.ts does the work.

/** What a guest may consist of. `systemMap` and `config` come with kernels built here. */
export type GuestRole = 'kernel' | 'initrd' | 'systemMap' | 'config';

export type GuestRecipe =
  /** Files taken out of a binary package as they are. With `follow`, the package is a meta-package that depends on it. */
  | {
      readonly kind: 'package-files';
      readonly suite: string;
      readonly package: string;
      readonly follow?: RegExp;
      readonly files: Partial<Record<GuestRole, RegExp>>;
    }
  /** An initramfs around the static busybox of a package. */
  | { readonly kind: 'busybox'; readonly suite: string; readonly package: string }
  /** The same with the modules of a kernel package for virtio devices and file systems, and a static e2fsck. */
  | {
      readonly kind: 'modules-initramfs';
      readonly suite: string;
      readonly package: string;
      readonly follow: RegExp;
      readonly busybox: string;
      readonly checker: string;
    }
  /**
   * A kernel compiled on this machine from a package of Linux source and a list of options in `guests/`; `instead`: lines
   * of the list, and what is to be there in their place.
   */
  | {
      readonly kind: 'linux-build';
      readonly suite: string;
      readonly package: string;
      readonly config: string;
      readonly instead?: Readonly<Record<string, string>>;
    };

export interface GuestDefinition {
  readonly name: string;
  readonly description: string;
  readonly roles: readonly GuestRole[];
  readonly recipe: GuestRecipe;
}

const installerFiles = {
  kernel: /\/text\/debian-installer\/ppc64el\/vmlinux$/,
  initrd: /\/text\/debian-installer\/ppc64el\/initrd\.gz$/,
};
const kernelMeta = { package: 'linux-image-powerpc64le', follow: /\blinux-image-[\w.+-]+-powerpc64le\b/ };
const tools = { busybox: 'busybox-static', checker: 'e2fsck-static' };
const kernelFiles = { kernel: /^boot\/vmlinux-/ };

export const guestCatalogue: readonly GuestDefinition[] = [
  {
    name: 'debian-12-installer',
    description: 'Debian 12 installer: Linux 6.1, 64K pages, and its initrd',
    roles: ['kernel', 'initrd'],
    recipe: {
      kind: 'package-files',
      suite: 'bookworm',
      package: 'debian-installer-12-netboot-ppc64el',
      files: installerFiles,
    },
  },
  {
    name: 'debian-12-kernel',
    description: 'Debian 12 kernel: Linux 6.1, 64K pages',
    roles: ['kernel'],
    recipe: { kind: 'package-files', suite: 'bookworm', ...kernelMeta, files: kernelFiles },
  },
  {
    name: 'debian-13-kernel',
    description: 'Debian 13 kernel: Linux 6.12, 4K pages',
    roles: ['kernel'],
    recipe: { kind: 'package-files', suite: 'trixie', ...kernelMeta, files: kernelFiles },
  },
  {
    name: 'busybox',
    description: 'initramfs with one static BusyBox and a shell on the console',
    roles: ['initrd'],
    recipe: { kind: 'busybox', suite: 'bookworm', package: 'busybox-static' },
  },
  {
    name: 'debian-12-modules',
    description: 'initramfs for debian-12-kernel: BusyBox, e2fsck, modules of virtio devices and file systems',
    roles: ['initrd'],
    recipe: { kind: 'modules-initramfs', suite: 'bookworm', ...kernelMeta, ...tools },
  },
  {
    name: 'debian-13-modules',
    description: 'initramfs for debian-13-kernel: BusyBox, e2fsck, modules of virtio devices and file systems',
    roles: ['initrd'],
    recipe: { kind: 'modules-initramfs', suite: 'trixie', ...kernelMeta, ...tools },
  },
  {
    name: 'linux-svm',
    description: 'small Linux 6.1 with CONFIG_PPC_SVM, 64K pages, built here from source',
    roles: ['kernel', 'systemMap', 'config'],
    recipe: { kind: 'linux-build', suite: 'bookworm', package: 'linux-source-6.1', config: 'linux-svm.config' },
  },
  {
    name: 'linux-svm-4k',
    description: 'linux-svm with 4K pages',
    roles: ['kernel', 'systemMap', 'config'],
    recipe: {
      kind: 'linux-build',
      suite: 'bookworm',
      package: 'linux-source-6.1',
      config: 'linux-svm.config',
      instead: { 'CONFIG_PPC_64K_PAGES=y': 'CONFIG_PPC_4K_PAGES=y' },
    },
  },
];
