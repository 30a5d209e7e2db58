// The ultravisor of one partition: serves ultracalls, takes the partition through the transition to a secure VM, and
// stands between the secure guest and the hypervisor from then on (UV-API; docs/ultravisor.md has what is here call by
// call). It sees guest memory and registers as they are, knows no device, and reaches the hypervisor through a port.

import type { PageCipherFactory } from '../backends/page-cipher.ts';
import { MSR } from '../cpu/state/msr.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { HostView } from '../memory/host-view.ts';
import type { OwnedPageBytes, PageOwnership, PageState } from '../memory/ownership.ts';
import {
  H_SVM,
  LPID,
  U_FUNCTION,
  U_P2,
  U_P3,
  U_PARAMETER,
  U_PERMISSION,
  U_RETRY,
  U_STATE,
  U_SUCCESS,
  UV,
} from './calls.ts';
import type { Checked } from './esm/blob.ts';
import { FileReader } from './esm/file-reader.ts';
import { findImage } from './esm/image.ts';
import { type Sealing, type VerifiedImage, verifyImage } from './esm/verify.ts';
import { type FdtSummary, fdtBytes, pageBytesOfMaker, readFdt } from './fdt-reader.ts';
import { H_RANDOM, H_REGISTER_PROC_TBL, H_RTAS, type HcallRegisters, hcallRegisters } from './hcall-registers.ts';
import { Pages, type PagingReport, type Tampering } from './pages.ts';
import type { GuestCpu, HypervisorPort, PartitionTable, Residency } from './ports.ts';
import { RegisterWindow } from './register-window.ts';
import { ResidentMemory } from './resident-memory.ts';
import { CarriedCall } from './rtas-carrier.ts';

const H_FUNCTION = -2;
const H_PARAMETER = -4;
const H_SUCCESS = 0;
/** RTAS services without which a secure VM could not end or start a processor. */
const NEEDED_SERVICES = ['power-off', 'start-cpu', 'stop-self', 'ibm,os-term'];
const FDT_HEADER_BYTES = 40;
const USUAL_PAGE_BYTES = 0x10000;
const PROCESS_TABLE_BASE = 0x0fff_ffff_ffff_f000n;

/** `transient`: between H_SVM_INIT_START and INIT_DONE or INIT_ABORT; no guest code runs then. */
export type SvmState = 'normal' | 'transient' | 'secure' | 'terminated';

/** One step of a transition, for reports. */
export interface SvmEvent {
  readonly step: string;
  readonly state: SvmState;
  /** Instructions retired by the machine. */
  readonly instructions: bigint;
  readonly detail?: string;
}

export interface UltravisorReport {
  readonly state: SvmState;
  readonly transitions: readonly SvmEvent[];
  readonly pages: Readonly<Record<PageState, number>>;
  readonly pageBytes: number;
  readonly ultracalls: Readonly<Record<string, number>>;
  readonly paging: PagingReport;
  /** What ended the VM, if it was the hypervisor's doing to a page that was out. */
  readonly tampering?: Tampering;
}

export interface UltravisorOptions {
  readonly memory: GuestMemory;
  readonly ownership: PageOwnership;
  readonly cpus: readonly GuestCpu[];
  readonly hypervisor: HypervisorPort;
  readonly partition: PartitionTable;
  readonly residency: Residency;
  /** In which pages guests count and share; undefined: as the device tree of each tells, or 64 KiB. */
  readonly pageBytes?: OwnedPageBytes | undefined;
  /** Secure memory, from H_SVM_INIT_DONE on; undefined: enough for all of the guest's. */
  readonly secureBytes?: number | undefined;
  /** The hypervisor's sight of memory, for what it touches beyond a carried call. */
  readonly hostView: HostView;
  /** Absent: blobs are not looked for. */
  readonly sealing?: Sealing;
  readonly pageCipher: PageCipherFactory;
  readonly random: () => bigint;
  readonly instructions: () => bigint;
  readonly event?: (event: SvmEvent) => void;
  /** The VM cannot go on. */
  readonly halt: (message: string) => void;
}

