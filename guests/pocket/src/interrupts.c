/*
 * What happens behind the vectors: the decrementer, external interrupts and system calls are served; anything else ends the trap_call
 * in progress, or the guest with a dump of the interrupted state.
 */
#include "runtime.h"

/* LoPAR H_SET_MODE resource 4: value 1 = interrupts enter little-endian. */
bool interrupts_need(void)
{
  static bool done;
  if (!done) done = hcall(H_SET_MODE, 1, 4, 0, 0) == H_SUCCESS;
  return done;
}

void set_decrementer(i64 ticks) { mtspr(SPR_DEC, ticks); }

/* As far away as the register reaches. */
void park_decrementer(void) { set_decrementer(machine.dec_bits > 32 ? (i64)(U64(1) << (machine.dec_bits - 1)) - 1 : 0x7fffffff); }

static void dump(const struct frame *f)
{
  last_words();
  print("\nunexpected interrupt 0x%lx on processor %u\n", f->vector, this_cpu->server);
  print("  nip %016lx msr %016lx lr  %016lx ctr %016lx\n", f->nip, f->msr, f->lr, f->ctr);
  print("  dar %016lx dsisr %08lx cr %08lx xer %08lx\n", f->dar, f->dsisr, f->cr, f->xer);
  for (u32 i = 0; i < 32; i += 4) print("  r%-2u %016lx %016lx %016lx %016lx\n", i, f->gpr[i], f->gpr[i + 1], f->gpr[i + 2], f->gpr[i + 3]);
}

/* The problem-state programs of snippets.S call with r0 = 0: exit, 1: add, 2: multiply. */
static bool serve_call(struct frame *f)
{
  if (f->gpr[0] == 1) f->gpr[3] += f->gpr[4];
  else if (f->gpr[0] == 2) f->gpr[3] *= f->gpr[4];
  else return false;
  return true;
}

void handle_interrupt(struct frame *f)
{
  struct cpu *cpu = this_cpu;
  u64 vector = f->vector & ~U64(1);
  cpu->last_vector = f->vector;
  cpu->last_handler_msr = mfmsr();
  switch (vector) {
  case VEC_DECREMENTER:
    cpu->decrementer_tb = timebase();
    cpu->decrementer_count++;
    park_decrementer();
    return;
  case VEC_EXTERNAL:
    handle_external();
    return;
  case VEC_SYSTEM_CALL:
    cpu->system_calls++;
    if ((f->msr & MSR_PR) && serve_call(f)) return;
    break;
  case VEC_SCV:
  case VEC_SCV + 0x20:
    cpu->vectored_calls++;
    if (serve_call(f)) return;
    break;
  }
  if (!cpu->trap_stack) {
    dump(f);
    panic("interrupt 0x%lx at 0x%lx", vector, f->nip);
  }
  extern void trap_unwind(void);
  cpu->trap = *f;
  cpu->trap_fscr = mfspr(SPR_FSCR);
  f->nip = (u64)trap_unwind;
  f->msr = cpu->trap_msr;
  f->gpr[1] = cpu->trap_stack;
  f->gpr[3] = vector;
  f->gpr[13] = (u64)cpu;
}
