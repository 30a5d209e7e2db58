// Everything that the hypervisor, a device, a snapshot of memory the host can see, or a report can show of a machine; and
// the search for a secret in all of it.
//
//     whereFound('CANARY-5b1f', hostSightOf(machine))         // names of the places that have it; [] is what one wants
//     insideHas('CANARY-5b1f', machine)                       // whether the guest has it at all: a search must be able to find

import type { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import type { VcpuPort } from '../../src/hypervisor/vcpu-port.ts';
import type { Machine } from '../../src/index.ts';
import type { HostView } from '../../src/memory/host-view.ts';

export interface HostSight {
  /** What devices and hypercalls read memory with. */
  readonly view: HostView;
  readonly hypervisor: Hypervisor;
  /** The vCPUs as the hypervisor has them. */
  readonly vcpus: readonly VcpuPort[];
  /** Reports, events, consoles, files of devices: by name. Objects are searched as JSON. */
  readonly texts: Readonly<Record<string, unknown>>;
}

/** Of a real machine. `more`: what the test has collected besides, such as events or the contents of disks. */
export function hostSightOf(machine: Machine, more: Readonly<Record<string, unknown>> = {}): HostSight {
  // Reaches behind the interface, because nothing of this is for programs that use it.
  const { view, hypervisor, secure } = machine as unknown as {
    view: HostView;
    hypervisor: Hypervisor;
    secure: { ports: readonly VcpuPort[] };
  };
  // The report first: the search itself is a row of breaches.
  return { view, hypervisor, vcpus: secure.ports, texts: { report: machine.report(), ...more } };
}

/** Whether the guest's own memory has `secret`. Paged-out pages are not looked into. */
export function insideHas(secret: string | Uint8Array, machine: Machine): boolean {
  const { core } = machine as unknown as { core: { ramBytesView(): Uint8Array } };
  const ram = core.ramBytesView();
  return Buffer.from(ram.buffer, ram.byteOffset, ram.byteLength).includes(Buffer.from(secret as string));
}

const PIECE_BYTES = 0x100000;
const ORIGINS = [
  { kind: 'hcall', name: 'a search by the test' },
  { kind: 'device', name: 'a search by the test' },
] as const;

/**
 * The places where `secret` can be seen: as it is, with the bytes of each doubleword turned round, or in hexadecimal. At
 * least 8 bytes, lest it be found by chance.
 */
export function whereFound(secret: string | Uint8Array, sight: HostSight): string[] {
  const needle = Buffer.from(secret as string);
  if (needle.length < 8) throw new Error('a secret of less than 8 bytes is found by chance');
  const turned = Buffer.from(needle.subarray(0, 8)).reverse();
  const needles = [needle, turned];
  const texts = [...needles.map((each) => each.toString('hex')), needle.toString('latin1')];
  const has = (bytes: Uint8Array) => {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return needles.some((each) => buffer.includes(each));
  };
  const found = new Set<string>();
  for (const origin of ORIGINS) {
    const { view } = sight;
    for (let gra = 0; gra < view.sizeBytes; gra += PIECE_BYTES) {
      const lenBytes = Math.min(PIECE_BYTES + needle.length, view.sizeBytes - gra);
      if (has(view.read(gra, lenBytes, origin))) found.add(`memory, as a ${origin.kind} reads it`);
    }
  }
  for (const page of sight.hypervisor.secureGuest?.hostPages.all() ?? []) {
    if (has(page)) found.add('pages that are out');
  }
  for (const vcpu of sight.vcpus) {
    const registers = new BigUint64Array([...Array.from({ length: 32 }, (_, n) => vcpu.gpr(n)), vcpu.nia, vcpu.msr]);
    if (has(new Uint8Array(registers.buffer))) found.add(`registers of CPU ${vcpu.id}`);
  }
  for (const [name, value] of Object.entries(sight.texts)) {
    if (value instanceof Uint8Array ? has(value) : texts.some((text) => textOf(value).includes(text))) found.add(name);
  }
  return [...found];
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `0x${each.toString(16)}` : each)) ?? '';
}
