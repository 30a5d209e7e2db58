// The text formats of a Debian archive: control stanzas (deb822(5)), the checksums of a Release file, and the order of
// version numbers (deb-version(7)).

import type { FileDigest } from './download.ts';

export type Stanza = ReadonlyMap<string, string>;

/** One stanza. Continuation lines are kept, joined by newlines. Field names are lower-cased. */
export function parseStanza(text: string): Stanza {
  const fields = new Map<string, string>();
  let name = '';
  for (const line of text.split('\n')) {
    if (/^[ \t]/.test(line)) {
      fields.set(name, `${fields.get(name)}\n${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    name = line.slice(0, colon).toLowerCase();
    fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** All stanzas of a Packages file whose `Package` field is `packageName`. The rest is not parsed: the file is large. */
export function findPackage(packages: string, packageName: string): Stanza[] {
  const found: Stanza[] = [];
  const key = `\nPackage: ${packageName}\n`;
  const text = `\n${packages}\n\n`;
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + 1)) {
    found.push(parseStanza(text.slice(text.lastIndexOf('\n\n', at) + 1, text.indexOf('\n\n', at + 1))));
  }
  return found;
}

/** The SHA256 section of a Release file: path below the suite's folder to size and checksum. */
export function releaseDigests(release: string): Map<string, FileDigest> {
  const digests = new Map<string, FileDigest>();
  for (const line of parseStanza(release).get('sha256')?.split('\n') ?? []) {
    const [sha256, size, path] = line.split(/\s+/);
    if (path !== undefined && /^[0-9a-f]{64}$/.test(sha256)) digests.set(path, { sha256, sizeBytes: Number(size) });
  }
  return digests;
}

/** Negative, zero or positive as version `a` is older than, the same as, or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [splitVersion(a), splitVersion(b)];
  return (
    left.epoch - right.epoch || comparePart(left.upstream, right.upstream) || comparePart(left.revision, right.revision)
  );
}

function splitVersion(version: string) {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  };
}

/** Stretches of non-digits and digits in turn; letters before others, `~` before everything, even the end. */
function comparePart(a: string, b: string): number {
  const split = (text: string) => text.match(/\d+|\D+/g) ?? [];
  const left = split(a);
  const right = split(b);
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [x, y] = [left[index] ?? '', right[index] ?? ''];
    const bothNumbers = /^\d*$/.test(x) && /^\d*$/.test(y);
    const order = bothNumbers ? Number(x) - Number(y) : compareText(x, y);
    if (order !== 0) return order;
  }
  return 0;
}

function compareText(a: string, b: string): number {
  const weight = (text: string, index: number) => {
    const char = text[index];
    if (char === undefined || /\d/.test(char)) return 0;
    if (char === '~') return -1;
    return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
  };
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const order = weight(a, index) - weight(b, index);
    if (order !== 0) return order;
  }
  return 0;
}
