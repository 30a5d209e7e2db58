// A 16550A serial port behind a PCI function that Linux's 8250_pci driver knows (NetMos 9900 with one port): small, driven
// by interrupts, and built into distribution kernels. A test's probe for BARs and interrupts; not a device of the machine.

import type { MmioBytes } from '../../src/device/address-map.ts';
import type { PciDevice } from '../../src/pci/device.ts';
import { type PciBus, PciFunction } from '../../src/pci/function.ts';

/** How the port is reached and how it interrupts. */
export interface UartKind {
  readonly bar: 'io' | 'mem32' | 'mem64';
  readonly interrupt: 'pin' | 'msi' | 'msix';
  readonly pin?: 1 | 2 | 3 | 4;
}

const FIFO_BYTES = 16;
const LOOP = 0x10;
const DATA_READY = 1;
const TRANSMITTER_EMPTY = 0x60;
const NO_INTERRUPT = 1;
const TRANSMIT_INTERRUPT = 2;
const RECEIVE_INTERRUPT = 4;

export class PciUart implements PciDevice {
  readonly kind = 'uart';
  readonly functions: readonly PciFunction[];
  /** What the guest sent. */
  output = '';
  private readonly input: number[] = [];
  private readonly interrupt: UartKind['interrupt'];
  private interruptEnable = 0;
  private lineControl = 0;
  private modemControl = 0;
  private scratch = 0;
  private divisor = 0;
  private fifos = 0;
  private transmitPending = false;
  private asserted = false;

  constructor(bus: PciBus, { bar, interrupt, pin }: UartKind) {
    this.interrupt = interrupt;
    const handler = {
      load: (offset: number, lenBytes: MmioBytes) => (lenBytes === 1 ? this.read(offset) : 0),
      store: (offset: number, lenBytes: MmioBytes, value: number) => {
        if (lenBytes === 1) this.write(offset, value);
      },
    };
    this.functions = [
      new PciFunction(
        {
          name: 'uart',
          vendorId: 0x9710,
          deviceId: 0x9900,
          subsystemVendorId: 0xa000,
          subsystemId: 0x1000,
          classCode: 0x070002,
          revisionId: 0,
          bars: [{ index: 0, kind: bar, sizeBytes: bar === 'io' ? 8 : 4096, handler }],
          msi: interrupt === 'msi' ? { vectors: 4 } : undefined,
          msix: interrupt === 'msix' ? { vectors: 2, bar: 2 } : undefined,
          interruptPin: pin ?? 1,
          dma: 'bypass',
        },
        bus,
      ),
    ];
  }

  /** Sends text to the guest. */
  type(text: string): void {
    this.input.push(...new TextEncoder().encode(text));
    this.update();
  }

  reset(): void {
    this.input.length = 0;
    this.interruptEnable = 0;
    this.lineControl = 0;
    this.modemControl = 0;
    this.fifos = 0;
    this.transmitPending = false;
    this.asserted = false;
    for (const each of this.functions) each.reset();
  }

  private get divisorLatch(): boolean {
    return (this.lineControl & 0x80) !== 0;
  }

  /** Interrupt identification register without the FIFO bits. */
  private get cause(): number {
    if (this.input.length > 0 && this.interruptEnable & 1) return RECEIVE_INTERRUPT;
    if (this.transmitPending && this.interruptEnable & 2) return TRANSMIT_INTERRUPT;
    return NO_INTERRUPT;
  }

  private read(offset: number): number {
    switch (offset) {
      case 0: {
        if (this.divisorLatch) return this.divisor & 0xff;
        const byte = this.input.shift() ?? 0;
        this.update();
        return byte;
      }
      case 1:
        return this.divisorLatch ? this.divisor >>> 8 : this.interruptEnable;
      case 2: {
        const { cause } = this;
        if (cause === TRANSMIT_INTERRUPT) this.transmitPending = false;
        this.update();
        return cause | this.fifos;
      }
      case 3:
        return this.lineControl;
      case 4:
        return this.modemControl;
      case 5:
        return TRANSMITTER_EMPTY | (this.input.length > 0 ? DATA_READY : 0);
      case 6:
        return 0xb0; // carrier, data set ready, clear to send
      case 7:
        return this.scratch;
      default:
        return 0xff;
    }
  }

  private write(offset: number, value: number): void {
    switch (offset) {
      case 0:
        if (this.divisorLatch) this.divisor = (this.divisor & 0xff00) | value;
        else {
          // A loop, which drivers use to find out how deep the FIFO is, comes back instead of going out.
          if (this.modemControl & LOOP) this.input.push(value);
          else this.output += String.fromCharCode(value);
          if (this.modemControl & LOOP) this.input.splice(FIFO_BYTES);
          this.transmitPending = true;
        }
        break;
      case 1:
        if (this.divisorLatch) this.divisor = (this.divisor & 0xff) | (value << 8);
        else {
          if (value & 2 & ~this.interruptEnable) this.transmitPending = true;
          this.interruptEnable = value & 0x0f;
        }
        break;
      case 2:
        this.fifos = value & 1 ? 0xc0 : 0;
        if (value & 2) this.input.length = 0;
        break;
      case 3:
        this.lineControl = value;
        break;
      case 4:
        this.modemControl = value & 0x1f;
        break;
      case 7:
        this.scratch = value;
    }
    this.update();
  }

  /** Pins follow the cause; messages are sent when one appears, and again for what is left after one was served. */
  private update(): void {
    const asserted = this.cause !== NO_INTERRUPT;
    const [{ intx, msi, msix }] = this.functions;
    if (this.interrupt === 'pin') intx.setLevel(asserted);
    else if (asserted && !this.asserted) {
      if (this.interrupt === 'msi') msi?.notify(0);
      else msix?.notify(0);
    }
    this.asserted = asserted;
  }
}
