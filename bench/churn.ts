// A process of its own for the memory part of the benchmark: rounds of loading and unloading modules in a Debian guest,
// one line of JSON every so many rounds. Arguments: kernel, initrd, minutes, rounds between samples.

import { churnModules } from '../tests/support/module-churn.ts';

const [kernel, initrd, minutes, every] = process.argv.slice(2);
const seconds = Number(minutes) * 60;
await churnModules(
  { kernel, initrd },
  {
    every: Number(every),
    onSample: (sample) => {
      console.log(JSON.stringify(sample));
      return sample.seconds < seconds;
    },
  },
);
process.exit();
