// The engines that the conformance suites run on. Each entry adapts one engine of src/cpu to cpu-under-test.ts.

import type { EngineUnderTest } from './cpu-under-test.ts';
import { compilerEngine, interpreterEngine } from './interpreter-engine.ts';

export const engines: readonly EngineUnderTest[] = [interpreterEngine, compilerEngine];
