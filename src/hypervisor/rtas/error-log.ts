// The event log that asks the guest to shut down. LoPAR, RTAS Error/Event Return Format: fixed part, version 6 extended
// part, then the sections Main-A ("PH"), Main-B ("UH") and EPOW ("EP"). All fields are big-endian.

const FIXED_BYTES = 8;
const HEADER_BYTES = 16;
const MAIN_A_BYTES = 48;
const MAIN_B_BYTES = 24;
const EPOW_BYTES = 20;

const MAIN_A = FIXED_BYTES + HEADER_BYTES;
const MAIN_B = MAIN_A + MAIN_A_BYTES;
const EPOW = MAIN_B + MAIN_B_BYTES;
export const SHUTDOWN_LOG_BYTES = EPOW + EPOW_BYTES;

/** Version 6, severity event, not recovered, extended part present, type EPOW. */
const SUMMARY = 0x06000000 | 0x00200000 | 0x00100000 | 0x00040000 | 0x40;

const SUBSYSTEM_EXTERNAL_ENVIRONMENT = 0xa0;
const SUBTYPE_NORMAL_SHUTDOWN = 0xd0;
/** EPOW sensor value: system shutdown. */
export const EPOW_SYSTEM_SHUTDOWN = 3;
const MODIFIER_NORMAL_SHUTDOWN = 1;
const EXTENDED_MODIFIER_PARTITION = 1;

/** `nowMs` is UTC since 1970; `logId` distinguishes the logs of one machine. */
export function shutdownLog(nowMs: number, logId: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SHUTDOWN_LOG_BYTES);
  const log = new DataView(bytes.buffer);
  log.setUint32(0, SUMMARY);
  log.setUint32(4, SHUTDOWN_LOG_BYTES - FIXED_BYTES);

  bytes[FIXED_BYTES] = 0x86; // valid, new, big-endian
  bytes[FIXED_BYTES + 2] = 0x8e; // PowerPC format, platform event log
  log.setUint32(FIXED_BYTES + 12, 0x49424d00); // "IBM"

  section(log, MAIN_A, 'PH', MAIN_A_BYTES, 0);
  const date = new Date(Math.floor(nowMs));
  log.setUint16(MAIN_A + 8, bcd(date.getUTCFullYear(), 4));
  bytes[MAIN_A + 10] = bcd(date.getUTCMonth() + 1, 2);
  bytes[MAIN_A + 11] = bcd(date.getUTCDate(), 2);
  bytes[MAIN_A + 12] = bcd(date.getUTCHours(), 2);
  bytes[MAIN_A + 13] = bcd(date.getUTCMinutes(), 2);
  bytes[MAIN_A + 14] = bcd(date.getUTCSeconds(), 2);
  bytes[MAIN_A + 24] = 0x48; // creator: 'H', hypervisor
  bytes[MAIN_A + 27] = 3; // sections
  log.setUint32(MAIN_A + 40, logId >>> 0);

  section(log, MAIN_B, 'UH', MAIN_B_BYTES, 0);
  bytes[MAIN_B + 8] = SUBSYSTEM_EXTERNAL_ENVIRONMENT;
  bytes[MAIN_B + 11] = SUBTYPE_NORMAL_SHUTDOWN;

  section(log, EPOW, 'EP', EPOW_BYTES, 2);
  bytes[EPOW + 8] = EPOW_SYSTEM_SHUTDOWN;
  bytes[EPOW + 9] = MODIFIER_NORMAL_SHUTDOWN;
  bytes[EPOW + 10] = EXTENDED_MODIFIER_PARTITION;
  return bytes;
}

function section(log: DataView, at: number, id: string, lenBytes: number, version: number): void {
  log.setUint8(at, id.charCodeAt(0));
  log.setUint8(at + 1, id.charCodeAt(1));
  log.setUint16(at + 2, lenBytes);
  log.setUint8(at + 4, version);
}

/** The last `digits` decimal digits of `value`, four bits each. */
function bcd(value: number, digits: number): number {
  let packed = 0;
  for (let i = 0; i < digits; i++) packed |= (Math.floor(value / 10 ** i) % 10) << (4 * i);
  return packed;
}
