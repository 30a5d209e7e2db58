/*
 * Chapter 3, MMU: radix translation, and every synchronous interrupt a guest can take, with what the ISA says about SRR0, SRR1, DAR and DSISR
 * (Power ISA 3.0B Book III 5.7 and 6.5).
 */
#include "runtime.h"

#define DSISR_NO_TRANSLATION 0x40000000
#define DSISR_PROTECTION 0x08000000
#define DSISR_STORE 0x02000000
#define DSISR_BAD_TREE 0x00080000
#define DSISR_KEY 0x00200000
#define SRR1_NO_TRANSLATION 0x40000000
#define SRR1_NO_EXECUTE 0x10000000
#define SRR1_FP_ENABLED 0x00100000
#define SRR1_ILLEGAL 0x00080000
#define SRR1_PRIVILEGED 0x00040000
#define SRR1_TRAP 0x00020000
#define FACILITY_TAR 8
#define FACILITY_SCV 12

#define DONT_CARE (~U64(0) - 0x5a5a)

typedef void probe(void);
probe probe_load, probe_store, probe_dcbz, probe_lwarx, probe_ldarx, probe_lmw, probe_trap, probe_trap_compare, probe_illegal, probe_fp, probe_vmx, probe_vsx,
    probe_system_call, probe_add, probe_fp_enabled, probe_fp_after, probe_step;
extern char probe_fp_enabled_divide[], probe_step_next[];
extern char user_code[], user_code_end[], user_calls[], user_privileged[], user_illegal[], user_load[], user_store[], user_tar[], user_scv[], user_hcall[];

/* Where things are in the test window (quadrant 3) and in problem state (quadrant 0). */
#define READ_ONLY (WINDOW + 0x10000)
#define UNMAPPED (WINDOW + 0x20000)
#define NO_EXECUTE (WINDOW + 0x30000)
#define USER_TEXT U64(0x10000000)
#define USER_DATA U64(0x10010000)
#define USER_PID 2
#define OTHER_PID 3
#define EMPTY_PID 5

static struct address_space user_space, other_space;
static u64 *user_data;

/* Runs a probe and compares the interrupt it must cause. */
static void fault(const char *what, probe *run, u64 argument, u64 vector, u64 srr0, u64 cause, u64 dar, u64 dsisr)
{
  u64 msr = mfmsr(), got = trap_call(run, argument);
  const struct frame *f = &this_cpu->trap;
  if (!expect(got == vector, "%s: interrupt 0x%lx, should be 0x%lx", what, got, vector)) return;
  expect(f->nip == srr0, "%s: SRR0 0x%lx, should be 0x%lx", what, f->nip, srr0);
  if (cause != DONT_CARE) expect((f->msr & SRR1_CAUSE) == cause, "%s: SRR1 0x%lx, cause bits should be 0x%lx", what, f->msr, cause);
  expect((f->msr & ~SRR1_CAUSE & ~(MSR_SE | MSR_FE0 | MSR_FE1)) == msr, "%s: SRR1 0x%lx does not hold the MSR 0x%lx", what, f->msr, msr);
  if (dar != DONT_CARE) expect(f->dar == dar, "%s: DAR 0x%lx, should be 0x%lx", what, f->dar, dar);
  if (dsisr != DONT_CARE) expect(f->dsisr == dsisr, "%s: DSISR 0x%lx, should be 0x%lx", what, f->dsisr, dsisr);
}

static void data_fault(const char *what, probe *run, u64 address, u64 dsisr)
{
  fault(what, run, address, VEC_DATA_STORAGE, (u64)run, DONT_CARE, address, dsisr);
}

static void fetch_fault(const char *what, u64 address, u64 cause)
{
  fault(what, (probe *)address, 0, VEC_INSTRUCTION_STORAGE, address, cause, DONT_CARE, DONT_CARE);
}

