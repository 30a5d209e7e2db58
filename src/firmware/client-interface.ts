// The Open Firmware client interface (IEEE 1275-1994 chapter 6, PowerPC binding 8.2, CHRP binding): what a boot loader,
// a zImage or Linux's prom_init calls. The stub in guest memory turns each call into the hypercall H_OPEN_FIRMWARE,
// whose r4 is the real address of the argument array; that lands in `ClientInterface.call`.
//
// Everything an array holds is the client's word and is checked. Left out, by name: `seek`, `restart-wd`, `set-callback`
// and the callback services, `instantiate-sml`, Forth (`interpret` always fails), network and disk methods.

import type { HostView } from '../memory/host-view.ts';
import type { CasOutcome } from './cas.ts';
import { ClientDevices, type ConsolePort } from './client-devices.ts';
import { ClientMemory } from './client-memory.ts';
import { type ClientService, MAX_NAME_BYTES, MAX_PATH_BYTES, MINUS_1 } from './client-service.ts';
import { ClientTree } from './client-tree.ts';
import type { DeviceTree } from './device-tree.ts';
import type { MemoryClaims } from './memory-claims.ts';
import { cells64 } from './property.ts';

/** What the firmware tells of its dealings with the client. */
export type FirmwareEvent =
  | { readonly kind: 'client-architecture-support'; readonly outcome: CasOutcome }
  | { readonly kind: 'rtas-instantiated'; readonly baseGra: number }
  | { readonly kind: 'quiesced' }
  | { readonly kind: 'unknown-service'; readonly service: string }
  | { readonly kind: 'unknown-method'; readonly path: string; readonly method: string }
  | { readonly kind: 'interpret-refused'; readonly forth: string };

/** What the firmware needs of the machine. */
export interface FirmwareHost {
  /** Milliseconds since power-on in guest time. */
  milliseconds(): number;
  /** Starts the CPU with this interrupt server number, as RTAS start-cpu does; false if that cannot be. */
  startCpu(server: number, entryGra: number, r3: number): boolean;
  /** The client has ended and expects never to run again. `command` comes with `boot`. */
  clientEnded(how: 'exit' | 'enter' | 'boot', command: string): void;
  event(event: FirmwareEvent): void;
}

export interface ClientInterfaceParts {
  readonly view: HostView;
  readonly tree: DeviceTree;
  /** Memory in use when the client starts is claimed already. */
  readonly claims: MemoryClaims;
  /** Terminals by unit address of their vty. */
  readonly consoles: ReadonlyMap<number, ConsolePort>;
  readonly host: FirmwareHost;
}

/** More cells than this in either direction are refused; IEEE 1275 needs 12 at most. */
const MAX_CELLS = 32;
const THROW_UNDEFINED_WORD = -13 >>> 0; // ANS Forth 9.3.5

export class ClientInterface {
  private readonly view: HostView;
  private readonly tree: DeviceTree;
  private readonly claims: MemoryClaims;
  private readonly host: FirmwareHost;
  private readonly treeServices: ClientTree;
  private readonly services: ReadonlyMap<string, ClientService>;
  private readonly unknownServices = new Set<string>();

  constructor(parts: ClientInterfaceParts) {
    this.view = parts.view;
    this.tree = parts.tree;
    this.claims = parts.claims;
    this.host = parts.host;
    this.treeServices = new ClientTree(parts.tree);
    const devices = new ClientDevices(parts.tree, parts.consoles, {
      casDecided: (outcome) => this.host.event({ kind: 'client-architecture-support', outcome }),
      rtasInstantiated: (baseGra) => this.host.event({ kind: 'rtas-instantiated', baseGra }),
      unknownMethod: (path, method) => this.host.event({ kind: 'unknown-method', path, method }),
    });
    const all = [...this.treeServices.services, ...devices.services, ...this.ownServices];
    this.services = new Map(all.map((service) => [service.name, service]));
    this.publishAvailable();
  }

