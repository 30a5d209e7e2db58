/*
 * Numbers of the architecture and of the frame layouts, shared by C and assembly.
 * Power ISA 3.0B Book III (MSR, SPRs, interrupts); the layouts are this program's own and are checked in runtime.h.
 */
#ifndef POCKET_ARCH_H
#define POCKET_ARCH_H

#ifdef __ASSEMBLER__
#define U64(x) x
#else
#define U64(x) x##ul
#endif

/* The image is linked here and runs here after it moved to real address 0. Real mode ignores the top four bits. */
#define LINK_BASE U64(0xc000000000000000)
#define REAL_MASK U64(0x0fffffffffffffff)

#define MSR_SF U64(0x8000000000000000)
#define MSR_VEC U64(0x2000000)
#define MSR_VSX U64(0x800000)
#define MSR_EE U64(0x8000)
#define MSR_PR U64(0x4000)
#define MSR_FP U64(0x2000)
#define MSR_ME U64(0x1000)
#define MSR_FE0 U64(0x800)
#define MSR_SE U64(0x400)
#define MSR_FE1 U64(0x100)
#define MSR_IR U64(0x20)
#define MSR_DR U64(0x10)
#define MSR_RI U64(0x2)
#define MSR_LE U64(0x1)

/* SRR1 bits 33:36 and 42:47 say why an interrupt came; the rest is the interrupted MSR. */
#define SRR1_CAUSE U64(0x783f0000)

#define SPR_DSISR 18
#define SPR_DAR 19
#define SPR_DEC 22
#define SPR_AMR 29
#define SPR_PIDR 48
#define SPR_IAMR 61
#define SPR_FSCR 153
#define SPR_TB 268
#define SPR_SPRG1 273 /* address of this processor's struct cpu */
#define SPR_SPRG2 274 /* scratch of the interrupt entry */
#define SPR_PVR 287
#define SPR_TAR 815

#define FSCR_TAR U64(0x100)
#define FSCR_SCV U64(0x1000)

#define VEC_DATA_STORAGE 0x300
#define VEC_DATA_SEGMENT 0x380
#define VEC_INSTRUCTION_STORAGE 0x400
#define VEC_INSTRUCTION_SEGMENT 0x480
#define VEC_EXTERNAL 0x500
#define VEC_ALIGNMENT 0x600
#define VEC_PROGRAM 0x700
#define VEC_FP_UNAVAILABLE 0x800
#define VEC_DECREMENTER 0x900
#define VEC_SYSTEM_CALL 0xc00
#define VEC_TRACE 0xd00
#define VEC_VMX_UNAVAILABLE 0xf20
#define VEC_VSX_UNAVAILABLE 0xf40
#define VEC_FACILITY 0xf60
#define VEC_SCV 0x3000

/* Interrupt frame on the stack: 32 bytes of ABI header, then struct frame. */
#define FRAME_HEADER 32
#define FRAME_GPR(n) (FRAME_HEADER + 8 * (n))
#define FRAME_NIP (FRAME_HEADER + 256)
#define FRAME_MSR (FRAME_HEADER + 264)
#define FRAME_CTR (FRAME_HEADER + 272)
#define FRAME_LR (FRAME_HEADER + 280)
#define FRAME_XER (FRAME_HEADER + 288)
#define FRAME_CR (FRAME_HEADER + 296)
#define FRAME_DAR (FRAME_HEADER + 304)
#define FRAME_DSISR (FRAME_HEADER + 312)
#define FRAME_VECTOR (FRAME_HEADER + 320)
#define FRAME_BYTES (FRAME_HEADER + 336)
/* What the ELFv2 ABI lets a leaf function use below its stack pointer. */
#define RED_ZONE 288

/* struct cpu (runtime.h), pointed to by r13 and SPRG1 */
#define CPU_TOC 0x00
#define CPU_INTERRUPT_STACK 0x08
#define CPU_SAVED_R12 0x10
#define CPU_SAVED_R11 0x18
#define CPU_SAVED_CR 0x20
#define CPU_SAVED_R1 0x28
#define CPU_TRAP_STACK 0x30
#define CPU_TRAP_MSR 0x38
#define CPU_TRAP_VALUE 0x40
#define CPU_STACK 0x48

#endif
