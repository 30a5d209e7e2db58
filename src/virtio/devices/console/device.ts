// virtio-console: terminals and named byte channels (VIRTIO 1.2 5.3). Port 0 is a terminal also for drivers that know
// nothing of several ports.

import type { ConsoleBackend } from '../../../backends/console-backend.ts';
import type { HostEvents } from '../../../device/ports.ts';
import { assert } from '../../../util/errors.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import {
  CONSOLE_CONFIG,
  CONSOLE_CONFIG_BYTES,
  CONSOLE_FEATURES,
  CONSOLE_QUEUE_SIZE,
  CONTROL_RECEIVE_QUEUE,
  CONTROL_TRANSMIT_QUEUE,
  MAX_CONSOLE_PORTS,
  queueRole,
  receiveQueue,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_ID_CONSOLE,
} from './config.ts';
import { CONTROL, type ControlMessage, controlBytes, parseControl, parseText } from './request.ts';

/** What is typed and not yet taken by the guest, per port. */
const MAX_INPUT_BYTES = 65536;
/** Control messages that wait for buffers of the driver; a driver that asks for more than that breaks the device. */
const MAX_CONTROL_WAITING = 256;

export interface ConsolePortOptions {
  readonly backend: ConsoleBackend;
  /** Shown by the guest as the name of /dev/virtio-ports/NAME. */
  readonly name?: string;
  /** A terminal (hvc) and not a byte channel. Port 0 is a terminal unless it says otherwise. */
  readonly terminal?: boolean;
}

export interface VirtioConsoleOptions {
  /** 1 to 16. */
  readonly ports: readonly ConsolePortOptions[];
  readonly events: HostEvents;
  readonly columns?: number;
  readonly rows?: number;
}

class Port {
  readonly number: number;
  readonly backend: ConsoleBackend;
  readonly name: string | undefined;
  readonly terminal: boolean;
  connected: boolean;
  /** The guest has the port open; before that it would throw away what it is sent. */
  open = false;
  ready = false;
  input: Uint8Array[] = [];
  inputBytes = 0;

  constructor(number: number, { backend, name, terminal }: ConsolePortOptions) {
    this.number = number;
    this.backend = backend;
    this.name = name;
    this.terminal = terminal ?? number === 0;
    this.connected = backend.connected;
  }
}

export class VirtioConsole implements DeviceKind {
  readonly name = 'virtio-console';
  readonly deviceType = VIRTIO_ID_CONSOLE;
  readonly features = CONSOLE_FEATURES;
  readonly queueSizes: readonly number[];
  readonly configBytes = CONSOLE_CONFIG_BYTES;
  readonly config;
  private readonly ports: readonly Port[];
  private device: VirtioDevice | undefined;
  private control: Uint8Array[] = [];

  constructor(options: VirtioConsoleOptions) {
    const { columns = 80, rows = 25 } = options;
    assert(options.ports.length >= 1 && options.ports.length <= MAX_CONSOLE_PORTS, 'a console has 1 to 16 ports');
    this.ports = options.ports.map((port, number) => new Port(number, port));
    this.queueSizes = Array.from({ length: 2 * (this.ports.length + 1) }, () => CONSOLE_QUEUE_SIZE);
    const registers = { cols: columns, rows, max_nr_ports: this.ports.length, emerg_wr: 0 };
    this.config = CONSOLE_CONFIG.handler({
      readRegister: (name) => registers[name],
      writeRegister: (name, value) => {
        if (name === 'emerg_wr') this.ports[0].backend.write(Uint8Array.of(value & 0xff));
      },
    });
    for (const port of this.ports) {
      port.backend.connect?.(
        {
          receive: (bytes) => this.receive(port, bytes),
          setConnected: (connected) => this.setConnected(port, connected),
        },
        (action) => options.events.post(action),
      );
    }
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  notified(queue: Virtqueue): void {
    const role = queueRole(queue.index);
    if (role !== 'control') {
      const port = this.ports[role.port];
      if (role.fromGuest) this.transmit(port, queue);
      else this.deliver(port);
    } else if (queue.index === CONTROL_TRANSMIT_QUEUE) this.readControl(queue);
    else this.sendControl();
  }

  reset(): void {
    this.control = [];
    for (const port of this.ports) {
      port.open = false;
      port.ready = false;
    }
  }

  close(): void {
    for (const { backend } of this.ports) backend.close?.();
  }

  private get multiport(): boolean {
    return this.device?.negotiated(VIRTIO_CONSOLE_F_MULTIPORT) ?? false;
  }

  private transmit(port: Port, queue: Virtqueue): void {
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const text = parseText(chain);
      if (text === undefined) return;
      if (typeof text === 'string') {
        queue.fail('request', text, chain.id);
        return;
      }
      if (text.length > 0) port.backend.write(text);
      queue.complete(chain);
    }
    queue.signal();
  }

