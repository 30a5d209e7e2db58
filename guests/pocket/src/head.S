/*
 * The first 24 KiB of the image: entry point, interrupt vectors (real mode from 0x100, system call vectored at 0x3000, relocation-on from 0x4100
 * for AIL = 3), and the way from a vector to C and back. Power ISA 3.0B Book III chapter 6; PAPR entry conditions of a client program.
 */
#include "macros.h"

    .section .head, "ax"
    .globl pocket_start
pocket_start:
    /* Runs in either byte order: read big-endian, this word is a branch over the next one. */
    tdi 0, 0, 0x48
    b 1f
    .incbin "to-little-endian.bin"
1:  b boot
    .balign 16
    .globl secondary_start
secondary_start:
    tdi 0, 0, 0x48
    b 1f
    .incbin "to-little-endian.bin"
1:  b secondary_boot

/* Six instructions: vectors from 0xf00 on are only eight apart. The tag's low bit says that the processor came through AIL. */
.macro vector address, tag
    .org \address
    mtspr SPR_SPRG2, r13
    mfspr r13, SPR_SPRG1
    std r12, CPU_SAVED_R12(r13)
    li r12, \tag
    b interrupt_entry
.endm

    .irp number, 0x100, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xb00, 0xc00, 0xd00, 0xe00, 0xe20, 0xe40, 0xe60, 0xe80, 0xea0, 0xf00, 0xf20, 0xf40, 0xf60, 0xf80
    vector \number, \number
    .endr

/* System call vectored, level 0 and 1. EE stays on through scv, and the scratch registers are shared with interrupts: close it first.
   r10 is volatile in the scv convention. */
.macro scv_vector address, tag
    .org \address
    li r10, 0
    mtmsrd r10, 1
    mtspr SPR_SPRG2, r13
    mfspr r13, SPR_SPRG1
    std r12, CPU_SAVED_R12(r13)
    li r12, \tag
    b scv_entry
.endm
    scv_vector 0x3000, 0x3001
    scv_vector 0x3020, 0x3021

    .irp number, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xb00, 0xc00, 0xd00, 0xe00, 0xe20, 0xe40, 0xe60, 0xe80, 0xea0, 0xf00, 0xf20, 0xf40, 0xf60, 0xf80
    vector 0x4000 + \number, \number + 1
    .endr
    .org 0x6000

    .text

/* The low 32 bits of an address are its offset in the image: sym@higha and sym@l added to a base give where it lies now. */


/* r3, r4 = initrd and size, r5 = client interface entry, r1 = somebody else's stack. 64-bit, little-endian, real mode. */
boot:
    bcl 20, 31, 1f
1:  mflr r31
    addis r31, r31, (pocket_start - 1b)@ha
    addi r31, r31, (pocket_start - 1b)@l          /* where the image was loaded */
    addis r6, r31, bss_start@higha
    addi r6, r6, bss_start@l
    addis r7, r31, image_end@higha
    addi r7, r7, image_end@l
    subf r7, r6, r7
    srdi. r7, r7, 3
    beq 3f
    mtctr r7
    li r0, 0
2:  std r0, 0(r6)
    addi r6, r6, 8
    bdnz 2b
3:  addis r2, r31, .TOC.@higha
    addi r2, r2, .TOC.@l
    addis r1, r31, (boot_stack_end - 64)@higha
    addi r1, r1, (boot_stack_end - 64)@l
    mr r6, r31
    li r13, 0
    bl firmware_main
    trap

/* move_to_zero(base): copies the loaded image to real address 0 and goes on in main() at the address it was linked for. */
function move_to_zero
    addis r4, r3, image_end@higha
    addi r4, r4, image_end@l
    subf r4, r3, r4
    srdi r5, r4, 3
    cmpdi r3, 0
    beq 2f
    mtctr r5
    li r6, 0
1:  ldx r7, r3, r6
    std r7, 0(r6)
    addi r6, r6, 8
    bdnz 1b
2:  sync
    li r6, 0
    srdi r5, r4, 7
    addi r5, r5, 1
    mtctr r5
