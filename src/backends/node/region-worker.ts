// The thread that makes regions of compiled code for a machine of this process (region-workshop.ts starts it).

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { deliver, type RegionOrder } from '../../cpu/compiler/workshop.ts';
import { semantics } from '../../cpu/semantics/index.ts';
import { assert } from '../../util/errors.ts';

/** What the thread is started with. */
export interface RegionWorkerData {
  /** Whether regions count their entries and ways out. */
  readonly counts: boolean;
  /** Where deliveries go. */
  readonly deliveries: MessagePort;
  /** Counts them, so that the other side looks for one only when there is one. */
  readonly delivered: Int32Array<SharedArrayBuffer>;
}

/** Orders that become one module: more of them would keep the first one waiting. */
const MAX_BATCH = 8;

const { counts, deliveries, delivered } = workerData as RegionWorkerData;
assert(parentPort, 'this is a thread of its own');
const port = parentPort;
const make = (orders: readonly RegionOrder[]) => deliver(orders, semantics, counts, () => performance.now());

// The first region takes longest, because nothing of this program has run yet: let it be one that nobody waits for.
// addi r3,r3,1; ld r5,0(r4); std r5,8(r4); cmpd r5,r3; bdnz -16
const words = [0x38630001, 0xe8a40000, 0xf8a40008, 0x7c251800, 0x4200fff0];
make([
  {
    id: 0,
    entries: [0],
    user: false,
    foreign: [],
    blocks: [
      {
        start: 0,
        code: words.flatMap((word, index) => [index * 4, word]),
        terminator: {
          kind: 'conditional',
          condition: { bo: 16, bi: 0 },
          link: false,
          taken: { kind: 'block', block: 0 },
          notTaken: { kind: 'exit', offset: 20 },
        },
      },
    ],
  },
]);

port.on('message', (order: RegionOrder) => {
  const orders = [order];
  while (orders.length < MAX_BATCH) {
    const more = receiveMessageOnPort(port);
    if (!more) break;
    orders.push(more.message as RegionOrder);
  }
  deliveries.postMessage(make(orders));
  Atomics.add(delivered, 0, 1);
});