static void real_mode_interrupts(void)
{
  line("interrupts");
  this_cpu->last_vector = 0;
  fault("trap in real mode", probe_trap, 0, VEC_PROGRAM, (u64)probe_trap, SRR1_TRAP, DONT_CARE, DONT_CARE);
  expect(!(this_cpu->last_handler_msr & (MSR_IR | MSR_DR)) && this_cpu->last_handler_msr & MSR_LE && this_cpu->last_handler_msr & MSR_SF,
         "the handler ran with MSR 0x%lx", this_cpu->last_handler_msr);
  result("enter little-endian, in 64-bit real mode at 0x700");
}

static void turn_on(void)
{
  line("radix tree");
  bool on = translation_need();
  expect(on, "H_REGISTER_PROC_TBL or H_SET_MODE refused");
  expect((mfmsr() & (MSR_IR | MSR_DR)) == (MSR_IR | MSR_DR), "MSR 0x%lx", mfmsr());
  result("process table at 0x%lx, %u KiB of tables", process_table_address(), kernel_space.table_bytes / 1024);
  line("AIL 3");
  fault("trap", probe_trap, 0, VEC_PROGRAM, (u64)probe_trap, SRR1_TRAP, DONT_CARE, DONT_CARE);
  expect_eq("vector taken", this_cpu->last_vector, VEC_PROGRAM + 1);
  expect((this_cpu->last_handler_msr & (MSR_IR | MSR_DR)) == (MSR_IR | MSR_DR), "the handler ran with MSR 0x%lx", this_cpu->last_handler_msr);
  set_msr(mfmsr() & ~MSR_DR); /* only with both bits on does the alternate location apply */
  fault("trap without DR", probe_trap, 0, VEC_PROGRAM, (u64)probe_trap, SRR1_TRAP, DONT_CARE, DONT_CARE);
  set_msr(mfmsr() | MSR_DR);
  expect_eq("vector taken without DR", this_cpu->last_vector, VEC_PROGRAM);
  result("vectors at 0xc000000000004000 while IR and DR are on");
}

/* One frame seen through a leaf of each size. */
static void page_sizes(void)
{
  static const struct {
    u32 shift;
    const char *name;
  } sizes[] = {{PAGE_4K, "4K"}, {PAGE_64K, "64K"}, {PAGE_2M, "2M"}, {PAGE_1G, "1G"}};
  line("page sizes");
  u64 *frame = allocate(0x10000, 0x10000), ra = real_address(frame);
  for (u32 i = 0; i < 4; i++) {
    u64 ea = WINDOW + (U64(1) << 40) * (i + 1), bytes = U64(1) << sizes[i].shift, within = ra & (bytes - 1);
    map(&kernel_space, ea, ra & -bytes, sizes[i].shift, PTE_PRIVILEGED | PTE_WRITE | PTE_TOUCHED);
    volatile u64 *seen = (u64 *)(ea + within);
    frame[i] = 0x1000 + i;
    expect(seen[i] == 0x1000 + i, "%s page reads 0x%lx", sizes[i].name, (u64)seen[i]);
    seen[i] = 0x2000 + i;
    expect(*(volatile u64 *)&frame[i] == 0x2000 + i, "a store through a %s page was not seen", sizes[i].name);
    u64 before = ea - 8, after = ea + bytes;
    data_fault("before the page", probe_load, before, DSISR_NO_TRANSLATION);
    data_fault("behind the page", probe_load, after, DSISR_NO_TRANSLATION);
  }
  /* an access across two 4K pages whose frames are apart, and one whose second page is missing */
  u64 ea = WINDOW + 0x400000;
  u8 *frames = allocate(0x3000, 0x1000);
  map(&kernel_space, ea, real_address(frames), PAGE_4K, PTE_PRIVILEGED | PTE_WRITE | PTE_TOUCHED);
  map(&kernel_space, ea + 0x1000, real_address(frames) + 0x2000, PAGE_4K, PTE_PRIVILEGED | PTE_WRITE | PTE_TOUCHED);
  *(volatile u64 *)(ea + 0xffd) = 0x0807060504030201;
  expect(frames[0xfff] == 3 && frames[0x2000] == 4 && !frames[0x1000], "a store across 4K pages: %x %x", frames[0xfff], frames[0x2000]);
  u64 edge = ea + 0x2000 - 2;
  u64 got = trap_call(probe_store, edge);
  expect(got == VEC_DATA_STORAGE && this_cpu->trap.dar >= edge && this_cpu->trap.dar <= ea + 0x2000, "a store off the last page: interrupt 0x%lx, DAR 0x%lx", got, this_cpu->trap.dar);
  expect(!frames[0x2ffe] && !frames[0x2fff], "a store that faulted was half done");
  result("4K, 64K, 2M, 1G leaves and what lies beside them");
}