  /**
   * Serves one call. `argsGra` is the real address of the array: service name, number of arguments, number of returns,
   * arguments, returns, all big-endian cells. Gives the value for r3: 0 if the service was executed, -1 if not.
   */
  call(argsGra: number): number {
    const header = new ClientMemory(this.view, 'client interface').cells(argsGra, 3);
    if (header === undefined) return -1;
    const [nameGra, argCount, returnCount] = header as [number, number, number];
    const name = new ClientMemory(this.view, 'client interface').string(nameGra, MAX_NAME_BYTES);
    if (name === undefined || argCount > MAX_CELLS || returnCount > MAX_CELLS) return -1;
    const memory = new ClientMemory(this.view, name);
    const array = memory.cells(argsGra + 12, argCount + returnCount);
    const service = this.services.get(name);
    if (service === undefined) this.reportUnknown(name);
    if (service === undefined || array === undefined || argCount < service.args) return -1;

    const results = service.run({ args: array.slice(0, argCount), memory });
    if (results === 'failed') return -1;
    const returns = new DataView(new ArrayBuffer(returnCount * 4));
    for (let index = 0; index < returnCount; index++) returns.setUint32(index * 4, results[index] ?? 0);
    memory.write(argsGra + 12 + argCount * 4, new Uint8Array(returns.buffer));
    return 0;
  }

  private readonly ownServices: readonly ClientService[] = [
    {
      name: 'test',
      args: 1,
      run: ({ args, memory }) => {
        const name = memory.string(args[0]!, MAX_NAME_BYTES);
        return [name !== undefined && this.services.has(name) ? 0 : MINUS_1];
      },
    },
    {
      name: 'claim',
      args: 3,
      run: ({ args }) => {
        const [gra, lenBytes, alignment] = args as [number, number, number];
        const claimed = this.claim(gra, lenBytes, alignment);
        this.publishAvailable();
        return [claimed ?? MINUS_1];
      },
    },
    {
      name: 'release',
      args: 2,
      run: ({ args }) => {
        this.claims.release(args[0]!, args[1]!);
        this.publishAvailable();
        return [];
      },
    },
    { name: 'milliseconds', args: 0, run: () => [this.host.milliseconds() % 2 ** 32] },
    {
      name: 'start-cpu',
      args: 3,
      run: ({ args }) => {
        const [phandle, entryGra, r3] = args as [number, number, number];
        const node = this.tree.node(phandle);
        const server = node?.text('device_type') === 'cpu' ? node.cell('ibm,ppc-interrupt-server#s') : undefined;
        return server !== undefined && this.host.startCpu(server, entryGra, r3) ? [] : 'failed';
      },
    },
    {
      name: 'interpret',
      args: 1,
      run: ({ args, memory }) => {
        const forth = memory.string(args[0]!, MAX_PATH_BYTES);
        if (forth !== undefined) this.host.event({ kind: 'interpret-refused', forth });
        return [THROW_UNDEFINED_WORD];
      },
    },
    {
      name: 'quiesce',
      args: 0,
      run: () => {
        this.treeServices.freeze();
        this.host.event({ kind: 'quiesced' });
        return [];
      },
    },
    { name: 'exit', args: 0, run: () => this.end('exit', '') },
    { name: 'enter', args: 0, run: () => this.end('enter', '') },
    {
      name: 'boot',
      args: 1,
      run: ({ args, memory }) => this.end('boot', memory.string(args[0]!, MAX_PATH_BYTES) ?? ''),
    },
  ];

  private end(how: 'exit' | 'enter' | 'boot', command: string): readonly number[] {
    this.host.clientEnded(how, command);
    return [];
  }

  /** Alignment 0 asks for this very address, any other for a place of the firmware's choice. */
  private claim(gra: number, lenBytes: number, alignment: number): number | undefined {
    if (alignment === 0) return this.claims.claim(gra, lenBytes) ? gra : undefined;
    return lenBytes === 0 ? undefined : this.claims.claimAnywhere(lenBytes, alignment);
  }

  /** `available` of the memory node: what is free, as pairs of address and size. */
  private publishAvailable(): void {
    const ranges = this.claims.free().flatMap(({ start, end }) => [start, end - start]);
    this.tree.find('/memory')?.set('available', cells64(...ranges));
  }

  private reportUnknown(service: string): void {
    if (this.unknownServices.has(service) || this.unknownServices.size >= 64) return;
    this.unknownServices.add(service);
    this.host.event({ kind: 'unknown-service', service });
  }
}
