// Interrupt inputs as a device sees them. The machine connects them to sources of the interrupt controller.

/** A level-sensitive input: asserted until whoever asserted it says otherwise. */
export interface InterruptLine {
  setLevel(asserted: boolean): void;
}

/** One wire that several devices may pull (PCI 3.0 2.2.6): the output is asserted while at least one input is. */
export class SharedInterruptLine {
  private readonly output: InterruptLine;
  private pulling = 0;

  constructor(output: InterruptLine) {
    this.output = output;
  }

  /** One more input, not asserted. */
  input(): InterruptLine {
    const input = { asserted: false };
    return {
      setLevel: (asserted) => {
        if (asserted === input.asserted) return;
        input.asserted = asserted;
        this.pulling += asserted ? 1 : -1;
        if (this.pulling === (asserted ? 1 : 0)) this.output.setLevel(asserted);
      },
    };
  }
}