  private receive(port: Port, bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, MAX_INPUT_BYTES - port.inputBytes);
    if (taken > 0) {
      port.input.push(bytes.slice(0, taken));
      port.inputBytes += taken;
      this.deliver(port);
    }
    return taken;
  }

  /** Moves typed bytes into buffers of the driver. */
  private deliver(port: Port): void {
    const queue = this.device?.running ? this.device.queues[receiveQueue(port.number)] : undefined;
    if (!queue || (this.multiport && !port.open)) return;
    const before = port.inputBytes;
    while (port.inputBytes > 0) {
      const chain = queue.take();
      if (!chain) break;
      let at = 0;
      while (at < chain.writableBytes && port.input.length > 0) {
        const [first] = port.input;
        const part = first.subarray(0, chain.writableBytes - at);
        if (!chain.write(at, part)) return;
        at += part.length;
        port.inputBytes -= part.length;
        if (part.length < first.length) port.input[0] = first.subarray(part.length);
        else port.input.shift();
      }
      queue.complete(chain, at);
    }
    queue.signal();
    if (port.inputBytes < before) port.backend.roomAgain?.();
  }

  private readControl(queue: Virtqueue): void {
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const message = parseControl(chain);
      if (message === undefined) return;
      if (typeof message === 'string') {
        queue.fail('request', message, chain.id);
        return;
      }
      queue.complete(chain);
      this.obey(message);
      if (this.control.length > MAX_CONTROL_WAITING) {
        queue.fail('request', `more than ${MAX_CONTROL_WAITING} answers wait for buffers`, chain.id);
        return;
      }
    }
    queue.signal();
    this.sendControl();
  }

  /** Events that only the device sends, unknown ones, and ports that do not exist are ignored. */
  private obey({ port: number, event, value }: ControlMessage): void {
    if (event === CONTROL.DEVICE_READY) {
      if (value !== 1) return;
      for (const port of this.ports) this.tell(port, CONTROL.DEVICE_ADD, 1);
      return;
    }
    const port = this.ports[number];
    if (!port) return;
    if (event === CONTROL.PORT_READY) {
      if (value !== 1) return;
      port.ready = true;
      if (port.terminal) this.tell(port, CONTROL.CONSOLE_PORT, 1);
      if (port.name !== undefined) this.tell(port, CONTROL.PORT_NAME, 1, new TextEncoder().encode(port.name));
      if (port.connected) this.tell(port, CONTROL.PORT_OPEN, 1);
    } else if (event === CONTROL.PORT_OPEN) {
      port.open = value === 1;
      this.deliver(port);
    }
  }

  private setConnected(port: Port, connected: boolean): void {
    if (connected === port.connected) return;
    port.connected = connected;
    if (!this.device?.running || !port.ready) return;
    // Clients that come and go faster than the driver looks cancel each other out.
    if (this.control.length >= MAX_CONTROL_WAITING) this.control.shift();
    this.tell(port, CONTROL.PORT_OPEN, connected ? 1 : 0);
    this.sendControl();
  }

  private tell(port: Port, event: number, value: number, more?: Uint8Array): void {
    this.control.push(controlBytes({ port: port.number, event, value }, more));
  }

  private sendControl(): void {
    const queue = this.device?.running ? this.device.queues[CONTROL_RECEIVE_QUEUE] : undefined;
    if (!queue) return;
    while (this.control.length > 0) {
      const chain = queue.take();
      if (!chain) break;
      const message = this.control[0];
      const part = message.subarray(0, chain.writableBytes);
      if (!chain.write(0, part)) return;
      this.control.shift();
      queue.complete(chain, part.length);
    }
    queue.signal();
  }
}
