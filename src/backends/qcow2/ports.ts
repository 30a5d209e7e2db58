// What disk images need of the host: a file with random access, a place that opens files by name, and decompression.
// Node and the browser fill these; the image code below uses nothing else.

/** A file or device of bytes. Requests may be under way at the same time; overlapping ones have no order. */
export interface RandomAccessFile {
  readonly readOnly: boolean;
  /** Length in bytes now. */
  size(): Promise<number>;
  /** Fills `into` from `offset`; returns how many bytes there were before the end of the file. Rejects on an I/O error. */
  read(offset: number, into: Uint8Array): Promise<number>;
  /** Writes all of `from`, growing the file if need be; bytes never written read as zeros. Rejects on an I/O error. */
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Resolves when everything written before the call survives a loss of power. */
  flush(): Promise<void>;
  /** Sets the length; new bytes read as zeros. */
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

/** Where files are found by the names that images give them. */
export interface FileStore {
  /**
   * The name by which a file is opened, for a name standing in the image `from`: relative names are relative to the
   * folder of that image. Two names of one file give one result (links are followed).
   */
  resolve(name: string, from: string | undefined): Promise<string>;
  open(resolved: string, access: 'read' | 'write'): Promise<RandomAccessFile>;
}

export type ClusterCompression = 'deflate' | 'zstd';

/**
 * Unpacks one compressed cluster: a raw deflate stream (RFC 1951) or a Zstandard frame (RFC 8878) at the start of
 * `bytes`, which may go on behind it. Rejects if the data is damaged or unpacks to more than `limitBytes`.
 */
export type ClusterDecompressor = (
  method: ClusterCompression,
  bytes: Uint8Array,
  limitBytes: number,
) => Promise<Uint8Array>;

/** A disk as its users see it, whatever the format. Offsets and lengths are bytes and lie within `sizeBytes`. */
export interface DiskImage {
  readonly format: 'raw' | 'qcow2';
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Resolves when every write that was complete before the call survives a loss of power. */
  flush(): Promise<void>;
  /** The content of the range no longer matters. May do nothing. */
  discard(offset: number, lenBytes: number): Promise<void>;
  /** The range reads as zeros afterwards. `unmap`: its storage may be given back. */
  writeZeroes(offset: number, lenBytes: number, unmap: boolean): Promise<void>;
  /** Waits for requests under way, writes back what is kept in memory, and closes the file and its backing files. */
  close(): Promise<void>;
}
