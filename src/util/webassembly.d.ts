// The part of WebAssembly that the portable core may use. Core and Node builds take it from here, for the language
// library and Node's types have none; browser builds have the DOM library's.

declare namespace WebAssembly {
  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer;
    grow(delta: number): number;
  }
  type ImportValue = unknown;
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Global {
    constructor(descriptor: { value: string; mutable?: boolean }, value?: unknown);
    value: unknown;
  }
  class Table {
    constructor(descriptor: { element: 'anyfunc'; initial: number; maximum?: number });
    readonly length: number;
    // biome-ignore lint/suspicious/noExplicitAny: as in the DOM library, whose declaration browser builds see
    get(index: number): any;
    // biome-ignore lint/suspicious/noExplicitAny: as above
    set(index: number, value?: any): void;
    grow(delta: number): number;
  }
  class CompileError extends Error {}
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}
