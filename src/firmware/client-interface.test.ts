import { beforeEach, describe, expect, it } from 'vitest';
import { testMemory } from '../../tests/support/hypervisor-fakes.ts';
import { randomWords } from '../../tests/support/random.ts';
import { rtasAreaBytes, rtasStub } from '../hypervisor/rtas/layout.ts';
import type { NormalHostView } from '../memory/host-view.ts';
import { ClientInterface, type FirmwareEvent } from './client-interface.ts';
import type { DeviceTree } from './device-tree.ts';
import { MemoryClaims } from './memory-claims.ts';
import { cells, cellsOf, text } from './property.ts';
import { buildPseriesTree } from './pseries-tree.ts';

const MINUS_1 = 0xffff_ffff;
const ARRAY = 0x1000;
const STRINGS = 0x2000;
const BUFFER = 0x4000;
const RAM_PAGES = 32; // 2 MiB

/** A client: puts strings into memory, calls services by name, reads what came back. */
class Client {
  readonly view: NormalHostView = testMemory(RAM_PAGES);
  readonly tree: DeviceTree = buildPseriesTree({
    memoryBytes: RAM_PAGES * 65536,
    cpus: 2,
    pvr: 0x004e1200,
    timebaseHz: 512_000_000,
    decimalFloat: true,
    bootargs: 'console=hvc0',
    rtasServices: [{ name: 'power-off', token: 0x2003 }],
    hypertas: ['hcall-set-mode'],
    vtys: [{ unit: 0x71000000, interrupt: 0x1100 }, { unit: 0x71000001 }],
  });
  readonly claims = new MemoryClaims(RAM_PAGES * 65536, RAM_PAGES * 65536);
  readonly events: FirmwareEvent[] = [];
  readonly ended: string[] = [];
  readonly started: number[][] = [];
  readonly printed: string[] = ['', ''];
  typed = '';
  readonly firmware: ClientInterface;
  private stringsEnd = STRINGS;

  constructor() {
    this.claims.claim(0, 0x1_0000);
    this.firmware = new ClientInterface({
      view: this.view,
      tree: this.tree,
      claims: this.claims,
      consoles: new Map([this.console(0), this.console(1)]),
      host: {
        milliseconds: () => 2 ** 32 + 1234,
        startCpu: (...call) => {
          this.started.push(call);
          return call[0] === 1;
        },
        clientEnded: (how, command) => this.ended.push(`${how} ${command}`),
        event: (event) => this.events.push(event),
      },
    });
  }

  /** Calls a service with numbers or strings; gives r3 and the return cells. */
  call(service: string, args: readonly (number | string)[], returns = 1): { r3: number; cells: number[] } {
    this.stringsEnd = STRINGS;
    const values = [service, args.length, returns, ...args];
    const array = cells(...values.map((value) => (typeof value === 'string' ? this.string(value) : value)));
    this.view.write(ARRAY, array);
    this.view.fill(ARRAY + array.length, returns * 4, 0xee);
    const r3 = this.firmware.call(ARRAY);
    return { r3, cells: cellsOf(this.view.read(ARRAY + array.length, returns * 4)) };
  }

  /** The first return cell of a call that must be executed. */
  ask(service: string, ...args: (number | string)[]): number {
    const { r3, cells: results } = this.call(service, args);
    expect(r3, service).toBe(0);
    return results[0]!;
  }

  string(value: string): number {
    const gra = this.stringsEnd;
    this.view.write(gra, text(value));
    this.stringsEnd += value.length + 1;
    return gra;
  }

  bufferText(lenBytes: number): string {
    return String.fromCharCode(...this.view.read(BUFFER, lenBytes));
  }

  private console(index: number) {
    const port = {
      write: (bytes: Uint8Array) => {
        this.printed[index] += new TextDecoder('latin1').decode(bytes);
      },
      read: (maxBytes: number) => {
        const bytes = new TextEncoder().encode(this.typed.slice(0, maxBytes));
        this.typed = this.typed.slice(maxBytes);
        return bytes;
      },
    };
    return [0x71000000 + index, port] as const;
  }
}

