/* The timebase in microseconds, and waits with a deadline. */
#include "runtime.h"

u64 ticks_of_us(u64 us) { return us * (machine.timebase_hz / 1000000); }
u64 us_of_ticks(u64 ticks) { return ticks / (machine.timebase_hz / 1000000); }

bool wait_until(volatile u64 *counter, u64 at_least, u64 us)
{
  u64 end = timebase() + ticks_of_us(us);
  while (*counter < at_least) {
    if (timebase() > end) return *counter >= at_least;
    relax();
  }
  return true;
}
