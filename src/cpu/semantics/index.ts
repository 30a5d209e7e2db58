// All meanings there are, by mnemonic.

import { atomics } from './atomics.ts';
import { branch } from './branch.ts';
import type { SemanticsMap } from './emitter.ts';
import { fixedPoint } from './fixed-point.ts';
import { loadStore } from './load-store.ts';
import { spr } from './spr.ts';
import { system } from './system.ts';

export const semantics: SemanticsMap = { ...fixedPoint, ...branch, ...loadStore, ...atomics, ...spr, ...system };
