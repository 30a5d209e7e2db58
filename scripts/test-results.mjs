// Counting what vitest's JSON report says.

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * A file that failed without a failed test (it did not load, or a hook failed) counts as one failure.
 * @param {{ testResults?: { status: string, assertionResults: { status: string }[] }[] } | undefined} report
 * @returns {Counts}
 */
export function countResults(report) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report?.testResults ?? []) {
    const statuses = file.assertionResults.map(({ status }) => status);
    for (const status of statuses) {
      if (status === 'passed') counts.passed++;
      else if (status === 'failed') counts.failed++;
      else counts.skipped++;
    }
    if (file.status === 'failed' && !statuses.includes('failed')) counts.failed++;
  }
  return counts;
}

/**
 * The closing line.
 * @param {Counts} counts
 */
export function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