static void storage_faults(void)
{
  line("data faults");
  u64 page = real_address(allocate(0x10000, 0x10000));
  map(&kernel_space, READ_ONLY, page, PAGE_64K, PTE_PRIVILEGED | PTE_READ | PTE_TOUCHED);
  map(&kernel_space, NO_EXECUTE, page, PAGE_64K, PTE_PRIVILEGED | PTE_WRITE | PTE_TOUCHED);
  data_fault("load, not mapped", probe_load, UNMAPPED + 0x123, DSISR_NO_TRANSLATION);
  data_fault("store, not mapped", probe_store, UNMAPPED + 0x128, DSISR_NO_TRANSLATION | DSISR_STORE);
  data_fault("dcbz, not mapped", probe_dcbz, UNMAPPED + 0x180, DSISR_NO_TRANSLATION | DSISR_STORE);
  data_fault("store, read-only", probe_store, READ_ONLY + 8, DSISR_PROTECTION | DSISR_STORE);
  expect(trap_call(probe_load, READ_ONLY) == 0, "a load of the read-only page faulted");
  data_fault("store into the program's code", probe_store, (u64)probe_store, DSISR_PROTECTION | DSISR_STORE);
  mtspr(SPR_PIDR, EMPTY_PID);
  isync();
  data_fault("load, process table entry 0", probe_load, 0x1000, DSISR_BAD_TREE);
  mtspr(SPR_PIDR, 0);
  isync();
  fault("load, quadrant 1", probe_load, U64(0x4000000000001000), VEC_DATA_SEGMENT, (u64)probe_load, DONT_CARE, U64(0x4000000000001000), DONT_CARE);
  fault("load, quadrant 2", probe_load, U64(0x8000000000001000), VEC_DATA_SEGMENT, (u64)probe_load, DONT_CARE, U64(0x8000000000001000), DONT_CARE);
  fault("load, above 52 bits", probe_load, U64(0xc010000000001000), VEC_DATA_SEGMENT, (u64)probe_load, DONT_CARE, U64(0xc010000000001000), DONT_CARE);
  result("not mapped, protected, bad tree, wrong quadrant");

  line("fetch faults");
  fetch_fault("fetch, not mapped", UNMAPPED + 0x40, SRR1_NO_TRANSLATION);
  fetch_fault("fetch, no execute", NO_EXECUTE + 0x40, SRR1_NO_EXECUTE);
  fault("fetch, quadrant 1", (probe *)U64(0x4000000000001000), 0, VEC_INSTRUCTION_SEGMENT, U64(0x4000000000001000), DONT_CARE, DONT_CARE, DONT_CARE);
  result("not mapped, no execute, wrong quadrant");
}

