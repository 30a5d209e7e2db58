// ibm,set-xive, ibm,get-xive, ibm,int-on, ibm,int-off: where a source's interrupts go. LoPAR, PowerPC External Interrupt
// Option. Deviation: ibm,set-xive with a priority unmasks a source that was never switched on, as existing platforms do;
// so ibm,get-xive must say 0xff while a source is off, or a kernel that sets the server it has just read would unmask it.

import type { Xics } from '../xics/xics.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

export function interruptServices(xics: Xics): RtasService[] {
  return [
    {
      token: 0x2009,
      name: 'ibm,set-xive',
      nargs: 3,
      nret: 1,
      handler: (call) => setXive(xics, call),
      ref: 'LoPAR ibm,set-xive',
    },
    {
      token: 0x200a,
      name: 'ibm,get-xive',
      nargs: 1,
      nret: 3,
      handler: (call) => getXive(xics, call),
      ref: 'LoPAR ibm,get-xive',
    },
    {
      token: 0x200b,
      name: 'ibm,int-off',
      nargs: 1,
      nret: 1,
      handler: (call) => onSource(xics, call, (irq) => xics.sources.mask(irq)),
      ref: 'LoPAR ibm,int-off',
    },
    {
      token: 0x200c,
      name: 'ibm,int-on',
      nargs: 1,
      nret: 1,
      handler: (call) => onSource(xics, call, (irq) => xics.sources.unmask(irq)),
      ref: 'LoPAR ibm,int-on',
    },
  ];
}

/** Inputs: source, server, priority. */
function setXive(xics: Xics, call: RtasCall): number {
  const server = call.arg(1);
  const priority = call.arg(2);
  if (!xics.presenter(server) || priority > 0xff) return RTAS_PARAMETER_ERROR;
  return onSource(xics, call, (irq) => xics.sources.setXive(irq, server, priority));
}

/** Outputs: server, and the priority in force: 0xff while the source is off. */
function getXive(xics: Xics, call: RtasCall): number {
  return onSource(xics, call, (irq) => {
    const source = xics.sources.find(irq)!;
    call.result(1, source.server);
    call.result(2, source.priority);
  });
}

function onSource(xics: Xics, call: RtasCall, action: (irq: number) => void): number {
  const irq = call.arg(0);
  if (!xics.sources.find(irq)) return RTAS_PARAMETER_ERROR;
  action(irq);
  return RTAS_SUCCESS;
}
