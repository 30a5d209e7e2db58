// A WebAssembly module under construction, and its binary form (WebAssembly Core 2.0, section 5.5).

import { assert } from '../util/errors.ts';
import { ByteWriter } from './bytes.ts';
import { type EncodedBody, encodeBody } from './encode.ts';
import { FunctionBuilder, FunctionRef, GlobalRef, type Signature, SignatureRef } from './ir.ts';
import { type ValueType, valueTypeCode } from './opcodes.ts';

interface ImportedFunction {
  readonly module: string;
  readonly field: string;
  readonly ref: FunctionRef;
}

export class ModuleBuilder {
  private readonly signatures: SignatureRef[] = [];
  private readonly signatureIndex = new Map<string, SignatureRef>();
  private readonly imports: ImportedFunction[] = [];
  private readonly declared: FunctionRef[] = [];
  private readonly bodies = new Map<number, EncodedBody>();
  private readonly globals: { ref: GlobalRef; initial: number }[] = [];
  private readonly importedGlobals: { module: string; field: string; ref: GlobalRef }[] = [];
  private readonly exports: { name: string; kind: number; index: number }[] = [];
  private readonly elements: FunctionRef[] = [];
  private tableMayGrow = false;
  private memoryImport: { module: string; field: string; pages: number } | undefined;

  signature(params: readonly ValueType[], result: ValueType | undefined): SignatureRef {
    const key = `${params.join(',')}>${result ?? ''}`;
    let ref = this.signatureIndex.get(key);
    if (!ref) {
      ref = new SignatureRef({ params, result }, this.signatures.length);
      this.signatures.push(ref);
      this.signatureIndex.set(key, ref);
    }
    return ref;
  }

  /** The module's memory, imported; `pages` is the least size in 64 KiB pages. */
  importMemory(module: string, field: string, pages: number): void {
    this.memoryImport = { module, field, pages };
  }

  /** Imports come before the first declared function. */
  importFunction(module: string, field: string, params: readonly ValueType[], result?: ValueType): FunctionRef {
    assert(this.declared.length === 0, 'functions are imported before any is declared');
    const ref = new FunctionRef(field, this.signature(params, result), this.imports.length);
    this.imports.push({ module, field, ref });
    return ref;
  }

  /** A mutable global of another module. */
  importGlobal(module: string, field: string, type: 'i32' | 'i64'): GlobalRef {
    assert(this.globals.length === 0, 'globals are imported before any is made');
    const ref = new GlobalRef(field, type, this.importedGlobals.length);
    this.importedGlobals.push({ module, field, ref });
    return ref;
  }

  /** A mutable global of type i32 or i64. */
  global(name: string, type: 'i32' | 'i64', initial = 0): GlobalRef {
    const ref = new GlobalRef(name, type, this.importedGlobals.length + this.globals.length);
    this.globals.push({ ref, initial });
    return ref;
  }

  /** Names a function that `define` gives a body to, before or after it is called. */
  declare(name: string, params: readonly ValueType[], result?: ValueType): FunctionRef {
    const ref = new FunctionRef(name, this.signature(params, result), this.imports.length + this.declared.length);
    this.declared.push(ref);
    return ref;
  }

  define(ref: FunctionRef, build: (fn: FunctionBuilder) => void): void {
    assert(!this.bodies.has(ref.index), `function ${ref.name} is defined twice`);
    const signature: Signature = ref.signature.signature;
    const fn = new FunctionBuilder(ref.name, signature);
    build(fn);
    this.defineBuilt(ref, fn);
  }

  /** The same with a function that has been built already. */
  defineBuilt(ref: FunctionRef, fn: FunctionBuilder): void {
    this.bodies.set(ref.index, encodeBody(fn));
  }

  /** Declares and defines. */
  function(
    name: string,
    params: readonly ValueType[],
    result: ValueType | undefined,
    build: (fn: FunctionBuilder) => void,
  ): FunctionRef {
    const ref = this.declare(name, params, result);
    this.define(ref, build);
    return ref;
  }

  exportFunction(name: string, ref: FunctionRef): void {
    this.exports.push({ name, kind: 0, index: ref.index });
  }
  /** Table 0; it may grow from outside. */
  exportTable(name: string): void {
    this.exports.push({ name, kind: 1, index: 0 });
    this.tableMayGrow = true;
  }
  exportGlobal(name: string, ref: GlobalRef): void {
    this.exports.push({ name, kind: 3, index: ref.index });
  }

