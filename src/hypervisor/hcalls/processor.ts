// Small calls about the processor: H_SET_SPRG0, the data breakpoint calls, H_RANDOM, H_GET_CPU_CHARACTERISTICS and
// H_HOME_NODE_ASSOCIATIVITY. LoPAR chapters "Logical Partitioning Option" and "Virtual Processor Home Node Option".

import { ppcBit } from '../../util/bits.ts';
import { H_HARDWARE, H_P2, H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import type { PartitionPort } from '../vcpu-port.ts';
import type { VirtualProcessors } from '../virtual-processor.ts';

/** Character: bcctr is serialised, so that an indirect branch is never predicted through a poisoned entry. */
const CPU_CHARACTER = ppcBit(1);

/**
 * Behaviour: favour security, and no L1D flush on entry, none on user access, no store-forward barrier. The emulated
 * processor does not speculate; these values keep the guest from patching in mitigations that would only cost time.
 */
const CPU_BEHAVIOUR = ppcBit(0) | ppcBit(7) | ppcBit(8) | ppcBit(9);

const ID_IS_PROCESSOR = 1n;
const ASSOCIATIVITY_REGISTERS = 6;

export interface ProcessorContext {
  readonly processors: VirtualProcessors;
  readonly partition: PartitionPort;
}

export function processorHcalls(context: ProcessorContext): HcallDefinition[] {
  return [
    {
      token: 0x24,
      name: 'H_SET_SPRG0',
      inputs: 1,
      outputs: 0,
      functionSet: 'hcall-sprg0',
      handler: (call) => {
        call.vcpu.setSprg0(call.arg(0));
        return H_SUCCESS;
      },
      ref: 'LoPAR H_SET_SPRG0',
    },
    {
      token: 0x28,
      name: 'H_SET_DABR',
      inputs: 1,
      outputs: 0,
      handler: () => H_HARDWARE,
      ref: 'LoPAR H_SET_DABR; POWER9 has no DABR',
    },
    {
      token: 0x134,
      name: 'H_SET_XDABR',
      inputs: 2,
      outputs: 0,
      handler: () => H_HARDWARE,
      ref: 'LoPAR H_SET_XDABR; POWER9 has no DABR',
    },
    {
      token: 0x1c8,
      name: 'H_GET_CPU_CHARACTERISTICS',
      inputs: 0,
      outputs: 2,
      handler: (call) => {
        call.result(0, CPU_CHARACTER);
        call.result(1, CPU_BEHAVIOUR);
        return H_SUCCESS;
      },
      ref: 'Linux arch/powerpc/include/asm/hvcall.h',
    },
    {
      token: 0x2ec,
      name: 'H_HOME_NODE_ASSOCIATIVITY',
      inputs: 2,
      outputs: ASSOCIATIVITY_REGISTERS,
      handler: (call) => homeNode(context.processors, call),
      ref: 'LoPAR H_HOME_NODE_ASSOCIATIVITY',
    },
    {
      token: 0x300,
      name: 'H_RANDOM',
      inputs: 0,
      outputs: 1,
      functionSet: 'hcall-random',
      handler: (call) => {
        call.result(0, context.partition.random());
        return H_SUCCESS;
      },
      ref: 'LoPAR H_RANDOM',
    },
  ];
}

/**
 * r4 flags, r5 id -> r4 to r9: the associativity list of the processor's home node. The machine is one node: all
 * domains are 0 but the last, which is the processor. Fields of 16 bits, top bit set; a number above 0x7fff takes two.
 */
function homeNode(processors: VirtualProcessors, call: Hcall): number {
  if (call.arg(0) !== ID_IS_PROCESSOR) return H_PARAMETER;
  const processor = processors.find(call.arg(1));
  if (!processor) return H_P2;
  const list = new DataView(new ArrayBuffer(ASSOCIATIVITY_REGISTERS * 8));
  for (let at = 0; at < list.byteLength; at += 2) list.setUint16(at, 0xffff);
  let offset = 0;
  for (const domain of [0, 0, 0, 0, processor.id]) {
    if (domain < 0x7fff) {
      list.setUint16(offset, 0x8000 | domain);
      offset += 2;
    } else {
      list.setUint32(offset, domain & 0x7fff_ffff);
      offset += 4;
    }
  }
  for (let i = 0; i < ASSOCIATIVITY_REGISTERS; i++) call.result(i, list.getBigUint64(8 * i));
  return H_SUCCESS;
}
