/*
 * Ways across a border: into firmware (Open Firmware client interface, RTAS) and back, into problem state, into a call that may be cut short by an
 * interrupt, into big-endian code, and changes of the MSR that need rfid.
 */
#include "macros.h"

    .text

#define FW_FRAME 320
#define FW_GPR 32
#define FW_CR (FW_FRAME - 24)
#define FW_MSR (FW_FRAME - 16)
#define FW_SELF (FW_FRAME - 8)

/*
 * firmware_call(entry, a, b): r3 = a, r4 = b, 32-bit big-endian real mode with interrupts closed (LoPAR RTAS calling convention, IEEE 1275
 * PowerPC binding). Returns r3. Code, stack and arguments lie below 4 GiB. Nothing but the low half of r1 is trusted afterwards.
 */
function firmware_call
    mflr r0
    std r0, 16(r1)
    stdu r1, -FW_FRAME(r1)
    std r1, FW_SELF(r1)
    std r2, FW_GPR + 8 * 2(r1)
    save_gprs 13, 31, FW_GPR, r1
    mfcr r9
    std r9, FW_CR(r1)
    mfmsr r9
    std r9, FW_MSR(r1)
    li r10, 0
    mtmsrd r10, 1
    bcl 20, 31, 1f
1:  mflr r6
    addi r6, r6, firmware_return - 1b
    clrldi r6, r6, 32
    mtlr r6
    mtsrr0 r3
    li r7, MSR_ME | MSR_RI
    mtsrr1 r7
    mr r3, r4
    mr r4, r5
    clrldi r1, r1, 32
    rfid
firmware_return:
    .incbin "to-little-endian.bin"
    clrldi r1, r1, 32
    ld r1, FW_SELF(r1)
    ld r9, FW_MSR(r1)
    mtsrr1 r9
    ld r9, FW_CR(r1)
    mtcr r9
    ld r2, FW_GPR + 8 * 2(r1)
    load_gprs 13, 31, FW_GPR, r1
    ld r0, FW_FRAME + 16(r1)
    mtlr r0
    mtsrr0 r0
    addi r1, r1, FW_FRAME
    extsw r3, r3
    rfid
end firmware_call

/* set_msr(msr): takes every bit an rfid can change; returns at the same address under the new MSR. */
function set_msr
    mflr r0
    mtsrr0 r0
    mtsrr1 r3
    rfid
end set_msr

#define TRAP_FRAME 240
#define TRAP_GPR (32 - 8 * 14)
#define TRAP_CR (TRAP_FRAME - 16)

/*
 * trap_call(function, argument): calls it. 0 = it returned, with its result in cpu->trap_value. Otherwise a synchronous interrupt ended it: its
 * vector, and the interrupted state is in cpu->trap (interrupts.c).
 */
function trap_call
    mflr r0
    std r0, 16(r1)
    stdu r1, -TRAP_FRAME(r1)
    save_gprs 14, 31, TRAP_GPR, r1
    mfcr r9
    std r9, TRAP_CR(r1)
    mfmsr r9
    std r9, CPU_TRAP_MSR(r13)
    std r1, CPU_TRAP_STACK(r13)
    mr r12, r3
    mr r3, r4
    mtctr r12
    bctrl
    ld r2, CPU_TOC(r13)
    std r3, CPU_TRAP_VALUE(r13)
    li r3, 0
    .globl trap_unwind                     /* r1 = cpu->trap_stack, r3 = vector, r13 = struct cpu */
trap_unwind:
    ld r2, CPU_TOC(r13)
    li r9, 0
    std r9, CPU_TRAP_STACK(r13)
    ld r9, TRAP_CR(r1)
    mtcr r9
    load_gprs 14, 31, TRAP_GPR, r1
    addi r1, r1, TRAP_FRAME
    ld r0, 16(r1)
    mtlr r0
    blr
end trap_call

/* enter_problem_state(struct user_entry { address, msr, stack, argument } *): does not return; call it through trap_call. */
function enter_problem_state
    ld r9, 0(r3)
    mtsrr0 r9
    ld r9, 8(r3)
    mtsrr1 r9
    ld r1, 16(r3)
    ld r3, 24(r3)
    rfid
end enter_problem_state

/* run_big_endian(table): big-endian-test.be.S on the table, under the present MSR without LE. */
function run_big_endian
    mflr r4
    mfmsr r5
    bcl 20, 31, 1f
1:  mflr r6
    addi r6, r6, 2f - 1b
    mtsrr0 r6
    xori r6, r5, MSR_LE
    mtsrr1 r6
    rfid
2:  .incbin "big-endian-test.bin"
end run_big_endian

/* run_32bit(a, b): with MSR[SF] = 0 adds a and b with Rc = 1 and carry; returns CR0 in bits 0:3 of the low byte above the carry. */
function run_32bit
    mflr r12
    mfmsr r10
    clrldi r9, r10, 1
    bcl 20, 31, 1f
1:  mflr r8
    addi r8, r8, 2f - 1b
    clrldi r8, r8, 32
    mtsrr0 r8
    li r7, MSR_IR | MSR_DR                 /* the code is below 4 GiB as a real address */
    andc r9, r9, r7
    mtsrr1 r9
    rfid
2:  addc. r5, r3, r4
    mfcr r6
    li r7, 0
    addze r7, r7
    srwi r6, r6, 28
    sldi r6, r6, 4
    or r3, r6, r7
    mtsrr0 r12
    mtsrr1 r10
    rfid
end run_32bit
