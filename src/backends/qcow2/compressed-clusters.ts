// Reading of compressed clusters, with the last few kept unpacked: a guest reads a cluster in many small pieces.
// Compressed clusters are never written, and a place in the file that once held one never holds another in the same
// session, so that what is kept cannot become stale.

import { hex, ImageError } from './image-error.ts';
import type { ClusterCompression, ClusterDecompressor, RandomAccessFile } from './ports.ts';

const keptBytes = 1 << 20;

export class CompressedClusters {
  private readonly file: RandomAccessFile;
  private readonly clusterBytes: number;
  private readonly compression: ClusterCompression;
  private readonly decompress: ClusterDecompressor;
  private readonly kept = new Map<string, Promise<Uint8Array>>();

  constructor(
    file: RandomAccessFile,
    clusterBytes: number,
    compression: ClusterCompression,
    decompress: ClusterDecompressor,
  ) {
    this.file = file;
    this.clusterBytes = clusterBytes;
    this.compression = compression;
    this.decompress = decompress;
  }

  /** The cluster unpacked from `lenBytes` bytes at `offset` of the file; not to be changed. Throws IMAGE_CORRUPT. */
  read(offset: number, lenBytes: number): Promise<Uint8Array> {
    const key = `${offset}+${lenBytes}`;
    const found = this.kept.get(key) ?? this.unpack(offset, lenBytes);
    this.kept.delete(key);
    this.kept.set(key, found);
    found.catch(() => this.kept.delete(key));
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= Math.max(2, keptBytes / this.clusterBytes)) break;
      this.kept.delete(oldest);
    }
    return found;
  }

  private async unpack(offset: number, lenBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(lenBytes);
    const count = await this.file.read(offset, bytes);
    let cluster: Uint8Array;
    try {
      cluster = await this.decompress(this.compression, bytes.subarray(0, count), this.clusterBytes);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ImageError('IMAGE_CORRUPT', `the compressed cluster at ${hex(offset)} is damaged: ${reason}`, {
        cause,
      });
    }
    if (cluster.length !== this.clusterBytes) {
      throw new ImageError('IMAGE_CORRUPT', `the compressed cluster at ${hex(offset)} unpacks to the wrong length.`);
    }
    return cluster;
  }
}
