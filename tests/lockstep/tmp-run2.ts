import { readFileSync } from 'node:fs';
import { Machine } from '../../src/index.ts';
const pocket = readFileSync('guests/pocket/pocket.elf');
const t=Date.now();
const m = await Machine.create({ kernel: pocket, memoryBytes: 2**27, append: 'plain', cpus: 1, clock:'virtual' });
m.closeInput();
(m as any).core.setShared('hotThreshold', BigInt(process.argv[2]));
for (let i=0;i<4;i++) { await m.run({instructions: 4e6}); console.log((Date.now()-t)/1000, JSON.stringify(m.report().compiler)); }
process.exit(0);
