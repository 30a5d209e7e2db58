// `--drive`: disks, their image files, and the SCSI controllers that some of them sit on.

import type { BlockBackend } from '../backends/block-backend.ts';
import { openDiskImage } from '../backends/node/image-file.ts';
import { RawDisk } from '../backends/node/raw-disk.ts';
import { UsageError } from '../util/errors.ts';
import { MAX_BLOCK_QUEUES } from '../virtio/devices/block/device.ts';
import { ID_BYTES } from '../virtio/devices/block/request.ts';
import { MAX_TARGET, MAX_UNIT_NUMBER } from '../virtio/devices/scsi/config.ts';
import type { ScsiUnitOptions } from '../virtio/devices/scsi/device.ts';
import type { DeviceRequest } from '../vmm/devices.ts';
import { virtioBlock, virtioScsi } from '../vmm/virtio-devices.ts';
import { type GivenOption, type OptionRow, optionValue, parseOptionList } from './option-list.ts';
import { checkTransport, flag, placeOf, TRANSPORT_ROWS, transportOf } from './transport-options.ts';

/** Longest serial number of a SCSI disk. */
const MAX_SCSI_SERIAL = 36;
const MAX_CONTROLLER = 15;

const CONTROLLER_ROWS: readonly OptionRow[] = [
  { name: 'queues', takes: { kind: 'number', min: 1, max: MAX_BLOCK_QUEUES }, help: 'request queues' },
  ...TRANSPORT_ROWS,
];

const SCSI_ROWS: readonly OptionRow[] = [
  {
    name: 'controller',
    takes: { kind: 'number', min: 0, max: MAX_CONTROLLER },
    help: 'SCSI controller; 0 if not given. Its first disk has the options of the controller',
  },
  {
    name: 'target',
    takes: { kind: 'number', min: 0, max: MAX_TARGET },
    help: 'SCSI target; the lowest free one if not given',
  },
  { name: 'lun', takes: { kind: 'number', min: 0, max: MAX_UNIT_NUMBER }, help: 'SCSI unit; 0 if not given' },
];

const DRIVE_ROWS: readonly OptionRow[] = [
  { name: 'file', takes: { kind: 'text' }, help: 'image file' },
  { name: 'format', takes: { kind: 'choice', of: ['raw', 'qcow2'] }, help: 'format of the image; raw if not given' },
  { name: 'if', takes: { kind: 'choice', of: ['virtio', 'scsi'] }, help: 'kind of disk; virtio if not given' },
  flag('readonly', 'refuse writes'),
  flag('snapshot', 'keep writes in a temporary file and leave the image as it is'),
  { name: 'serial', takes: { kind: 'text' }, help: `serial number, at most ${ID_BYTES} bytes` },
  ...SCSI_ROWS,
  ...CONTROLLER_ROWS,
];

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
  const scsi = isScsi(given);
  const misplaced = scsi ? undefined : SCSI_ROWS.find(({ name }) => optionValue(given, name) !== undefined);
  if (misplaced) throw usage(`--drive takes ${misplaced.name} with if=scsi only.`);
  const serial = optionValue(given, 'serial');
  const longest = scsi ? MAX_SCSI_SERIAL : ID_BYTES;
  if (typeof serial === 'string' && Buffer.byteLength(serial) > longest) {
    throw usage(`--drive takes a serial of at most ${longest} bytes, not "${serial}".`);
  }
  if (scsi && typeof serial === 'string' && !/^[\x20-\x7e]+$/.test(serial)) {
    throw usage(`--drive if=scsi takes a serial of printable ASCII characters, not "${serial}".`);
  }
  checkTransport('--drive', given);
  return { given };
}

/** Opens the images and says what to plug. Throws for files that cannot be opened. */
export async function openDrives(drives: readonly DriveOption[]): Promise<DeviceRequest[]> {
  const controllers = planControllers(drives.filter(({ given }) => isScsi(given)));
  const opened: BlockBackend[] = [];
  try {
    const requests: DeviceRequest[] = [];
    const units = new Map<Controller, ScsiUnitOptions[]>();
    for (const drive of drives) {
      const { given } = drive;
      const backend = await openDrive(given);
      opened.push(backend);
      const queues = optionValue(given, 'queues') as number | undefined;
      const serial = optionValue(given, 'serial') as string | undefined;
      const controller = controllers.find((each) => each.places.has(drive));
      if (!controller) {
        requests.push({ make: virtioBlock(backend, { queues, serial }, transportOf(given)), ...placeOf(given) });
        continue;
      }
      const { target, unit } = controller.places.get(drive)!;
      const known = units.get(controller);
      if (known) known.push({ target, unit, backend, serial });
      else {
        const list = [{ target, unit, backend, serial }];
        units.set(controller, list);
        requests.push({ make: virtioScsi({ units: list, queues }, transportOf(given)), ...placeOf(given) });
      }
    }
    return requests;
  } catch (error) {
    for (const backend of opened) await backend.close().catch(() => {});
    throw error;
  }
}

interface Controller {
  readonly number: number;
  readonly places: Map<DriveOption, { readonly target: number; readonly unit: number }>;
}

/** Where each SCSI disk sits. Throws a UsageError for places taken twice and options of a controller that come late. */
function planControllers(drives: readonly DriveOption[]): Controller[] {
  const controllers: Controller[] = [];
  const numberOf = ({ given }: DriveOption, name: string) => optionValue(given, name) as number | undefined;
  for (const drive of drives) {
    const number = numberOf(drive, 'controller') ?? 0;
    let controller = controllers.find((each) => each.number === number);
    if (controller) {
      const late = CONTROLLER_ROWS.find(({ name }) => optionValue(drive.given, name) !== undefined);
      if (late) {
        throw usage(
          `--drive gives ${late.name} to a disk that is not the first of SCSI controller ${number}; give it to the first one.`,
        );
      }
    } else {
      controller = { number, places: new Map() };
      controllers.push(controller);
    }
    const named = drives.filter((each) => (numberOf(each, 'controller') ?? 0) === number);
    const usedTargets = new Set([
      ...[...controller.places.values()].map(({ target }) => target),
      ...named.map((each) => numberOf(each, 'target')),
    ]);
    let target = numberOf(drive, 'target');
    if (target === undefined) for (target = 0; usedTargets.has(target); ) target++;
    const unit = numberOf(drive, 'lun') ?? 0;
    if (target > MAX_TARGET) throw usage(`SCSI controller ${number} has no target left; give disks a lun=...`);
    if ([...controller.places.values()].some((other) => other.target === target && other.unit === unit)) {
      throw usage(`--drive puts two disks at target ${target}, lun ${unit} of SCSI controller ${number}.`);
    }
    controller.places.set(drive, { target, unit });
  }
  return controllers;
}

async function openDrive(given: readonly GivenOption[]): Promise<BlockBackend> {
  const path = optionValue(given, 'file') as string;
  const snapshot = optionValue(given, 'snapshot') === true;
  const readOnly = optionValue(given, 'readonly') === true;
  const format = (optionValue(given, 'format') as 'raw' | 'qcow2' | undefined) ?? 'raw';
  if (format === 'raw' && !snapshot) return RawDisk.open(path, readOnly);
  const image = await openDiskImage(path, { format, readOnly, snapshot });
  if (image.sizeBytes > 0) return image;
  await image.close();
  throw new UsageError('DRIVE', `The disk ${path} is empty; give it a size first, for example with truncate -s 1G.`);
}

function isScsi(given: readonly GivenOption[]): boolean {
  return optionValue(given, 'if') === 'scsi';
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