/** Where the guest goes on if it turns secure. */
interface Entry {
  readonly cpu: GuestCpu;
  readonly kernel: bigint;
  readonly fdt: bigint;
}

type Caller = 'guest' | 'user' | 'hypervisor';

/** One ultracall. Arguments are r4 and up. */
export interface UcallDefinition {
  readonly token: number;
  readonly name: string;
  /** Who may call: `user` includes the guest's supervisor. */
  readonly from: Caller;
  readonly handler: (args: readonly bigint[], cpu: GuestCpu | undefined) => number | undefined;
  readonly ref: string;
}

/** Ultracalls with a number and no handler: they answer U_FUNCTION. */
export const ABSENT_UCALLS: readonly (readonly [token: number, name: string, why: string])[] = [
  [0xf108, 'UV_RESTRICTED_SPR_WRITE', 'the machine has no such registers'],
  [0xf10c, 'UV_RESTRICTED_SPR_READ', 'the machine has no such registers'],
  [0xf114, 'UV_READ_SCOM', 'for host firmware'],
  [0xf118, 'UV_WRITE_SCOM', 'for host firmware'],
  [UV.RETURN, 'UV_RETURN', 'the hypervisor returns from the reflected call instead'],
  [0xf144, 'UV_READ_MEM', 'for host firmware'],
  [0xf148, 'UV_WRITE_MEM', 'for host firmware'],
  [0xf150, 'UV_SEND_SBE_COMMAND', 'for host firmware'],
];

export class Ultravisor {
  private readonly options: UltravisorOptions;
  private readonly pages: Pages;
  private tampering: Tampering | undefined;
  private readonly table: ReadonlyMap<number, UcallDefinition>;
  private readonly windows: readonly RegisterWindow[];
  private readonly counts = new Map<string, number>();
  private readonly transitions: SvmEvent[] = [];
  private svm: SvmState = 'normal';
  private services: ReadonlyMap<number, string> = new Map();
  /** CPUs that the guest has asked RTAS to start. */
  private readonly starting = new Map<number, { nia: bigint; r3: bigint; cookie: bigint }>();
  /** The files of the sealed image that runs. */
  private files: FileReader | undefined;
  private verifying: Promise<void> | undefined;
  /** A sealed image has been seen, or is being looked at: no page may leave and come back as another until it runs. */
  private measured = false;
  /** The hypercall being reflected. */
  private reflecting: number | undefined;

  constructor(options: UltravisorOptions) {
    this.options = options;
    this.pages = new Pages({
      memory: options.memory,
      ownership: options.ownership,
      hypervisor: options.hypervisor,
      residency: options.residency,
      limitBytes: options.secureBytes,
      cipherFor: options.pageCipher,
      random: options.random,
      tampered: (tampering) => this.tampered(tampering),
    });
    this.table = new Map(this.definitions().map((definition) => [definition.token, definition]));
    this.windows = options.cpus.map(() => new RegisterWindow(options.random));
  }

  get state(): SvmState {
    return this.svm;
  }

  /** What stands for the registers of vCPU `id` with the hypervisor; undefined while it may see the real ones. */
  windowOf(id: number): RegisterWindow | undefined {
    return this.options.cpus[id].msr & MSR.S ? this.windows[id] : undefined;
  }

  /**
   * A sealed image is being verified, which is not done within one call: no vCPU may run, and nothing else may happen to the
   * machine, until this is settled. It never rejects.
   */
  get verification(): Promise<void> | undefined {
    return this.verifying;
  }

