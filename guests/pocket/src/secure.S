/* Into the ultravisor: sc 2, and the way back from UV_ESM, which restarts the program with its registers cleared. */
#include "macros.h"

    .text

/* ultracall(token, r4, r5): the status. */
function ultracall
    sc 2
    blr
end ultracall

#define ESM_FRAME 240
#define ESM_GPR (32 - 8 * 14)
#define ESM_CR (ESM_FRAME - 16)
#define UV_ESM 0xf110

/*
 * enter_secure_mode(device tree): UV_ESM from real mode, with secure_restart as the place where the program is entered anew. The stack survives, for
 * memory does. 0 = it happened; else the answer of a call that came back.
 */
function enter_secure_mode
    mflr r0
    std r0, 16(r1)
    stdu r1, -ESM_FRAME(r1)
    save_gprs 14, 31, ESM_GPR, r1
    mfcr r9
    std r9, ESM_CR(r1)
    addis r9, r2, restart_stack@toc@ha
    std r1, restart_stack@toc@l(r9)
    mr r5, r3
    addis r4, r2, secure_restart@toc@ha
    addi r4, r4, secure_restart@toc@l
    clrldi r4, r4, 4
    li r3, 0
    ori r3, r3, UV_ESM
    sc 2
    b 1f
    .balign 16
secure_restart:
    li r12, 3
    rotldi r12, r12, 62                        /* LINK_BASE */
    addis r2, r12, .TOC.@higha
    addi r2, r2, .TOC.@l
    mfspr r13, SPR_SPRG1
    addis r9, r2, restart_stack@toc@ha
    ld r1, restart_stack@toc@l(r9)
    li r3, 0
1:  ld r9, ESM_CR(r1)
    mtcr r9
    load_gprs 14, 31, ESM_GPR, r1
    addi r1, r1, ESM_FRAME
    ld r0, 16(r1)
    mtlr r0
    blr
end enter_secure_mode

    .section .bss
    .balign 8
restart_stack:
    .skip 8
