// The registers of one vCPU as named fields at computed offsets. The block of the running vCPU stands at a fixed address
// of the CPU core's WebAssembly memory; the blocks of the others wait in `savedStates` (memory-map.ts).
//
// Interpreter, compiler, debugger and tests take every offset from here.

export type FieldType = 'i32' | 'i64' | 'v128';

const fieldBytes = { i32: 4, i64: 8, v128: 16 } as const;

/** Name, type, count. `v128` fields first, so that everything is naturally aligned. */
const fields = [
  // VSR n as a little-endian 128-bit number: doubleword 0 (the FPR, for n < 32) is the upper half. VR n is VSR 32+n.
  ['vsr', 'v128', 64],
  // Operands and results of functions that run in the host (hostcall.ts).
  ['scratch', 'v128', 8],
  ['gpr', 'i64', 32],
  // Address of the next instruction while the vCPU is not inside `run`.
  ['nia', 'i64', 1],
  ['msr', 'i64', 1],
  ['lr', 'i64', 1],
  ['ctr', 'i64', 1],
  ['fpscr', 'i64', 1],
  // XER without SO, OV, CA, OV32 and CA32, which have fields of their own.
  ['xerRest', 'i64', 1],
  ['srr0', 'i64', 1],
  ['srr1', 'i64', 1],
  ['dar', 'i64', 1],
  ['dsisr', 'i64', 1],
  ['cfar', 'i64', 1],
  ['sprg', 'i64', 4],
  ['amr', 'i64', 1],
  ['iamr', 'i64', 1],
  ['uamor', 'i64', 1],
  ['pidr', 'i64', 1],
  ['dscr', 'i64', 1],
  ['fscr', 'i64', 1],
  ['tar', 'i64', 1],
  ['vrsave', 'i64', 1],
  ['ppr', 'i64', 1],
  ['ctrl', 'i64', 1],
  ['ebbhr', 'i64', 1],
  ['ebbrr', 'i64', 1],
  ['bescr', 'i64', 1],
  ['acop', 'i64', 1],
  ['pspb', 'i64', 1],
  ['tidr', 'i64', 1],
  ['dpdes', 'i64', 1],
  ['mmcr0', 'i64', 1],
  ['mmcr1', 'i64', 1],
  ['mmcr2', 'i64', 1],
  ['mmcra', 'i64', 1],
  ['pmc', 'i64', 6],
  ['siar', 'i64', 1],
  ['sdar', 'i64', 1],
  ['sier', 'i64', 1],
  ['pvr', 'i64', 1],
  ['pir', 'i64', 1],
  // Timebase value at which DEC is zero.
  ['decExpiry', 'i64', 1],
  // Timebase value when the budget of the current `run` is used up; timebase = tbEnd - budget.
  ['tbEnd', 'i64', 1],
  // Instructions retired by this vCPU up to the end of the budget of the current `run`.
  ['retiredEnd', 'i64', 1],
  // What tags of translations made for the current context carry; see mmu/tlb.ts.
  ['contextKernel', 'i64', 1],
  ['contextRead', 'i64', 1],
  ['contextWrite', 'i64', 1],
  ['contextFetch', 'i64', 1],
  ['contextFetchKernel', 'i64', 1],
  // Real address of an access that left RAM, its data, and what the host answered.
  ['mmioAddress', 'i64', 1],
  ['mmioData', 'i64', 1],
  // CR field n as LT=8 GT=4 EQ=2 SO=1.
  ['cr', 'i32', 8],
  ['so', 'i32', 1],
  ['ov', 'i32', 1],
  ['ca', 'i32', 1],
  ['ov32', 'i32', 1],
  ['ca32', 'i32', 1],
  ['vscrNj', 'i32', 1],
  ['vscrSat', 'i32', 1],
  // Instructions left before `run` returns.
  ['budget', 'i32', 1],
  // An `ExitReason`, with its detail.
  ['exitReason', 'i32', 1],
  ['exitDetail', 'i32', 1],
  // Memory offset of the reserved bytes (0: no reservation) and their number.
  ['reserveAddress', 'i32', 1],
  ['reserveBytes', 'i32', 1],
  // The interrupt controller asserts the external interrupt line.
  ['externalLine', 'i32', 1],
  // LPCR[ILE] and LPCR[AIL] as H_SET_MODE left them.
  ['interruptLittleEndian', 'i32', 1],
  ['interruptLocation', 'i32', 1],
  // Memory offset of the data TLB of the current mode, and of its instruction TLB.
  ['dataTlb', 'i32', 1],
  ['fetchTlb', 'i32', 1],
  ['mmioSize', 'i32', 1],
  ['mmioState', 'i32', 1],
  // Interrupt vector that the access just tried calls for, or `FAULT_EXIT`; 0 when it succeeded.
  ['fault', 'i32', 1],
  // SRR1 cause bits that go with it.
  ['faultSrr1', 'i32', 1],
] as const satisfies readonly (readonly [string, FieldType, number])[];