  /** Serves the `sc 2` of a vCPU; its next instruction address is past the instruction. */
  guestCall(cpu: GuestCpu): void {
    const token = cpu.gpr(3);
    const definition = token <= 0xffff_ffffn ? this.table.get(Number(token)) : undefined;
    this.count(definition?.name ?? nameOf(token));
    let status: number | undefined = U_FUNCTION;
    if (definition) {
      const problem = (cpu.msr & MSR.PR) !== 0n;
      const permitted = definition.from === 'user' || (definition.from === 'guest' && !problem);
      status = permitted
        ? definition.handler(
            [4, 5].map((n) => cpu.gpr(n)),
            cpu,
          )
        : U_PERMISSION;
    }
    if (status !== undefined) cpu.setGpr(3, BigInt.asUintN(64, BigInt(status)));
  }

  /** An ultracall of the hypervisor. Returns its code. */
  hypervisorCall(token: number, args: readonly bigint[]): number {
    const definition = this.table.get(token);
    this.count(definition?.name ?? nameOf(BigInt(token)));
    if (!definition) return U_FUNCTION;
    return definition.from === 'hypervisor' ? definition.handler(args, undefined)! : U_PERMISSION;
  }

  /** Serves the `sc 1` of a secure vCPU: hands it to the hypervisor with no more registers than the call has. */
  guestHcall(cpu: GuestCpu): void {
    const token = Number(BigInt.asUintN(53, cpu.gpr(3)));
    const call = hcallRegisters.get(token);
    const answer = (status: number) => cpu.setGpr(3, BigInt.asUintN(64, BigInt(status)));
    if (!call || BigInt(token) !== cpu.gpr(3) || cpu.msr & MSR.PR) {
      // With MSR[PR] the hypervisor would refuse as well: H_PRIVILEGE.
      answer(call ? -3 : H_FUNCTION);
      return;
    }
    if (token === H_RANDOM) {
      cpu.setGpr(4, this.options.random());
      answer(H_SUCCESS);
      return;
    }
    if (token === H_RTAS) this.reflectRtas(cpu, call, answer);
    else this.reflect(cpu, token, call, undefined);
  }

  /** The guest has touched a page that is out: it is brought back, or the VM ends. */
  guestPageFault(gra: number): void {
    this.pages.bringBack(gra, 1);
  }

  /** The hypervisor starts a stopped vCPU: where and with what it really starts, or undefined if the guest did not ask. */
  startOf(id: number, r3: bigint): { nia: bigint; r3: bigint } | undefined {
    const start = this.starting.get(id);
    this.starting.delete(id);
    return start?.cookie === r3 ? start : undefined;
  }

  /** After UV_SVM_TERMINATE, when the machine starts anew. */
  reset(): void {
    this.terminate('machine reset');
    this.tampering = undefined;
    this.svm = 'normal';
  }

