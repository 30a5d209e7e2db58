// Ending it: power-off, system-reboot, ibm,os-term; and display-character, which goes to the operator panel and not to
// the console. LoPAR, Power Control, Reboot, Miscellaneous RTAS Calls.

import type { HypervisorEvents } from '../events.ts';
import type { PartitionPort } from '../vcpu-port.ts';
import { readString } from './buffer.ts';
import { RTAS_SUCCESS, type RtasService } from './service.ts';

const OS_TERM_MAX_BYTES = 1024;

export function powerServices(partition: PartitionPort, events: HypervisorEvents): RtasService[] {
  return [
    {
      token: 0x2002,
      name: 'power-off',
      nargs: 2,
      nret: 1,
      handler: () => {
        partition.powerOff();
        return undefined;
      },
      ref: 'LoPAR power-off',
    },
    {
      token: 0x2003,
      name: 'system-reboot',
      nargs: 0,
      nret: 1,
      handler: () => {
        partition.reboot();
        return undefined;
      },
      ref: 'LoPAR system-reboot',
    },
    {
      token: 0x2004,
      name: 'ibm,os-term',
      nargs: 1,
      nret: 1,
      handler: (call) => {
        const message = new TextDecoder('utf-8').decode(readString(call, call.arg(0), OS_TERM_MAX_BYTES));
        partition.guestPanic(message.trim());
        return RTAS_SUCCESS;
      },
      ref: 'LoPAR ibm,os-term, extended behaviour: it returns',
    },
    {
      token: 0x2005,
      name: 'display-character',
      nargs: 1,
      nret: 1,
      handler: (call) => {
        const character = call.arg(0) & 0xff;
        events.panel?.({ vcpu: call.vcpu.id, character });
        return RTAS_SUCCESS;
      },
      ref: 'LoPAR display-character',
    },
  ];
}