let client: Client;
beforeEach(() => {
  client = new Client();
});

describe('device tree services', () => {
  it('find nodes and answer -1 for none', () => {
    expect(client.ask('finddevice', '/cpus/PowerPC,POWER9@1')).toBe(client.tree.find('/cpus/@1')!.phandle);
    expect(client.ask('finddevice', '/vdevice/vtpm')).toBe(MINUS_1);
    expect(client.ask('finddevice', '')).toBe(MINUS_1);
  });

  it('walk the tree as prom_init does and meet every node once', () => {
    const seen: string[] = [];
    const walk = (phandle: number) => {
      const lenBytes = client.ask('package-to-path', phandle, BUFFER, 256);
      seen.push(client.bufferText(lenBytes));
      for (let child = client.ask('child', phandle); child !== 0; child = client.ask('peer', child)) {
        expect(client.ask('parent', child)).toBe(phandle);
        walk(child);
      }
    };
    walk(client.ask('peer', 0));
    expect(seen).toEqual([...client.tree.nodes()].map((node) => node.path));
  });

  it('list every property of every node with its value', () => {
    for (const node of client.tree.nodes()) {
      const names: string[] = [];
      for (let previous = ''; client.ask('nextprop', node.phandle, previous, BUFFER) === 1; names.push(previous)) {
        previous = client.bufferText(64).split('\0', 1)[0]!;
        const value = node.get(previous)!;
        expect(client.ask('getproplen', node.phandle, previous)).toBe(value.length);
        expect(client.ask('getprop', node.phandle, previous, BUFFER, 4096)).toBe(value.length);
        expect(client.view.read(BUFFER, value.length)).toEqual(value);
      }
      expect(names).toEqual([...node.properties.keys()]);
    }
    expect(client.ask('nextprop', client.tree.root.phandle, 'no-such', BUFFER)).toBe(MINUS_1);
    expect(client.ask('nextprop', 9999, '', BUFFER)).toBe(MINUS_1);
  });

  it('give the name of a node without its unit address', () => {
    const phandle = client.ask('finddevice', '/memory');
    expect(client.ask('getprop', phandle, 'name', BUFFER, 64)).toBe(7);
    expect(client.bufferText(7)).toBe('memory\0');
    expect(client.ask('getproplen', phandle, 'name')).toBe(7);
  });

  it('cut values to the buffer but tell their length', () => {
    const chosen = client.ask('finddevice', '/chosen');
    client.view.fill(BUFFER, 16, 0xee);
    expect(client.ask('getprop', chosen, 'bootargs', BUFFER, 4)).toBe(13);
    expect(client.bufferText(5)).toBe('cons\xee');
    expect(client.ask('getprop', chosen, 'missing', BUFFER, 4)).toBe(MINUS_1);
    expect(client.ask('getprop', chosen, 'bootargs', 0xffff_fff0, 4)).toBe(MINUS_1);
  });

  it('set properties until the client quiesces', () => {
    const chosen = client.ask('finddevice', '/chosen');
    client.view.write(BUFFER, cells(0, 5));
    expect(client.ask('setprop', chosen, 'linux,initrd-start', BUFFER, 8)).toBe(8);
    expect(cellsOf(client.tree.find('/chosen')!.get('linux,initrd-start')!)).toEqual([0, 5]);
    expect(client.ask('setprop', chosen, 'bad/name', BUFFER, 8)).toBe(MINUS_1);
    // Where the firmware has put an ESM blob is not the client's to say.
    client.tree.find('/chosen')!.set('linux,esm-blob-start', cells(0x123));
    expect(client.ask('setprop', chosen, 'linux,esm-blob-start', BUFFER, 4)).toBe(4);
    expect(client.tree.find('/chosen')!.cell('linux,esm-blob-start')).toBe(0x123);
    expect(client.ask('setprop', chosen, 'large', BUFFER, 0x2_0000)).toBe(MINUS_1);
    client.call('quiesce', [], 0);
    expect(client.ask('setprop', chosen, 'late', BUFFER, 8)).toBe(MINUS_1);
    expect(client.events).toContainEqual({ kind: 'quiesced' });
  });

  it('do not let a client fill the host with properties', () => {
    const chosen = client.ask('finddevice', '/chosen');
    let stored = 0;
    while (stored < 1000 && client.ask('setprop', chosen, `p${stored}`, BUFFER, 4) === 4) stored++;
    expect(stored).toBeGreaterThan(100);
    expect(client.tree.find('/chosen')!.properties.size).toBe(256);
  });

  it('turn a device specifier into its path', () => {
    const lenBytes = client.ask('canon', 'hvterm:x', BUFFER, 64);
    expect(client.bufferText(lenBytes + 1)).toBe('/vdevice/vty@71000000\0');
    expect(client.ask('canon', 'tape', BUFFER, 64)).toBe(MINUS_1);
  });
});

