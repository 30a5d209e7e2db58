// Guest memory as the client interface touches it: every address and length comes from the client and is checked here.

import type { AccessOrigin, HostView } from '../memory/host-view.ts';

export class ClientMemory {
  private readonly view: HostView;
  private readonly origin: AccessOrigin;

  /** `service` names the client service in whose course memory is touched. */
  constructor(view: HostView, service: string) {
    this.view = view;
    this.origin = { kind: 'firmware', name: service };
  }

  /** The text at `gra` up to its NUL, which must come within `maxBytes`; undefined otherwise. */
  string(gra: number, maxBytes: number): string | undefined {
    const lenBytes = Math.min(maxBytes, this.view.sizeBytes - gra);
    const bytes = this.bytes(gra, lenBytes);
    const end = bytes?.indexOf(0) ?? -1;
    if (bytes === undefined || end < 0) return undefined;
    return String.fromCharCode(...bytes.subarray(0, end));
  }

  /** A copy of the bytes, or undefined if they are not all RAM. */
  bytes(gra: number, lenBytes: number): Uint8Array<ArrayBuffer> | undefined {
    return this.view.contains(gra, lenBytes) ? this.view.read(gra, lenBytes, this.origin) : undefined;
  }

  /** Big-endian cells, or undefined if they are not all RAM. */
  cells(gra: number, count: number): number[] | undefined {
    if (!this.view.contains(gra, count * 4)) return undefined;
    return Array.from({ length: count }, (_, index) => this.view.loadU32BE(gra + index * 4, this.origin));
  }

  /** False, and nothing written, if the target is not all RAM. */
  write(gra: number, source: Uint8Array): boolean {
    if (!this.view.contains(gra, source.length)) return false;
    this.view.write(gra, source, this.origin);
    return true;
  }
}
