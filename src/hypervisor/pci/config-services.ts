// ibm,read-pci-config and ibm,write-pci-config: the guest's way to configuration space. LoPAR, PCI Configuration
// Functions. Also what all PCI services share: finding the bridge and the function that a call names.

import type { MmioBytes } from '../../device/address-map.ts';
import type { PciFunction } from '../../pci/function.ts';
import type { HostBridge } from '../../pci/host-bridge.ts';
import {
  RTAS_HARDWARE_ERROR,
  RTAS_PARAMETER_ERROR,
  RTAS_SUCCESS,
  type RtasCall,
  type RtasService,
} from '../rtas/service.ts';

/** A config address cell, taken apart: bits 28 to 31 and 0 to 7 the register, then bus, device and function. */
export interface ConfigAddress {
  /** 0 to 0xfff. */
  readonly register: number;
  readonly bus: number;
  readonly device: number;
  readonly number: number;
}

export function configAddress(cell: number): ConfigAddress {
  return {
    register: ((cell >>> 20) & 0xf00) | (cell & 0xff),
    bus: (cell >>> 16) & 0xff,
    device: (cell >>> 11) & 31,
    number: (cell >>> 8) & 7,
  };
}

/** The bridge whose BUID stands in inputs `at` and `at + 1`. */
export function bridgeOf(bridges: readonly HostBridge[], call: RtasCall, at: number): HostBridge | undefined {
  const high = call.arg(at);
  const low = call.arg(at + 1);
  return bridges.find(({ buid }) => buid.high === high && buid.low === low);
}

/** The function that input 0 and the BUID in inputs 1 and 2 name. */
export function functionOf(bridges: readonly HostBridge[], call: RtasCall): PciFunction | undefined {
  const { bus, device, number } = configAddress(call.arg(0));
  return bus === 0 ? bridgeOf(bridges, call, 1)?.functionAt(device, number) : undefined;
}

export function configServices(bridges: readonly HostBridge[]): RtasService[] {
  return [
    {
      token: 0x2020,
      name: 'ibm,read-pci-config',
      nargs: 4,
      nret: 2,
      handler: (call) => readConfig(bridges, call),
      ref: 'LoPAR ibm,read-pci-config',
    },
    {
      token: 0x2021,
      name: 'ibm,write-pci-config',
      nargs: 5,
      nret: 1,
      handler: (call) => writeConfig(bridges, call),
      ref: 'LoPAR ibm,write-pci-config',
    },
  ];
}

/** A naturally aligned access of 1, 2 or 4 bytes. */
function isAccess(register: number, size: number): size is MmioBytes {
  return (size === 1 || size === 2 || size === 4) && register % size === 0;
}

/** Inputs: config address, BUID, size. Output: the value; all ones where there is no function. */
function readConfig(bridges: readonly HostBridge[], call: RtasCall): number {
  const { register } = configAddress(call.arg(0));
  const size = call.arg(3);
  call.result(1, 0xffff_ffff);
  if (!bridgeOf(bridges, call, 1) || !isAccess(register, size)) return RTAS_PARAMETER_ERROR;
  const pciFunction = functionOf(bridges, call);
  if (!pciFunction) return RTAS_HARDWARE_ERROR;
  call.result(1, pciFunction.readConfig(register, size));
  return RTAS_SUCCESS;
}

/** Inputs: config address, BUID, size, value. */
function writeConfig(bridges: readonly HostBridge[], call: RtasCall): number {
  const { register } = configAddress(call.arg(0));
  const size = call.arg(3);
  if (!bridgeOf(bridges, call, 1) || !isAccess(register, size)) return RTAS_PARAMETER_ERROR;
  const pciFunction = functionOf(bridges, call);
  if (!pciFunction) return RTAS_HARDWARE_ERROR;
  const value = call.arg(4);
  pciFunction.writeConfig(register, size, size === 4 ? value : value & (2 ** (8 * size) - 1));
  return RTAS_SUCCESS;
}