describe('devices', () => {
  const stdout = () => client.tree.find('/chosen')!.cell('stdout')!;

  it('print on stdout, the first vty', () => {
    client.view.write(BUFFER, text('hello\r\n'));
    expect(client.ask('write', stdout(), BUFFER, 7)).toBe(7);
    expect(client.printed).toEqual(['hello\r\n', '']);
    const lenBytes = client.ask('instance-to-path', stdout(), BUFFER, 64);
    expect(client.bufferText(lenBytes)).toBe('/vdevice/vty@71000000');
    expect(client.ask('instance-to-package', stdout())).toBe(client.tree.find('hvterm')!.phandle);
  });

  it('read what was typed and do not wait for more', () => {
    const stdin = client.tree.find('/chosen')!.cell('stdin')!;
    client.typed = 'abc';
    expect(client.ask('read', stdin, BUFFER, 2)).toBe(2);
    expect(client.bufferText(2)).toBe('ab');
    expect(client.ask('read', stdin, BUFFER, 2)).toBe(1);
    expect(client.ask('read', stdin, BUFFER, 2)).toBe(0xffff_fffe);
  });

  it('open and close', () => {
    const second = client.ask('open', '/vdevice/vty@71000001');
    client.view.write(BUFFER, text('x'));
    expect(client.ask('write', second, BUFFER, 1)).toBe(1);
    expect(client.printed).toEqual(['', 'x']);
    expect(client.call('close', [second], 0).r3).toBe(0);
    expect(client.ask('write', second, BUFFER, 1)).toBe(MINUS_1);
    expect(client.ask('open', '/no/such')).toBe(0);
    expect(client.ask('write', client.ask('open', '/'), BUFFER, 1)).toBe(MINUS_1);
  });

  it('are not opened without end', () => {
    let opened = 0;
    while (opened < 1000 && client.ask('open', '/') !== 0) opened++;
    expect(opened).toBe(254);
  });

  it('take no output from outside of memory, and only so much at once', () => {
    expect(client.ask('write', stdout(), 0xffff_0000, 16)).toBe(MINUS_1);
    expect(client.ask('write', stdout(), 0, 0xffff_ffff)).toBe(1024 * 1024);
  });

  it('say so when a method is missing', () => {
    const root = client.ask('open', '/');
    expect(client.call('call-method', ['block-size', root], 2).cells[0]).not.toBe(0);
    expect(client.events).toContainEqual({ kind: 'unknown-method', path: '/', method: 'block-size' });
    const phandle = client.tree.root.phandle;
    expect(client.ask('test-method', phandle, 'ibm,client-architecture-support')).toBe(0);
    expect(client.ask('test-method', phandle, 'block-size')).toBe(MINUS_1);
  });
});

