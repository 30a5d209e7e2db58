/* Assembly helpers: function symbols with sizes, and register ranges. */
#include "arch.h"

#define r0 0
#define r1 1
#define r2 2
#define r3 3
#define r4 4
#define r5 5
#define r6 6
#define r7 7
#define r8 8
#define r9 9
#define r10 10
#define r11 11
#define r12 12
#define r13 13
#define r31 31

.macro function name
    .globl \name
    .type \name, @function
    .balign 16
\name:
.endm

.macro end name
    .size \name, . - \name
.endm

/* Store or load GPRs \first .. \last at \offset + 8 * n from \base. */
.macro save_gprs first, last, offset, base
    .set gpr_index, \first
    .rept \last - \first + 1
    std gpr_index, (\offset + 8 * gpr_index)(\base)
    .set gpr_index, gpr_index + 1
    .endr
.endm

.macro load_gprs first, last, offset, base
    .set gpr_index, \first
    .rept \last - \first + 1
    ld gpr_index, (\offset + 8 * gpr_index)(\base)
    .set gpr_index, gpr_index + 1
    .endr
.endm
