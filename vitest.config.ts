import { defineConfig } from 'vitest/config';

// Unit tests lie beside their files; tests/ holds what crosses modules, boots guests or compares with other programs.
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'tests/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 60_000,
    hookTimeout: 600_000,
    // Guests are mostly one busy thread each; the default would leave a machine of two cores half idle.
    maxWorkers: '100%',
  },
});
