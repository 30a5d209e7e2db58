// H_REGISTER_VPA: registers the areas that guest and hypervisor share for each virtual processor (LoPAR,
// H_REGISTER_VPA). Deviation: LoPAR lets only the processor itself, or an offline one, be named; any may be here.

import type { HostView } from '../../memory/host-view.ts';
import { H_HARDWARE, H_PARAMETER, H_RESOURCE, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import { logicalAddress } from '../logical-address.ts';
import {
  type RegisteredArea,
  TRACE_ENTRY_BYTES,
  type VirtualProcessor,
  type VirtualProcessors,
  VPA,
} from '../virtual-processor.ts';

const CACHE_LINE_BYTES = 128;
const PAGE_BYTES = 4096;
const SIZE_OFFSET = 4;
const SLB_SHADOW_MIN_BYTES = 8;

/** Sub-functions, flag bits 16 to 18. */
const REGISTER_VPA = 1;
const REGISTER_TRACE_LOG = 2;
const REGISTER_SLB_SHADOW = 3;
const DEREGISTER_VPA = 5;
const DEREGISTER_TRACE_LOG = 6;
const DEREGISTER_SLB_SHADOW = 7;

export interface VpaContext {
  readonly processors: VirtualProcessors;
  readonly view: HostView;
  readonly sharedProcessors: boolean;
}

export function vpaHcalls(context: VpaContext): HcallDefinition[] {
  return [
    {
      token: 0xdc,
      name: 'H_REGISTER_VPA',
      inputs: 3,
      outputs: 0,
      functionSet: 'hcall-splpar',
      handler: (call) => registerVpa(context, call),
      ref: 'LoPAR H_REGISTER_VPA',
    },
  ];
}

/** r4 flags, r5 processor, r6 address. */
function registerVpa(context: VpaContext, call: Hcall): number {
  const subfunction = Number((call.arg(0) >> 45n) & 7n);
  const processor = context.processors.find(call.arg(1));
  if (!processor) return H_PARAMETER;
  if (subfunction === REGISTER_VPA || subfunction === REGISTER_TRACE_LOG || subfunction === REGISTER_SLB_SHADOW) {
    return register(context, call, processor, subfunction);
  }
  return deregister(processor, subfunction);
}

function register(context: VpaContext, call: Hcall, processor: VirtualProcessor, subfunction: number): number {
  const gra = logicalAddress(call.arg(2));
  if (gra === 0) return H_HARDWARE;
  if (gra === undefined || gra % CACHE_LINE_BYTES !== 0 || !context.view.contains(gra, CACHE_LINE_BYTES)) {
    return H_PARAMETER;
  }
  if (subfunction === REGISTER_VPA) {
    const area = { gra, sizeBytes: context.view.loadU16BE(gra + SIZE_OFFSET, call.origin) };
    if (area.sizeBytes < VPA.minBytes || !inOnePage(area) || !inRam(context, area)) return H_PARAMETER;
    processor.registerVpa(area, context.sharedProcessors, call.origin);
    return H_SUCCESS;
  }
  const area = { gra, sizeBytes: context.view.loadU32BE(gra + SIZE_OFFSET, call.origin) };
  const isTraceLog = subfunction === REGISTER_TRACE_LOG;
  if (area.sizeBytes < (isTraceLog ? TRACE_ENTRY_BYTES : SLB_SHADOW_MIN_BYTES)) return H_PARAMETER;
  if (!inRam(context, area) || (!isTraceLog && !inOnePage(area))) return H_PARAMETER;
  if (!processor.vpa) return H_RESOURCE;
  if (isTraceLog) processor.registerTraceLog(area, call.origin);
  else processor.slbShadow = area;
  return H_SUCCESS;
}

function deregister(processor: VirtualProcessor, subfunction: number): number {
  switch (subfunction) {
    case DEREGISTER_VPA:
      if (processor.traceLog || processor.slbShadow) return H_RESOURCE;
      processor.vpa = undefined;
      return H_SUCCESS;
    case DEREGISTER_TRACE_LOG:
      processor.traceLog = undefined;
      return H_SUCCESS;
    case DEREGISTER_SLB_SHADOW:
      processor.slbShadow = undefined;
      return H_SUCCESS;
    default:
      return H_PARAMETER;
  }
}

function inOnePage(area: RegisteredArea): boolean {
  return (area.gra % PAGE_BYTES) + area.sizeBytes <= PAGE_BYTES;
}

function inRam(context: VpaContext, area: RegisteredArea): boolean {
  return context.view.contains(area.gra, area.sizeBytes);
}