static void program_interrupts(void)
{
  static u64 doubles[2] = {0x3ff0000000000000, 0};
  static u64 aligned[4] __attribute__((aligned(16)));
  u64 odd = (u64)aligned + 2;
  line("alignment");
  fault("lwarx", probe_lwarx, odd, VEC_ALIGNMENT, (u64)probe_lwarx, 0, odd, DONT_CARE);
  fault("ldarx", probe_ldarx, odd, VEC_ALIGNMENT, (u64)probe_ldarx, 0, odd, DONT_CARE);
  fault("lmw", probe_lmw, (u64)aligned, VEC_ALIGNMENT, (u64)probe_lmw, 0, DONT_CARE, DONT_CARE);
  result("lwarx and ldarx off their size, lmw in little-endian");

  line("program");
  fault("trap", probe_trap, 0, VEC_PROGRAM, (u64)probe_trap, SRR1_TRAP, DONT_CARE, DONT_CARE);
  fault("tdlgti", probe_trap_compare, 42, VEC_PROGRAM, (u64)probe_trap_compare, SRR1_TRAP, DONT_CARE, DONT_CARE);
  expect(trap_call(probe_trap_compare, 41) == 0, "tdlgti trapped on equal operands");
  fault("word 0", probe_illegal, 0, VEC_PROGRAM, (u64)probe_illegal, SRR1_ILLEGAL, DONT_CARE, DONT_CARE);
  u64 msr = mfmsr();
  u64 left = 1;
  set_msr(msr | MSR_FP);
  fault("enabled divide by zero", probe_fp_enabled, (u64)doubles, VEC_PROGRAM, (u64)probe_fp_enabled_divide, SRR1_FP_ENABLED, DONT_CARE, DONT_CARE);
  trap_call(probe_fp_after, (u64)&left);
  set_msr(msr);
  expect_eq("target of the enabled divide", left, doubles[1]);
  fault("trace", probe_step, 1, VEC_TRACE, (u64)probe_step_next, DONT_CARE, DONT_CARE, DONT_CARE);
  expect_eq("r3 after one step", this_cpu->trap.gpr[3], 6);
  fault("sc", probe_system_call, 0, VEC_SYSTEM_CALL, (u64)probe_system_call + 4, 0, DONT_CARE, DONT_CARE);
  result("trap, illegal, enabled FP exception, trace, system call");

  line("unavailable");
  fault("fadd", probe_fp, 0, VEC_FP_UNAVAILABLE, (u64)probe_fp, 0, DONT_CARE, DONT_CARE);
  fault("vaddubm", probe_vmx, 0, VEC_VMX_UNAVAILABLE, (u64)probe_vmx, 0, DONT_CARE, DONT_CARE);
  fault("xxlxor", probe_vsx, 0, VEC_VSX_UNAVAILABLE, (u64)probe_vsx, 0, DONT_CARE, DONT_CARE);
  result("FP, VMX and VSX while their MSR bits are off");
}

/* Runs one of the problem-state programs; the vector that ended it. */
static u64 problem_state(const char *program, u64 argument)
{
  struct user_entry entry = {USER_TEXT + (u64)(program - user_code), mfmsr() | MSR_PR | MSR_EE, USER_DATA + 0xff00, argument};
  u64 vector = trap_call(enter_problem_state, (u64)&entry);
  return vector;
}

static void user_fault(const char *what, const char *program, u64 argument, u64 vector, u64 cause, u64 dar, u64 dsisr)
{
  u64 got = problem_state(program, argument);
  const struct frame *f = &this_cpu->trap;
  if (!expect(got == vector, "%s: interrupt 0x%lx, should be 0x%lx", what, got, vector)) return;
  expect(f->nip == USER_TEXT + (u64)(program - user_code), "%s: SRR0 0x%lx", what, f->nip);
  expect(f->msr & MSR_PR, "%s: SRR1 0x%lx says supervisor state", what, f->msr);
  if (cause != DONT_CARE) expect((f->msr & SRR1_CAUSE) == cause, "%s: SRR1 0x%lx, cause bits should be 0x%lx", what, f->msr, cause);
  if (dar != DONT_CARE) expect(f->dar == dar && f->dsisr == dsisr, "%s: DAR 0x%lx DSISR 0x%lx", what, f->dar, f->dsisr);
}

static void facility(const char *what, const char *program, u64 enable, u64 number)
{
  u64 old = mfspr(SPR_FSCR);
  mtspr(SPR_FSCR, old & ~enable);
  isync();
  user_fault(what, program, 0, VEC_FACILITY, 0, DONT_CARE, DONT_CARE);
  expect((this_cpu->trap_fscr >> 56) == number, "%s: FSCR names facility %lu, should be %lu", what, this_cpu->trap_fscr >> 56, number);
  mtspr(SPR_FSCR, old | enable);
  isync();
  if (program != user_scv) expect(problem_state(program, 0) == VEC_SYSTEM_CALL, "%s still faults with its FSCR bit on", what);
  mtspr(SPR_FSCR, old);
  isync();
}