describe('ibm,client-architecture-support', () => {
  const POWER9_AND_END = [0xff, 0xff, 0, 0, 0, 0x4e, 0, 0, 0xff, 0xff, 0xff, 0xfe, 0x0f, 0, 0, 1];

  function negotiate(mmu: number): number[] {
    const vector5 = [...new Array(22).fill(0), 0, mmu, 0, 0x40];
    client.view.write(BUFFER, new Uint8Array([...POWER9_AND_END, 4, 0, 0, 0, 0, 0, 0, 0, 0, 25, ...vector5]));
    const root = client.ask('open', '/');
    return client.call('call-method', ['ibm,client-architecture-support', root, BUFFER], 2).cells;
  }

  const answer = () => client.tree.find('/chosen')!.get('ibm,architecture-vec-5');
  const versions = () => ['@0', '@1'].map((cpu) => client.tree.find(`/cpus/${cpu}`)!.cell('cpu-version'));

  it('writes what was agreed into the tree and keeps phandles', () => {
    const before = [...client.tree.nodes()].map((node) => node.phandle);
    expect(versions()).toEqual([0x004e1200, 0x004e1200]);
    expect(negotiate(0x40)).toEqual([0, 0]);
    expect(answer()?.[24]).toBe(0x40);
    expect(versions()).toEqual([0x0f000005, 0x0f000005]);
    expect([...client.tree.nodes()].map((node) => node.phandle)).toEqual(before);
  });

  it('tells the machine why a client was refused, and can be asked again', () => {
    expect(negotiate(0x40)).toEqual([0, 0]);
    expect(negotiate(0x00)).toEqual([0, 1]);
    expect(answer()).toBeUndefined();
    const refusal = { agreed: false, reason: 'hash MMU is not offered' };
    expect(client.events).toContainEqual({ kind: 'client-architecture-support', outcome: refusal });
    expect(negotiate(0x40)).toEqual([0, 0]);
    expect(answer()?.[24]).toBe(0x40);
  });

  it('refuses a request outside of memory', () => {
    const root = client.ask('open', '/');
    const { cells: results } = client.call('call-method', ['ibm,client-architecture-support', root, 0xffff_fff0], 2);
    expect(results).toEqual([0, 1]);
  });
});

describe('instantiate-rtas', () => {
  const instantiate = (...args: number[]) =>
    client.call('call-method', ['instantiate-rtas', client.ask('open', '/rtas'), ...args], 2).cells;

  it('puts the stub where the client wants it', () => {
    expect(instantiate(0x1f_0000)).toEqual([0, 0x1f_0000]);
    expect(client.view.read(0x1f_0000, 20)).toEqual(rtasStub());
    expect(client.events).toEqual([{ kind: 'rtas-instantiated', baseGra: 0x1f_0000 }]);
  });

  it('fails if it does not fit there', () => {
    expect(instantiate(RAM_PAGES * 65536 - rtasAreaBytes(2) + 1)).toEqual([0, 0]);
    expect(instantiate()).toEqual([0, 0]);
    expect(client.events).toEqual([]);
  });
});

describe('memory', () => {
  const available = () => cellsOf(client.tree.find('/memory')!.get('available')!);

  it('is claimed, released, and shown in the property available', () => {
    expect(available()).toEqual([0, 0x1_0000, 0, 0x1f_0000]);
    expect(client.ask('claim', 0x10_0000, 0x1000, 0)).toBe(0x10_0000);
    expect(client.ask('claim', 0x10_0800, 0x1000, 0)).toBe(MINUS_1);
    expect(available()).toEqual([0, 0x1_0000, 0, 0xf_0000, 0, 0x10_1000, 0, 0xf_f000]);
    expect(client.call('release', [0x10_0000, 0x1000], 0).r3).toBe(0);
    expect(available()).toEqual([0, 0x1_0000, 0, 0x1f_0000]);
  });

  it('is placed by the firmware when an alignment is given', () => {
    expect(client.ask('claim', 0, 0x1800, 0x1_0000)).toBe(0x1f_0000);
    expect(client.ask('claim', 0, 0x100_0000, 0x1_0000)).toBe(MINUS_1);
    expect(client.ask('claim', 0, 0, 1)).toBe(MINUS_1);
  });
});

