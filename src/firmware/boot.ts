// Makes a machine ready for its first instruction: loads kernel and initrd, builds the device tree, and says with which
// registers to enter. Two ways in:
//   open-firmware   r5 = entry of the client interface (the default; boot loaders and zImages need it)
//   flattened-tree  r3 = flattened device tree, r5 = 0, as kexec does it (Linux's booting-without-of)

import { rtasAreaBytes, rtasStub } from '../hypervisor/rtas/layout.ts';
import type { HostView } from '../memory/host-view.ts';
import { PowervisorError } from '../util/errors.ts';
import {
  type BootLayout,
  CLIENT_INTERFACE_GRA,
  FIRMWARE_END_GRA,
  FIRMWARE_MEMORY_LIMIT,
  KERNEL_BASE_GRA,
  planLayout,
  STACK_POINTER_GRA,
} from './boot-layout.ts';
import type { ConsolePort } from './client-devices.ts';
import { ClientInterface, type FirmwareHost } from './client-interface.ts';
import type { DeviceTree } from './device-tree.ts';
import { flattenTree } from './fdt.ts';
import { type KernelImage, loadKernel } from './kernel-image.ts';
import { MemoryClaims } from './memory-claims.ts';
import { cells } from './property.ts';
import { buildPseriesTree, completeForKernel, type MachineDescription } from './pseries-tree.ts';
import { clientInterfaceStub } from './stubs.ts';

export type BootProtocol = 'open-firmware' | 'flattened-tree';

export interface BootRequest {
  readonly protocol: BootProtocol;
  /** `initrd` is left out: the layout decides where it stands. */
  readonly machine: Omit<MachineDescription, 'initrd'>;
  readonly kernel: KernelImage;
  readonly initrd?: Uint8Array;
  /** Memory that is nobody's to place anything in; the device tree says what it is for. */
  readonly reserved?: { readonly gra: number; readonly lenBytes: number };
  /** Terminals by unit address of their vty, for the client interface. */
  readonly consoles: ReadonlyMap<number, ConsolePort>;
  readonly host: FirmwareHost;
}

/** How the boot CPU, the one with interrupt server number 0, enters. Registers not named are 0. */
export interface BootState {
  readonly entryGra: number;
  /** All MSR bits are 0 but SF in `be64`: big-endian, real mode, interrupts off. */
  readonly msr: 'be32' | 'be64';
  readonly registers: { readonly r1: number; readonly r3: number; readonly r4: number; readonly r5: number };
  readonly tree: DeviceTree;
  /** Serves H_OPEN_FIRMWARE; undefined if there is no Open Firmware. */
  readonly clientInterface: ClientInterface | undefined;
  /** Where RTAS stands already; undefined if the client will choose. */
  readonly rtasBaseGra: number | undefined;
}

/**
 * Prepares memory, which `view` shows whole, and returns how to enter.
 * Throws a PowervisorError if kernel or initrd do not fit (`planLayout`), or if the kernel needs Open Firmware.
 */
export function prepareBoot(view: HostView, request: BootRequest): BootState {
  const { kernel, machine } = request;
  const layout = planLayout(machine.memoryBytes, kernel, request.initrd?.length ?? 0);
  loadKernel(view, kernel, KERNEL_BASE_GRA);
  if (layout.initrd !== undefined && request.initrd !== undefined) {
    view.write(layout.initrd.start, request.initrd, { kind: 'loader', name: 'initrd' });
  }
  if (layout.esmBlob && kernel.esmBlob) {
    view.write(layout.esmBlob.start, kernel.esmBlob, { kind: 'loader', name: 'ESM blob' });
  }
  return request.protocol === 'open-firmware'
    ? enterWithOpenFirmware(view, request, layout)
    : enterWithFlattenedTree(view, request, layout);
}

function enterWithOpenFirmware(view: HostView, request: BootRequest, layout: BootLayout): BootState {
  const origin = { kind: 'firmware', name: 'client interface stub' } as const;
  view.write(CLIENT_INTERFACE_GRA, clientInterfaceStub(), origin);
  view.fill(STACK_POINTER_GRA, FIRMWARE_END_GRA - STACK_POINTER_GRA, 0, origin); // ends the chain of stack frames

  const { kernel, initrd, esmBlob } = layout;
  const claims = new MemoryClaims(request.machine.memoryBytes, FIRMWARE_MEMORY_LIMIT);
  claims.claim(0, FIRMWARE_END_GRA);
  claims.claim(kernel.startGra, kernel.endGra - kernel.startGra);
  if (initrd !== undefined) claims.claim(initrd.start, initrd.end - initrd.start);
  if (esmBlob !== undefined) claims.claim(esmBlob.start, esmBlob.end - esmBlob.start);
  if (request.reserved) claims.claim(request.reserved.gra, request.reserved.lenBytes);

  const tree = buildPseriesTree(request.machine);
  nameBlob(tree, layout);
  const { consoles, host } = request;
  return {
    entryGra: kernel.entryGra,
    msr: 'be32',
    registers: {
      r1: STACK_POINTER_GRA,
      r3: initrd?.start ?? 0,
      r4: initrd === undefined ? 0 : initrd.end - initrd.start,
      r5: CLIENT_INTERFACE_GRA,
    },
    tree,
    clientInterface: new ClientInterface({ view, tree, claims, consoles, host }),
    rtasBaseGra: undefined,
  };
}

/** As Linux's zImage wrapper says where the blob is; prom_init hands it on to the ultravisor. */
function nameBlob(tree: DeviceTree, { esmBlob }: BootLayout): void {
  const chosen = tree.find('/chosen');
  if (!esmBlob || !chosen) return;
  chosen.set('linux,esm-blob-start', cells(esmBlob.start));
  chosen.set('linux,esm-blob-end', cells(esmBlob.end));
}

function enterWithFlattenedTree(view: HostView, request: BootRequest, layout: BootLayout): BootState {
  const { kernel, initrd, esmBlob, rtasGra, treeGra } = layout;
  if (request.kernel.needsOpenFirmware) {
    throw new PowervisorError(
      'KERNEL_NOT_BOOTABLE',
      `${request.kernel.what} is an Open Firmware client and cannot be entered with a flattened device tree.`,
    );
  }
  const tree = buildPseriesTree({ ...request.machine, ...(initrd && { initrd }) });
  completeForKernel(tree, rtasGra);
  nameBlob(tree, layout);
  const reserve = [{ gra: rtasGra, lenBytes: rtasAreaBytes(request.machine.cpus) }];
  if (initrd !== undefined) reserve.push({ gra: initrd.start, lenBytes: initrd.end - initrd.start });
  if (esmBlob !== undefined) reserve.push({ gra: esmBlob.start, lenBytes: esmBlob.end - esmBlob.start });
  if (request.reserved) reserve.push(request.reserved);
  const blob = flattenTree(tree, { reserve, bootCpuidPhys: 0 });
  if (treeGra + blob.length > request.machine.memoryBytes) {
    throw new PowervisorError(
      'INITRD_TOO_LARGE',
      'Kernel and initrd leave no room for the device tree. Give the machine more memory.',
    );
  }
  view.write(rtasGra, rtasStub(), { kind: 'firmware', name: 'RTAS stub' });
  view.write(treeGra, blob, { kind: 'firmware', name: 'flattened device tree' });
  return {
    entryGra: kernel.entryGra,
    msr: 'be64',
    registers: { r1: 0, r3: treeGra, r4: kernel.startGra, r5: 0 },
    tree,
    clientInterface: undefined,
    rtasBaseGra: rtasGra,
  };
}
