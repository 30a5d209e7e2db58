// A generated interpreter as plain data, and back. Generating costs a few hundred milliseconds of every start, so a build
// does it once (docs/adr/0011).

import { assert } from '../../util/errors.ts';
import { instructions } from '../isa/table.ts';
import type { SemanticsMap } from '../semantics/emitter.ts';
import { type HostCall, hostCallNamed } from '../semantics/hostcall.ts';
import { sharedLayout, stateLayout } from '../state/layout.ts';
import * as memoryMap from '../state/memory-map.ts';
import type { GeneratedInterpreter } from './generate.ts';
import type { HandlerNumbers } from './handlers.ts';

/** JSON and JavaScript hold it as it is. */
export interface InterpreterImage {
  /** `fingerprint` of what it was made from. */
  readonly fingerprint: number;
  /** The module's bytes in Base64. */
  readonly module: string;
  readonly handlers: HandlerNumbers;
  readonly yieldHandler: number;
  /** Names of the host calls, by number. */
  readonly hostCalls: readonly string[];
}

/** The image of an interpreter; `base64` encodes bytes. */
export function imageOf(
  interpreter: GeneratedInterpreter,
  semantics: SemanticsMap,
  base64: (bytes: Uint8Array) => string,
): InterpreterImage {
  const { bytes, handlers, yieldHandler, hostCalls } = interpreter;
  return {
    fingerprint: fingerprint(semantics),
    module: base64(bytes),
    handlers,
    yieldHandler,
    hostCalls: hostCalls.map(({ name, run }) => {
      assert(hostCallNamed(name)?.run === run, `the host call ${name} is not found by its name`);
      return name;
    }),
  };
}

/** The interpreter of an image, or undefined if it was made for other tables than those of this program. */
export function interpreterOf(image: InterpreterImage, semantics: SemanticsMap): GeneratedInterpreter | undefined {
  if (image.fingerprint !== fingerprint(semantics)) return undefined;
  const hostCalls: HostCall[] = [];
  for (const name of image.hostCalls) {
    const call = hostCallNamed(name);
    if (call === undefined) return undefined;
    hostCalls.push(call);
  }
  const { handlers, yieldHandler } = image;
  return { bytes: bytesOf(image.module), handlers, yieldHandler, hostCalls };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * A number that differs where registers or tables have other places or there are other instructions (FNV-1a). It does not
 * see inside of the meanings: that an image goes with its program is the build's affair (prebuilt.ts).
 */
function fingerprint(semantics: SemanticsMap): number {
  const rows = instructions.map(({ op, bits, priv, needs }) => [op, bits, priv, needs, semantics[op] !== undefined]);
  const text = JSON.stringify([stateLayout, sharedLayout, Object.entries(memoryMap), rows]);
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
