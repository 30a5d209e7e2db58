import { expect, it } from 'vitest';
import { assemble } from '../cpu/isa/assemble.ts';
import { clientInterfaceStub } from './stubs.ts';

it('passes its argument in r4 and the hypercall number in r3', () => {
  const stub = clientInterfaceStub();
  const words = Array.from({ length: stub.length / 4 }, (_, n) => new DataView(stub.buffer).getUint32(n * 4));
  const source = ['or r4,r3,r3', 'addi r3,0,0', 'ori r3,r3,0xf005', 'sc 1', 'bclr 20,lt,0'];
  expect(words).toEqual(source.map((line) => assemble(line)));
});