static void problem_state_programs(void)
{
  u8 *text = allocate(0x10000, 0x10000);
  user_data = allocate(0x10000, 0x10000);
  memcpy(text, user_code, (u64)(user_code_end - user_code));
  flush_code(text, (u64)(user_code_end - user_code));
  space_create(&user_space, USER_PID);
  map(&user_space, USER_TEXT, real_address(text), PAGE_64K, PTE_READ | PTE_EXECUTE | PTE_TOUCHED);
  map(&user_space, USER_DATA, real_address(user_data), PAGE_64K, PTE_WRITE | PTE_TOUCHED);
  set_process_entry(USER_PID, process_entry(&user_space));
  mtspr(SPR_PIDR, USER_PID);
  mtspr(SPR_FSCR, FSCR_SCV);
  isync();

  line("problem state");
  u64 plain = this_cpu->system_calls, vectored = this_cpu->vectored_calls;
  expect_eq("the program's end", problem_state(user_calls, USER_DATA), VEC_SYSTEM_CALL);
  expect_eq("its result", this_cpu->trap.gpr[3], 8443);
  expect(user_data[0] == 42 && user_data[1] == 4200 && user_data[2] == 4201, "its stores: %lu %lu %lu", user_data[0], user_data[1], user_data[2]);
  expect_eq("system calls", this_cpu->system_calls - plain, 2);
  expect_eq("vectored system calls", this_cpu->vectored_calls - vectored, 2);
  user_fault("mfmsr", user_privileged, 0, VEC_PROGRAM, SRR1_PRIVILEGED, DONT_CARE, DONT_CARE);
  user_fault("word 0", user_illegal, 0, VEC_PROGRAM, SRR1_ILLEGAL, DONT_CARE, DONT_CARE);
  user_fault("load of supervisor memory", user_load, WINDOW + 0x30000, VEC_DATA_STORAGE, DONT_CARE, WINDOW + 0x30000, DSISR_PROTECTION);
  user_fault("store into its code", user_store, USER_TEXT + 0x1000, VEC_DATA_STORAGE, DONT_CARE, USER_TEXT + 0x1000, DSISR_PROTECTION | DSISR_STORE);
  expect_eq("a hypercall's end", problem_state(user_hcall, 0), VEC_SYSTEM_CALL);
  expect_eq("a hypercall from problem state", this_cpu->trap.gpr[3], -3ul);
  result("sc and scv, calls and faults behind MSR[PR]");

  line("facilities");
  facility("TAR", user_tar, FSCR_TAR, FACILITY_TAR);
  facility("scv", user_scv, FSCR_SCV, FACILITY_SCV);
  result("TAR and scv follow FSCR");

  /* Each case has a page of its own, first touched under the key: QEMU looks at AMR and IAMR only when it fills its TLB. */
  line("keys");
  u64 pages = real_address(allocate(0x40000, 0x10000)), ea = USER_DATA + 0x10000;
  for (u64 i = 0; i < 0x40000; i += 0x10000) map(&user_space, ea + i, pages + i, PAGE_64K, PTE_WRITE | PTE_EXECUTE | PTE_TOUCHED);
  expect(trap_call(probe_load, ea) == 0, "supervisor load of user memory faulted with AMR 0");
  mtspr(SPR_AMR, U64(2) << 62);
  isync();
  u64 vector = trap_call(probe_store, ea + 0x10000);
  expect(vector == VEC_DATA_STORAGE && this_cpu->trap.dsisr & DSISR_STORE && this_cpu->trap.dsisr & (DSISR_PROTECTION | DSISR_KEY), "store: interrupt 0x%lx, DSISR 0x%lx", vector,
         this_cpu->trap.dsisr);
  expect(trap_call(probe_load, ea + 0x10000) == 0, "the store key stopped a load");
  mtspr(SPR_AMR, U64(1) << 62);
  isync();
  vector = trap_call(probe_load, ea + 0x20000);
  expect(vector == VEC_DATA_STORAGE && this_cpu->trap.dsisr & (DSISR_PROTECTION | DSISR_KEY), "load: interrupt 0x%lx, DSISR 0x%lx", vector, this_cpu->trap.dsisr);
  mtspr(SPR_AMR, 0);
  mtspr(SPR_IAMR, U64(1) << 62);
  isync();
  vector = trap_call((probe *)(ea + 0x30000), 0);
  expect(vector == VEC_INSTRUCTION_STORAGE && this_cpu->trap.nip == ea + 0x30000, "fetch: interrupt 0x%lx at 0x%lx", vector, this_cpu->trap.nip);
  mtspr(SPR_IAMR, 0);
  isync();
  result("AMR and IAMR keep the supervisor off user pages");
}

