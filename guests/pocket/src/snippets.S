/*
 * Instructions that must fail in a known way. Each function begins with the instruction under test, so SRR0 is the function's address; where it does
 * not, a second label marks it.
 */
#include "macros.h"

    .text
.macro snippet name:req
    function \name
.endm

snippet probe_load
    lwz r3, 0(r3)
    blr
end probe_load
snippet probe_store
    stw r3, 0(r3)
    blr
end probe_store
snippet probe_dcbz
    dcbz 0, r3
    blr
end probe_dcbz
snippet probe_lwarx
    lwarx r3, 0, r3
    blr
end probe_lwarx
snippet probe_ldarx
    ldarx r3, 0, r3
    blr
end probe_ldarx
snippet probe_lmw
    .long 0xbbc30000                       /* lmw 30, 0(r3), which the assembler refuses in little-endian code */
    blr
end probe_lmw
snippet probe_trap
    trap
    blr
end probe_trap
snippet probe_trap_compare
    tdlgti r3, 41
    li r3, 7
    blr
end probe_trap_compare
snippet probe_illegal
    .long 0
    blr
end probe_illegal
snippet probe_fp
    fadd 1, 1, 1
    blr
end probe_fp
snippet probe_vmx
    vaddubm 1, 1, 1
    blr
end probe_vmx
snippet probe_vsx
    xxlxor 1, 1, 1
    blr
end probe_vsx
snippet probe_system_call
    sc
    blr
end probe_system_call
snippet probe_add
    addi r3, r3, 1
    blr
end probe_add
/*
 * 1.0 / 0.0 with FPSCR[ZE], in the precise mode from just before the divide (FEX = 1 with FE0 or FE1 interrupts at once, so the state that catches
 * the interrupt has them off): a program interrupt at the divide, its target unchanged. Called with MSR[FP] on.
 */
snippet probe_fp_enabled
    mtfsfi 0, 0
    mtfsfi 1, 0
    mtfsfi 2, 0
    mtfsfi 6, 1                            /* ZE */
    lfd 1, 0(r3)
    lfd 2, 8(r3)
    mfmsr r4
    ori r4, r4, MSR_FE0 | MSR_FE1
    mtmsrd r4
    isync
    .globl probe_fp_enabled_divide
probe_fp_enabled_divide:
    fdiv 2, 1, 2
    trap
end probe_fp_enabled
snippet probe_fp_after                     /* stores what the divide left of its target, and cleans FPSCR up */
    stfd 2, 0(r3)
    mtfsfi 0, 0
    mtfsfi 1, 0
    mtfsfi 6, 0
    blr
end probe_fp_after
/* rfid with MSR[SE]: the trace interrupt comes after one instruction. */
snippet probe_step
    mfmsr r4
    ori r4, r4, MSR_SE
    mtsrr1 r4
    bcl 20, 31, 1f
1:  mflr r4
    addi r4, r4, probe_step_one - 1b
    mtsrr0 r4
    rfid
probe_step_one:
    addi r3, r3, 5
    .globl probe_step_next
probe_step_next:
    addi r3, r3, 100
    trap
end probe_step

/* patch_ahead(slot, word): stores the word over the slot below and runs into it. Copied to a writable page. */
    .globl patch_ahead, patch_ahead_slot, patch_ahead_end
patch_ahead:
    stw r4, 0(r3)
    dcbst 0, r3
    sync
    icbi 0, r3
    sync
    isync
patch_ahead_slot:
    li r3, 1
    blr
patch_ahead_end:

/*
 * Problem-state programs, copied to a page of their own. System call r0 = 0: exit with r3; 1: return r3 + r4; 2: return r3 * r4.
 */
    .balign 16
    .globl user_code, user_code_end
user_code:
    .globl user_calls                      /* sc and scv in turn, a store and load in its own page (r3), exit with a sum */
user_calls:
    mr 31, r3
    li r0, 1
    li r3, 20
    li r4, 22
    sc                                     /* 42 */
    std r3, 0(31)
    li r0, 2
    li r4, 100
    scv 0                                  /* 4200 */
    std r3, 8(31)
    li r0, 1
    li r4, 1
    scv 1                                  /* 4201 */
    std r3, 16(31)
    ld r3, 0(31)
    ld r4, 8(31)
    add r3, r3, r4
    ld r4, 16(31)
    add r3, r3, r4                         /* 8443 */
    li r0, 0
    sc
    trap
    .globl user_privileged
user_privileged:
    mfmsr r3
    b user_exit
    .globl user_illegal
user_illegal:
    .long 0
    b user_exit
    .globl user_load
user_load:
    ld r3, 0(r3)
    b user_exit
    .globl user_store
user_store:
    std r3, 0(r3)
    b user_exit
    .globl user_tar
user_tar:
    mfspr r3, SPR_TAR
    b user_exit
    .globl user_scv
user_scv:
    scv 0
    b user_exit
    .globl user_hcall
user_hcall:                                /* sc 1 from problem state */
    li r0, 0
    sc 1
user_exit:
    li r0, 0
    sc
    trap
user_code_end:
