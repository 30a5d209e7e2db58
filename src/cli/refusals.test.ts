import { expect, it } from 'vitest';
import { refusalLines } from './refusals.ts';

it('names each refusal, and nothing else', () => {
  const step = (name: string, detail?: string) => ({ step: name, state: 'normal', instructions: 1n, detail });
  const transitions = [
    step('UV_ESM'),
    step('refused', 'digest of kernel differs'),
    step('UV_ESM'),
    step('refused', 'x'),
  ];
  expect(refusalLines({ svm: { transitions } })).toEqual([
    'UV_ESM was refused: digest of kernel differs',
    'UV_ESM was refused: x',
  ]);
  expect(refusalLines({ svm: undefined })).toEqual([]);
  expect(refusalLines({})).toEqual([]);
});