describe('control', () => {
  it('tells time in 32 bits', () => {
    expect(client.ask('milliseconds')).toBe(1234);
  });

  it('starts CPUs by their phandle', () => {
    const [first, second] = ['@0', '@1'].map((cpu) => client.tree.find(`/cpus/${cpu}`)!.phandle);
    expect(client.call('start-cpu', [second!, 0x1000, 7], 0).r3).toBe(0);
    expect(client.started).toEqual([[1, 0x1000, 7]]);
    expect(client.call('start-cpu', [first!, 0x1000, 7], 0).r3).toBe(-1);
    expect(client.call('start-cpu', [client.tree.root.phandle, 0x1000, 7], 0).r3).toBe(-1);
  });

  it('refuses Forth', () => {
    expect(client.call('interpret', ['cursor-on'], 1).cells[0]).not.toBe(0);
    expect(client.events).toEqual([{ kind: 'interpret-refused', forth: 'cursor-on' }]);
  });

  it('tells the machine when the client ends', () => {
    client.call('exit', [], 0);
    client.call('enter', [], 0);
    client.call('boot', ['disk:0'], 0);
    expect(client.ended).toEqual(['exit ', 'enter ', 'boot disk:0']);
  });

  it('knows which services it has', () => {
    expect(client.ask('test', 'claim')).toBe(0);
    expect(client.ask('test', 'seek')).toBe(MINUS_1);
  });

  it('answers an unknown service with -1 and reports it once', () => {
    expect(client.call('seek', [1, 0, 0]).r3).toBe(-1);
    expect(client.call('seek', [1, 0, 0]).r3).toBe(-1);
    expect(client.events).toEqual([{ kind: 'unknown-service', service: 'seek' }]);
  });
});

describe('hostile argument arrays', () => {
  it('outside of memory, or with too few or too many cells, are refused', () => {
    expect(client.firmware.call(0xffff_ffff)).toBe(-1);
    expect(client.firmware.call(RAM_PAGES * 65536 - 8)).toBe(-1);
    expect(client.call('getprop', [1, 2, 3]).r3).toBe(-1);
    client.view.write(ARRAY, cells(client.string('milliseconds'), 0, 0x4000_0000));
    expect(client.firmware.call(ARRAY)).toBe(-1);
    client.view.write(ARRAY, cells(0xffff_0000, 0, 1));
    expect(client.firmware.call(ARRAY)).toBe(-1);
    client.view.write(RAM_PAGES * 65536 - 12, cells(client.string('milliseconds'), 0, 1));
    expect(client.firmware.call(RAM_PAGES * 65536 - 12)).toBe(-1);
  });

  it('get an answer without end of string or with fewer returns than results', () => {
    client.view.fill(BUFFER, 4096, 0x41);
    expect(client.ask('finddevice', BUFFER)).toBe(MINUS_1);
    expect(client.call('milliseconds', [], 0).r3).toBe(0);
    expect(client.call('call-method', [BUFFER, 1], 0).r3).toBe(0);
    expect(client.call('milliseconds', [], 3).cells).toEqual([1234, 0, 0]);
  });

  it('made at random never break the firmware', () => {
    const random = randomWords(7);
    const services = ['finddevice', 'getprop', 'getproplen', 'nextprop', 'setprop', 'peer', 'child', 'parent', 'canon'];
    services.push('package-to-path', 'instance-to-path', 'instance-to-package', 'open', 'close', 'read', 'write');
    services.push(
      'claim',
      'release',
      'call-method',
      'interpret',
      'test',
      'test-method',
      'start-cpu',
      'boot',
      'quiesce',
    );
    const strings = ['', '/', '/cpus', 'name', 'reg', 'ibm,client-architecture-support', 'instantiate-rtas', ':@/,'];
    const methods = strings.slice(5);
    const pick = <T>(from: readonly T[]) => from[random() % from.length]!;
    for (let round = 0; round < 6000; round++) {
      const argument = () =>
        pick([() => random(), () => random() % 64, () => random() % (RAM_PAGES * 65536), () => pick(strings)])();
      const service = pick(services);
      const args: (number | string)[] = Array.from({ length: random() % 6 }, argument);
      if (service === 'call-method') args.unshift(pick(methods), 1 + (random() % 4));
      // Lengths in the gigabytes are clipped to memory; keep the output of this test small as well.
      if (service === 'write' && typeof args[2] === 'number') args[2] %= 256;
      const { r3 } = client.call(service, args, random() % 5);
      expect([0, -1]).toContain(r3);
      client.events.length = 0;
    }
  });
});
