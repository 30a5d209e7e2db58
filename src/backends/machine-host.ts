// What a machine needs of the place it runs in. Node and the browser each fill it (backends).

import type { RegionWorkshop } from '../cpu/compiler/workshop.ts';
import type { PageCipherFactory } from './page-cipher.ts';
import type { SealCrypto } from './seal-crypto.ts';

export interface MachineHost {
  /** Milliseconds from an arbitrary start, never going back. */
  monotonicMs(): number;
  /** UTC milliseconds since 1970. */
  wallClockMs(): number;
  /** Lets the host's other work (terminal, sockets, page) have its turn. */
  breathe(): Promise<void>;
  /** Resolves after `ms` milliseconds or when `wake` is called, whichever is first. */
  sleep(ms: number): { readonly done: Promise<void>; wake(): void };
  randomBytes(count: number): Uint8Array;
  /** Hex SHA-256 of the chunks one after the other. */
  sha256(chunks: readonly Uint8Array[]): Promise<string>;
  /** Undefined where there is none, as on a web page that is not in a secure context. */
  readonly sealCrypto: SealCrypto | undefined;
  readonly pageCipher: PageCipherFactory;
  /** Unpacks a compressed kernel. Rejects with a reason if it lacks the format or the data is damaged. */
  decompress(format: string, bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * Opens a place beside the machine that makes its compiled regions, which count their entries and ways out if `counts`;
   * absent or undefined where there is none.
   */
  openRegionWorkshop?(counts: boolean): RegionWorkshop | undefined;
}
