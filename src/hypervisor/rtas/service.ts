// RTAS services as data, and one call of one. Every argument and output is a big-endian 32-bit cell in the caller's
// argument block; LoPAR, RTAS Call Function Definition.

import type { AccessOrigin, HostView } from '../../memory/host-view.ts';
import type { VcpuPort } from '../vcpu-port.ts';

export const RTAS_SUCCESS = 0;
export const RTAS_NO_EVENT = 1;
export const RTAS_HARDWARE_ERROR = -1;
export const RTAS_PARAMETER_ERROR = -3;
export const RTAS_NOT_AUTHORIZED = -9002;

/** First token; the services here have numbers below RTAS_FIRST_EXTERNAL_TOKEN, others that are registered above. */
export const RTAS_FIRST_TOKEN = 0x2000;
export const RTAS_FIRST_EXTERNAL_TOKEN = 0x2100;

export interface RtasService {
  /** Value of the property of the same name in /rtas; what the guest puts into the first cell. */
  readonly token: number;
  readonly name: string;
  /** Input cells; a pair is a range. */
  readonly nargs: number | readonly [min: number, max: number];
  /** Output cells, the status included; a pair is a range. */
  readonly nret: number | readonly [min: number, max: number];
  /** The status for output 0, or undefined when the service does not return to its caller. */
  readonly handler: (call: RtasCall) => number | undefined;
  readonly ref: string;
}

/** One call being served: the block was checked to lie in RAM and to have the number of cells the service wants. */
export class RtasCall {
  readonly vcpu: VcpuPort;
  readonly view: HostView;
  readonly origin: AccessOrigin;
  readonly nargs: number;
  readonly nret: number;
  private readonly blockGra: number;

  constructor(
    vcpu: VcpuPort,
    view: HostView,
    origin: AccessOrigin,
    block: { gra: number; nargs: number; nret: number },
  ) {
    this.vcpu = vcpu;
    this.view = view;
    this.origin = origin;
    this.blockGra = block.gra;
    this.nargs = block.nargs;
    this.nret = block.nret;
  }

  /** Input `n` from 0, unsigned; the guest may change the cell between two reads, so read it once. */
  arg(n: number): number {
    return this.view.loadU32BE(this.blockGra + 12 + 4 * n, this.origin);
  }

  /** Sets output `n`, 1 or above (0 is the status the handler returns); `value` is taken modulo 2^32. */
  result(n: number, value: number): void {
    if (n < this.nret) this.view.storeU32BE(this.blockGra + 12 + 4 * (this.nargs + n), value >>> 0, this.origin);
  }
}
