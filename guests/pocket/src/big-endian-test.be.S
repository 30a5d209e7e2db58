/*
 * Assembled big-endian: what the CPU chapter runs with MSR[LE] = 0. r3 = address of a table of doublewords, r4 = address to go
 * back to, r5 = MSR to go back with. Table: [0] in: a pattern; the rest are results:
 * [1] lwz, [2] lhz, [3] lwbrx of the pattern, [4] ld, [5..6] lmw pair, [7] bytes loaded by lswi (each stored byte-reversed so that the
 * little-endian reader sees the register value), [8] the sum of a big-endian loop.
 */
    lwz 6, 0(3)
    li 8, 8
    stdbrx 6, 3, 8
    lhz 6, 2(3)
    li 8, 16
    stdbrx 6, 3, 8
    lwbrx 6, 0, 3
    li 8, 24
    stdbrx 6, 3, 8
    ld 6, 0(3)
    li 8, 32
    stdbrx 6, 3, 8
    mr 9, 30
    mr 10, 31
    lmw 30, 0(3)            /* an alignment interrupt in little-endian mode */
    li 8, 40
    stdbrx 30, 3, 8
    li 8, 48
    stdbrx 31, 3, 8
    mr 30, 9
    mr 31, 10
    lswi 6, 3, 5            /* r6 = four bytes, r7 = one byte and zeros */
    sldi 6, 6, 32
    or 6, 6, 7
    li 8, 56
    stdbrx 6, 3, 8
    li 6, 0
    li 7, 100
    mtctr 7
again:
    mfctr 7
    add 6, 6, 7
    bdnz again
    li 8, 64
    stdbrx 6, 3, 8
    mtsrr0 4
    mtsrr1 5
    rfid
