// ibm,query-pe-dma-window, ibm,create-pe-dma-window, ibm,remove-pe-dma-window, ibm,reset-pe-dma-windows: larger DMA
// windows on demand. All devices of a bridge are one partitionable endpoint and share its windows, so the config address in
// these calls only has to name a bridge's bus. LoPAR, Dynamic DMA Windows Option.

import { busAddressWords } from '../../pci/bus-address.ts';
import type { HostBridge } from '../../pci/host-bridge.ts';
import {
  RTAS_HARDWARE_ERROR,
  RTAS_PARAMETER_ERROR,
  RTAS_SUCCESS,
  type RtasCall,
  type RtasService,
} from '../rtas/service.ts';
import { bridgeOf, configAddress } from './config-services.ts';

/** nret of a query whose third and fourth output are one 64-bit number (`ibm,ddw-extensions` says that it may be). */
const OUTPUTS_WITH_WIDE_COUNT = 6;

/** Names of the services, for `ibm,ddw-applicable` and `ibm,ddw-extensions`. */
export const WINDOW_SERVICES = {
  query: 'ibm,query-pe-dma-window',
  create: 'ibm,create-pe-dma-window',
  remove: 'ibm,remove-pe-dma-window',
  reset: 'ibm,reset-pe-dma-windows',
} as const;

export function windowServices(bridges: readonly HostBridge[]): RtasService[] {
  return [
    {
      token: 0x2024,
      name: WINDOW_SERVICES.query,
      nargs: 3,
      nret: [5, OUTPUTS_WITH_WIDE_COUNT],
      handler: (call) => query(bridges, call),
      ref: 'LoPAR ibm,query-pe-dma-window',
    },
    {
      token: 0x2025,
      name: WINDOW_SERVICES.create,
      nargs: 5,
      nret: 4,
      handler: (call) => create(bridges, call),
      ref: 'LoPAR ibm,create-pe-dma-window',
    },
    {
      token: 0x2026,
      name: WINDOW_SERVICES.remove,
      nargs: 1,
      nret: 1,
      handler: (call) => {
        const liobn = call.arg(0);
        return bridges.some((bridge) => bridge.dmaWindows.remove(liobn)) ? RTAS_SUCCESS : RTAS_PARAMETER_ERROR;
      },
      ref: 'LoPAR ibm,remove-pe-dma-window',
    },
    {
      token: 0x2027,
      name: WINDOW_SERVICES.reset,
      nargs: 3,
      nret: 1,
      handler: (call) => {
        const bridge = endpointOf(bridges, call);
        bridge?.dmaWindows.reset();
        return bridge ? RTAS_SUCCESS : RTAS_PARAMETER_ERROR;
      },
      ref: 'LoPAR ibm,reset-pe-dma-windows',
    },
  ];
}

function endpointOf(bridges: readonly HostBridge[], call: RtasCall): HostBridge | undefined {
  return configAddress(call.arg(0)).bus === 0 ? bridgeOf(bridges, call, 1) : undefined;
}

/** Outputs: windows that can be created, their most entries, page sizes, page sizes that survive a migration (none). */
function query(bridges: readonly HostBridge[], call: RtasCall): number {
  const bridge = endpointOf(bridges, call);
  if (!bridge) return RTAS_PARAMETER_ERROR;
  const { windowsAvailable, maxTces, pageSizeMask } = bridge.dmaWindows.query();
  const count = call.nret === OUTPUTS_WITH_WIDE_COUNT ? [Math.floor(maxTces / 2 ** 32), maxTces] : [maxTces];
  [windowsAvailable, ...count, pageSizeMask, 0].forEach((value, n) => {
    call.result(1 + n, value);
  });
  return RTAS_SUCCESS;
}

/** Inputs: config address, BUID, log2 of the page size and of the window's. Outputs: LIOBN, bus address (two cells). */
function create(bridges: readonly HostBridge[], call: RtasCall): number {
  const bridge = endpointOf(bridges, call);
  if (!bridge) return RTAS_PARAMETER_ERROR;
  const window = bridge.dmaWindows.create(call.arg(3), call.arg(4));
  if (window === 'parameter') return RTAS_PARAMETER_ERROR;
  if (window === 'full') return RTAS_HARDWARE_ERROR;
  const { high, low } = busAddressWords(window.base);
  call.result(1, window.liobn);
  call.result(2, high);
  call.result(3, low);
  return RTAS_SUCCESS;
}
