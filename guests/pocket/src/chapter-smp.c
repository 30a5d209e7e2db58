/* Chapter 6, more processors: start-cpu, locks and atomics, IPIs, code patched under another's feet, stop-self. */
#include "runtime.h"

#define PATIENCE_US 10000000 /* guest time for anything that another processor has to do */
#define AGAIN_US 500000
#define NUMBERS 200000
#define ADDITIONS 1000
#define ROUNDS 16

static struct cpu *cpus[MAX_CPUS]; /* [0] = the boot processor */
static u32 count;

static struct {
  volatile u32 lock __attribute__((aligned(128)));
  volatile u64 total, locked_additions;
  volatile u64 add64 __attribute__((aligned(128)));
  volatile u32 add32 __attribute__((aligned(128)));
  volatile u16 add16 __attribute__((aligned(128)));
  volatile u8 add8 __attribute__((aligned(128)));
  volatile u64 turn __attribute__((aligned(128)));
  volatile u64 flag __attribute__((aligned(128)));
  volatile u64 message[16] __attribute__((aligned(128)));
  volatile u64 saw_old __attribute__((aligned(128)));
  volatile u64 saw_new;
  volatile u64 stores __attribute__((aligned(128)));
} shared;

/* ---- locks and atomics, Power ISA 3.0B Book II B.2 ---- */
static void lock(volatile u32 *word)
{
  u32 old;
  asm volatile("1: lwarx %0,0,%1,1; cmpwi %0,0; bne- 1b; stwcx. %2,0,%1; bne- 1b; isync" : "=&r"(old) : "r"(word), "r"(1) : "cr0", "memory");
}
static void unlock(volatile u32 *word) { asm volatile("lwsync; stw %1,0(%0)" ::"b"(word), "r"(0) : "memory"); }

#define atomic_add(load, store, at) \
  ({ \
    u64 old_; \
    asm volatile("1: " load " %0,0,%1; addi %0,%0,1; " store " %0,0,%1; bne- 1b" : "=&b"(old_) : "r"(at) : "cr0", "memory"); \
  })

/* ---- processors ---- */
void secondary_main(void)
{
  struct cpu *cpu = this_cpu;
  interrupts_off();
  park_decrementer();
  if (translating) translation_on_here();
  xics_open();
  cpu->online++;
  while (!cpu->released) relax(); /* awake until it has been asked for its state: QEMU calls a sleeping processor stopped */
  while (!cpu->stopping) {
    void (*job)(struct cpu *, void *) = cpu->job;
    if (job) {
      isync();
      job(cpu, cpu->job_argument);
      sync();
      cpu->job = NULL;
      cpu->jobs_done++;
    } else hcall(H_CEDE, 0, 0, 0, 0); /* an IPI sent since the look at the mailbox is still pending: no wake-up is lost */
    interrupts_off();
  }
  xics_close();
  cpu->leaving++;
  rtas(machine.token.stop_self, 0, 1);
  for (;;) relax();
}

static struct cpu *create(u32 server)
{
  struct cpu *cpu = allocate(sizeof *cpu, 128);
  cpu->toc = boot_cpu.toc;
  cpu->server = server;
  cpu->stack = (u64)allocate(16384, 16) + 16384;
  cpu->interrupt_stack = (u64)allocate(8192, 16) + 8192 - 64;
  return cpu;
}

static i32 start(struct cpu *cpu)
{
  extern char secondary_start[];
  sync();
  return rtas(machine.token.start_cpu, 3, 1, cpu->server, (u32)real_address(secondary_start), (u32)real_address(cpu));
}

static i32 stopped_state(u32 server)
{
  i32 status = rtas(machine.token.query_cpu, 1, 2, server);
  return status ? -1 : (i32)rtas_output(1);
}

static void give(struct cpu *cpu, void (*job)(struct cpu *, void *), void *argument)
{
  cpu->job_argument = argument;
  sync();
  cpu->job = job;
  send_ipi(cpu->server);
}

/* The job on every processor, this one included. */
static bool everywhere(void (*job)(struct cpu *, void *), void *argument)
{
  u64 done[MAX_CPUS];
  for (u32 i = 1; i < count; i++) {
    done[i] = cpus[i]->jobs_done;
    give(cpus[i], job, argument);
  }
  job(cpus[0], argument);
  for (u32 i = 1; i < count; i++)
    if (!expect(wait_until(&cpus[i]->jobs_done, done[i] + 1, PATIENCE_US), "processor %u did not finish its part", cpus[i]->server)) return false;
  sync();
  return true;
}

