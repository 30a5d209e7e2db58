// The run-time abstraction services: finds the service that an argument block names and runs it. The guest reaches this
// through a private hypercall issued by a stub in its memory (layout.ts). LoPAR, RTAS Environment.
//
// Block: token, number of inputs, number of outputs, inputs, outputs; all cells big-endian 32-bit.

import type { HostView } from '../../memory/host-view.ts';
import { assert } from '../../util/errors.ts';
import type { HypervisorEvents } from '../events.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { LimitedLog } from '../limited-log.ts';
import type { VcpuPort } from '../vcpu-port.ts';
import { RTAS_PARAMETER_ERROR, RtasCall, type RtasService } from './service.ts';

/** More cells than any service has; a block that claims more is refused before its size is believed. */
const MAX_CELLS = 16;
const HEADER_BYTES = 12;
const UNKNOWN = { kind: 'rtas', name: 'unknown service' } as const;

export class Rtas {
  private readonly byToken = new Map<number, RtasService>();
  private readonly calls = new Map<string, number>();
  private readonly view: HostView;
  private readonly events: HypervisorEvents;
  private readonly log: LimitedLog;

  constructor(view: HostView, events: HypervisorEvents, log: LimitedLog) {
    this.view = view;
    this.events = events;
    this.log = log;
  }

  /** Adds a service; token and name must be new. */
  registerService(service: RtasService): void {
    const taken = this.byToken.get(service.token);
    assert(!taken, `RTAS token 0x${service.token.toString(16)} registered twice: ${taken?.name} and ${service.name}`);
    assert(
      ![...this.byToken.values()].some((other) => other.name === service.name),
      `RTAS service ${service.name} registered twice`,
    );
    assert(upper(service.nargs) <= MAX_CELLS && upper(service.nret) <= MAX_CELLS, `${service.name} has too many cells`);
    this.byToken.set(service.token, service);
  }

  /** All services by ascending token, for the properties of /rtas. */
  services(): RtasService[] {
    return [...this.byToken.values()].sort((a, b) => a.token - b.token);
  }

  /** Token of the service of this name, which exists. */
  token(name: string): number {
    const service = [...this.byToken.values()].find((candidate) => candidate.name === name);
    assert(service, `there is no RTAS service ${name}`);
    return service.token;
  }

  /** Calls so far by service name. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.calls].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /**
   * Runs the call whose block is at `gra`, any number. H_SUCCESS if a service was run, whatever its own status; otherwise
   * H_PARAMETER, with status -3 in the block when there is room for one. `view` is the memory the block and all
   * buffers lie in.
   */
  call(vcpu: VcpuPort, gra: number, view: HostView = this.view): number {
    if (!view.contains(gra, HEADER_BYTES)) return H_PARAMETER;
    const token = view.loadU32BE(gra, UNKNOWN);
    const nargs = view.loadU32BE(gra + 4, UNKNOWN);
    const nret = view.loadU32BE(gra + 8, UNKNOWN);
    if (nargs > MAX_CELLS || nret > MAX_CELLS) return H_PARAMETER;
    if (!view.contains(gra, HEADER_BYTES + 4 * (nargs + nret))) return H_PARAMETER;
    const service = this.byToken.get(token);
    if (!service) {
      this.count('unknown service');
      this.log.once(`rtas ${token}`, `unknown RTAS token 0x${token.toString(16)} answered with status -3`);
      if (nret > 0) view.storeU32BE(gra + HEADER_BYTES + 4 * nargs, RTAS_PARAMETER_ERROR >>> 0, UNKNOWN);
      return H_PARAMETER;
    }
    this.count(service.name);
    const call = new RtasCall(vcpu, view, { kind: 'rtas', name: service.name }, { gra, nargs, nret });
    const args = this.events.rtas ? Array.from({ length: nargs }, (_, n) => call.arg(n)) : [];
    const status = this.run(service, call);
    if (status !== undefined) call.result(0, status);
    this.events.rtas?.({ vcpu: vcpu.id, token, name: service.name, args, status });
    return H_SUCCESS;
  }

  private run(service: RtasService, call: RtasCall): number | undefined {
    if (within(call.nargs, service.nargs) && within(call.nret, service.nret)) return service.handler(call);
    this.log.once(
      `rtas cells ${service.name}`,
      `RTAS ${service.name} called with ${call.nargs} inputs and ${call.nret} outputs`,
    );
    return RTAS_PARAMETER_ERROR;
  }

  private count(name: string): void {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
  }
}

function within(count: number, allowed: RtasService['nargs']): boolean {
  return typeof allowed === 'number' ? count === allowed : count >= allowed[0] && count <= allowed[1];
}

function upper(allowed: RtasService['nargs']): number {
  return typeof allowed === 'number' ? allowed : allowed[1];
}
