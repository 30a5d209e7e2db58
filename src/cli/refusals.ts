// What a run says about images that the ultravisor did not let turn secure.

import type { SecureReport } from '../machine/secure-partition.ts';

/** A line for each UV_ESM that was refused. */
export function refusalLines(report: object): string[] {
  const { svm } = report as Partial<SecureReport>;
  const refusals = svm?.transitions.filter(({ step }) => step === 'refused') ?? [];
  return refusals.map(({ detail }) => `UV_ESM was refused: ${detail}`);
}
