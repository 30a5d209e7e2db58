// Verification of a sealed image, in the order of UV-API UV_ESM: lockbox, digests, RTAS, kernel, initrd, bootargs, files. By
// then all memory is secure, so what is measured is what will run. Each step is told as it is done; the first that fails
// ends the verification, except that all digests are compared, so that one refusal names all that differ.

import type { SealCrypto, SealPrivateKey } from '../../backends/seal-crypto.ts';
import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { FdtSummary } from '../fdt-reader.ts';
import { type Checked, type ImageDigests, MEASURED } from './blob.ts';
import { findRtas, type ImageInMemory, type MemoryRange } from './image.ts';
import { equal, hex, openBlob, openDigests, openFile } from './seal.ts';

/** What the machine's ultravisor has for sealed images. */
export interface Sealing {
  /** Undefined where the host has no cryptography. */
  readonly crypto: SealCrypto | undefined;
  /** Undefined: no sealed image can be opened. */
  readonly key: SealPrivateKey | undefined;
  /** Images that are not sealed are refused. */
  readonly required: boolean;
}

export interface VerifiedImage {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What has been vouched for, or is needed to start; all other memory has not. */
  readonly keep: readonly MemoryRange[];
}

export interface VerifyRequest {
  readonly sealing: Sealing;
  readonly memory: GuestMemory;
  readonly tree: FdtSummary;
  readonly image: ImageInMemory;
  readonly kernelGra: number;
  readonly step: (step: string, detail: string) => void;
}

/** Not ok: the reason names the step that failed, and of digests what was wanted and found. */
export async function verifyImage(request: VerifyRequest): Promise<Checked<VerifiedImage>> {
  const { sealing, image, step } = request;
  const { crypto, key } = sealing;
  if (!image.blob) return bad('ESM blob', 'there is none');
  step('ESM blob', `${image.blob.bytes.length} bytes in ${image.blob.where}`);
  if (!crypto) return bad('lockbox', 'there is no cryptography here; a web page has it over https or from localhost');
  if (!key) return bad('lockbox', 'this machine has no key');
  const open = await openBlob(image.blob.bytes, key, 'recipients');
  if (!open.ok) return bad('lockbox', open.reason);
  step('lockbox', `${open.value.lockbox} opened`);
  const digests = await openDigests(crypto, open.value);
  if (!digests.ok) return bad('digests', digests.reason);
  step('digests', digests.value.envelope ? 'opened; the blob is as it was sealed' : 'opened');
  const rtas = findRtas(request.memory, request.tree);
  if (!rtas.ok) return bad('digest of rtas', rtas.reason);
  const kernel = { gra: request.kernelGra, lenBytes: digests.value.kernelBytes };
  const measured = await measure(request, crypto, digests.value, { rtas: rtas.value.code, kernel });
  if (!measured.ok) return measured;
  const files = new Map<string, Uint8Array>();
  for (const name of open.value.blob.files.keys()) {
    const file = await openFile(crypto, open.value, name);
    if (!file.ok) return bad('files', file.reason);
    files.set(name, file.value);
  }
  if (files.size > 0) step('files', [...files.keys()].join(', '));
  return { ok: true, value: { files, keep: [kernel, image.initrdArea, rtas.value.area] } };
}

async function measure(
  { memory, image, step }: VerifyRequest,
  crypto: SealCrypto,
  digests: ImageDigests,
  where: { readonly rtas: MemoryRange; readonly kernel: MemoryRange },
): Promise<Checked<undefined>> {
  const { gra, lenBytes } = where.kernel;
  if (!memory.contains(gra, lenBytes)) return bad('digest of kernel', `memory ends before its ${lenBytes} bytes do`);
  const at = (range: MemoryRange) => memory.read(range.gra, range.lenBytes);
  const part = {
    rtas: () => at(where.rtas),
    kernel: () => at(where.kernel),
    initrd: () => at(image.initrd),
    bootargs: () => image.bootargs,
  };
  const differing: string[] = [];
  for (const name of MEASURED) {
    const wanted = digests[name];
    const found = await crypto.sha512(part[name]());
    const same = equal(wanted, found);
    const difference = `wanted ${hex(wanted)}, found ${hex(found)}`;
    step(`digest of ${name}`, same ? `matches ${hex(found)}` : `differs: ${difference}`);
    if (!same) differing.push(`digest of ${name} differs: ${difference}`);
  }
  return differing.length === 0 ? { ok: true, value: undefined } : { ok: false, reason: differing.join('; ') };
}

function bad(step: string, reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason: `${step}: ${reason}` };
}
