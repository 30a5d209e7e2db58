// start-cpu, stop-self, query-cpu-stopped-state. LoPAR, SMP Support.

import type { PartitionPort } from '../vcpu-port.ts';
import type { VirtualProcessors } from '../virtual-processor.ts';
import type { Xics } from '../xics/xics.ts';
import { RTAS_HARDWARE_ERROR, RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

const STOPPED = 0;
const NOT_STOPPED = 2;

export interface ProcessorServicesContext {
  readonly processors: VirtualProcessors;
  readonly xics: Xics;
  readonly partition: PartitionPort;
}

export function processorServices(context: ProcessorServicesContext): RtasService[] {
  return [
    {
      token: 0x2006,
      name: 'query-cpu-stopped-state',
      nargs: 1,
      nret: 2,
      handler: (call) => {
        const processor = context.processors.find(call.arg(0));
        if (!processor) return RTAS_PARAMETER_ERROR;
        call.result(1, processor.port.state === 'stopped' ? STOPPED : NOT_STOPPED);
        return RTAS_SUCCESS;
      },
      ref: 'LoPAR query-cpu-stopped-state',
    },
    {
      token: 0x2007,
      name: 'start-cpu',
      nargs: 3,
      nret: 1,
      handler: (call) => startCpu(context, call),
      ref: 'LoPAR start-cpu',
    },
    {
      token: 0x2008,
      name: 'stop-self',
      nargs: 0,
      nret: 1,
      handler: (call) => stopSelf(context, call),
      ref: 'LoPAR stop-self',
    },
  ];
}

/** Inputs: processor, real start address, r3. */
function startCpu(context: ProcessorServicesContext, call: RtasCall): number {
  const processor = context.processors.find(call.arg(0));
  const address = call.arg(1);
  if (!processor || address % 4 !== 0 || !call.view.contains(address, 4)) return RTAS_PARAMETER_ERROR;
  if (processor.port.state !== 'stopped') return RTAS_HARDWARE_ERROR;
  context.xics.presenter(processor.id)?.reset();
  processor.start(address, BigInt(call.arg(2)));
  return RTAS_SUCCESS;
}

/** The presenter is reset too: what was presented here returns to its source and waits for another server. */
function stopSelf(context: ProcessorServicesContext, call: RtasCall): number | undefined {
  const self = context.processors.find(call.vcpu.id);
  if (!self) return RTAS_HARDWARE_ERROR;
  context.xics.presenter(self.id)?.reset();
  self.stop();
  if (context.processors.all.every((processor) => processor.port.state === 'stopped')) {
    context.partition.guestPanic('every processor has stopped itself');
  }
  return undefined;
}
