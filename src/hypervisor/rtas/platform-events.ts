// Events the platform reports: event-scan, check-exception, and the EPOW sensor of get-sensor-state. LoPAR, Error and
// Event Reporting. The one event there is asks for a shutdown; it comes with an interrupt, so check-exception has it.

import { EPOW_IRQ } from '../xics/irq-map.ts';
import type { InterruptSources } from '../xics/sources.ts';
import { writeTruncated } from './buffer.ts';
import type { RealTimeClock } from './clock.ts';
import { EPOW_SYSTEM_SHUTDOWN, shutdownLog } from './error-log.ts';
import { RTAS_NO_EVENT, RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

const CLASS_EPOW = 0x40000000;
const SENSOR_EPOW = 9;
const EPOW_RESET = 0;

export class PlatformEvents {
  private readonly sources: InterruptSources;
  private readonly clock: RealTimeClock;
  private pending: Uint8Array | undefined;
  private shutdownRequested = false;
  private logs = 0;

  constructor(sources: InterruptSources, clock: RealTimeClock) {
    this.sources = sources;
    this.clock = clock;
  }

  /** Asks the guest to shut down (a power button). A request not yet fetched is replaced. */
  requestShutdown(): void {
    this.pending = shutdownLog(this.clock.nowMs(), this.logs++);
    this.shutdownRequested = true;
    this.sources.pulse(EPOW_IRQ);
  }

  reset(): void {
    this.pending = undefined;
    this.shutdownRequested = false;
  }

  services(): RtasService[] {
    return [
      {
        token: 0x2011,
        name: 'event-scan',
        nargs: 4,
        nret: 1,
        handler: () => RTAS_NO_EVENT,
        ref: 'LoPAR event-scan',
      },
      {
        token: 0x2012,
        name: 'check-exception',
        nargs: [6, 7],
        nret: 1,
        handler: (call) => this.checkException(call),
        ref: 'LoPAR check-exception',
      },
      {
        token: 0x2013,
        name: 'get-sensor-state',
        nargs: 2,
        nret: 2,
        handler: (call) => this.sensor(call),
        ref: 'LoPAR get-sensor-state, EPOW sensor only',
      },
    ];
  }

  /** Inputs: vector, information, class mask, critical, buffer, length. A log that cannot be written stays pending. */
  private checkException(call: RtasCall): number {
    if (!this.pending || (call.arg(2) & CLASS_EPOW) === 0) return RTAS_NO_EVENT;
    if (!writeTruncated(call, call.arg(4), call.arg(5), this.pending)) return RTAS_PARAMETER_ERROR;
    this.pending = undefined;
    return RTAS_SUCCESS;
  }

  /** Inputs: sensor, index. */
  private sensor(call: RtasCall): number {
    if (call.arg(0) !== SENSOR_EPOW || call.arg(1) !== 0) return RTAS_PARAMETER_ERROR;
    call.result(1, this.shutdownRequested ? EPOW_SYSTEM_SHUTDOWN : EPOW_RESET);
    return RTAS_SUCCESS;
  }
}
