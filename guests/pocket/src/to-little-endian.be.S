/*
 * Assembled big-endian, included as bytes wherever the processor arrives in the firmware's mode (32-bit, big-endian, real):
 * at the image entry, at the entry of a started processor, at the return from Open Firmware and RTAS.
 * Goes on at the byte after it in 64-bit little-endian real mode. Overwrites LR, r10, r11, SRR0, SRR1.
 */
    bcl 20, 31, here
here:
    mflr 10
    addi 10, 10, behind - here
    mtsrr0 10
    li 11, 3
    rotrdi 11, 11, 1        /* SF (bit 0) and LE (bit 63) */
    mtsrr1 11
    rfid
behind:
