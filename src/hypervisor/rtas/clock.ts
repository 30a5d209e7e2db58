// get-time-of-day and set-time-of-day (LoPAR, Time of Day): a clock that runs with the host's, at an offset the guest
// sets. Like a battery-backed clock it survives reset.

import type { PartitionPort } from '../vcpu-port.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

const MIN_YEAR = 1970;
const MAX_YEAR = 9999;
const NS_PER_MS = 1_000_000;

export class RealTimeClock {
  private readonly partition: PartitionPort;
  private offsetMs = 0;

  constructor(partition: PartitionPort) {
    this.partition = partition;
  }

  /** UTC, milliseconds since 1970, with a fraction. */
  nowMs(): number {
    return this.partition.wallClockMs() + this.offsetMs;
  }

  services(): RtasService[] {
    return [
      {
        token: 0x2000,
        name: 'get-time-of-day',
        nargs: 0,
        nret: 8,
        handler: (call) => this.get(call),
        ref: 'LoPAR get-time-of-day',
      },
      {
        token: 0x2001,
        name: 'set-time-of-day',
        nargs: 7,
        nret: 1,
        handler: (call) => this.set(call),
        ref: 'LoPAR set-time-of-day',
      },
    ];
  }

  private get(call: RtasCall): number {
    const now = this.nowMs();
    const wholeMs = Math.floor(now);
    const date = new Date(wholeMs);
    call.result(1, date.getUTCFullYear());
    call.result(2, date.getUTCMonth() + 1);
    call.result(3, date.getUTCDate());
    call.result(4, date.getUTCHours());
    call.result(5, date.getUTCMinutes());
    call.result(6, date.getUTCSeconds());
    call.result(7, date.getUTCMilliseconds() * NS_PER_MS + Math.floor((now - wholeMs) * NS_PER_MS));
    return RTAS_SUCCESS;
  }

  private set(call: RtasCall): number {
    const [year, month, day, hour, minute, second, ns] = [0, 1, 2, 3, 4, 5, 6].map((n) => call.arg(n)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (year < MIN_YEAR || year > MAX_YEAR || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) {
      return RTAS_PARAMETER_ERROR;
    }
    if (hour > 23 || minute > 59 || second > 59 || ns > 999_999_999) return RTAS_PARAMETER_ERROR;
    const wanted = Date.UTC(year, month - 1, day, hour, minute, second) + ns / NS_PER_MS;
    this.offsetMs = wanted - this.partition.wallClockMs();
    return RTAS_SUCCESS;
  }
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