3:  dcbst 0, r6
    sync
    icbi 0, r6
    addi r6, r6, 128
    bdnz 3b
    sync
    isync
    li r12, 3
    rotldi r12, r12, 62                        /* LINK_BASE */
    addis r2, r12, .TOC.@higha
    addi r2, r2, .TOC.@l
    addis r1, r12, (boot_stack_end - 64)@higha
    addi r1, r1, (boot_stack_end - 64)@l
    addis r13, r12, boot_cpu@higha
    addi r13, r13, boot_cpu@l
    mtspr SPR_SPRG1, r13
    std r2, CPU_TOC(r13)
    addis r11, r12, main@higha
    addi r11, r11, main@l
    mr r12, r11
    mtctr r12
    bctr
end move_to_zero

/* A started processor: r3 = real address of its struct cpu (what start-cpu passed on). */
secondary_boot:
    li r12, 3
    rotldi r12, r12, 62
    or r13, r3, r12
    mtspr SPR_SPRG1, r13
    ld r2, CPU_TOC(r13)
    ld r1, CPU_STACK(r13)
    addi r1, r1, -64
    addis r11, r12, secondary_main@higha
    addi r11, r11, secondary_main@l
    mr r12, r11
    mtctr r12
    bctr

/* Vectors come here with r13 = struct cpu, r12 = tag, the old r13 in SPRG2 and the old r12 in the struct. */
.macro save_frame
    std r11, CPU_SAVED_R11(r13)
    mfcr r11
    std r11, CPU_SAVED_CR(r13)
    std r1, CPU_SAVED_R1(r13)
.endm
.macro save_rest
    addi r1, r1, -FRAME_BYTES
    std r0, FRAME_GPR(0)(r1)
    ld r11, CPU_SAVED_R1(r13)
    std r11, FRAME_GPR(1)(r1)
    save_gprs 2, 10, FRAME_HEADER, r1
    ld r11, CPU_SAVED_R11(r13)
    std r11, FRAME_GPR(11)(r1)
    ld r11, CPU_SAVED_R12(r13)
    std r11, FRAME_GPR(12)(r1)
    mfspr r11, SPR_SPRG2
    std r11, FRAME_GPR(13)(r1)
    save_gprs 14, 31, FRAME_HEADER, r1
    mfctr r11
    std r11, FRAME_CTR(r1)
    mflr r11
    std r11, FRAME_LR(r1)
    mfxer r11
    std r11, FRAME_XER(r1)
    ld r11, CPU_SAVED_CR(r13)
    std r11, FRAME_CR(r1)
    mfspr r11, SPR_DAR
    std r11, FRAME_DAR(r1)
    mfspr r11, SPR_DSISR
    std r11, FRAME_DSISR(r1)
    std r12, FRAME_VECTOR(r1)
    li r11, 0
    std r11, 0(r1)
    ld r2, CPU_TOC(r13)
.endm
.macro load_frame
    ld r11, FRAME_XER(r1)
    mtxer r11
    ld r11, FRAME_CR(r1)
    mtcr r11
    ld r0, FRAME_GPR(0)(r1)
    load_gprs 2, 31, FRAME_HEADER, r1
    ld r1, FRAME_GPR(1)(r1)
.endm

function interrupt_entry
    save_frame
    mfsrr1 r11
    andi. r11, r11, MSR_PR
    beq 1f
    ld r1, CPU_INTERRUPT_STACK(r13)
    b 2f
1:  addi r1, r1, -RED_ZONE
2:  save_rest
    mfsrr0 r11
    std r11, FRAME_NIP(r1)
    mfsrr1 r11
    std r11, FRAME_MSR(r1)
    addi r3, r1, FRAME_HEADER
    bl handle_interrupt
    nop
    ld r11, FRAME_NIP(r1)
    mtsrr0 r11
    ld r11, FRAME_MSR(r1)
    mtsrr1 r11
    ld r11, FRAME_CTR(r1)
    mtctr r11
    ld r11, FRAME_LR(r1)
    mtlr r11
    load_frame
    rfid
end interrupt_entry

/* scv: LR = return address, CTR = MSR, no SRRs; only problem state uses it here. */
function scv_entry
    save_frame
    ld r1, CPU_INTERRUPT_STACK(r13)
    save_rest
    mflr r11
    std r11, FRAME_NIP(r1)
    mfctr r11
    std r11, FRAME_MSR(r1)
    addi r3, r1, FRAME_HEADER
    bl handle_interrupt
    nop
    ld r11, FRAME_NIP(r1)
    mtlr r11
    ld r11, FRAME_MSR(r1)
    mtctr r11
    load_frame
    rfscv
end scv_entry