static bool start_all(void)
{
  line("start-cpu");
  for (u32 i = 0; i < machine.cpu_count; i++) {
    u32 server = machine.cpus[i];
    if (server == this_cpu->server) continue;
    struct cpu *cpu = create(server);
    cpu->index = count;
    expect_eq("state before", (u32)stopped_state(server), 0);
    expect_eq("start-cpu", (u32)start(cpu), 0);
    cpus[count++] = cpu;
  }
  bool all = true;
  for (u32 i = 1; i < count; i++) {
    all &= expect(wait_until(&cpus[i]->online, 1, PATIENCE_US), "processor %u does not come", cpus[i]->server);
    expect_eq("state after", (u32)stopped_state(cpus[i]->server), 2);
  }
  expect(start(cpus[1]) != 0, "start-cpu of a running processor succeeded");
  for (u32 i = 1; i < count; i++) cpus[i]->released = 1;
  expect(stopped_state(0x7fff) == -1, "query-cpu-stopped-state knows processor 0x7fff");
  result("%u more, each came and says it runs", count - 1);
  return all;
}

static u64 term(u64 i) { return i * i ^ i >> 3; }

static void add_share(struct cpu *cpu, void *unused)
{
  u64 from = (u64)NUMBERS * cpu->index / count, to = (u64)NUMBERS * (cpu->index + 1) / count, sum = 0;
  for (u64 i = from; i < to; i++) sum += term(i);
  lock(&shared.lock);
  shared.total += sum;
  unlock(&shared.lock);
}

static void add_atomically(struct cpu *cpu, void *unused)
{
  for (u32 i = 0; i < ADDITIONS; i++) {
    atomic_add("ldarx", "stdcx.", &shared.add64);
    atomic_add("lwarx", "stwcx.", &shared.add32);
    atomic_add("lharx", "sthcx.", &shared.add16);
    atomic_add("lbarx", "stbcx.", &shared.add8);
    if (i % 8 == 0) {
      lock(&shared.lock);
      shared.locked_additions = shared.locked_additions + 1;
      unlock(&shared.lock);
    }
  }
}

static void sums(void)
{
  line("parallel sum");
  u64 want = 0;
  for (u64 i = 0; i < NUMBERS; i++) want += term(i);
  everywhere(add_share, NULL);
  expect_eq("sum", shared.total, want);
  result("of %u numbers on %u processors: 0x%lx", NUMBERS, count, shared.total);

  line("atomics");
  everywhere(add_atomically, NULL);
  u64 all = (u64)count * ADDITIONS;
  expect_eq("ldarx", shared.add64, all);
  expect_eq("lwarx", shared.add32, all);
  expect_eq("lharx", shared.add16, (u16)all);
  expect_eq("lbarx", shared.add8, (u8)all);
  expect_eq("under the lock", shared.locked_additions, count * ((ADDITIONS + 7) / 8));
  result("of 1, 2, 4 and 8 bytes, and a lock: %lu additions each", all);
}

/* Sleeps with a limit until shared.turn is this processor's; IPIs wake it, the decrementer keeps a lost one from hanging the guest. */
static bool my_turn(struct cpu *cpu, u64 turn)
{
  u64 end = timebase() + ticks_of_us(PATIENCE_US);
  while (shared.turn != turn && timebase() < end) {
    set_decrementer((i64)ticks_of_us(200000));
    hcall(H_CEDE, 0, 0, 0, 0);
    interrupts_off();
  }
  park_decrementer();
  return shared.turn == turn;
}

static void pass_around(struct cpu *cpu, void *unused)
{
  for (u64 round = 0; round < ROUNDS; round++) {
    if (!my_turn(cpu, round * count + cpu->index)) return;
    sync();
    shared.turn = shared.turn + 1;
    send_ipi(cpus[(cpu->index + 1) % count]->server);
  }
}

static void ring(void)
{
  line("IPI ring");
  u64 before = this_cpu->ipi_count;
  everywhere(pass_around, NULL);
  expect_eq("turns", shared.turn, (u64)ROUNDS * count);
  interrupts_on();
  interrupts_off();
  expect(this_cpu->ipi_count > before, "no IPI came round to processor 0");
  result("%u times round, every processor asleep between turns", ROUNDS);
}

