// `--drive` and `--device`: which devices a machine gets, and their backends on this machine.

import type { BlockBackend } from '../backends/block-backend.ts';
import { MemoryBlock } from '../backends/memory/block.ts';
import { SeededEntropy } from '../backends/memory/entropy.ts';
import { FileConsole, SocketConsole } from '../backends/node/console.ts';
import { nodeEntropy } from '../backends/node/entropy.ts';
import { openDiskImage } from '../backends/node/image-file.ts';
import { RawDisk } from '../backends/node/raw-disk.ts';
import { UsageError } from '../util/errors.ts';
import { MAX_BLOCK_QUEUES } from '../virtio/devices/block/device.ts';
import { ID_BYTES } from '../virtio/devices/block/request.ts';
import { MAX_CONSOLE_PORTS } from '../virtio/devices/console/config.ts';
import type { ConsolePortOptions } from '../virtio/devices/console/device.ts';
import type { DeviceMaker, DeviceRequest } from '../vmm/devices.ts';
import { type TransportOptions, virtioBalloon, virtioBlock, virtioConsole, virtioRng } from '../vmm/virtio-devices.ts';
import { type GivenOption, type OptionRow, optionForm, optionValue, parseOptionList } from './option-list.ts';

/** Changes that a snapshot keeps in memory. */
const MAX_SNAPSHOT_BYTES = 2 * 2 ** 30;

const flag = (name: string, help: string, preset = false): OptionRow => ({
  name,
  takes: { kind: 'flag', preset },
  help,
});

/** What every virtio device has. */
export const TRANSPORT_ROWS: readonly OptionRow[] = [
  flag('transitional', 'offer the legacy interface too'),
  flag('packed', 'do not offer packed rings', true),
  flag('indirect', 'do not offer indirect descriptors', true),
  flag('event-idx', 'do not offer event indices', true),
  flag('in-order', 'offer to return buffers in order'),
  flag('platform', 'offer ACCESS_PLATFORM: memory through the TCE tables'),
  flag('order-platform', 'offer ORDER_PLATFORM'),
  flag('msix', 'interrupt through the pin only', true),
  { name: 'bridge', takes: { kind: 'number', min: 0, max: 1 }, help: 'PCI host bridge' },
  { name: 'slot', takes: { kind: 'number', min: 0, max: 31 }, help: 'PCI slot; the lowest free one if not given' },
];

const DRIVE_ROWS: readonly OptionRow[] = [
  { name: 'file', takes: { kind: 'text' }, help: 'image file' },
  { name: 'format', takes: { kind: 'choice', of: ['raw', 'qcow2'] }, help: 'format of the image; raw if not given' },
  { name: 'if', takes: { kind: 'choice', of: ['virtio', 'scsi'] }, help: 'kind of disk; virtio if not given' },
  flag('readonly', 'refuse writes'),
  flag('snapshot', 'keep writes in memory and leave the file as it is'),
  { name: 'queues', takes: { kind: 'number', min: 1, max: MAX_BLOCK_QUEUES }, help: 'request queues' },
  { name: 'serial', takes: { kind: 'text' }, help: `serial number, at most ${ID_BYTES} bytes` },
  ...TRANSPORT_ROWS,
];

/** What a device may ask of the run it is part of. */
export interface DeviceContext {
  /** Seed of a repeatable run; undefined: the host's random numbers. */
  readonly seed: number | undefined;
}

interface DeviceRow {
  readonly help: string;
  readonly rows: readonly OptionRow[];
  readonly make: (given: readonly GivenOption[], context: DeviceContext) => Promise<DeviceMaker>;
}

const DEVICES: ReadonlyMap<string, DeviceRow> = new Map([
  [
    'virtio-rng',
    {
      help: 'random numbers: of this machine, or from the seed of a repeatable run',
      rows: [],
      make: async (given, { seed }) =>
        virtioRng(seed === undefined ? nodeEntropy : new SeededEntropy(seed), transportOf(given)),
    },
  ],
  [
    'virtio-console',
    {
      help: 'terminals and byte channels; each file or socket adds a port',
      rows: [
        { name: 'name', takes: { kind: 'text' }, repeats: true, help: 'name of the port that comes next' },
        { name: 'file', takes: { kind: 'text' }, repeats: true, help: 'a port that writes to this file' },
        { name: 'socket', takes: { kind: 'text' }, repeats: true, help: 'a port for a client of this unix socket' },
      ],
      make: async (given) => virtioConsole({ ports: await openPorts(given) }, transportOf(given)),
    },
  ],
  [
    'virtio-balloon',
    {
      help: 'lets the guest give memory up, which is counted and not returned to this machine',
      rows: [{ name: 'target', takes: { kind: 'size' }, help: 'memory to ask back from the start' }],
      make: async (given) => {
        const bytes = (optionValue(given, 'target') as number | undefined) ?? 0;
        return virtioBalloon((balloon) => balloon.setTargetBytes(bytes - (bytes % 4096)), transportOf(given));
      },
    },
  ],
]);

export interface DriveOption {
  readonly given: readonly GivenOption[];
}

/** `--drive` as written. Throws a UsageError for what cannot be. */
export function parseDrive(text: string): DriveOption {
  const given = parseOptionList('--drive', text, DRIVE_ROWS);
  const has = (name: string) => optionValue(given, name) === true;
  if (optionValue(given, 'file') === undefined) throw usage('--drive needs file=..., the image file.');
  if (has('readonly') && has('snapshot')) {
    throw usage('--drive takes readonly or snapshot, not both: a snapshot is there to be written to.');
  }
  if (optionValue(given, 'if') === 'scsi') throw usage('--drive if=scsi is not there yet; use if=virtio.');
  const serial = optionValue(given, 'serial');
  if (typeof serial === 'string' && Buffer.byteLength(serial) > ID_BYTES) {
    throw usage(`--drive takes a serial of at most ${ID_BYTES} bytes, not "${serial}".`);
  }
  checkTransport('--drive', given);
  return { given };
}

