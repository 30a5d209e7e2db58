/* Chapter 4, time: timebase, decrementer (Power ISA 3.0B Book III 7), sleeping in H_CEDE (PAPR), and the calendar of RTAS. */
#include "runtime.h"

#define MILLISECOND 1000

static void timebase_runs(void)
{
  line("timebase");
  u64 first = timebase(), last = first;
  u32 changes = 0;
  for (u32 i = 0; i < 10000; i++) {
    u64 now = timebase();
    if (!expect(now >= last, "went back from 0x%lx to 0x%lx", last, now)) break;
    changes += now != last;
    last = now;
  }
  u64 low = timebase(), upper = mfspr(269), again = timebase();
  expect(upper == low >> 32 || upper == again >> 32, "TBU 0x%lx, TB 0x%lx", upper, low);
  expect(changes, "stands still");
  result("never back in 10000 readings, SPR 269 is its upper half");
}

/* Lateness of one decrementer interrupt `us` from now, in ticks. */
static u64 one_decrement(u64 us)
{
  u64 count = this_cpu->decrementer_count, start = timebase();
  set_decrementer((i64)ticks_of_us(us));
  interrupts_on();
  bool came = wait_until(&this_cpu->decrementer_count, count + 1, us + 2000 * MILLISECOND);
  interrupts_off();
  if (!expect(came, "no interrupt 2 s after its time")) return 0;
  u64 due = start + ticks_of_us(us), at = this_cpu->decrementer_tb;
  expect(at >= due, "interrupt %lu ticks early", due - at);
  expect_eq("interrupts", this_cpu->decrementer_count - count, 1);
  return at - due;
}

static void decrementer(void)
{
  line("decrementer");
  set_decrementer(0x7fffffff); /* seconds away */
  u64 t0 = timebase(), d0 = mfspr(SPR_DEC);
  for (volatile u32 i = 0; i < 1000; i++) {}
  u64 d1 = mfspr(SPR_DEC), t1 = timebase();
  expect(d1 < d0 && d0 - d1 <= t1 - t0, "counted %lu while the timebase counted %lu", d0 - d1, t1 - t0);
  if (machine.dec_bits > 32) {
    set_decrementer(U64(1) << 40);
    u64 far = mfspr(SPR_DEC);
    expect(far > U64(1) << 39 && far <= U64(1) << 40, "holds 0x%lx, was given 1 << 40", far);
  }
  u64 latest = 0;
  for (u32 i = 0; i < 5; i++) {
    u64 late = one_decrement(MILLISECOND);
    if (late > latest) latest = late;
  }
  /* level: it waits for EE, and for nothing else */
  u64 count = this_cpu->decrementer_count;
  set_decrementer(-1);
  for (volatile u32 i = 0; i < 1000; i++) {}
  expect_eq("interrupts with EE off", this_cpu->decrementer_count, count);
  interrupts_on();
  interrupts_off();
  expect_eq("interrupts as EE came on", this_cpu->decrementer_count, count + 1);
  park_decrementer();
  result("5 of 1 ms, none early, at most %lu us late; waits for EE", us_of_ticks(latest));
}

static void sleeping(void)
{
  line("H_CEDE");
  u64 count = this_cpu->decrementer_count, start = timebase(), us = 5 * MILLISECOND;
  set_decrementer((i64)ticks_of_us(us));
  i64 status = hcall(H_CEDE, 0, 0, 0, 0);
  u64 msr = mfmsr();
  interrupts_off();
  u64 slept = us_of_ticks(timebase() - start);
  expect(status == H_SUCCESS, "returned %ld", status);
  expect(msr & MSR_EE, "left EE off");
  expect(this_cpu->decrementer_count == count + 1, "woke without its interrupt");
  expect(slept >= us, "woke after %lu us, asked for %lu", slept, us);
  result("asked for %lu us, slept %lu", us, slept);
}

static void calendar(void)
{
  line("calendar");
  i32 status = rtas(machine.token.time_of_day, 0, 8);
  u32 t[6];
  for (u32 i = 0; i < 6; i++) t[i] = rtas_output(i + 1);
  expect(status == 0, "get-time-of-day returned %d", status);
  expect(t[0] >= 1970 && t[1] >= 1 && t[1] <= 12 && t[2] >= 1 && t[2] <= 31 && t[3] < 24 && t[4] < 60 && t[5] < 61, "%u-%u-%u %u:%u:%u", t[0], t[1],
         t[2], t[3], t[4], t[5]);
  result("%04u-%02u-%02u %02u:%02u:%02u by get-time-of-day", t[0], t[1], t[2], t[3], t[4], t[5]);
}

void chapter_time(void)
{
  chapter("time", "timebase, decrementer, sleep");
  timebase_runs();
  decrementer();
  sleeping();
  calendar();
}
