// Connects what the parts of a machine can tell to the stream of events, for as long as somebody listens.

import type { Hypervisor } from '../hypervisor/hypervisor.ts';
import type { Devices } from '../vmm/devices.ts';
import { dmaEvent, type EventStream } from './events.ts';

/** To be called whenever the set of listened-to categories has changed. */
export function connectTrace(stream: EventStream, { events }: Hypervisor, devices: Devices): void {
  events.hcall = stream.wants('hcall') ? (event) => stream.emit({ category: 'hcall', ...event }) : undefined;
  events.rtas = stream.wants('rtas') ? (event) => stream.emit({ category: 'rtas', ...event }) : undefined;
  events.interrupt = stream.wants('interrupt')
    ? (event) => stream.emit({ category: 'interrupt', ...event })
    : undefined;
  events.console = stream.wants('console') ? (event) => stream.emit({ category: 'console', ...event }) : undefined;
  devices.listenToDma(
    stream.wants('dma')
      ? {
          access: ({ origin, access, mode, gra, lenBytes }) =>
            stream.emit({ ...dmaEvent(origin), access, mode, gra, lenBytes }),
          fault: ({ reason, access, mode, address }, origin) =>
            stream.emit({ ...dmaEvent({ ...origin, busAddress: address }), access, mode, fault: reason }),
        }
      : {},
  );
}
