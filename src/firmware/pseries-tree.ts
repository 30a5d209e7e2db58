// The device tree of a pseries partition on POWER9: radix translation, XICS interrupts, one thread per core, hvterm1
// consoles (PAPR chapters B and C; CHRP). It starts as it stands at power-on, before a client has negotiated.
// Left out on purpose: NUMA affinity (`ibm,associativity*`), hotplug (`ibm,drc-*`), hash
// translation (`ibm,pft-size`, `slb-size`, segment sizes), XIVE, NVRAM, and /hypervisor, which would make Linux look
// for KVM. The PCI host bridge adds its own nodes through `addNodes`.

import { rtasAreaBytes, rtasStub } from '../hypervisor/rtas/layout.ts';
import { assert } from '../util/errors.ts';
import { CPU_VERSION_ISA_3_00, fullVector5, PLATFORM_SUPPORT } from './cas.ts';
import { type DeviceNode, DeviceTree } from './device-tree.ts';
import { cells, cells64, empty, type PropertyBytes, text, textList } from './property.ts';

/** One virtual terminal of /vdevice. */
export interface VtyDescription {
  /** Unit address: the number that H_PUT_TERM_CHAR and H_GET_TERM_CHAR take. */
  readonly unit: number;
  /** XICS source number; without one Linux polls for input. */
  readonly interrupt?: number;
}

export interface RtasService {
  readonly name: string;
  /** Not 0. */
  readonly token: number;
}

/** All that the tree says of the machine. */
export interface MachineDescription {
  readonly memoryBytes: number;
  /** Cores of one thread each; their interrupt server numbers are 0 to cpus - 1. */
  readonly cpus: number;
  /** What mfspr PVR reads. */
  readonly pvr: number;
  readonly timebaseHz: number;
  /** Nominal processor clock; 1 GHz if not given. Nothing in the machine runs at it. */
  readonly clockHz?: number;
  /** False leaves out `ibm,dfp` and the decimal bit of `ibm,pa-features`. */
  readonly decimalFloat: boolean;
  readonly bootargs: string;
  /** Where the initial RAM disk stands, end exclusive. */
  readonly initrd?: { readonly start: number; readonly end: number };
  readonly rtasServices: readonly RtasService[];
  /** Properties of /rtas other than tokens, `rtas-size` and the hcall list, e.g. `ibm,extended-os-term`. */
  readonly rtasProperties?: Readonly<Record<string, PropertyBytes>>;
  /** `ibm,hypertas-functions`; Linux needs at least `hcall-set-mode`. */
  readonly hypertas: readonly string[];
  /** The first is the firmware's console. */
  readonly vtys: readonly VtyDescription[];
  /** 32 bytes that seed the client's random numbers. */
  readonly rngSeed?: PropertyBytes;
  /** True if H_RANDOM works. */
  readonly randomHcall?: boolean;
  /** XICS source of the power-button (EPOW) event. */
  readonly epowInterrupt?: number;
  readonly model?: string;
  /** Called last with the finished tree. */
  readonly addNodes?: (tree: DeviceTree) => void;
}

/**
 * Linux takes any model. GRUB 2.06 keys on this exact string: it then leaves memory below 1.5 MiB alone and takes its
 * disks from /aliases.
 */
const DEFAULT_MODEL = 'IBM pSeries (emulated by qemu)';

/** Builds the tree. The description must be consistent: at least one CPU, tokens not 0, services named once. */
export function buildPseriesTree(machine: MachineDescription): DeviceTree {
  assert(machine.cpus >= 1 && machine.memoryBytes > 0, 'a machine has a CPU and memory');
  const tree = new DeviceTree();
  addProperties(tree.root, {
    device_type: text('chrp'),
    compatible: text('qemu,pseries'),
    model: text(machine.model ?? DEFAULT_MODEL),
    '#address-cells': cells(2),
    '#size-cells': cells(2),
  });
  addChosen(tree, machine);
  addAliases(tree, machine);
  tree.root.add('memory@0', { device_type: text('memory'), reg: cells64(0, machine.memoryBytes) });
  addCpus(tree, machine);
  addInterruptController(tree, machine);
  addVdevice(tree, machine);
  addEventSources(tree, machine);
  addPlatformFacilities(tree, machine);
  addRtas(tree, machine);
  machine.addNodes?.(tree);
  return tree;
}

/**
 * What a kernel that is entered without Open Firmware finds done already: architecture support negotiated, RTAS
 * instantiated at `rtasBase` (below 4 GiB).
 */
