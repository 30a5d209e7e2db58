// Giving up and getting back the processor: H_CEDE, H_CONFER, H_PROD (LoPAR, Shared Processor LPAR Option), H_JOIN
// (LoPAR, Thread Join Option), and H_SIGNAL_SYS_RESET, which wakes a processor from any of them.

import { H_BAD_MODE, H_CONTINUE, H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import type { VirtualProcessor, VirtualProcessors } from '../virtual-processor.ts';

const ALL = -1n;
const ALL_BUT_SELF = -2n;

export interface SchedulingContext {
  readonly processors: VirtualProcessors;
  /** Delivers a system reset interrupt; a stopped processor ignores it. */
  systemReset(processor: VirtualProcessor): void;
}

export function schedulingHcalls(context: SchedulingContext): HcallDefinition[] {
  const { processors } = context;
  return [
    {
      token: 0xe0,
      name: 'H_CEDE',
      inputs: 0,
      outputs: 0,
      functionSet: 'hcall-splpar',
      handler: (call) => cede(processors, call),
      ref: 'LoPAR H_CEDE',
    },
    {
      token: 0xe4,
      name: 'H_CONFER',
      inputs: 2,
      outputs: 0,
      functionSet: 'hcall-splpar',
      handler: (call) => confer(processors, call),
      ref: 'LoPAR H_CONFER',
    },
    {
      token: 0xe8,
      name: 'H_PROD',
      inputs: 1,
      outputs: 0,
      functionSet: 'hcall-splpar',
      handler: (call) => {
        const target = processors.find(call.arg(0));
        if (!target) return H_PARAMETER;
        target.prod();
        return H_SUCCESS;
      },
      ref: 'LoPAR H_PROD',
    },
    {
      token: 0x298,
      name: 'H_JOIN',
      inputs: 0,
      outputs: 0,
      functionSet: 'hcall-join',
      handler: (call) => join(processors, call),
      ref: 'LoPAR H_JOIN',
    },
    {
      token: 0x380,
      name: 'H_SIGNAL_SYS_RESET',
      inputs: 1,
      outputs: 0,
      handler: (call) => signalSystemReset(context, call),
      ref: 'Linux arch/powerpc/include/asm/hvcall.h',
    },
  ];
}

/** Sleeps with interrupts enabled. Completes at once if there is a reason to wake already. */
function cede(processors: VirtualProcessors, call: Hcall): number {
  const self = processors.find(call.vcpu.id);
  if (!self) return H_PARAMETER;
  call.vcpu.setExternalEnabled();
  if (self.consumeProd() || call.vcpu.interruptPending()) return H_SUCCESS;
  self.cede();
  return H_SUCCESS;
}

/** r4 processor or -1, r5 the dispatch count the caller saw there. */
function confer(processors: VirtualProcessors, call: Hcall): number {
  if (BigInt.asIntN(64, call.arg(0)) === ALL) {
    call.vcpu.yieldSlice(undefined);
    return H_SUCCESS;
  }
  const target = processors.find(call.arg(0));
  if (!target) return H_PARAMETER;
  if (target.id === call.vcpu.id) return conferToSelf(target, call);
  const waits = target.dispatchCount % 2 === 1 && call.arg(1) === BigInt(target.dispatchCount);
  if (waits) call.vcpu.yieldSlice(target.id);
  return H_SUCCESS;
}

/** Sleeps until prodded; with interrupts enabled they wake it too. */
function conferToSelf(self: VirtualProcessor, call: Hcall): number {
  if (self.consumeProd()) return H_SUCCESS;
  if (!call.vcpu.externalEnabled) self.confer();
  else if (!call.vcpu.interruptPending()) self.cede('conferred');
  return H_SUCCESS;
}

function join(processors: VirtualProcessors, call: Hcall): number {
  const self = processors.find(call.vcpu.id);
  if (!self) return H_PARAMETER;
  if (call.vcpu.externalEnabled) return H_BAD_MODE;
  const othersActive = processors.all.some(
    (other) => other !== self && !other.joined && other.port.state !== 'stopped',
  );
  if (!othersActive) return H_CONTINUE;
  if (self.consumeProd()) return H_SUCCESS;
  self.confer();
  self.joined = true;
  return H_SUCCESS;
}

/** r4: a processor, -1 for all, -2 for all but the caller. */
function signalSystemReset(context: SchedulingContext, call: Hcall): number | undefined {
  const self = context.processors.find(call.vcpu.id);
  const target = BigInt.asIntN(64, call.arg(0));
  if (target === ALL || target === ALL_BUT_SELF) {
    for (const other of context.processors.all) if (other !== self) context.systemReset(other);
    return target === ALL ? resetSelf(context, call, self) : H_SUCCESS;
  }
  const processor = context.processors.find(call.arg(0));
  if (!processor) return H_PARAMETER;
  if (processor === self) return resetSelf(context, call, self);
  context.systemReset(processor);
  return H_SUCCESS;
}

/** The interrupt comes after the call's completion: r3 holds the return code by then, and is saved with it. */
function resetSelf(context: SchedulingContext, call: Hcall, self: VirtualProcessor | undefined): undefined {
  call.vcpu.setGpr(3, BigInt(H_SUCCESS));
  if (self) context.systemReset(self);
  return undefined;
}
