// The interpreter as `npm run build` made it. This file is what stands here without a build: nothing, and the interpreter
// is generated at start. scripts/prebuild.mjs puts the image into the compiled copy of this file, which the TypeScript
// compiler writes anew in each build: an image never meets other sources than those it was made from.

import type { InterpreterImage } from './image.ts';

export const prebuiltInterpreter: InterpreterImage | undefined = undefined;