export type StateField = (typeof fields)[number][0];

export interface FieldLayout {
  readonly offset: number;
  readonly type: FieldType;
  readonly count: number;
}

/** What all vCPUs of a machine share. */
const sharedFields = [
  // Process table registered with H_REGISTER_PROC_TBL: real address, size in bytes (0: none).
  ['processTable', 'i64', 1],
  ['processTableBytes', 'i64', 1],
  ['ramBytes', 'i64', 1],
  // What `darn` draws from.
  ['randomState', 'i64', 1],
  // The leaf entry that the last table walk ended at, after its R and C update, and the log2 of its page size.
  ['walkEntry', 'i64', 1],
  // Address of the instruction behind the innermost call that a compiled region waits for; 1: there is none.
  ['returnAddress', 'i64', 1],
  // Handlers that were called for a slot: instructions that were interpreted, and entries of regions.
  ['dispatches', 'i64', 1],
  // Of compiled regions: how often they were entered, and how they were left.
  ['regionEntries', 'i64', 1],
  ['regionExitsCall', 'i64', 1],
  ['regionExitsKnown', 'i64', 1],
  ['regionExitsRegister', 'i64', 1],
  ['regionExitsLeave', 'i64', 1],
  ['regionExitsFault', 'i64', 1],
  ['regionExitsInterrupt', 'i64', 1],
  ['regionExitsHandler', 'i64', 1],
  ['regionExitsBudget', 'i64', 1],
  ['walkShift', 'i32', 1],
  ['nextContext', 'i32', 1],
  ['nextDecodedPage', 'i32', 1],
  ['freeDecodedPage', 'i32', 1],
  ['decodedPageResets', 'i32', 1],
  ['translationFlushes', 'i32', 1],
  // Arrivals by branches after which a word is reported to the host as hot; 0: none ever is.
  ['hotThreshold', 'i32', 1],
  // Decoded pages whose compiled regions were dropped because one of their words changed.
  ['regionDrops', 'i32', 1],
  // Counts everything that may lead a known instruction address elsewhere or change what stands there (mmu/tlb.ts).
  ['codeEpoch', 'i32', 1],
  // The `generation` given last to a decoded page.
  ['generations', 'i32', 1],
  // Slot of `returnAddress`, and how many calls regions wait for.
  ['returnSlot', 'i32', 1],
  ['callDepth', 'i32', 1],
] as const satisfies readonly (readonly [string, FieldType, number])[];

export type SharedField = (typeof sharedFields)[number][0];

function place<Name extends string>(
  list: readonly (readonly [Name, FieldType, number])[],
): { layout: Record<Name, FieldLayout>; bytes: number } {
  const layout = {} as Record<Name, FieldLayout>;
  let offset = 0;
  for (const [name, type, count] of list) {
    layout[name] = { offset, type, count };
    offset += fieldBytes[type] * count;
  }
  return { layout, bytes: (offset + 15) & ~15 };
}

const placed = place<StateField>(fields);

/** Offset, type and count of each field of the block that the vCPUs share. */
export const sharedLayout: Readonly<Record<SharedField, FieldLayout>> = place<SharedField>(sharedFields).layout;

/** Offset, type and count of each field of a vCPU's register block. */
export const stateLayout: Readonly<Record<StateField, FieldLayout>> = placed.layout;
export const stateBytes = placed.bytes;

/** Offset of element `index` of a field. */
export function stateOffset(name: StateField, index = 0): number {
  const field = stateLayout[name];
  return field.offset + index * fieldBytes[field.type];
}
