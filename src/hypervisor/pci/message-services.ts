// ibm,change-msi and ibm,query-interrupt-source-number: message-signalled interrupts are the hypervisor's to hand out.
// It picks interrupt sources and writes address and data into the function's MSI capability or MSI-X table; the guest
// reads them back and writes only enable and mask bits. LoPAR, MSI Option.

import type { PciFunction } from '../../pci/function.ts';
import { type HostBridge, MSI_ADDRESS } from '../../pci/host-bridge.ts';
import {
  RTAS_HARDWARE_ERROR,
  RTAS_PARAMETER_ERROR,
  RTAS_SUCCESS,
  type RtasCall,
  type RtasService,
} from '../rtas/service.ts';
import { functionOf } from './config-services.ts';
import { SourceBlocks } from './source-blocks.ts';

/** Values of the "function" input that are served: MSI before MSI-X if there is a choice, MSI, MSI-X. */
const CHANGE_DEFAULT = 1;
const CHANGE_MSI = 3;
const CHANGE_MSIX = 4;

/** Values of the output that tells the kind. */
const kinds = { msi: 1, msix: 2 } as const;
type Kind = keyof typeof kinds;

/** nret of a call that wants to be told the kind. */
const OUTPUTS_WITH_KIND = 4;

interface Assignment {
  readonly first: number;
  /** Interrupts the guest may ask for. */
  readonly count: number;
  /** Sources taken: `count`, or the power of two above it. */
  readonly taken: number;
}

export class MessageInterrupts {
  private readonly bridges: readonly HostBridge[];
  private readonly assignments = new Map<PciFunction, Assignment>();
  private readonly sources: SourceBlocks;

  /** All bridges signal the same range of sources. */
  constructor(bridges: readonly HostBridge[]) {
    this.bridges = bridges;
    const range = bridges[0]?.interrupts;
    this.sources = new SourceBlocks(range?.messageIrqFirst ?? 0, range?.messageIrqCount ?? 0);
  }

  services(): RtasService[] {
    return [
      {
        token: 0x2022,
        name: 'ibm,change-msi',
        nargs: [5, 6],
        nret: [3, OUTPUTS_WITH_KIND],
        handler: (call) => this.change(call),
        ref: 'LoPAR ibm,change-msi',
      },
      {
        token: 0x2023,
        name: 'ibm,query-interrupt-source-number',
        nargs: 4,
        nret: 3,
        handler: (call) => this.query(call),
        ref: 'LoPAR ibm,query-interrupt-source-number',
      },
    ];
  }

  /** No function has a source; the functions themselves are reset by their devices. */
  reset(): void {
    for (const { first, taken } of this.assignments.values()) this.sources.free(first, taken);
    this.assignments.clear();
  }

  /**
   * Inputs: config address, BUID, function, count, sequence number. Outputs: how many there are now, the next sequence
   * number, the kind. A count above what the function has changes nothing and tells what it has.
   */
  private change(call: RtasCall): number {
    const pciFunction = functionOf(this.bridges, call);
    const kind = pciFunction && kindOf(pciFunction, call.arg(3));
    if (!pciFunction || !kind) return RTAS_PARAMETER_ERROR;
    const count = call.arg(4);
    const answer = (now: number) => {
      call.result(1, now);
      call.result(2, call.nargs > 5 ? call.arg(5) + 1 : 0);
      if (call.nret === OUTPUTS_WITH_KIND) call.result(3, kinds[kind]);
      return RTAS_SUCCESS;
    };
    if (count === 0) return this.release(pciFunction) ? answer(0) : RTAS_HARDWARE_ERROR;
    const available = kind === 'msi' ? pciFunction.msi!.vectors : pciFunction.msix!.vectors;
    if (count > available) return answer(available);
    this.release(pciFunction);
    const first = this.assign(pciFunction, kind, count);
    if (first === undefined) return RTAS_HARDWARE_ERROR;
    if (kind === 'msi') pciFunction.msi!.program(MSI_ADDRESS.high, MSI_ADDRESS.low, first);
    else {
      for (let vector = 0; vector < count; vector++) {
        pciFunction.msix!.program(vector, MSI_ADDRESS.high, MSI_ADDRESS.low, first + vector);
      }
    }
    return answer(count);
  }

  /** Inputs: config address, BUID, number of the interrupt. Outputs: source, 1 for edge. */
  private query(call: RtasCall): number {
    const pciFunction = functionOf(this.bridges, call);
    const assignment = pciFunction && this.assignments.get(pciFunction);
    const index = call.arg(3);
    if (!assignment || index >= assignment.count) return RTAS_PARAMETER_ERROR;
    call.result(1, assignment.first + index);
    call.result(2, 1);
    return RTAS_SUCCESS;
  }

  /** The first of `count` consecutive sources that are now the function's. */
  private assign(pciFunction: PciFunction, kind: Kind, count: number): number | undefined {
    // MSI replaces low bits of the data by the vector's number, so its block starts at a multiple of its size.
    const taken = kind === 'msi' ? 2 ** Math.ceil(Math.log2(count)) : count;
    const first = this.sources.take(taken, kind === 'msi' ? taken : 1);
    if (first !== undefined) this.assignments.set(pciFunction, { first, count, taken });
    return first;
  }

  private release(pciFunction: PciFunction): boolean {
    const assignment = this.assignments.get(pciFunction);
    if (!assignment) return false;
    this.sources.free(assignment.first, assignment.taken);
    return this.assignments.delete(pciFunction);
  }
}

/** Which kind the call's function input means for this function; undefined if it has none such. */
function kindOf(pciFunction: PciFunction, change: number): Kind | undefined {
  if (pciFunction.msi && (change === CHANGE_DEFAULT || change === CHANGE_MSI)) return 'msi';
  if (pciFunction.msix && (change === CHANGE_DEFAULT || change === CHANGE_MSIX)) return 'msix';
  return undefined;
}
