// ibm,nmi-register and ibm,nmi-interlock (LoPAR, Firmware Assisted Non-Maskable Interrupts): where the guest wants its
// system resets. Machine checks are never delivered; their address is only checked.

import type { HostView } from '../../memory/host-view.ts';
import type { VirtualProcessor } from '../virtual-processor.ts';
import { saveSlotOffset } from './layout.ts';
import { RTAS_HARDWARE_ERROR, RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

const SYSTEM_RESET_VECTOR = 0x100;
/** Both routines lie in the first 32 MiB. */
const ROUTINE_LIMIT = 32 * 1024 * 1024;
const ORIGIN = { kind: 'hcall', name: 'system reset' } as const;

export class NonMaskableInterrupts {
  private readonly view: HostView;
  private readonly vcpuCount: number;
  private areaGra: number | undefined;
  private routine: number | undefined;

  constructor(view: HostView, vcpuCount: number) {
    this.view = view;
    this.vcpuCount = vcpuCount;
  }

  /** Where RTAS was instantiated; false if the area is not RAM. Its size is rtasAreaBytes(number of vCPUs). */
  setArea(baseGra: number): boolean {
    if (!this.view.contains(baseGra, saveSlotOffset(this.vcpuCount))) return false;
    this.areaGra = baseGra;
    return true;
  }

  reset(): void {
    this.areaGra = undefined;
    this.routine = undefined;
  }

  /**
   * Delivers a system reset to `processor`, the partition's `index`-th. With a registered routine, r3 and a zero
   * doubleword go to the save slot and r3 points there: what Linux expects, though LoPAR has it for machine checks only.
   */
  deliver(processor: VirtualProcessor, index: number): void {
    const { port } = processor;
    if (this.routine === undefined || this.areaGra === undefined) {
      port.systemReset(SYSTEM_RESET_VECTOR);
      return;
    }
    const slot = this.areaGra + saveSlotOffset(index);
    this.view.storeU64BE(slot, port.gpr(3), ORIGIN);
    this.view.storeU64BE(slot + 8, 0n, ORIGIN);
    port.setGpr(3, BigInt(slot));
    port.systemReset(this.routine);
  }

  services(): RtasService[] {
    return [
      {
        token: 0x2014,
        name: 'ibm,nmi-register',
        nargs: 2,
        nret: 1,
        handler: (call) => this.register(call),
        ref: 'LoPAR ibm,nmi-register',
      },
      {
        token: 0x2015,
        name: 'ibm,nmi-interlock',
        nargs: 0,
        nret: 1,
        handler: () => (this.routine === undefined ? RTAS_PARAMETER_ERROR : RTAS_SUCCESS),
        ref: 'LoPAR ibm,nmi-interlock',
      },
    ];
  }

  /** Inputs: system reset routine, machine check routine. */
  private register(call: RtasCall): number {
    const routines = [call.arg(0), call.arg(1)] as const;
    for (const gra of routines) {
      if (gra % 4 !== 0 || gra >= ROUTINE_LIMIT || !call.view.contains(gra, 4)) return RTAS_PARAMETER_ERROR;
    }
    if (this.areaGra === undefined) return RTAS_HARDWARE_ERROR;
    this.routine = routines[0];
    return RTAS_SUCCESS;
  }
}