export function completeForKernel(tree: DeviceTree, rtasBase: number): void {
  tree.find('/chosen')!.set('ibm,architecture-vec-5', fullVector5());
  for (const cpu of cpuNodes(tree)) cpu.set('cpu-version', cells(CPU_VERSION_ISA_3_00));
  const rtas = tree.find('/rtas')!;
  rtas.set('linux,rtas-base', cells(rtasBase));
  rtas.set('linux,rtas-entry', cells(rtasBase));
}

/** The CPU nodes, in the order of their interrupt server numbers. */
export function cpuNodes(tree: DeviceTree): DeviceNode[] {
  return (tree.find('/cpus')?.children ?? []).filter((node) => node.text('device_type') === 'cpu');
}

function addChosen(tree: DeviceTree, machine: MachineDescription): void {
  const chosen = tree.root.add('chosen', {
    bootargs: text(machine.bootargs),
    'ibm,arch-vec-5-platform-support': new Uint8Array(PLATFORM_SUPPORT),
    // 0 lets Linux assign PCI resources; without it drivers fail with -EINVAL.
    'linux,pci-probe-only': cells(0),
  });
  const [console] = machine.vtys;
  if (console !== undefined) chosen.set('stdout-path', text(`/vdevice/${vtyName(console)}`));
  if (machine.initrd !== undefined) {
    chosen.set('linux,initrd-start', cells64(machine.initrd.start));
    chosen.set('linux,initrd-end', cells64(machine.initrd.end));
  }
  if (machine.rngSeed !== undefined) chosen.set('rng-seed', machine.rngSeed);
}

function addAliases(tree: DeviceTree, machine: MachineDescription): void {
  const aliases = tree.root.add('aliases');
  const [console] = machine.vtys;
  if (console !== undefined) aliases.set('hvterm', text(`/vdevice/${vtyName(console)}`));
}

function addCpus(tree: DeviceTree, machine: MachineDescription): void {
  const cpus = tree.root.add('cpus', { '#address-cells': cells(1), '#size-cells': cells(0) });
  for (let server = 0; server < machine.cpus; server++) {
    const cpu = cpus.add(`PowerPC,POWER9@${server.toString(16)}`, {
      device_type: text('cpu'),
      status: text('okay'),
      reg: cells(server),
      'ibm,ppc-interrupt-server#s': cells(server),
      'ibm,ppc-interrupt-gserver#s': cells(server, 0),
      'cpu-version': cells(machine.pvr),
      'timebase-frequency': cells(machine.timebaseHz),
      'clock-frequency': cells(machine.clockHz ?? 1_000_000_000),
      '64-bit': empty(),
      'ibm,pa-features': paFeatures(machine.decimalFloat),
      'ibm,vmx': cells(VMX_AND_VSX),
      'ibm,purr': cells(1),
      'ibm,spurr': cells(1),
      'ibm,dec-bits': cells(56),
      'ibm,processor-radix-AP-encodings': cells(...RADIX_PAGE_SIZES.map(({ ap, shift }) => ap * 2 ** 29 + shift)),
    });
    for (const cache of ['d-cache', 'i-cache']) {
      cpu.set(`${cache}-size`, cells(CACHE_BYTES));
      cpu.set(`${cache}-line-size`, cells(CACHE_LINE_BYTES));
      cpu.set(`${cache}-block-size`, cells(CACHE_LINE_BYTES));
    }
    if (machine.decimalFloat) cpu.set('ibm,dfp', cells(1));
  }
}

const VMX_AND_VSX = 2;
const CACHE_BYTES = 32 * 1024;
const CACHE_LINE_BYTES = 128;

/** Page sizes of the radix MMU: `ap` is the actual page size field of tlbie (ISA 3.0B III 5.9.3.3). */
const RADIX_PAGE_SIZES = [
  { ap: 0, shift: 12 },
  { ap: 5, shift: 16 },
  { ap: 1, shift: 21 },
  { ap: 2, shift: 30 },
] as const;

const PA_FEATURES_BYTES = 66;

