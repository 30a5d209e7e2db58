import { readFileSync } from 'node:fs';
import { lockstep } from './lockstep.ts';
import { machineSubject } from './subjects.ts';
const [what, cpus, threshold, append, max] = process.argv.slice(2);
const g=process.env.HOME+'/.cache/powervisor/guests/';
const conf = what==='pocket' ? {kernel: readFileSync('guests/pocket/pocket.elf'), memoryBytes: 2**27} : {kernel: readFileSync(g+what+'/vmlinux'), initrd: readFileSync(g+(what==='debian-12-installer'?what:'busybox')+'/initrd'), memoryBytes: 2**28*(what==='linux-svm'?1:3)};
const work = [
  ['~ # ', 'seq 1 400 | sha256sum; (echo a; echo b) | sort -r; ls -lR /bin /sys/devices | wc -l; awk "BEGIN { print 1/3 }"\n'],
  ['~ # ', 'poweroff -f\n'],
] as const;
const script = what==='pocket' ? [] : work;
const t=Date.now();
try {
const r = await lockstep({ start: async (e) => { const s = await machineSubject(e, { ...conf, append, cpus: Number(cpus) }, {threshold: Number(threshold), script});
 const a = s.advance; let n=0; s.advance = async (i) => { const x = await a(i); if ((++n)%10==0) console.log(what,cpus, e, n, (Date.now()-t)/1000, s.share().toFixed(3)); return x; }; return s; }, memoryEvery: 50_000_000, pieceInstructions: 4000, maxInstructions: Number(max ?? 1e12) });
console.log(what, cpus, append, r);
} catch (e) { console.log(what, cpus, append, String(e)); }
console.log((Date.now()-t)/1000);