static void reference_and_change(void)
{
  line("R and C");
  u64 page = real_address(allocate(0x10000, 0x10000)), ea = WINDOW + 0x40000;
  u64 *entry = map(&kernel_space, ea, page, PAGE_64K, PTE_PRIVILEGED | PTE_WRITE | PTE_EXECUTE);
  u64 r = PTE_REFERENCED, c = PTE_CHANGED;
  expect_eq("before", be64(*(volatile u64 *)entry) & (r | c), 0);
  (void)*(volatile u32 *)ea;
  expect_eq("after a load", be64(*(volatile u64 *)entry) & (r | c), r);
  *(volatile u32 *)ea = 0x4e800020; /* blr */
  expect_eq("after a store", be64(*(volatile u64 *)entry) & (r | c), r | c);
  *(volatile u64 *)entry &= be64(~(r | c));
  flush_page(0, ea, PAGE_64K);
  flush_code((void *)(LINK_BASE | page), 4);
  trap_call((probe *)ea, 0);
  expect_eq("after a fetch", be64(*(volatile u64 *)entry) & (r | c), r);
  result("set by a load, a store and a fetch, each its own");
}

static void invalidation(void)
{
  line("invalidation");
  u64 *one = allocate(0x10000, 0x10000), *two = allocate(0x10000, 0x10000), ea = WINDOW + 0x50000;
  u64 flags = PTE_PRIVILEGED | PTE_WRITE | PTE_TOUCHED;
  one[0] = 1, two[0] = 2;
  volatile u64 *seen = (u64 *)ea;
  data_fault("before it is mapped", probe_load, ea, DSISR_NO_TRANSLATION);
  u64 *entry = map(&kernel_space, ea, real_address(one), PAGE_64K, flags); /* from invalid to valid without tlbie */
  expect_eq("first frame", seen[0], 1);
  map(&kernel_space, ea, real_address(two), PAGE_64K, flags);
  flush_page(0, ea, PAGE_64K);
  expect_eq("after tlbie", seen[0], 2);
  map(&kernel_space, ea, real_address(one), PAGE_64K, flags);
  flush_page_local(0, ea, PAGE_64K);
  expect_eq("after tlbiel", seen[0], 1);
  map(&kernel_space, ea, real_address(two), PAGE_64K, flags);
  flush_pid(0);
  expect_eq("after tlbie of the PID", seen[0], 2);
  *entry = 0;
  flush_page(0, ea, PAGE_64K);
  data_fault("unmapped again", probe_load, ea, DSISR_NO_TRANSLATION);
  /* one address, two processes: PIDR alone decides */
  space_create(&other_space, OTHER_PID);
  map(&other_space, USER_DATA, real_address(two), PAGE_64K, PTE_WRITE | PTE_TOUCHED);
  set_process_entry(OTHER_PID, process_entry(&other_space));
  for (u32 i = 0; i < 8; i++) {
    mtspr(SPR_PIDR, i & 1 ? OTHER_PID : USER_PID);
    isync();
    expect_eq("process", *(volatile u64 *)USER_DATA, i & 1 ? 2 : 42);
  }
  mtspr(SPR_PIDR, 0);
  isync();
  result("tlbie, tlbiel, whole PID; PIDR switches processes");
}

void chapter_mmu(void)
{
  chapter("mmu", "radix translation and the interrupts that guard it");
  if (!translating) real_mode_interrupts();
  turn_on();
  if (!translating) return;
  page_sizes();
  storage_faults();
  program_interrupts();
  problem_state_programs();
  reference_and_change();
  invalidation();
}
