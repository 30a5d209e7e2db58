import { expect, it } from 'vitest';
import { countResults, summary } from './test-results.mjs';

const file = (status: string, ...statuses: string[]) => ({
  status,
  assertionResults: statuses.map((each) => ({ status: each })),
});

it.each([
  [
    'passes, failures and skips',
    [file('failed', 'passed', 'failed', 'skipped', 'pending', 'todo')],
    '1 passed, 1 failed, 3 skipped',
  ],
  ['a file that did not load', [file('passed', 'passed'), file('failed')], '1 passed, 1 failed'],
  ['a file whose hook failed', [file('failed', 'skipped', 'skipped')], '0 passed, 1 failed, 2 skipped'],
  ['nothing', [], '0 passed, 0 failed'],
])('counts %s', (_name, testResults, line) => {
  expect(summary(countResults({ testResults }))).toBe(line);
});

it('counts no report as nothing', () => {
  expect(summary(countResults(undefined))).toBe('0 passed, 0 failed');
});
