// `--share` and `--vsock`: folders of this machine that the guest mounts, and unix sockets that its programs talk to.

import { NodeShare } from '../backends/node/share.ts';
import { UnixVsock } from '../backends/node/vsock.ts';
import { UsageError } from '../util/errors.ts';
import { MAX_TAG_BYTES } from '../virtio/devices/9p/config.ts';
import { MAX_GUEST_CID, MIN_GUEST_CID } from '../virtio/devices/vsock/config.ts';
import type { DeviceRequest } from '../vmm/devices.ts';
import { virtioNineP, virtioVsock } from '../vmm/virtio-devices.ts';
import { type GivenOption, type OptionRow, optionValue, parseOptionList } from './option-list.ts';
import { checkTransport, flag, placeOf, TRANSPORT_ROWS, transportOf } from './transport-options.ts';

const SHARE_ROWS: readonly OptionRow[] = [
  { name: 'tag', takes: { kind: 'text' }, help: `what the guest mounts it by, 1 to ${MAX_TAG_BYTES} bytes` },
  { name: 'path', takes: { kind: 'text' }, help: 'folder of this machine' },
  flag('readonly', 'the guest changes nothing'),
  ...TRANSPORT_ROWS,
];

const VSOCK_ROWS: readonly OptionRow[] = [
  {
    name: 'cid',
    takes: { kind: 'number', min: MIN_GUEST_CID, max: MAX_GUEST_CID },
    help: `number of the guest; ${MIN_GUEST_CID} if not given`,
  },
  // The device has no legacy interface.
  ...TRANSPORT_ROWS.filter(({ name }) => name !== 'transitional'),
];

export interface ShareOption {
  readonly given: readonly GivenOption[];
}

export interface VsockOption {
  readonly path: string;
  readonly given: readonly GivenOption[];
}

/** `--share` as written. Throws a UsageError for what cannot be. */
export function parseShare(text: string): ShareOption {
  const given = parseOptionList('--share', text, SHARE_ROWS);
  const tag = optionValue(given, 'tag');
  if (tag === undefined || tag === '') throw usage('--share needs tag=..., what the guest mounts the folder by.');
  if (Buffer.byteLength(tag as string) > MAX_TAG_BYTES) {
    throw usage(`--share takes a tag of at most ${MAX_TAG_BYTES} bytes, not "${tag}".`);
  }
  if (optionValue(given, 'path') === undefined) throw usage('--share needs path=..., the folder to share.');
  checkTransport('--share', given);
  return { given };
}

/** `--vsock` as written. Throws a UsageError for what cannot be. */
export function parseVsock(text: string): VsockOption {
  const comma = text.indexOf(',');
  const path = comma < 0 ? text : text.slice(0, comma);
  if (path === '') throw usage('--vsock needs the path of a unix socket.');
  return { path, given: parseOptionList('--vsock', comma < 0 ? '' : text.slice(comma + 1), VSOCK_ROWS) };
}

/** Opens folders and sockets and says what to plug. Throws for what cannot be opened, and for a tag that is taken. */
export async function openShares(
  shares: readonly ShareOption[],
  vsock: VsockOption | undefined,
): Promise<DeviceRequest[]> {
  const requests: DeviceRequest[] = [];
  const tags = new Set<string>();
  for (const { given } of shares) {
    const tag = optionValue(given, 'tag') as string;
    if (tags.has(tag)) throw usage(`--share gives the tag ${tag} twice.`);
    tags.add(tag);
    const readOnly = optionValue(given, 'readonly') === true;
    const folder = await NodeShare.open(optionValue(given, 'path') as string, { readOnly });
    requests.push({ make: virtioNineP(folder, tag, transportOf(given)), ...placeOf(given) });
  }
  if (vsock) {
    const { path, given } = vsock;
    const cid = optionValue(given, 'cid') as number | undefined;
    requests.push({
      make: virtioVsock(await UnixVsock.listen(path), cid, transportOf(given)),
      ...placeOf(given),
    });
  }
  return requests;
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
