// Guest memory for tests of devices: RAM behind a HostView and DMA windows that tests fill.

import { GuestMemory } from '../../src/memory/guest-memory.ts';
import { NormalHostView } from '../../src/memory/host-view.ts';
import { DmaSpace } from '../../src/pci/dma-space.ts';
import { DmaWindowSet } from '../../src/pci/dma-windows.ts';

export class TestMemory {
  readonly view: NormalHostView;
  readonly bytes: Uint8Array;
  readonly data: DataView;
  readonly windows: DmaWindowSet;
  readonly dma: DmaSpace;
  private free = 0x1000;

  constructor(sizeBytes = 2 ** 20) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / 65536) });
    this.view = new NormalHostView(new GuestMemory(memory, 0, sizeBytes, { ramWritten() {} }));
    this.bytes = new Uint8Array(memory.buffer, 0, sizeBytes);
    this.data = new DataView(memory.buffer, 0, sizeBytes);
    this.windows = new DmaWindowSet({ liobn: 0x8000_0000, defaultBytes: 2 ** 30, memoryBytes: sizeBytes });
    this.dma = new DmaSpace({ view: this.view, windows: this.windows, mode: 'bypass' });
    this.dma.enabled = true;
  }

  /** Zeroed memory of the test's own; `releaseTo` gives back. */
  allocate(lenBytes: number, align = 16): number {
    const at = Math.ceil(this.free / align) * align;
    this.free = at + lenBytes;
    if (this.free > this.bytes.length) throw new Error('the test uses more memory than it has');
    this.bytes.fill(0, at, this.free);
    return at;
  }

  /** Gives back everything that was allocated at `gra` and behind. */
  releaseTo(gra: number): void {
    this.free = gra;
  }
}
