// The entry stub of a sealed kernel that a running Linux starts with kexec. A kernel entered that way never calls UV_ESM, so
// the stub does it for the kernel that stands 64 KiB behind it. Nothing trusts the stub: the ultravisor measures the kernel
// and enters it itself, and the stub is not in memory any more then (docs/adr/0007-sealed-images.md).
//
// Entered in real mode with r3 = flattened tree, r5 = 0, in either byte order (Linux's booting-without-of); or as a client of
// Open Firmware, which the stub hands on to the kernel. If UV_ESM comes back, the stub asks RTAS to end the machine: an
// image that is to be secure is not run in the open.

import { PowervisorError } from '../util/errors.ts';
import { type KernelImage, kernelExtent } from './kernel-image.ts';

export const KEXEC_STUB_BYTES = 0x10000;

/** Both orders begin here: little-endian these bytes are `tdi 0,r0,0x48` and a branch, big-endian `b .+8`. */
const START = [0x08000048, 0x480000fc];

/** Power ISA words at 0x008, stored big-endian. */
const BIG_ENDIAN = [
  // With Open Firmware the kernel is entered as it is
  0x2c250000, // 008 cmpdi r5,0
  0x40820024, // 00c bne 30
  // Else on in little-endian: the address is that of 0x100
  0x7d0000a6, // 010 mfmsr r8
  0x61080001, // 014 ori r8,r8,1
  0x429f0005, // 018 bcl 20,31,1c
  0x7d2802a6, // 01c mflr r9
  0x392900e4, // 020 addi r9,r9,228
  0x7d3a03a6, // 024 mtsrr0 r9
  0x7d1b03a6, // 028 mtsrr1 r8
  0x4c000024, // 02c rfid
  // The kernel, 64 KiB behind the stub
  0x429f0005, // 030 bcl 20,31,34
  0x7d2802a6, // 034 mflr r9
  0x792903e4, // 038 clrrdi r9,r9,16
  0x3d290001, // 03c addis r9,r9,1
  0x7d2903a6, // 040 mtctr r9
  0x4e800420, // 044 bctr
];

/** Where other CPUs wait: Linux puts the first 256 bytes to address 0 and sends them to 0x60. `b .`, big-endian. */
const SECONDARY = { offset: 0x60, word: 0x48000000 };

/** Power ISA words at 0x100, stored little-endian. */
const LITTLE_ENDIAN = [
  // r5 is the entry of Open Firmware, or 0
  0x2c250000, // 100 cmpdi r5,0
  0x7d2000a6, // 104 mfmsr r9
  0x40820148, // 108 bne 250
  // MSR[S]: secure already, as after a kexec of a secure VM
  0x75290040, // 10c andis. r9,r9,64
  0x40820128, // 110 bne 238
  // UV_ESM(kernel, tree): comes back only if it is refused
  0x7c7f1b78, // 114 mr r31,r3
  0x429f0005, // 118 bcl 20,31,11c
  0x7fc802a6, // 11c mflr r30
  0x7bde03e4, // 120 clrrdi r30,r30,16
  0x3fde0001, // 124 addis r30,r30,1
  0x7fc4f378, // 128 mr r4,r30
  0x7fe5fb78, // 12c mr r5,r31
  0x3c600000, // 130 lis r3,0
  0x6063f110, // 134 ori r3,r3,61712
  0x44000042, // 138 sc 2
  // Look for the name of the service among the strings of the tree: r7 to r8, from r6
  0x3fbeffff, // 13c addis r29,r30,-1
  0x3b9d0270, // 140 addi r28,r29,624
  0xeb7c0000, // 144 ld r27,0(r28)
  0x835c0008, // 148 lwz r26,8(r28)
  0x3940000c, // 14c li r10,12
  0x7cff542c, // 150 lwbrx r7,r31,r10
  0x7cff3a14, // 154 add r7,r31,r7
  0x39400020, // 158 li r10,32
  0x7d1f542c, // 15c lwbrx r8,r31,r10
  0x7d074214, // 160 add r8,r7,r8
  0x7ce63b78, // 164 mr r6,r7
  0x3927000c, // 168 addi r9,r7,12
  0x7c294040, // 16c cmpld r9,r8
  0x418100c4, // 170 bgt 234
  0xe9270000, // 174 ld r9,0(r7)
  0x7c29d800, // 178 cmpd r9,r27
  0x40820010, // 17c bne 18c
  0x81270008, // 180 lwz r9,8(r7)
  0x7c09d000, // 184 cmpw r9,r26
  0x4182000c, // 188 beq 194
  0x38e70001, // 18c addi r7,r7,1
  0x4bffffd8, // 190 b 168
  // Look for the property: token 3, 4 bytes, the name at r11. Its value is what to call
  0x7d663850, // 194 subf r11,r6,r7
  0x39400008, // 198 li r10,8
  0x7cff542c, // 19c lwbrx r7,r31,r10
  0x7cff3a14, // 1a0 add r7,r31,r7
  0x39400024, // 1a4 li r10,36
  0x7d1f542c, // 1a8 lwbrx r8,r31,r10
  0x7d074214, // 1ac add r8,r7,r8
  0x39270010, // 1b0 addi r9,r7,16
  0x7c294040, // 1b4 cmpld r9,r8
  0x4181007c, // 1b8 bgt 234
  0x7d203c2c, // 1bc lwbrx r9,0,r7
  0x2c090003, // 1c0 cmpwi r9,3
  0x40820024, // 1c4 bne 1e8
  0x39400004, // 1c8 li r10,4
  0x7d27542c, // 1cc lwbrx r9,r7,r10
  0x2c090004, // 1d0 cmpwi r9,4
  0x40820014, // 1d4 bne 1e8
  0x39400008, // 1d8 li r10,8
  0x7d27542c, // 1dc lwbrx r9,r7,r10
  0x7c095800, // 1e0 cmpw r9,r11
  0x4182000c, // 1e4 beq 1f0
  0x38e70004, // 1e8 addi r7,r7,4
  0x4bffffc4, // 1ec b 1b0
  // The argument block, big-endian: service, one input, one output, the text
  0x3940000c, // 1f0 li r10,12
  0x7d27542c, // 1f4 lwbrx r9,r7,r10
  0x3b9d02b0, // 1f8 addi r28,r29,688
  0x7d20e52c, // 1fc stwbrx r9,0,r28
  0x39200001, // 200 li r9,1
  0x39400004, // 204 li r10,4
  0x7d3c552c, // 208 stwbrx r9,r28,r10
  0x39400008, // 20c li r10,8
  0x7d3c552c, // 210 stwbrx r9,r28,r10
  0x393d027c, // 214 addi r9,r29,636
  0x3940000c, // 218 li r10,12
  0x7d3c552c, // 21c stwbrx r9,r28,r10
  // Whoever lets the call return is asked again
  0x3c600000, // 220 lis r3,0
  0x6063f000, // 224 ori r3,r3,61440
  0x7f84e378, // 228 mr r4,r28
  0x44000022, // 22c sc 1
  0x4bfffff0, // 230 b 220
  // A tree without the service: nothing more can be done
  0x48000000, // 234 b 234
  // The kernel as after a kexec: r3 = tree, r4 = kernel, r5 = 0
  0x429f0005, // 238 bcl 20,31,23c
  0x7c8802a6, // 23c mflr r4
  0x788403e4, // 240 clrrdi r4,r4,16
  0x3c840001, // 244 addis r4,r4,1
  0x7c8903a6, // 248 mtctr r4
  0x4e800420, // 24c bctr
  // The kernel as Open Firmware enters it, registers untouched
  0x429f0005, // 250 bcl 20,31,254
  0x7d2802a6, // 254 mflr r9
  0x792903e4, // 258 clrrdi r9,r9,16
  0x3d290001, // 25c addis r9,r9,1
  0x7d2903a6, // 260 mtctr r9
  0x4e800420, // 264 bctr
];

