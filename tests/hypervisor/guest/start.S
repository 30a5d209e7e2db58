/* Entry of the recording guest: 64-bit mode, stack, main. And `hcall`: eight registers in from an array, eight back. */
	.globl _start
_start:
	li	9,1
	sldi	9,9,63
	mfmsr	8
	or	9,9,8
	mtmsrd	9
	lis	2,.TOC.@highest
	ori	2,2,.TOC.@higher
	sldi	2,2,32
	oris	2,2,.TOC.@h
	ori	2,2,.TOC.@l
	lis	1,0x180
	bl	main
1:	b	1b

	.globl hcall
hcall:
	mflr	0
	std	0,16(1)
	std	31,-8(1)
	stdu	1,-64(1)
	mr	31,3
	ld	3,0(31)
	ld	4,8(31)
	ld	5,16(31)
	ld	6,24(31)
	ld	7,32(31)
	ld	8,40(31)
	ld	9,48(31)
	ld	10,56(31)
	sc	1
	std	3,0(31)
	std	4,8(31)
	std	5,16(31)
	std	6,24(31)
	std	7,32(31)
	std	8,40(31)
	std	9,48(31)
	std	10,56(31)
	addi	1,1,64
	ld	31,-8(1)
	ld	0,16(1)
	mtlr	0
	blr
