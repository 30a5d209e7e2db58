// nvram-fetch and nvram-store (LoPAR, NVRAM Access Functions): 64 KiB that survive reset.

import { assert } from '../../util/errors.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

export const NVRAM_BYTES = 65536;

export class Nvram {
  /** The contents; the owner of the machine may load them before the guest runs and keep them afterwards. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array = new Uint8Array(NVRAM_BYTES)) {
    assert(bytes.length === NVRAM_BYTES, `NVRAM of ${bytes.length} bytes; it has ${NVRAM_BYTES}`);
    this.bytes = bytes;
  }

  services(): RtasService[] {
    return [
      {
        token: 0x200d,
        name: 'nvram-fetch',
        nargs: 3,
        nret: 2,
        handler: (call) =>
          this.transfer(call, (index, gra, len) => {
            call.view.write(gra, this.bytes.subarray(index, index + len), call.origin);
          }),
        ref: 'LoPAR nvram-fetch',
      },
      {
        token: 0x200e,
        name: 'nvram-store',
        nargs: 3,
        nret: 2,
        handler: (call) =>
          this.transfer(call, (index, gra, len) => {
            this.bytes.set(call.view.read(gra, len, call.origin), index);
          }),
        ref: 'LoPAR nvram-store',
      },
    ];
  }

  /** Inputs: index, buffer, length. Output: bytes copied, all or none. */
  private transfer(call: RtasCall, copy: (index: number, gra: number, lenBytes: number) => void): number {
    const index = call.arg(0);
    const gra = call.arg(1);
    const lenBytes = call.arg(2);
    if (index + lenBytes > NVRAM_BYTES || !call.view.contains(gra, lenBytes)) {
      call.result(1, 0);
      return RTAS_PARAMETER_ERROR;
    }
    if (lenBytes > 0) copy(index, gra, lenBytes);
    call.result(1, lenBytes);
    return RTAS_SUCCESS;
  }
}