const SERVICE = { offset: 0x270, text: 'ibm,os-term' };
const MESSAGE = { offset: 0x27c, text: 'UV_ESM refused the sealed image.' };
/** Of the argument block: 20 bytes, written by the stub. */
const ARGUMENTS_OFFSET = 0x2b0;

/** The stub's code and texts. */
export function esmStub(): Uint8Array<ArrayBuffer> {
  const stub = new DataView(new ArrayBuffer(ARGUMENTS_OFFSET));
  const put = (offset: number, words: readonly number[], little: boolean) => {
    words.forEach((word, i) => {
      stub.setUint32(offset + 4 * i, word, little);
    });
  };
  put(0, START, true);
  put(8, BIG_ENDIAN, false);
  put(SECONDARY.offset, [SECONDARY.word], false);
  put(0x100, LITTLE_ENDIAN, true);
  const bytes = new Uint8Array(stub.buffer);
  for (const { offset, text } of [SERVICE, MESSAGE]) bytes.set(new TextEncoder().encode(`${text}\0`), offset);
  return bytes;
}

/** The kernel's content as one piece from its load address on: what is in memory before it runs, and what is measured. */
export function flatKernel(image: KernelImage): Uint8Array<ArrayBuffer> {
  if (!image.relocatable || image.needsOpenFirmware) {
    throw new PowervisorError('NOT_A_KERNEL', `${image.what} is a boot program. Give the vmlinux that it contains.`);
  }
  const { startGra } = kernelExtent(image, 0);
  const end = Math.max(...image.segments.map(({ address, bytes }) => address + bytes.length));
  const flat = new Uint8Array(end - startGra);
  for (const { address, bytes } of image.segments) flat.set(bytes, address - startGra);
  return flat;
}

const ELF_BYTES = 0x10000;
const ET_EXEC = 2;
const EM_PPC64 = 21;
const ELF_ABI_V2 = 2;
const PT_LOAD = 1;
const ALL_ACCESS = 7;
const KERNEL_BASE = 0xc000_0000_0000_0000n;

/** An ELF file for kexec: the stub and the kernel in one segment, so that they stay together wherever they are put. */
export function kexecKernel(image: KernelImage): Uint8Array<ArrayBuffer> {
  const kernel = flatKernel(image);
  const { startGra, endGra } = kernelExtent(image, 0);
  const fileBytes = KEXEC_STUB_BYTES + kernel.length;
  const file = new Uint8Array(ELF_BYTES + fileBytes);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const half = (at: number, value: number) => view.setUint16(at, value, true);
  const word = (at: number, value: number) => view.setUint32(at, value, true);
  const double = (at: number, value: number | bigint) => view.setBigUint64(at, BigInt(value), true);
  half(16, ET_EXEC);
  half(18, EM_PPC64);
  word(20, 1);
  double(24, KERNEL_BASE);
  double(32, 64);
  word(48, ELF_ABI_V2);
  for (const [at, value] of [
    [52, 64],
    [54, 56],
    [56, 1],
    [58, 64],
  ]) {
    half(at, value);
  }
  word(64, PT_LOAD);
  word(68, ALL_ACCESS);
  double(72, ELF_BYTES);
  double(80, KERNEL_BASE);
  double(88, 0);
  double(96, fileBytes);
  double(104, KEXEC_STUB_BYTES + endGra - startGra);
  double(112, 0x10000);
  file.set(esmStub(), ELF_BYTES);
  file.set(kernel, ELF_BYTES + KEXEC_STUB_BYTES);
  return file;
}
