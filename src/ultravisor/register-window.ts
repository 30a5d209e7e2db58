// The registers of a secure vCPU as the hypervisor sees them: during a hypercall its arguments, at any other time and
// for every other register random numbers. What the hypervisor writes stays here until the ultravisor fetches the results
// that the call has (UV-API, reflected hypercalls).

const CODE_COOKIE_MASK = 0xffff_fffcn;

export class RegisterWindow {
  /** Stands for the next instruction address. */
  readonly cookie: bigint;
  private readonly random: () => bigint;
  private readonly values = new Map<number, bigint>();
  private readonly written = new Map<number, bigint>();

  constructor(random: () => bigint) {
    this.random = random;
    this.cookie = (random() & CODE_COOKIE_MASK) | 0x2000n;
  }

  /** A call begins: r3 and up are visible. */
  open(registers: readonly bigint[]): void {
    this.close();
    registers.forEach((value, i) => {
      this.values.set(3 + i, value);
    });
  }
  close(): void {
    this.values.clear();
    this.written.clear();
  }
  gpr(n: number): bigint {
    return this.written.get(n) ?? this.values.get(n) ?? this.random();
  }
  setGpr(n: number, value: bigint): void {
    this.written.set(n, value);
  }
  /** What the hypervisor has put into register `n` during this call. */
  result(n: number): bigint | undefined {
    return this.written.get(n);
  }
}