  /** Entries of table 0 so far. */
  get tableLength(): number {
    return this.elements.length;
  }
  /** Adds a function to table 0 and returns its index there. */
  addToTable(ref: FunctionRef): number {
    this.elements.push(ref);
    return this.elements.length - 1;
  }

  /** For engines that know the branch hinting proposal: which branches lead to what rarely happens. */
  private branchHints(section: (id: number, write: (w: ByteWriter) => void) => void): void {
    const hinted = this.declared.filter((ref) => this.bodies.get(ref.index)?.hints.length);
    if (hinted.length === 0) return;
    section(0, (w) => {
      w.name('metadata.code.branch_hint');
      w.unsigned(hinted.length);
      for (const ref of hinted) {
        const { hints } = this.bodies.get(ref.index)!;
        w.unsigned(ref.index);
        w.unsigned(hints.length);
        for (const { offset, likely } of hints) {
          w.unsigned(offset);
          w.unsigned(1);
          w.u8(likely ? 1 : 0);
        }
      }
    });
  }

  /** The finished module. Every declared function must have its body. */
  encode(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.append(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const section = (id: number, write: (w: ByteWriter) => void) => {
      const w = new ByteWriter();
      write(w);
      out.u8(id);
      out.unsigned(w.length);
      out.append(w.bytes());
    };
    section(1, (w) => {
      w.unsigned(this.signatures.length);
      for (const { signature } of this.signatures) {
        w.u8(0x60);
        w.unsigned(signature.params.length);
        for (const type of signature.params) w.u8(valueTypeCode[type]);
        w.unsigned(signature.result ? 1 : 0);
        if (signature.result) w.u8(valueTypeCode[signature.result]);
      }
    });
    section(2, (w) => {
      w.unsigned(this.imports.length + this.importedGlobals.length + (this.memoryImport ? 1 : 0));
      for (const { module, field, ref } of this.imports) {
        w.name(module);
        w.name(field);
        w.u8(0);
        w.unsigned(ref.signature.index);
      }
      for (const { module, field, ref } of this.importedGlobals) {
        w.name(module);
        w.name(field);
        w.u8(3);
        w.u8(valueTypeCode[ref.type]);
        w.u8(1);
      }
      if (this.memoryImport) {
        w.name(this.memoryImport.module);
        w.name(this.memoryImport.field);
        w.u8(2);
        w.u8(0);
        w.unsigned(this.memoryImport.pages);
      }
    });
    section(3, (w) => {
      w.unsigned(this.declared.length);
      for (const ref of this.declared) w.unsigned(ref.signature.index);
    });
    if (this.elements.length) {
      section(4, (w) => {
        w.unsigned(1);
        w.u8(0x70);
        w.u8(this.tableMayGrow ? 0 : 1);
        w.unsigned(this.elements.length);
        if (!this.tableMayGrow) w.unsigned(this.elements.length);
      });
    }
    section(6, (w) => {
      w.unsigned(this.globals.length);
      for (const { ref, initial } of this.globals) {
        w.u8(valueTypeCode[ref.type]);
        w.u8(1);
        w.u8(ref.type === 'i32' ? 0x41 : 0x42);
        w.signed(initial);
        w.u8(0x0b);
      }
    });
    section(7, (w) => {
      w.unsigned(this.exports.length);
      for (const { name, kind, index } of this.exports) {
        w.name(name);
        w.u8(kind);
        w.unsigned(index);
      }
    });
    if (this.elements.length) {
      section(9, (w) => {
        w.unsigned(1);
        w.unsigned(0);
        w.u8(0x41);
        w.signed(0);
        w.u8(0x0b);
        w.unsigned(this.elements.length);
        for (const ref of this.elements) w.unsigned(ref.index);
      });
    }
    this.branchHints(section);
    section(10, (w) => {
      w.unsigned(this.declared.length);
      for (const ref of this.declared) {
        const body = this.bodies.get(ref.index);
        assert(body, `function ${ref.name} has no body`);
        w.unsigned(body.bytes.length);
        w.append(body.bytes);
      }
    });
    // Names make profiles and stack traces readable.
    section(0, (w) => {
      w.name('name');
      const names = new ByteWriter();
      const all = [...this.imports.map((i) => i.ref), ...this.declared];
      names.unsigned(all.length);
      for (const ref of all) {
        names.unsigned(ref.index);
        names.name(ref.name);
      }
      w.u8(1);
      w.unsigned(names.length);
      w.append(names.bytes());
    });
    return out.bytes();
  }
}
