// What comes from the driver of virtio-console: text, and control messages (VIRTIO 1.2 5.3.6.2).

import type { DescriptorChain } from '../../core/chain.ts';

export const CONTROL = {
  DEVICE_READY: 0,
  DEVICE_ADD: 1,
  DEVICE_REMOVE: 2,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  RESIZE: 5,
  PORT_OPEN: 6,
  PORT_NAME: 7,
} as const;

export const CONTROL_BYTES = 8;
/** The most text of one buffer; drivers send a page or so. */
export const MAX_TEXT_BYTES = 2 ** 20;

export interface ControlMessage {
  readonly port: number;
  readonly event: number;
  readonly value: number;
}

/** A string says what is wrong; undefined: memory could not be reached. Bytes behind the message are not looked at. */
export function parseControl(chain: DescriptorChain): ControlMessage | string | undefined {
  if (chain.readableBytes < CONTROL_BYTES) return `a control message of ${chain.readableBytes} bytes`;
  const bytes = chain.readBytes(0, CONTROL_BYTES);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer);
  return { port: view.getUint32(0, true), event: view.getUint16(4, true), value: view.getUint16(6, true) };
}

export function parseText(chain: DescriptorChain): Uint8Array | string | undefined {
  if (chain.readableBytes > MAX_TEXT_BYTES) return `${chain.readableBytes} bytes of text in one buffer`;
  return chain.readBytes(0, chain.readableBytes);
}

/** A control message for the driver, with `more` bytes behind it. */
export function controlBytes(message: ControlMessage, more: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(CONTROL_BYTES + more.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, message.port, true);
  view.setUint16(4, message.event, true);
  view.setUint16(6, message.value, true);
  bytes.set(more, CONTROL_BYTES);
  return bytes;
}
