// What is plugged into a machine, as the command line and the library take it: the texts of --drive, --device, --net,
// --share and --vsock.

import type { ClockMode } from '../machine/time.ts';
import { UsageError } from '../util/errors.ts';
import type { DeviceRequest } from '../vmm/devices.ts';
import { type DeviceOption, openDevices, parseDevice } from './devices.ts';
import { type DriveOption, parseDrive } from './drives.ts';
import { type NetOption, type Networks, parseNet } from './networks.ts';
import { openShares, parseShare, parseVsock, type ShareOption, type VsockOption } from './shares.ts';

/** As written; the syntax of each is that of the option of `powervisor run` with the same name. */
export interface AttachmentTexts {
  readonly drive?: readonly string[];
  readonly device?: readonly string[];
  readonly net?: readonly string[];
  readonly share?: readonly string[];
  readonly vsock?: string;
}

/** The same, read. */
export interface Attachments {
  readonly drive?: readonly DriveOption[];
  readonly device?: readonly DeviceOption[];
  readonly net?: readonly NetOption[];
  readonly share?: readonly ShareOption[];
  readonly vsock?: VsockOption;
}

/** Throws a UsageError that names the option and what is wrong with it. */
export function parseAttachments({ drive, device, net, share, vsock }: AttachmentTexts): Attachments {
  return {
    drive: drive?.map(parseDrive),
    device: device?.map((text) => {
      const parsed = parseDevice(text);
      if (typeof parsed === 'string') throw new UsageError('BAD_OPTION', `"${text}" is for the command line.`);
      return parsed;
    }),
    net: net?.map(parseNet),
    share: share?.map(parseShare),
    vsock: vsock === undefined ? undefined : parseVsock(vsock),
  };
}

/** Which clock suits what is plugged in: somebody outside who waits lives by the host's. */
export function clockFor({ net, vsock }: Attachments): ClockMode {
  return vsock || net?.some(({ kind }) => kind !== 'none') ? 'host' : 'virtual';
}

/**
 * Opens files, folders and sockets and says what to plug. `seed` is that of a repeatable run. Throws for what cannot be
 * opened. `networks.open` is to follow once the machine has been made.
 */
export async function openAttachments(
  { drive, device, share, vsock }: Attachments,
  networks: Networks,
  { clock, seed }: { readonly clock: ClockMode; readonly seed: number | undefined },
): Promise<{ readonly devices?: readonly DeviceRequest[]; readonly bridges?: number }> {
  const others = await openDevices(drive ?? [], device ?? [], { seed });
  const shares = await openShares(share ?? [], vsock);
  const devices = [...others, ...shares, ...networks.requests(clock)];
  return {
    ...(devices.length > 0 && { devices }),
    ...(devices.some(({ bridge }) => bridge === 1) && { bridges: 2 }),
  };
}