/** What to say of devices that have an option of their own. */
const MADE_OTHERWISE: Readonly<Record<string, string | undefined>> = {
  'virtio-blk': ' Disks are made by --drive.',
  'virtio-net': ' Network cards are made by --net.',
};

export interface DeviceOption {
  readonly name: string;
  readonly given: readonly GivenOption[];
}

/** `--device` as written; a string is the help that was asked for instead. Throws a UsageError for what cannot be. */
export function parseDevice(text: string): DeviceOption | string {
  const comma = text.indexOf(',');
  const name = comma < 0 ? text : text.slice(0, comma);
  const rest = comma < 0 ? '' : text.slice(comma + 1);
  if (name === 'help') return deviceHelp();
  const device = DEVICES.get(name);
  if (!device) {
    const others = [...DEVICES.keys()].join(', ');
    const hint = MADE_OTHERWISE[name] ?? '';
    throw usage(`There is no device "${name}"; there are ${others}.${hint}`);
  }
  if (rest === 'help') return rowsHelp(name, device);
  const given = parseOptionList(`--device ${name}`, rest, [...device.rows, ...TRANSPORT_ROWS]);
  checkTransport(`--device ${name}`, given);
  return { name, given };
}

/** Opens the backends and says what to plug. Throws for files that cannot be opened. */
export async function openDevices(
  drives: readonly DriveOption[],
  devices: readonly DeviceOption[],
  context: DeviceContext,
): Promise<DeviceRequest[]> {
  const requests: DeviceRequest[] = [];
  for (const { given } of drives) {
    const backend = await openDrive(given);
    const queues = optionValue(given, 'queues') as number | undefined;
    const serial = optionValue(given, 'serial') as string | undefined;
    requests.push({ make: virtioBlock(backend, { queues, serial }, transportOf(given)), ...placeOf(given) });
  }
  for (const { name, given } of devices) {
    requests.push({ make: await DEVICES.get(name)!.make(given, context), ...placeOf(given) });
  }
  return requests;
}

async function openDrive(given: readonly GivenOption[]): Promise<BlockBackend> {
  const path = optionValue(given, 'file') as string;
  const snapshot = optionValue(given, 'snapshot') === true;
  const readOnly = optionValue(given, 'readonly') === true;
  if (optionValue(given, 'format') === 'qcow2') return openDiskImage(path, { format: 'qcow2', readOnly, snapshot });
  const disk = await RawDisk.open(path, snapshot || readOnly);
  if (!snapshot) return disk;
  const { sizeBytes } = disk;
  return new MemoryBlock({ sizeBytes, name: `${path} (snapshot)`, limitBytes: MAX_SNAPSHOT_BYTES }, disk);
}

async function openPorts(given: readonly GivenOption[]): Promise<ConsolePortOptions[]> {
  const ports: ConsolePortOptions[] = [];
  let portName: string | undefined;
  for (const { name, value } of given) {
    if (name === 'name') portName = value as string;
    if (name !== 'file' && name !== 'socket') continue;
    const path = value as string;
    const backend = name === 'file' ? await FileConsole.open(path) : await SocketConsole.listen(path);
    // A port with a name is a channel of bytes for a program, one without is a terminal.
    ports.push({ backend, name: portName, terminal: portName === undefined });
    portName = undefined;
  }
  if (ports.length >= 1 && ports.length <= MAX_CONSOLE_PORTS) return ports;
  throw usage(`--device virtio-console needs 1 to ${MAX_CONSOLE_PORTS} ports: file=... or socket=..., each one.`);
}

export function transportOf(given: readonly GivenOption[]): TransportOptions {
  const on = (name: string, preset: boolean) => (optionValue(given, name) as boolean | undefined) ?? preset;
  return {
    transitional: on('transitional', false),
    accessPlatform: on('platform', false),
    msix: on('msix', true),
    rings: {
      packed: on('packed', true),
      indirect: on('indirect', true),
      eventIdx: on('event-idx', true),
      inOrder: on('in-order', false),
      orderPlatform: on('order-platform', false),
    },
  };
}

export function placeOf(given: readonly GivenOption[]): { bridge?: number; slot?: number } {
  return {
    bridge: optionValue(given, 'bridge') as number | undefined,
    slot: optionValue(given, 'slot') as number | undefined,
  };
}

export function checkTransport(option: string, given: readonly GivenOption[]): void {
  if (optionValue(given, 'transitional') === true && optionValue(given, 'platform') === true) {
    throw usage(`${option} takes transitional or platform, not both: the legacy interface knows no ACCESS_PLATFORM.`);
  }
}

function deviceHelp(): string {
  const lines = [...DEVICES].map(([name, { help }]) => `  ${name.padEnd(16)} ${help}`);
  return [
    'Devices for --device NAME[,options]; --device NAME,help shows the options of one:',
    ...lines,
    `  ${'virtio-blk'.padEnd(16)} disks, which are made by --drive`,
    `  ${'virtio-net'.padEnd(16)} network cards, which are made by --net`,
    'Not there yet: virtio-scsi, virtio-9p, virtio-vsock.',
    '',
  ].join('\n');
}

function rowsHelp(name: string, { help, rows }: DeviceRow): string {
  const all = [...rows, ...TRANSPORT_ROWS].map((row) => `  ${optionForm(row).padEnd(20)} ${row.help}`);
  return [`${name}: ${help}`, ...all, ''].join('\n');
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
