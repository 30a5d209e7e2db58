// ibm,get-system-parameter and ibm,set-system-parameter (LoPAR, System Parameters Option). All parameters here are
// read-only; those not listed are not supported (-3).

import { writeTruncated } from './buffer.ts';
import { RTAS_NOT_AUTHORIZED, RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasCall, type RtasService } from './service.ts';

const SPLPAR_CHARACTERISTICS = 20;
const PROCESSOR_DIAGNOSTICS_RUN_MODE = 42;
const UUID = 48;
const PARTITION_NAME = 55;

const DIAGNOSTICS_DISABLED = 0;
const MIB = 1048576;

export interface SystemParameterValues {
  readonly name: string;
  readonly uuid: Uint8Array;
  readonly memoryBytes: number;
  readonly vcpuCount: number;
}

export function systemParameterServices(values: SystemParameterValues): RtasService[] {
  const parameters = systemParameters(values);
  return [
    {
      token: 0x200f,
      name: 'ibm,get-system-parameter',
      nargs: 3,
      nret: 1,
      handler: (call) => getParameter(parameters, call),
      ref: 'LoPAR ibm,get-system-parameter',
    },
    {
      token: 0x2010,
      name: 'ibm,set-system-parameter',
      nargs: 2,
      nret: 1,
      handler: (call) => (parameters.has(call.arg(0)) ? RTAS_NOT_AUTHORIZED : RTAS_PARAMETER_ERROR),
      ref: 'LoPAR ibm,set-system-parameter',
    },
  ];
}

function systemParameters(values: SystemParameterValues): Map<number, Uint8Array> {
  const { vcpuCount } = values;
  const splpar = [
    `MaxEntCap=${100 * vcpuCount}`,
    `DesMem=${Math.floor(values.memoryBytes / MIB)}`,
    `DesProcs=${vcpuCount}`,
    `MaxPlatProcs=${vcpuCount}`,
  ].join(',');
  return new Map([
    [SPLPAR_CHARACTERISTICS, terminated(splpar)],
    [PROCESSOR_DIAGNOSTICS_RUN_MODE, Uint8Array.of(DIAGNOSTICS_DISABLED)],
    [UUID, values.uuid],
    [PARTITION_NAME, terminated(values.name)],
  ]);
}

/** Inputs: parameter, buffer, length. The buffer gets a 16-bit length and the data, cut at its end. */
function getParameter(parameters: ReadonlyMap<number, Uint8Array>, call: RtasCall): number {
  const data = parameters.get(call.arg(0));
  if (!data) return RTAS_PARAMETER_ERROR;
  const answer = new Uint8Array(2 + data.length);
  new DataView(answer.buffer).setUint16(0, data.length);
  answer.set(data, 2);
  return writeTruncated(call, call.arg(1), call.arg(2), answer) ? RTAS_SUCCESS : RTAS_PARAMETER_ERROR;
}

function terminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
