import { afterEach, describe, expect, it } from 'vitest';
import { fusesMultiplyAdd, pretendFusing } from './fused.ts';

describe('multiply-add of the engine', () => {
  afterEach(() => pretendFusing(undefined));

  it('is asked about once, and what is pretended holds until it is taken back', () => {
    const truth = fusesMultiplyAdd();
    expect(fusesMultiplyAdd()).toBe(truth);
    pretendFusing(!truth);
    expect(fusesMultiplyAdd()).toBe(!truth);
    pretendFusing(undefined);
    expect(fusesMultiplyAdd()).toBe(truth);
  });
});
