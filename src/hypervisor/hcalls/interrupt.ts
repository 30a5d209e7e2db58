// The presentation side of XICS (LoPAR, Interrupt Support hcall()s). The caller's own presenter is meant unless a server
// number is an argument. No priority is reserved by the platform.

import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import type { Xics } from '../xics/xics.ts';

const FUNCTION_SET = 'hcall-interrupt';

export function interruptHcalls(xics: Xics): HcallDefinition[] {
  return [
    {
      token: 0x64,
      name: 'H_EOI',
      inputs: 1,
      outputs: 0,
      functionSet: FUNCTION_SET,
      handler: (call) => eoi(xics, call),
      ref: 'LoPAR H_EOI',
    },
    {
      token: 0x68,
      name: 'H_CPPR',
      inputs: 1,
      outputs: 0,
      functionSet: FUNCTION_SET,
      handler: (call) => {
        xics.presenter(call.vcpu.id)?.setCppr(lowByte(call.arg(0)));
        return H_SUCCESS;
      },
      ref: 'LoPAR H_CPPR',
    },
    {
      token: 0x6c,
      name: 'H_IPI',
      inputs: 2,
      outputs: 0,
      functionSet: FUNCTION_SET,
      handler: (call) => {
        const target = xics.presenter(call.arg(0));
        if (!target) return H_PARAMETER;
        target.setMfrr(lowByte(call.arg(1)));
        return H_SUCCESS;
      },
      ref: 'LoPAR H_IPI',
    },
    {
      token: 0x70,
      name: 'H_IPOLL',
      inputs: 1,
      outputs: 2,
      functionSet: FUNCTION_SET,
      handler: (call) => {
        const target = xics.presenter(call.arg(0));
        if (!target) return H_PARAMETER;
        call.result(0, BigInt(target.xirr));
        call.result(1, BigInt(target.mfrr));
        return H_SUCCESS;
      },
      ref: 'LoPAR H_IPOLL',
    },
    {
      token: 0x74,
      name: 'H_XIRR',
      inputs: 0,
      outputs: 1,
      functionSet: FUNCTION_SET,
      handler: (call) => {
        accept(xics, call);
        return H_SUCCESS;
      },
      ref: 'LoPAR H_XIRR',
    },
    {
      token: 0x2fc,
      name: 'H_XIRR_X',
      inputs: 1,
      outputs: 2,
      functionSet: FUNCTION_SET,
      handler: (call) => {
        call.result(1, accept(xics, call));
        return H_SUCCESS;
      },
      ref: 'LoPAR H_XIRR-X',
    },
  ];
}

/** r4: XIRR as accepted before, that is the priority to return to and the source. */
function eoi(xics: Xics, call: Hcall): number {
  const xirr = call.arg(0) & 0xffff_ffffn;
  const irq = Number(xirr & 0xff_ffffn);
  if (!xics.isSource(irq)) return H_PARAMETER;
  xics.presenter(call.vcpu.id)?.end(irq, Number(xirr >> 24n));
  return H_SUCCESS;
}

/** Puts XIRR into r4; returns the timebase at which what it names was presented. */
function accept(xics: Xics, call: Hcall): bigint {
  const presenter = xics.presenter(call.vcpu.id);
  const presentedAt = presenter?.presentedAt ?? 0n;
  call.result(0, BigInt(presenter?.accept() ?? 0));
  return presentedAt;
}

function lowByte(value: bigint): number {
  return Number(value & 0xffn);
}
