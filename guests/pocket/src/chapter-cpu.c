/*
 * Chapter 2, CPU: instructions with known answers (computed from the Power ISA 3.0B text, not taken from another emulator), byte order and 32-bit mode,
 * digests of a buffer, and a picture that needs every double to be right.
 */
#include "cpu.h"

#define A U64(0xfedcba9876543210)
#define B U64(0x0123456789abcdef)
#define C U64(0x8000000000000001)
#define MANDELBROT_CRC 0x5d66c14b /* of row after row of escape times, one byte each */
#define XER_CA U64(0x20000000)
#define XER_OV U64(0x40000000)
#define XER_SO U64(0x80000000)

#define one(op, a, want) ({ u64 r_; asm volatile(op " %0,%1" : "=r"(r_) : "r"((u64)(a)) : "xer", "cr0"); expect_eq(op, r_, want); })
#define two(op, a, b, want) ({ u64 r_; asm volatile(op " %0,%1,%2" : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b)) : "xer", "cr0"); expect_eq(op, r_, want); })
#define three(op, a, b, c, want) \
  ({ u64 r_; asm volatile(op " %0,%1,%2,%3" : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b)), "r"((u64)(c))); expect_eq(op, r_, want); })
#define immediate(op, a, tail, want) ({ u64 r_; asm volatile(op " %0,%1," tail : "=r"(r_) : "r"((u64)(a)) : "xer", "cr0"); expect_eq(op " " tail, r_, want); })
#define insert(op, into, a, tail, want) ({ u64 r_ = (into); asm volatile(op " %0,%1," tail : "+r"(r_) : "r"((u64)(a))); expect_eq(op " " tail, r_, want); })

static void integer(void)
{
  line("integer");
  two("mulld", A, B, 0x2236d88fe5618cf0);
  two("mulhd", A, B, 0xfffeb49923cc0953);
  two("mulhdu", A, B, 0x0121fa00ad77d742);
  u64 high;
  asm("mulhw %0,%1,%2" : "=r"(high) : "r"(A), "r"(B));
  expect_eq("mulhw", high & 0xffffffff, 0xc94e4627);
  asm("mulhwu %0,%1,%2" : "=r"(high) : "r"(A), "r"(B));
  expect_eq("mulhwu", high & 0xffffffff, 0x3fa27837);
  two("divd", A, 0x12345, 0xfffffeffffa4ffe0);
  two("divdu", A, 0x12345, 0x0000e0004fa01c4d);
  two("divdeu", 0x12345, B, 0xffffa5);
  two("divdeu", B, A, 0x0124924924924923);
  two("modsd", A, 0x12345, 0xffffffffffff9ab0);
  two("modud", A, 0x12345, 0x10a4f);
  u64 quotient;
  asm("divw %0,%1,%2" : "=r"(quotient) : "r"(A), "r"(-7l));
  expect_eq("divw", quotient & 0xffffffff, 0xef188b23);
  three("maddhd", A, B, C, 0xfffeb49923cc0952);
  three("maddhdu", A, B, C, 0x0121fa00ad77d742);
  three("maddld", A, B, C, 0xa236d88fe5618cf1);
  immediate("rlwinm", A, "9,4,27", 0x086420e0);
  immediate("rlwinm", A, "9,27,4", 0xa86420eca800000c);
  immediate("rldicl", A, "13,20", 0x00000eca86421fdb);
  immediate("rldicr", A, "13,20", 0x9753080000000000);
  immediate("rldic", A, "12,8", 0x00a9876543210000);
  insert("rldimi", B, A, "24,16", 0x0123543210abcdef);
  insert("rlwimi", B, A, "8,20,27", 0x0123456789abc07f);
  two("sld", A, 68, 0);
  two("srd", A, 60, 0xf);
  two("sraw", A | 0x80000000, 40, ~U64(0));
  immediate("sradi", A, "12", 0xffffedcba9876543);
  immediate("extswsli", A, "5", 0xeca864200);
  one("cntlzd", B, 7);
  one("cntlzw", B, 0);
  one("cnttzd", A, 4);
  one("cnttzw", 0, 32);
  one("popcntd", A, 32);
  one("popcntb", A, 0x0705050305030301);
  one("prtyd", B ^ 1, 1);
  one("extsb", B, ~U64(0) << 8 | 0xef);
  two("cmpb", A, 0xfe00ba0076003210, 0xff00ff00ff00ffff);
  two("bpermd", 0x0001073f40c8053e, A, 0xc2);
  two("andc", A, B, A & ~B);
  two("eqv", A, B, ~(A ^ B));
  two("orc", A, B, A | ~B);
  u32 count = 0;
  u64 cycle = B; /* a rotation by 13 comes back after 64 steps and not before */
  do cycle = cycle << 13 | cycle >> 51, count++;
  while (cycle != B && count < 1000);
  expect_eq("rotations", count, 64);
  result("multiply, divide, modulo, rotate, shift, count, permute");
}

