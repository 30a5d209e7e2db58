// What a machine refuses before it is made.

import { describe, expect, it } from 'vitest';
import { checkConfiguration, type MachineConfiguration } from './configuration.ts';

const refusal = (configuration: Partial<MachineConfiguration>) => {
  try {
    checkConfiguration({ kernel: new Uint8Array(), ...configuration });
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
};

describe('where regions are compiled', () => {
  it('is left to the host, or said', () => {
    expect(refusal({})).toBeUndefined();
    expect(refusal({ compile: 'beside' })).toBeUndefined();
    expect(refusal({ compile: 'inline', onRegion: () => {} })).toBeUndefined();
    expect(refusal({ compile: 'elsewhere' as 'beside' })).toBe(
      'Regions are compiled "beside" or "inline", not "elsewhere".',
    );
  });
  it('is not beside if they are to be dumped, and nowhere without the compiler', () => {
    expect(refusal({ compile: 'beside', onRegion: () => {} })).toMatch(/"inline" only/);
    expect(refusal({ compile: 'inline', compiler: false })).toMatch(/leave out one of the two/);
  });
});
