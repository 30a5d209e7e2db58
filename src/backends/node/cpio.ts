// Writing archives of the "newc" cpio format, the one Linux unpacks as an initramfs
// (Linux Documentation/driver-api/early-userspace/buffer-format). Owner is root, times are 0: same input, same bytes.

export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode?: number; readonly data: Uint8Array | string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'device';
      readonly path: string;
      readonly mode?: number;
      readonly major: number;
      readonly minor: number;
    };

const typeBits = { directory: 0o040000, file: 0o100000, link: 0o120000, device: 0o020000 } as const;
const defaultMode = { directory: 0o755, file: 0o644, link: 0o777, device: 0o600 } as const;

/** The archive, closed by its trailer and padded to 512 bytes. Folders must be listed before what they hold. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Buffer[] = [];
  let lenBytes = 0;
  const push = (part: Buffer, align: number) => {
    const padding = Buffer.alloc((align - ((lenBytes + part.length) % align)) % align);
    parts.push(part, padding);
    lenBytes += part.length + padding.length;
  };
  const member = (inode: number, entry: CpioEntry, mode: number) => {
    const data = contentOf(entry);
    push(Buffer.concat([header(inode, entry, mode, data.length), Buffer.from(`${entry.path}\0`)]), 4);
    push(data, 4);
  };
  entries.forEach((entry, index) => {
    const permissions = ('mode' in entry ? entry.mode : undefined) ?? defaultMode[entry.kind];
    member(index + 1, entry, typeBits[entry.kind] | permissions);
  });
  member(0, { kind: 'file', path: 'TRAILER!!!', data: '' }, 0);
  push(Buffer.alloc(0), 512);
  return Buffer.concat(parts);
}

function contentOf(entry: CpioEntry): Buffer {
  if (entry.kind === 'link') return Buffer.from(entry.target);
  if (entry.kind === 'file') return Buffer.from(entry.data as Uint8Array);
  return Buffer.alloc(0);
}

/** Magic, then 13 fields of 8 hexadecimal digits. */
function header(inode: number, entry: CpioEntry, mode: number, sizeBytes: number): Buffer {
  const links = entry.kind === 'directory' ? 2 : 1;
  const [major, minor] = entry.kind === 'device' ? [entry.major, entry.minor] : [0, 0];
  const nameBytes = Buffer.byteLength(entry.path) + 1;
  const [user, group, time, deviceMajor, deviceMinor, checksum] = [0, 0, 0, 0, 0, 0];
  const fields = [
    inode,
    mode,
    user,
    group,
    links,
    time,
    sizeBytes,
    deviceMajor,
    deviceMinor,
    major,
    minor,
    nameBytes,
    checksum,
  ];
  return Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
}