static void carries(void)
{
  line("carry and CR");
  u64 low, high, xer, cr;
  /* (2^128 - 1) + 2 over two registers, and back */
  asm volatile("addc %0,%2,%3; adde %1,%2,%4" : "=&r"(low), "=r"(high) : "r"(~U64(0)), "r"(U64(2)), "r"(U64(0)) : "xer");
  expect(low == 1 && high == 0, "addc, adde: 0x%lx 0x%lx", high, low);
  asm volatile("subfc %0,%3,%2; subfe %1,%4,%2" : "=&r"(low), "=r"(high) : "r"(U64(0)), "r"(U64(1)), "r"(U64(0)) : "xer");
  expect(low == ~U64(0) && high == ~U64(0), "subfc, subfe: 0x%lx 0x%lx", high, low);
  asm volatile("mtxer %2; addo. %0,%3,%4; mfxer %1; addo %0,%2,%2" : "=&r"(low), "=&r"(xer) : "r"(U64(0)), "r"(~U64(0) >> 1), "r"(U64(1)) : "xer", "cr0");
  expect((xer & (XER_SO | XER_OV | XER_CA)) == (XER_SO | XER_OV), "addo. of the largest number: XER 0x%lx", xer);
  asm volatile("mtxer %1; sradi %0,%2,4; mfxer %0" : "=&r"(xer) : "r"(U64(0)), "r"(A | 1) : "xer");
  expect(xer & XER_CA, "sradi of a negative number that loses a one: XER 0x%lx", xer);
  asm volatile("mtcrf 255,%1; crxor 0,0,0; creqv 5,5,5; crand 10,5,0; cror 11,5,0; mfcr %0" : "=r"(cr) : "r"(U64(0x80000000)) : "cc");
  expect_eq("CR logic", cr, 0x04100000);
  asm volatile("cmpd 3,%1,%2; cmpld 4,%1,%2; mfcr %0" : "=r"(cr) : "r"(A), "r"(B) : "cc");
  expect_eq("cmpd, cmpld", cr & 0x000ff000, 0x00084000);
  u64 less, picked;
  asm volatile("cmpd 2,%2,%3; setb %0,2; isel %1,%2,%3,8" : "=&r"(less), "=r"(picked) : "r"(A), "r"(B) : "cr2");
  expect(less == ~U64(0) && picked == A, "setb 0x%lx, isel 0x%lx", less, picked);
  u64 sum, counter = 100;
  asm volatile("li %0,0; mtctr %1; 1: add %0,%0,%1; addi %1,%1,-1; bdnz 1b" : "=&b"(sum), "+b"(counter) : : "ctr");
  expect_eq("bdnz loop", sum, 5050);
  result("128-bit sums, overflow, condition register, isel, bdnz");
}