/** Attribute bytes of `ibm,pa-features` (PAPR C.6.1) that are not 0, by number. Byte 22, transactional memory, is 0. */
const PA_FEATURES: readonly (readonly [byte: number, value: number])[] = [
  [0, 0xf6], // MMU, FPU, SLB, run latch, DABR, no-execute
  [1, 0x3f], // fri*, cache-inhibited large pages, DABRX, SPRG3 user read, SLB0, PP110
  [2, 0xc7], // VPM, DS205, PPR, DS202, DS206
  [3, 0xc0],
  [4, 0x80],
  [5, 0xf0], // true little-endian, CFAR, extended breakpoints, load/store quadword
  [6, 0x80],
  [16, 0x80], // vector
  [18, 0x80], // VSX
  [20, 0x80], // vector exclusive-or
  [24, 0x80], // extended decrementer
  [26, 0x80], // 64-bit features
  [28, 0x80],
  [30, 0x80],
  [32, 0x80], // little-endian atomics
  [34, 0xc0], // event-based branches
  [36, 0x80],
  [38, 0x80], // copy and paste
  [40, 0x80], // radix MMU
  [42, 0x80],
  [44, 0x80],
  [46, 0x80], // scv
  [48, 0x80], // SIMD of ISA 3.0
  [50, 0x80], // quad-precision floating point
  [52, 0x80], // string
  [54, 0x80], // decimal floating point
  [56, 0x80], // decimal integer
  [58, 0x80], // SHA
  [60, 0x80], // non-monotonic atomics
  [62, 0x80], // random numbers (darn)
];
const PA_DECIMAL_FLOAT_BYTE = 54;

function paFeatures(decimalFloat: boolean): PropertyBytes {
  const property = new Uint8Array(2 + PA_FEATURES_BYTES);
  property[0] = PA_FEATURES_BYTES; // property[1], the kind of the descriptor, is 0
  for (const [byte, value] of PA_FEATURES) property[2 + byte] = value;
  if (!decimalFloat) property[2 + PA_DECIMAL_FLOAT_BYTE] = 0;
  return property;
}

function addInterruptController(tree: DeviceTree, machine: MachineDescription): void {
  const node = tree.root.add('interrupt-controller', {
    device_type: text('PowerPC-External-Interrupt-Presentation'),
    compatible: text('IBM,ppc-xicp'),
    'interrupt-controller': empty(),
    '#interrupt-cells': cells(2),
    'ibm,interrupt-server-ranges': cells(0, machine.cpus),
  });
  node.set('linux,phandle', cells(node.phandle));
}

function addVdevice(tree: DeviceTree, machine: MachineDescription): void {
  const vdevice = tree.root.add('vdevice', {
    device_type: text('vdevice'),
    compatible: text('IBM,vdevice'),
    '#address-cells': cells(1),
    '#size-cells': cells(0),
    'interrupt-controller': empty(),
    '#interrupt-cells': cells(2),
  });
  for (const vty of machine.vtys) {
    const node = vdevice.add(vtyName(vty), {
      device_type: text('serial'),
      compatible: text('hvterm1'),
      reg: cells(vty.unit),
    });
    if (vty.interrupt !== undefined) node.set('interrupts', cells(vty.interrupt, EDGE));
  }
}

const EDGE = 0;

function vtyName(vty: VtyDescription): string {
  return `vty@${vty.unit.toString(16)}`;
}

function addEventSources(tree: DeviceTree, machine: MachineDescription): void {
  if (machine.epowInterrupt === undefined) return;
  const sources = tree.root.add('event-sources', {
    'interrupt-controller': empty(),
    '#interrupt-cells': cells(2),
    'interrupt-ranges': cells(machine.epowInterrupt, 1),
  });
  sources.add('epow-events', { interrupts: cells(machine.epowInterrupt, EDGE) });
}

function addPlatformFacilities(tree: DeviceTree, machine: MachineDescription): void {
  if (machine.randomHcall !== true) return;
  const facilities = tree.root.add('ibm,platform-facilities', {
    device_type: text('ibm,platform-facilities'),
    '#address-cells': cells(1),
    '#size-cells': cells(0),
  });
  facilities.add('ibm,random-v1', { compatible: text('ibm,random') });
}

function addRtas(tree: DeviceTree, machine: MachineDescription): void {
  const rtas = tree.root.add('rtas', {
    'ibm,hypertas-functions': textList(machine.hypertas),
    'rtas-size': cells(rtasAreaBytes(machine.cpus)),
    // The part that is code, and that an ultravisor measures.
    'slof,rtas-size': cells(rtasStub().length),
    ...machine.rtasProperties,
  });
  for (const { name, token } of machine.rtasServices) {
    assert(token !== 0 && rtas.get(name) === undefined, `RTAS service ${name} has token ${token} or is named twice`);
    rtas.set(name, cells(token));
  }
}

function addProperties(node: DeviceNode, properties: Readonly<Record<string, PropertyBytes>>): void {
  for (const [name, value] of Object.entries(properties)) node.set(name, value);
}