/* The odd side answers the even side; each message carries a timebase reading that must not be older than the one it answers. */
static void converse(struct cpu *cpu, void *unused)
{
  if (cpu->index > 1) return;
  for (u64 round = cpu->index; round < 2 * ROUNDS; round += 2) {
    if (!wait_until(&shared.flag, round, PATIENCE_US)) return;
    asm volatile("lwsync" ::: "memory");
    u64 now = timebase();
    for (u32 i = 1; i < 16 && round; i++) expect(shared.message[i] == round * 100 + i, "round %lu, word %u: %lu", round, i, shared.message[i]);
    expect(now >= shared.message[0], "timebase of processor %u is behind by %lu", cpu->server, shared.message[0] - now);
    shared.message[0] = timebase();
    for (u32 i = 1; i < 16; i++) shared.message[i] = (round + 1) * 100 + i;
    asm volatile("lwsync" ::: "memory");
    shared.flag = round + 1;
  }
}

static void messages(void)
{
  line("messages");
  everywhere(converse, NULL);
  expect_eq("rounds", shared.flag, 2 * ROUNDS);
  result("%u back and forth in order, one timebase for all", ROUNDS);
}

static void run_patched(struct cpu *cpu, void *code)
{
  u64 (*function)(void) = (u64 (*)(void))code;
  u64 end = timebase() + ticks_of_us(PATIENCE_US);
  if (!cpu->index) {
    wait_until(&shared.saw_old, count - 1, PATIENCE_US);
    /* One store is enough for a processor. QEMU drops its translation before it stores, and another thread may bring the old one back in between. */
    do {
      *(volatile u32 *)code = 0x38600002; /* li r3, 2 */
      flush_code(code, 4);
      shared.stores = shared.stores + 1;
    } while (!wait_until(&shared.saw_new, count - 1, AGAIN_US) && shared.stores < PATIENCE_US / AGAIN_US);
    return;
  }
  while (function() != 1 && timebase() < end) isync();
  atomic_add("ldarx", "stdcx.", &shared.saw_old);
  while (function() != 2 && timebase() < end) isync();
  if (function() == 2) atomic_add("ldarx", "stdcx.", &shared.saw_new);
}

static void patch_under_others(void)
{
  line("shared code");
  u32 *code = allocate(0x10000, 0x10000), *ea = (u32 *)(WINDOW + 0x80000);
  if (translating) map(&kernel_space, (u64)ea, real_address(code), PAGE_64K, PTE_PRIVILEGED | PTE_WRITE | PTE_EXECUTE | PTE_TOUCHED);
  else ea = code;
  code[0] = 0x38600001; /* li r3, 1 */
  code[1] = 0x4e800020; /* blr */
  flush_code(code, 8);
  everywhere(run_patched, ea);
  expect_eq("processors that ran the old code", shared.saw_old, count - 1);
  expect_eq("processors that ran the new code", shared.saw_new, count - 1);
  if (shared.stores == 1) result("patched while %u other%s ran it", count - 1, count == 2 ? "" : "s");
  else result("patched while others ran it, seen after %lu stores", shared.stores);
}

static void stop_all(void)
{
  line("stop-self");
  for (u32 twice = 0; twice < 2; twice++) {
    for (u32 i = 1; i < count; i++) {
      cpus[i]->stopping = 1;
      sync();
      send_ipi(cpus[i]->server);
    }
    for (u32 i = 1; i < count; i++) {
      u64 end = timebase() + ticks_of_us(PATIENCE_US);
      expect(wait_until(&cpus[i]->leaving, twice + 1, PATIENCE_US), "processor %u does not go", cpus[i]->server);
      while (stopped_state(cpus[i]->server) != 0 && timebase() < end) relax();
      expect_eq("state after stop-self", (u32)stopped_state(cpus[i]->server), 0);
    }
    if (twice) break;
    for (u32 i = 1; i < count; i++) {
      cpus[i]->stopping = 0;
      expect_eq("start-cpu again", (u32)start(cpus[i]), 0);
      expect(wait_until(&cpus[i]->online, 2, PATIENCE_US), "processor %u does not come back", cpus[i]->server);
    }
  }
  result("all stopped, started again, and stopped");
}

void chapter_smp(void)
{
  chapter("smp", "more than one processor");
  if (machine.cpu_count < 2) {
    skip("start-cpu", "there is one processor");
    return;
  }
  cpus[0] = this_cpu;
  this_cpu->index = 0;
  count = 1;
  xics_open();
  if (start_all()) {
    sums();
    ring();
    messages();
    patch_under_others();
  }
  stop_all();
  xics_close();
}