static void memory_access(void)
{
  static u8 bytes[512] __attribute__((aligned(128)));
  line("memory access");
  for (u32 i = 0; i < 64; i++) bytes[i] = (u8)(i * 17 + 1);
  const u8 *odd = bytes + 61; /* crosses a 64-byte boundary */
  for (u32 i = 0; i < 16; i++) bytes[61 + i] = (u8)(0xa0 + i);
  u64 v;
  asm("ldx %0,0,%1" : "=r"(v) : "r"(odd), "m"(*(u8(*)[512])bytes));
  expect_eq("unaligned ldx", v, 0xa7a6a5a4a3a2a1a0);
  asm("ldbrx %0,0,%1" : "=r"(v) : "r"(odd), "m"(*(u8(*)[512])bytes));
  expect_eq("ldbrx", v, 0xa0a1a2a3a4a5a6a7);
  asm("lwbrx %0,0,%1" : "=r"(v) : "r"(odd), "m"(*(u8(*)[512])bytes));
  expect_eq("lwbrx", v, 0xa0a1a2a3);
  asm("lhbrx %0,0,%1" : "=r"(v) : "r"(odd), "m"(*(u8(*)[512])bytes));
  expect_eq("lhbrx", v, 0xa0a1);
  asm("lhax %0,0,%1" : "=r"(v) : "r"(odd), "m"(*(u8(*)[512])bytes));
  expect_eq("lhax", v, 0xffffffffffffa1a0);
  asm("lwax %0,0,%1" : "=r"(v) : "r"(odd), "m"(*(u8(*)[512])bytes));
  expect_eq("lwax", v, 0xffffffffa3a2a1a0);
  u64 at = (u64)odd;
  asm volatile("lhzu %0,2(%1)" : "=r"(v), "+b"(at) : : "memory");
  expect(v == 0xa3a2 && at == (u64)odd + 2, "lhzu: 0x%lx, the base moved by %ld", v, (i64)(at - (u64)odd));
  at = (u64)bytes + 128;
  asm volatile("stdu %1,8(%0); stwbrx %1,0,%0; sthbrx %1,%2,%0" : "+b"(at) : "r"(B), "r"(U64(4)) : "memory");
  asm("ldx %0,0,%1" : "=r"(v) : "r"(at), "m"(*(u8(*)[512])bytes));
  expect_eq("stdu, stwbrx, sthbrx", v, 0x0123efcdefcdab89);
  register u64 r6 asm("r6"), r7 asm("r7");
  asm volatile("stdx %3,0,%2; stdx %4,%5,%2; lq 6,0(%2)" : "=&r"(r6), "=&r"(r7) : "b"(bytes + 256), "r"(A), "r"(B), "r"(U64(8)) : "memory");
  expect(r6 == B && r7 == A, "lq: 0x%lx 0x%lx", (u64)r6, (u64)r7);
  memset(bytes, 0x55, sizeof bytes);
  asm volatile("dcbz 0,%0" ::"r"(bytes + 128 + 77) : "memory");
  u32 zeros = 0;
  for (u32 i = 0; i < sizeof bytes; i++) zeros += !bytes[i];
  expect(zeros == 128 && !bytes[128] && !bytes[255], "dcbz cleared %u bytes", zeros);
  u64 word = 5, old, cr;
  asm volatile("ldarx %0,0,%2; addi 9,%0,1; stdcx. 9,0,%2; mfcr %1" : "=&r"(old), "=r"(cr) : "r"(&word) : "r9", "cr0", "memory");
  expect((cr & 0x20000000) && word == 6 && old == 5, "ldarx, stdcx.: CR 0x%lx, memory %lu", cr, word);
  asm volatile("stdcx. %1,0,%2; mfcr %0" : "=r"(cr) : "r"(U64(99)), "r"(&word) : "cr0", "memory");
  expect(!(cr & 0x20000000) && word == 6, "stdcx. without a reservation: CR 0x%lx, memory %lu", cr, word);
  result("unaligned, byte-reversed, quadword, dcbz, reservation");
}

static void byte_order(void)
{
  static u64 table[16] __attribute__((aligned(128)));
  line("byte order");
  memset(table, 0, sizeof table);
  table[0] = 0x0123456789abcdef; /* in memory ef cd ab 89 67 45 23 01 */
  run_big_endian(table);
  expect_eq("big-endian lwz", table[1], 0xefcdab89);
  expect_eq("big-endian lhz", table[2], 0xab89);
  expect_eq("big-endian lwbrx", table[3], 0x89abcdef);
  expect_eq("big-endian ld", table[4], 0xefcdab8967452301);
  expect_eq("big-endian lmw, first", table[5], 0xefcdab89);
  expect_eq("big-endian lmw, second", table[6], 0x67452301);
  expect_eq("big-endian lswi", table[7], 0xefcdab8967000000);
  expect_eq("big-endian loop", table[8], 5050);
  /* 32-bit mode: CR0 and the carry come from the low word */
  expect_eq("32-bit addc. 0xffffffff + 1", run_32bit(0x00000001ffffffff, 1), 0x21);
  expect_eq("32-bit addc. 0x7fffffff + 1", run_32bit(0x7fffffff, 1), 0x80);
  result("through rfid to big-endian and 32-bit mode and back");
}

