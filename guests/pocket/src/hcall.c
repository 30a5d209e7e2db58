/* Hypercalls: `sc 1`, token in r3, arguments from r4, status in r3, results from r4 (PAPR). Preserves LR and r13 to r31. */
#include "runtime.h"

i64 hcall_results(u64 results[4], u64 token, u64 a, u64 b, u64 c, u64 d)
{
  register u64 r3 asm("r3") = token;
  register u64 r4 asm("r4") = a;
  register u64 r5 asm("r5") = b;
  register u64 r6 asm("r6") = c;
  register u64 r7 asm("r7") = d;
  asm volatile("sc 1"
               : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7)
               :
               : "r0", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cr0", "cr1", "cr2", "cr3", "cr4", "cr5", "cr6", "cr7", "memory");
  if (results) {
    results[0] = r4;
    results[1] = r5;
    results[2] = r6;
    results[3] = r7;
  }
  return (i64)r3;
}

i64 hcall(u64 token, u64 a, u64 b, u64 c, u64 d) { return hcall_results(NULL, token, a, b, c, d); }
