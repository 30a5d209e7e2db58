// The program that kill.test.ts kills: writes to a qcow2 image and notes in a log what is flushed.
// Arguments: image, log, seed, sectors.

import { openSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { decompressCluster, NodeFile } from '../../src/backends/node/image-file.ts';
import { Qcow2Image } from '../../src/backends/qcow2/qcow2-image.ts';
import { batches, perform } from './sector-model.ts';

const [path, logPath, seed, sectors] = process.argv.slice(2);
const file = new NodeFile(await open(path, 'r+'), false);
const disk = await Qcow2Image.open(file, {
  name: path,
  readOnly: false,
  decompress: decompressCluster,
  cacheBytes: 1,
});
const log = openSync(logPath, 'a');
let batch = 0;
for (const { operations, flush } of batches(Number(seed), Number(sectors))) {
  batch++;
  await Promise.all(operations.map((operation) => perform(disk, operation)));
  writeSync(log, `done ${batch}\n`);
  if (!flush) continue;
  await disk.flush();
  writeSync(log, `flushed ${batch} ${operations[operations.length - 1].id}\n`);
}