  report(): UltravisorReport {
    return {
      state: this.svm,
      transitions: this.transitions,
      pages: this.options.ownership.counts(),
      pageBytes: this.options.ownership.pageBytes,
      ultracalls: Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))),
      paging: this.pages.paging,
      ...(this.tampering && { tampering: this.tampering }),
    };
  }

  /** All ultracalls that are served. */
  definitions(): UcallDefinition[] {
    const { pages } = this;
    const committed = () => this.svm === 'secure';
    const forPages =
      (handler: (args: readonly number[]) => number): UcallDefinition['handler'] =>
      ([lpid, ...args]) =>
        lpid !== BigInt(LPID) ? U_PARAMETER : (this.pages.requireSlots() ?? handler(numbers(args)));
    const fromSecure =
      (handler: (frame: bigint, count: bigint) => number): UcallDefinition['handler'] =>
      ([frame, count], cpu) =>
        cpu!.msr & MSR.S ? handler(frame, count) : U_PERMISSION;
    return [
      {
        token: UV.WRITE_PATE,
        name: 'UV_WRITE_PATE',
        from: 'hypervisor',
        handler: ([lpid, , dw1]) => this.writePate(lpid, dw1),
        ref: 'UV-API UV_WRITE_PATE',
      },
      {
        token: UV.ESM,
        name: 'UV_ESM',
        from: 'guest',
        handler: ([kernel, fdt], cpu) => this.enterSecureMode(cpu!, kernel, fdt),
        ref: 'UV-API UV_ESM',
      },
      {
        token: UV.REGISTER_MEM_SLOT,
        name: 'UV_REGISTER_MEM_SLOT',
        from: 'hypervisor',
        handler: ([lpid, ...args]) => {
          if (lpid !== BigInt(LPID)) return U_PARAMETER;
          if (this.svm === 'secure') return U_STATE;
          const [start, bytes, flags, slot] = numbers(args);
          return pages.registerSlot(start, bytes, flags, slot);
        },
        ref: 'UV-API UV_REGISTER_MEM_SLOT',
      },
      {
        token: UV.UNREGISTER_MEM_SLOT,
        name: 'UV_UNREGISTER_MEM_SLOT',
        from: 'hypervisor',
        // A secure guest would go on to write its secrets to memory that has been taken from it.
        handler: forPages(([slot]) => (committed() || this.measured ? U_STATE : pages.unregisterSlot(slot))),
        ref: 'UV-API UV_UNREGISTER_MEM_SLOT; there is no memory hot-unplug',
      },
      {
        token: UV.PAGE_IN,
        name: 'UV_PAGE_IN',
        from: 'hypervisor',
        handler: forPages(([source, gra, flags, order]) => pages.pageIn(source, gra, flags, order, committed())),
        ref: 'UV-API UV_PAGE_IN',
      },
      {
        token: UV.PAGE_OUT,
        name: 'UV_PAGE_OUT',
        from: 'hypervisor',
        handler: forPages(([to, gra, flags, order]) => {
          if (this.measured && !committed()) return U_STATE;
          return pages.pageOut(to, gra, flags, order, committed());
        }),
        ref: 'UV-API UV_PAGE_OUT',
      },
      {
        token: UV.SHARE_PAGE,
        name: 'UV_SHARE_PAGE',
        from: 'guest',
        handler: fromSecure((frame, count) => pages.share(frame, count)),
        ref: 'UV-API UV_SHARE_PAGE',
      },
      {
        token: UV.UNSHARE_PAGE,
        name: 'UV_UNSHARE_PAGE',
        from: 'guest',
        handler: fromSecure((frame, count) => pages.unshare(frame, count)),
        ref: 'UV-API UV_UNSHARE_PAGE',
      },
      {
        token: UV.PAGE_INVAL,
        name: 'UV_PAGE_INVAL',
        from: 'hypervisor',
        handler: forPages(([gra, order]) => pages.invalidate(gra, order)),
        ref: 'UV-API UV_PAGE_INVAL',
      },
      {
        token: UV.SVM_TERMINATE,
        name: 'UV_SVM_TERMINATE',
        from: 'hypervisor',
        handler: ([lpid]) => {
          if (lpid !== BigInt(LPID)) return U_PARAMETER;
          this.terminate('UV_SVM_TERMINATE');
          return U_SUCCESS;
        },
        ref: 'UV-API UV_SVM_TERMINATE',
      },
      {
        token: UV.ESMB_GET_FILE,
        name: 'UV_ESMB_GET_FILE',
        from: 'user',
        handler: (_args, cpu) => this.readFile(cpu!),
        ref: 'UV-API UV_ESMB_GET_FILE',
      },
      {
        token: UV.UNSHARE_ALL_PAGES,
        name: 'UV_UNSHARE_ALL_PAGES',
        from: 'guest',
        handler: fromSecure(() => pages.unshareAll()),
        ref: 'UV-API UV_UNSHARE_ALL_PAGES',
      },
    ];
  }

  /**
   * r4 is where the kernel starts, r5 its device tree. On success the vCPU goes on at the kernel's start as if it had
   * just been loaded, in secure mode. An image without a blob is accepted unless `sealing.required`; one with a blob is
   * verified, which `verification` is about.
   */
  private enterSecureMode(cpu: GuestCpu, kernel: bigint, fdt: bigint): number | undefined {
    if (kernel === 0n || !this.isRam(kernel, 4)) return U_P2;
    if (fdt === 0n || !this.isRam(fdt, FDT_HEADER_BYTES)) return U_P3;
    if (this.svm !== 'normal') return U_RETRY;
    this.step('UV_ESM', `kernel 0x${kernel.toString(16)}, device tree 0x${fdt.toString(16)}`);
    if (this.options.cpus.some((other) => other !== cpu && other.active)) {
      return this.refuse('another processor is running', U_PARAMETER);
    }
    const pageBytes = this.options.pageBytes ?? this.pageBytesOf(Number(fdt)) ?? USUAL_PAGE_BYTES;
    if (pageBytes !== USUAL_PAGE_BYTES) this.step('page size', `the guest counts in pages of ${pageBytes} bytes`);
    // A hypervisor may have called before anybody asked it to.
    if (this.pages.hasSlots) this.pages.release(true);
    this.options.ownership.divide(pageBytes);
    this.svm = 'transient';
    this.step('H_SVM_INIT_START');
    const started = this.options.hypervisor.hcall(H_SVM.INIT_START, []);
    if (started !== H_SUCCESS || !this.pages.hasSlots) return this.abort(`H_SVM_INIT_START answered ${started}`);
    const tree = this.checkTree(cpu, Number(fdt));
    if (typeof tree === 'string') return this.abort(tree);
    this.step('H_SVM_PAGE_IN');
    if (!this.pages.secureAll()) return this.abort('the hypervisor withholds a page');
    const entry = { cpu, kernel, fdt };
    const { sealing } = this.options;
    if (!sealing) return this.commit(entry, undefined);
    if (!this.pages.allSecure) return this.abort('the hypervisor has kept memory to itself');
    // Once more: until now the hypervisor could have changed it.
    const securedTree = this.checkTree(cpu, Number(fdt));
    if (typeof securedTree === 'string') return this.abort(securedTree);
    const image = findImage(this.options.memory, securedTree);
    if (!image.ok) return this.abort(`ESM blob: ${image.reason}`);
    if (!image.value.blob) {
      return sealing.required
        ? this.abort('ESM blob: the image is not sealed, and this machine takes sealed ones only')
        : this.commit(entry, undefined);
    }
    const step = (name: string, detail: string) => this.step(name, detail);
    const { memory } = this.options;
    const request = { sealing, memory, tree: securedTree, image: image.value, kernelGra: Number(kernel), step };
    this.measured = true;
    this.verifying = verifyImage(request).then(
      (verified) => this.verified(entry, verified),
      (cause: unknown) => this.verified(entry, { ok: false, reason: `verification failed: ${cause}` }),
    );
    return undefined;
  }

  /** The end of a verification, which is what the guest's UV_ESM has waited for. */
  private verified(entry: Entry, verified: Checked<VerifiedImage>): void {
    this.verifying = undefined;
    const status = verified.ok ? this.commit(entry, verified.value) : this.abort(verified.reason);
    if (status !== undefined) entry.cpu.setGpr(3, BigInt.asUintN(64, BigInt(status)));
  }

  /** From here on there is no way back. Memory that a sealed image does not vouch for is cleared. */
  private commit({ cpu, kernel, fdt }: Entry, sealed: VerifiedImage | undefined): number | undefined {
    const done = this.options.hypervisor.hcall(H_SVM.INIT_DONE, []);
    if (done !== H_SUCCESS) return this.abort(`H_SVM_INIT_DONE answered ${done}`);
    // Until now the hypervisor could have taken a page back.
    const asMeasured = sealed === undefined || this.measured;
    if (!this.pages.allSecure || !asMeasured) return this.abort('the hypervisor has kept memory to itself');
    this.svm = 'secure';
    this.measured = false;
    this.step('H_SVM_INIT_DONE');
    if (sealed) {
      const treeBytes = fdtBytes(this.options.memory.read(Number(fdt), FDT_HEADER_BYTES))!;
      this.pages.clearExcept([...sealed.keep, { gra: Number(fdt), lenBytes: treeBytes }]);
      this.files = new FileReader(sealed.files);
    }
    // The image had to be seen as a whole until here.
    if (!this.pages.makeRoom(0)) return undefined;
    const out = this.options.ownership.counts()['paged-out'];
    if (out > 0) this.step('H_SVM_PAGE_OUT', `${out} pages, for which there is no secure memory`);
    for (let n = 0; n < 32; n++) cpu.setGpr(n, 0n);
    cpu.setGpr(3, fdt);
    cpu.setGpr(4, kernel);
    cpu.redirect(kernel, (cpu.msr | MSR.S) & ~(MSR.HV | MSR.EE));
    return undefined;
  }

  /** r4 = offset, r5 to r12 = name of the file; the result is its bytes in r4 to r11. */
  private readFile(cpu: GuestCpu): number {
    if (!(cpu.msr & MSR.S)) return U_PERMISSION;
    const name = bytesOf(Array.from({ length: 8 }, (_, n) => cpu.gpr(5 + n)));
    const piece = this.files?.read(name, cpu.gpr(4), cpu.processId) ?? U_PARAMETER;
    if (typeof piece === 'number') return piece;
    const padded = new DataView(new ArrayBuffer(64));
    new Uint8Array(padded.buffer).set(piece);
    for (let n = 0; n < 8; n++) cpu.setGpr(4 + n, padded.getBigUint64(8 * n));
    return piece.length;
  }

  /** In which pages the kernel counts that made the tree; undefined if it cannot be told. */
  private pageBytesOf(fdt: number): OwnedPageBytes | undefined {
    const header = this.options.memory.read(fdt, FDT_HEADER_BYTES);
    return fdtBytes(header) === undefined ? undefined : pageBytesOfMaker(header);
  }

  /** The device tree, or what is wrong with it. Notes the RTAS services. */
  private checkTree(cpu: GuestCpu, gra: number): FdtSummary | string {
    const { memory } = this.options;
    const lenBytes = fdtBytes(memory.read(gra, FDT_HEADER_BYTES));
    if (lenBytes === undefined || !memory.contains(gra, lenBytes)) return 'there is no device tree';
    const tree = readFdt(memory.read(gra, lenBytes));
    if (!tree) return 'the device tree is malformed';
    if (tree.bootCpu !== cpu.id) return `the device tree names CPU ${tree.bootCpu} as the boot CPU, not ${cpu.id}`;
    this.services = servicesOf(tree);
    const missing = NEEDED_SERVICES.filter((name) => ![...this.services.values()].includes(name));
    return missing.length > 0 ? `/rtas lacks ${missing.join(', ')}` : tree;
  }

  /** Back to a normal VM; the guest goes on behind its UV_ESM. */
  private abort(reason: string): number {
    this.measured = false;
    const status = this.options.hypervisor.hcall(H_SVM.INIT_ABORT, []);
    // A hypervisor that does not clean up gets its pages back all the same: nothing has been entrusted to them yet.
    this.pages.release(true);
    this.svm = 'normal';
    return this.refuse(`${reason}; H_SVM_INIT_ABORT answered ${status}`, H_PARAMETER);
  }

  /** Nothing that was entrusted to the hypervisor can be relied on any more. */
  private tampered(tampering: Tampering): void {
    if (this.svm !== 'secure') return;
    const { gra, kind, detail } = tampering;
    this.tampering = tampering;
    const what = `secure page 0x${gra.toString(16)} was ${kind} by the hypervisor: ${detail}`;
    this.step('tampering', what);
    this.terminate('the ultravisor');
    this.options.halt(what);
  }

  private refuse(reason: string, status: number): number {
    this.step('refused', reason);
    return status;
  }

  private terminate(by: string): void {
    if (this.svm === 'secure') {
      this.pages.release(false);
      this.svm = 'terminated';
      this.step('terminated', by);
      this.starting.clear();
      this.files = undefined;
      if (by === 'UV_SVM_TERMINATE') this.options.halt('the hypervisor has terminated the secure VM');
      return;
    }
    this.measured = false;
    this.pages.release(true);
  }

  /** Of a secure VM only what the guest itself asks for with H_REGISTER_PROC_TBL. */
  private writePate(lpid: bigint, dw1: bigint): number {
    if (lpid !== BigInt(LPID)) return U_PARAMETER;
    if (this.svm === 'secure' && this.reflecting !== H_REGISTER_PROC_TBL) return U_PERMISSION;
    const base = dw1 & PROCESS_TABLE_BASE;
    if (dw1 !== 0n && !this.isRam(base, 4096)) return U_P3;
    this.options.partition.setProcessTable(Number(base), dw1 === 0n ? 0 : Number(dw1 & 31n) + 12);
    return U_SUCCESS;
  }

  private reflect(cpu: GuestCpu, token: number, call: HcallRegisters, carried: HostView | undefined): void {
    const window = this.windows[cpu.id];
    window.open(Array.from({ length: 1 + call.inputs }, (_, n) => cpu.gpr(3 + n)));
    this.reflecting = token;
    this.options.hypervisor.reflect(cpu.id, carried);
    this.reflecting = undefined;
    for (let n = 3; n <= 3 + call.outputs; n++) {
      const value = window.result(n);
      if (value !== undefined) cpu.setGpr(n, value);
    }
    window.close();
  }

  private reflectRtas(cpu: GuestCpu, call: HcallRegisters, answer: (status: number) => void): void {
    const gra = cpu.gpr(4);
    const { hostView } = this.options;
    const memory = new ResidentMemory(this.options.memory, (at, lenBytes) => this.pages.bringBack(at, lenBytes));
    const carried = this.isRam(gra, 1) ? CarriedCall.from(memory, Number(gra), this.services, hostView) : undefined;
    if (!carried) {
      answer(H_PARAMETER);
      return;
    }
    const target = this.services.get(carried.token) === 'start-cpu' ? this.prepareStart(carried) : undefined;
    this.reflect(cpu, H_RTAS, call, carried.view);
    if (target !== undefined && carried.status !== 0) this.starting.delete(target);
    carried.deliver();
  }

  /** Inputs of start-cpu: processor, address, r3. The hypervisor gets a cookie for r3. */
  private prepareStart(carried: CarriedCall): number | undefined {
    const [id, nia, r3] = carried.args;
    if (r3 === undefined || !this.options.cpus[id]) return undefined;
    const cookie = this.options.random() & 0xffff_ffffn;
    this.starting.set(id, { nia: BigInt(nia), r3: BigInt(r3), cookie });
    carried.replaceArgument(2, Number(cookie));
    return id;
  }

  private isRam(gra: bigint, lenBytes: number): boolean {
    return gra < 2n ** 53n && this.options.memory.contains(Number(gra), lenBytes);
  }

  private step(step: string, detail?: string): void {
    const event = { step, state: this.svm, instructions: this.options.instructions(), ...(detail && { detail }) };
    this.transitions.push(event);
    this.options.event?.(event);
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

function nameOf(token: bigint): string {
  const absent = ABSENT_UCALLS.find(([number]) => BigInt(number) === token);
  return absent ? `${absent[1]} (not implemented)` : 'unknown';
}

/** Doublewords as bytes, big-endian. */
function bytesOf(values: readonly bigint[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, n) => {
    view.setBigUint64(8 * n, value);
  });
  return new Uint8Array(view.buffer);
}

/** Arguments as numbers; what is beyond 2^53 becomes -1, which no check lets pass. */
function numbers(args: readonly bigint[]): number[] {
  return args.map((value) => (value < 2n ** 53n ? Number(value) : -1));
}

function servicesOf(tree: FdtSummary): Map<number, string> {
  const services = new Map<number, string>();
  for (const [name, value] of tree.nodes.get('rtas') ?? []) {
    const isService = !name.startsWith('linux,') && !name.startsWith('rtas-') && value.length === 4;
    if (isService) services.set(new DataView(value.buffer, value.byteOffset).getUint32(0), name);
  }
  return services;
}