static void digests(void)
{
  enum { bytes = 65536 };
  u8 *data = allocate(bytes, 128), digest[32];
  static const u8 of_abc[4] = {0xba, 0x78, 0x16, 0xbf};
  static const u8 of_pattern[32] = {0xc3, 0x73, 0xa9, 0x5f, 0x7b, 0xf0, 0x8b, 0x05, 0xfc, 0xf0, 0x87, 0xc4, 0x12, 0xbd, 0x9b, 0x4b,
                                    0xcc, 0xb3, 0x78, 0x72, 0x0d, 0xb7, 0xbd, 0xf0, 0x41, 0xd0, 0xe2, 0xb1, 0x1a, 0xbf, 0x95, 0x8e};
  fill_pattern(data, bytes);
  line("CRC-32");
  expect_eq("CRC-32 of 123456789", crc32_bitwise(0, (const u8 *)"123456789", 9), 0xcbf43926);
  u32 crc = crc32_bitwise(0, data, bytes);
  expect_eq("CRC-32 of the pattern", crc, 0x74d7936a);
  result("of %u KiB: %08x", bytes / 1024, crc);
  line("SHA-256");
  sha256((const u8 *)"abc", 3, digest);
  expect(!memcmp(digest, of_abc, sizeof of_abc), "SHA-256 of abc begins %02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
  sha256(data, bytes, digest);
  expect(!memcmp(digest, of_pattern, sizeof digest), "SHA-256 of the pattern begins %02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
  result("of %u KiB: %016lx%016lx...", bytes / 1024, be64(*(u64 *)digest), be64(*(u64 *)(digest + 8)));
}

/* Escape times as characters; on a terminal as blocks in its 256-colour palette, from deep blue over cyan to gold, the set itself black. */
static void picture(void)
{
  static const char shade[] = " .,:;-~=+*oxO0X%#@";
  static const u8 palette[] = {17, 18, 19, 20, 26, 32, 38, 44, 50, 86, 122, 158, 194, 230, 229, 228, 222, 216, 210, 204};
  enum { levels = 28, inside = 16 };
  u8 row[MANDELBROT_COLUMNS];
  u32 crc = 0;
  line("Mandelbrot set");
  print("\n");
  for (u32 y = 0; y < MANDELBROT_ROWS; y++) {
    u64 msr = fpu_on();
    mandelbrot_row(y, row);
    fpu_restore(msr);
    crc = crc32_bitwise(crc, row, sizeof row);
    u32 last = 0;
    put_char(' ');
    for (u32 x = 0; x < sizeof row; x++) {
      /* four levels to each doubling, from the first doubling on */
      u32 n = row[x] + 1u, high = 31 - (u32)__builtin_clz(n), level = 4 * high + ((n << (31 - high) >> 29) & 3);
      level = level < 4 ? 0 : level - 4 < levels ? level - 4 : levels - 1;
      bool member = row[x] == MANDELBROT_LIMIT;
      if (!colour) {
        put_char(member ? '@' : shade[level * (sizeof shade - 1) / levels]);
        continue;
      }
      u32 c = member ? inside : palette[level * sizeof palette / levels];
      if (c != last) print("\033[48;5;%um", last = c);
      put_char(' ');
    }
    print(colour ? "\033[0m\n" : "\n");
  }
  print("\n");
  expect_eq("CRC-32 of the escape times", crc, MANDELBROT_CRC);
  result("%u points in double precision, CRC-32 %08x", MANDELBROT_COLUMNS * MANDELBROT_ROWS, crc);
}

void chapter_cpu(void)
{
  chapter("cpu", "instructions with known answers");
  integer();
  carries();
  memory_access();
  byte_order();
  u64 msr = fpu_on();
  floating_point();
  vectors_integer();
  vectors_crypto();
  vectors_floating();
  fpu_restore(msr);
  digests();
  picture();
}
