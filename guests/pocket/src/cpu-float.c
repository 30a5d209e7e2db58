/*
 * Floating point, VMX and VSX with known answers. Vectors in memory are in the order of the ISA's element numbers (byte 0 = leftmost), loaded and stored by
 * lxvb16x and stxvb16x, so that the expected values can be read against the book.
 */
#include "cpu.h"

static u64 bits(double d)
{
  u64 v;
  __builtin_memcpy(&v, &d, 8);
  return v;
}
static double number(u64 v)
{
  double d;
  __builtin_memcpy(&d, &v, 8);
  return d;
}

#define FPSCR_VX U64(0x20000000)
#define FPSCR_OX U64(0x10000000)
#define FPSCR_UX U64(0x08000000)
#define FPSCR_ZX U64(0x04000000)
#define FPSCR_XX U64(0x02000000)
#define FPSCR_VXZDZ U64(0x00200000)
#define FPSCR_STICKY (FPSCR_VX | FPSCR_OX | FPSCR_UX | FPSCR_ZX | FPSCR_XX)

static void set_fpscr(u64 v) { asm volatile("mtfsf 255,%0" ::"d"(number(v)) : "memory"); }
static u64 get_fpscr(void)
{
  double d;
  asm volatile("mffs %0" : "=d"(d)::"memory");
  return bits(d);
}

/* Clears FPSCR, runs one operation in the given rounding mode, and compares the result and the sticky exception bits. */
#define fp(op, rounding, want, flags, ...) \
  ({ \
    double r_; \
    set_fpscr(rounding); \
    FP_ASM(op, r_, __VA_ARGS__); \
    u64 s_ = get_fpscr() & FPSCR_STICKY; \
    expect_eq(op, bits(r_), want); \
    expect(s_ == (flags), "%s: FPSCR 0x%lx, should be 0x%lx", op, s_, (u64)(flags)); \
  })
#define FP_ASM(op, r, ...) FP_PICK(__VA_ARGS__, FP3, FP2, FP1)(op, r, __VA_ARGS__)
#define FP_PICK(a, b, c, pick, ...) pick
#define FP1(op, r, a) asm volatile(op " %0,%1" : "=d"(r) : "d"(number(a)))
#define FP2(op, r, a, b) asm volatile(op " %0,%1,%2" : "=d"(r) : "d"(number(a)), "d"(number(b)))
#define FP3(op, r, a, b, c) asm volatile(op " %0,%1,%2,%3" : "=d"(r) : "d"(number(a)), "d"(number(b)), "d"(number(c)))

#define ONE U64(0x3ff0000000000000)
#define TWO U64(0x4000000000000000)
#define THREE U64(0x4008000000000000)
#define LARGEST U64(0x7fefffffffffffff)
#define INFINITE U64(0x7ff0000000000000)
#define NOT_A_NUMBER U64(0x7ff8000000000000)
#define NEGATIVE U64(0x8000000000000000)

void floating_point(void)
{
  line("floating point");
  fp("fadd", 0, THREE, 0, ONE, TWO);
  fp("fdiv", 0, 0x3fd5555555555555, FPSCR_XX, ONE, THREE);
  fp("fdiv", 1, 0x3fd5555555555555, FPSCR_XX, ONE, THREE);
  fp("fdiv", 2, 0x3fd5555555555556, FPSCR_XX, ONE, THREE);
  fp("fdiv", 3, 0x3fd5555555555555, FPSCR_XX, ONE, THREE);
  fp("fdiv", 0, INFINITE | NEGATIVE, FPSCR_ZX, ONE | NEGATIVE, 0);
  fp("fdiv", 0, NOT_A_NUMBER, FPSCR_VX, 0, 0);
  fp("fsqrt", 0, 0x3ff6a09e667f3bcd, FPSCR_XX, TWO);
  fp("fsqrt", 0, NOT_A_NUMBER, FPSCR_VX, TWO | NEGATIVE);
  fp("fadd", 0, INFINITE, FPSCR_OX | FPSCR_XX, LARGEST, LARGEST);
  fp("fadd", 1, LARGEST, FPSCR_OX | FPSCR_XX, LARGEST, LARGEST);
  fp("fmul", 0, 0, FPSCR_UX | FPSCR_XX, 1, 0x3fe0000000000000);
  fp("fmul", 2, 1, FPSCR_UX | FPSCR_XX, 1, 0x3fe0000000000000);
  fp("fmul", 0, 0x0008000000000000, 0, 0x0010000000000000, 0x3fe0000000000000);
  /* (1 + 2^-30)^2 - 1 keeps its last bit only when the product is not rounded */
  fp("fmadd", 0, 0x3e20000000200000, 0, 0x3ff0000000400000, 0x3ff0000000400000, ONE | NEGATIVE);
  fp("fnmsub", 0, 0xbe20000000200000, 0, 0x3ff0000000400000, 0x3ff0000000400000, ONE);
  fp("fadds", 0, 0x3ff0000000000000, FPSCR_XX, ONE, 0x3e70000000000000);
  fp("frsp", 0, 0x3fd5555560000000, FPSCR_XX, 0x3fd5555555555555);
  fp("frin", 0, THREE, 0, 0x4004000000000000);
  fp("frim", 0, THREE | NEGATIVE, 0, 0xc004000000000000);
  fp("fctid", 0, -2ul, FPSCR_XX, 0xc004000000000000);
  fp("fctid", 3, -3ul, FPSCR_XX, 0xc004000000000000);
  fp("fctidz", 0, 0x7fffffffffffffff, FPSCR_VX, INFINITE);
  fp("fctiduz", 0, 0, FPSCR_VX, ONE | NEGATIVE);
  fp("fcfid", 0, 0x4340000000000000, FPSCR_XX, (U64(1) << 53) + 1);
  fp("fcfidu", 0, 0x43f0000000000000, FPSCR_XX, ~U64(0));
  fp("fsel", 0, TWO, 0, NEGATIVE, TWO, THREE);
  fp("fcpsgn", 0, TWO | NEGATIVE, 0, ONE | NEGATIVE, TWO);
  set_fpscr(0);
  double ignored;
  FP2("fdiv", ignored, 0, 0);
  expect(get_fpscr() & FPSCR_VXZDZ, "0 / 0 does not set VXZDZ: FPSCR 0x%lx", get_fpscr());
  u64 cr;
  asm volatile("fcmpu 3,%1,%2; fcmpu 4,%2,%2; mfcr %0" : "=r"(cr) : "d"(number(ONE)), "d"(number(NOT_A_NUMBER)) : "cr3", "cr4");
  expect_eq("fcmpu with a NaN", cr & 0x000ff000, 0x00011000);
  double single;
  float store;
  asm volatile("stfs %2,%1; lfs %0,%1" : "=d"(single), "=m"(store) : "d"(number(0x3fd5555560000000)));
  expect_eq("stfs, lfs", bits(single), 0x3fd5555560000000);
  set_fpscr(0);
  result("roundings, exceptions, fused multiply-add, conversions");
}

typedef struct {
  u8 b[16];
} vector;

static vector make(u64 high, u64 low)
{
  vector v;
  for (u32 i = 0; i < 8; i++) v.b[i] = (u8)(high >> (56 - 8 * i)), v.b[8 + i] = (u8)(low >> (56 - 8 * i));
  return v;
}
static u64 part(const vector *v, u32 first)
{
  u64 r = 0;
  for (u32 i = 0; i < 8; i++) r = r << 8 | v->b[first + i];
  return r;
}
static void expect_vector(const char *what, vector got, u64 high, u64 low)
{
  u64 h = part(&got, 0), l = part(&got, 8);
  expect(h == high && l == low, "%s: %016lx %016lx, should be %016lx %016lx", what, h, l, high, low);
}

/* VMX registers v2, v3, v4 (VSX 34, 35, 36) hold the operands; the result is in v2 or vs34. */
#define LOAD(number, at) "lxvb16x " number ",0," at ";"
#define vmx2(op, a, b) \
  ({ \
    vector a_ = (a), b_ = (b), r_; \
    asm volatile(LOAD("34", "%1") LOAD("35", "%2") op " 2,2,3; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&a_), "r"(&b_) : "v2", "v3", "cr6", "memory"); \
    r_; \
  })
#define vmx3(op, a, b, c) \
  ({ \
    vector a_ = (a), b_ = (b), c_ = (c), r_; \
    asm volatile(LOAD("34", "%1") LOAD("35", "%2") LOAD("36", "%3") op " 2,2,3,4; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&a_), "r"(&b_), "r"(&c_) : "v2", "v3", "v4", "memory"); \
    r_; \
  })
#define vsx2(op, a, b, tail) \
  ({ \
    vector a_ = (a), b_ = (b), r_; \
    asm volatile(LOAD("34", "%1") LOAD("35", "%2") op " 34,34,35" tail "; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&a_), "r"(&b_) : "v2", "v3", "cr6", "memory"); \
    r_; \
  })
#define vsx1(op, b) \
  ({ \
    vector b_ = (b), r_; \
    asm volatile(LOAD("35", "%1") op " 34,35; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&b_) : "v2", "v3", "memory"); \
    r_; \
  })
#define vector_immediate(op, b, tail) \
  ({ \
    vector b_ = (b), r_; \
    asm volatile(LOAD("35", "%1") op " 2,3," tail "; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&b_) : "v2", "v3", "memory"); \
    r_; \
  })

#define vmx1(op, b) \
  ({ \
    vector b_ = (b), r_; \
    asm volatile(LOAD("35", "%1") VMX_ONE(op) "; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&b_) : "v2", "v3", "memory"); \
    r_; \
  })
#define VMX_ONE(op) op " 2,3"
#define sigma(instruction, b) \
  ({ \
    vector b_ = (b), r_; \
    asm volatile(LOAD("35", "%1") instruction "; stxvb16x 34,0,%0" ::"r"(&r_), "r"(&b_) : "v2", "v3", "memory"); \
    r_; \
  })

static vector vector_shift5(vector a, vector b)
{
  vector r;
  asm volatile(LOAD("34", "%1") LOAD("35", "%2") "vsldoi 2,2,3,5; stxvb16x 34,0,%0" ::"r"(&r), "r"(&a), "r"(&b) : "v2", "v3", "memory");
  return r;
}

/* The classic pair of aligned loads and a permute: sixteen bytes from offset 8 of a counting buffer, as a little-endian quadword. */
static vector unaligned_load(void)
{
  static u8 counting[32] __attribute__((aligned(16)));
  vector r;
  for (u32 i = 0; i < 32; i++) counting[i] = (u8)i;
  asm volatile("lvx 2,0,%1; lvx 3,%2,%1; lvsr 4,0,%1; vperm 2,3,2,4; stxvb16x 34,0,%0" ::"r"(&r), "b"(counting + 8), "r"(U64(15)) : "v2", "v3", "v4", "memory");
  return r;
}

/* CR6 of a comparison */
#define WITH_FLAGS(op, a, b) \
  ({ \
    vector a_ = (a), b_ = (b); \
    u64 cr_; \
    asm volatile(LOAD("34", "%1") LOAD("35", "%2") op " 2,2,3; mfcr %0" : "=r"(cr_) : "r"(&a_), "r"(&b_) : "v2", "v3", "cr6", "memory"); \
    cr_ >> 4 & 15; \
  })

void vectors_integer(void)
{
  line("VMX");
  vector x = make(0x00112233445566ff, 0x8090a0b0c0d0e0f0), y = make(0x0102030405060708, 0x090a0b0c0d0e0f10);
  expect_vector("vaddubm", vmx2("vaddubm", x, y), 0x01132537495b6d07, 0x899aabbccddeef00);
  expect_vector("vaddubs", vmx2("vaddubs", x, x), 0x0022446688aaccff, 0xffffffffffffffff);
  expect_vector("vaddshs", vmx2("vaddshs", x, x), 0x002244667fff7fff, 0x8000800081a0c1e0);
  expect_vector("vsubuqm", vmx2("vsubuqm", x, y), 0xff0f1f2f3f4f5ff7, 0x778695a4b3c2d1e0);
  expect_vector("vadduqm", vmx2("vadduqm", make(0, ~U64(0)), make(0, 1)), 1, 0);
  expect_vector("vmuleub", vmx2("vmuleub", x, y), 0x00000066015402ca, 0x048006e009c00d20);
  expect_vector("vmulosh", vmx2("vmulosh", x, y), 0x006721cc02d430f8, 0xfbe31840fe2c1f00);
  expect_vector("vmuluwm", vmx2("vmuluwm", x, y), 0xab1121ccdd7630f8, 0xb48f1840c75c1f00);
  expect_vector("vmsumuhm", vmx3("vmsumuhm", x, y, x), 0x007855214880daf5, 0x8c09ce90d7e21b50);
  expect_vector("vsum4ubs", vmx2("vsum4ubs", x, y), 0x0102036a05060906, 0x090a0d6c0d0e1270);
  expect_vector("vsumsws", vmx2("vsumsws", x, y), 0, 0x0000000092d619e2);
  expect_vector("vavgub", vmx2("vavgub", x, y), 0x010a131c252e3784, 0x454d565e676f7880);
  expect_vector("vabsdub", vmx2("vabsdub", x, y), 0x010f1f2f3f4f5ff7, 0x778695a4b3c2d1e0);
  expect_vector("vmaxsb", vmx2("vmaxsb", x, y), 0x0111223344556608, 0x090a0b0c0d0e0f10);
  expect_vector("vcmpgtub", vmx2("vcmpgtub", x, y), 0x00ffffffffffffff, ~U64(0));
  expect_eq("CR6 of vcmpgtub.", WITH_FLAGS("vcmpgtub.", x, y), 0);
  expect_eq("CR6 of vcmpequb.", WITH_FLAGS("vcmpequb.", x, x), 8);
  expect_eq("CR6 of vcmpequw.", WITH_FLAGS("vcmpequw.", x, y), 2);
  expect_vector("vrlw", vmx2("vrlw", x, y), 0x011223305566ff44, 0x0a0b0809e0f0c0d0);
  expect_vector("vsrad", vmx2("vsrad", x, y), 0x0000112233445566, 0xffff8090a0b0c0d0);
  expect_vector("vslo", vmx2("vslo", x, make(0, 0x18)), 0x33445566ff8090a0, 0xb0c0d0e0f0000000);
  expect_vector("vperm", vmx3("vperm", x, y, make(0x0010011102120313, 0x1f0f1e0e1d0d1c0c)), 0x0001110222033304, 0x10f00fe00ed00dc0);
  expect_vector("vsel", vmx3("vsel", x, y, make(0x00ff00ff00ff00ff, 0xffff0000ffff0000)), 0x0002220444066608, 0x090aa0b00d0ee0f0);
  expect_vector("vsldoi", vector_shift5(x, y), 0x5566ff8090a0b0c0, 0xd0e0f00102030405);
  expect_vector("vmrghb", vmx2("vmrghb", x, y), 0x0001110222033304, 0x440555066607ff08);
  expect_vector("vmrglw", vmx2("vmrglw", x, y), 0x8090a0b0090a0b0c, 0xc0d0e0f00d0e0f10);
  expect_vector("vpkuhum", vmx2("vpkuhum", x, y), 0x113355ff90b0d0f0, 0x020406080a0c0e10);
  expect_vector("vpkshus", vmx2("vpkshus", x, y), 0x11ffffff00000000, ~U64(0));
  expect_vector("vupkhsb", vmx1("vupkhsb", x), 0x0000001100220033, 0x004400550066ffff);
  expect_vector("vspltw", vector_immediate("vspltw", x, "1"), 0x445566ff445566ff, 0x445566ff445566ff);
  expect_vector("vclzw", vmx1("vclzw", x), 0x0000000b00000001, 0);
  expect_vector("vpopcntd", vmx1("vpopcntd", x), 26, 20);
  expect_vector("vgbbd", vmx1("vgbbd", x), 0x010f3355010f3355, 0xff0f335500000000);
  expect_vector("vbpermq", vmx2("vbpermq", x, y), 0x22, 0);
  expect_vector("vnegd", vmx1("vnegd", x), 0xffeeddccbbaa9901, 0x7f6f5f4f3f2f1f10);
  expect_vector("vextsb2d", vmx1("vextsb2d", x), ~U64(0), 0xfffffffffffffff0);
  expect_vector("lvsl, lvx", unaligned_load(), 0x1716151413121110, 0x0f0e0d0c0b0a0908);
  result("arithmetic, compare, permute, pack, shift, bit tools");
}

static u8 substitute(u8 byte)
{
  vector v = make((u64)byte << 56, 0);
  v = vmx1("vsbox", v); /* vsbox VRT,VRA */
  return v.b[0];
}

/* FIPS 197 appendix C.1; the key schedule takes its S-box from vsbox. */
static void aes(void)
{
  u8 key[176];
  u8 constant = 1;
  for (u32 i = 0; i < 16; i++) key[i] = (u8)i;
  for (u32 i = 16; i < 176; i += 4) {
    u8 t[4] = {key[i - 4], key[i - 3], key[i - 2], key[i - 1]};
    if (i % 16 == 0) {
      u8 first = t[0];
      t[0] = substitute(t[1]) ^ constant, t[1] = substitute(t[2]), t[2] = substitute(t[3]), t[3] = substitute(first);
      constant = (u8)(constant << 1 ^ (constant & 0x80 ? 0x1b : 0));
    }
    for (u32 k = 0; k < 4; k++) key[i + k] = key[i + k - 16] ^ t[k];
  }
  vector round[11], state = make(0x0011223344556677, 0x8899aabbccddeeff), plain = state;
  memcpy(round, key, sizeof key);
  for (u32 i = 0; i < 16; i++) state.b[i] ^= round[0].b[i];
  for (u32 i = 1; i < 10; i++) state = vmx2("vcipher", state, round[i]);
  state = vmx2("vcipherlast", state, round[10]);
  expect_vector("AES-128", state, 0x69c4e0d86a7b0430, 0xd8cdb78070b4c55a);
  for (u32 i = 0; i < 16; i++) state.b[i] ^= round[10].b[i];
  for (u32 i = 9; i > 0; i--) state = vmx2("vncipher", state, round[i]);
  state = vmx2("vncipherlast", state, round[0]);
  expect_vector("AES-128 backwards", state, part(&plain, 0), part(&plain, 8));
}

void vectors_crypto(void)
{
  line("VMX crypto");
  vector x = make(0x00112233445566ff, 0x8090a0b0c0d0e0f0), y = make(0x0102030405060708, 0x090a0b0c0d0e0f10);
  aes();
  expect_vector("vpmsumd", vmx2("vpmsumd", x, y), 0x048104820283028c, 0x909691b0909295f8);
  expect_vector("vshasigmaw 0,0", sigma("vshasigmaw 2,3,0,0", x), 0x2e8ec606afbdd707, 0x593f1573c1a78deb);
  expect_vector("vshasigmaw 1,15", sigma("vshasigmaw 2,3,1,15", x), 0x82f15f2c084aa095, 0x9c4208d6b56b21ff);
  expect_vector("vshasigmad 0,0", sigma("vshasigmad 2,3,0,0", x), 0x7f08a27ff7e64cd4, 0xb1c9e1b9b1290159);
  result("AES-128 of FIPS 197, SHA sigmas, carry-less multiply");
}

void vectors_floating(void)
{
  line("VSX");
  /* 1.5 * 2.25 + 0.5 and -3 * 7 + 0.25 */
  vector a = make(0x3ff8000000000000, 0xc008000000000000), b = make(0x4002000000000000, 0x401c000000000000);
  vector c = make(0x3fe0000000000000, 0x3fd0000000000000), r;
  asm volatile(LOAD("34", "%1") LOAD("35", "%2") LOAD("36", "%3") "xvmaddmdp 34,35,36; stxvb16x 34,0,%0" ::"r"(&r), "r"(&a), "r"(&b), "r"(&c) : "v2", "v3", "v4", "memory");
  expect_vector("xvmaddmdp", r, 0x400f000000000000, 0xc034c00000000000);
  expect_vector("xvadddp", vsx2("xvadddp", a, b, ""), 0x400e000000000000, 0x4010000000000000);
  expect_vector("xvmuldp", vsx2("xvmuldp", a, b, ""), 0x400b000000000000, 0xc035000000000000);
  expect_vector("xvmindp", vsx2("xvmindp", a, b, ""), 0x3ff8000000000000, 0xc008000000000000);
  expect_vector("xvcmpgtdp", vsx2("xvcmpgtdp", a, b, ""), 0, 0);
  expect_vector("xvcvdpsxds", vsx1("xvcvdpsxds", a), 1, -3ul);
  expect_vector("xvsqrtdp", vsx1("xvsqrtdp", make(TWO, 0x4010000000000000)), 0x3ff6a09e667f3bcd, TWO);
  expect_vector("xvaddsp", vsx2("xvaddsp", make(0x3f8000003f800000, 0x4040000040400000), make(0x3f80000040000000, 0x3f800000bf800000), ""), 0x4000000040400000, 0x4080000040000000);
  vector x = make(0x00112233445566ff, 0x8090a0b0c0d0e0f0), y = make(0x0102030405060708, 0x090a0b0c0d0e0f10);
  expect_vector("xxpermdi", vsx2("xxpermdi", x, y, ",1"), 0x00112233445566ff, 0x090a0b0c0d0e0f10);
  expect_vector("xxsldwi", vsx2("xxsldwi", x, y, ",3"), 0xc0d0e0f001020304, 0x05060708090a0b0c);
  expect_vector("xxmrghw", vsx2("xxmrghw", x, y, ""), 0x0011223301020304, 0x445566ff05060708);
  expect_vector("xxlorc", vsx2("xxlorc", x, y, ""), 0xfefdfefbfefdfeff, 0xf6f5f4f3f2f1f0ff);
  expect_vector("xxbrd", vsx1("xxbrd", x), 0xff66554433221100, 0xf0e0d0c0b0a09080);
  /* the same sixteen bytes through every load of a whole vector */
  static u8 bytes[32] __attribute__((aligned(16)));
  for (u32 i = 0; i < 32; i++) bytes[i] = (u8)i;
  asm volatile("lxvx 34,0,%1; stxvb16x 34,0,%0" ::"r"(&r), "r"(bytes + 3) : "v2", "memory");
  expect_vector("lxvx", r, 0x1211100f0e0d0c0b, 0x0a09080706050403);
  asm volatile("lxvd2x 34,0,%1; stxvb16x 34,0,%0" ::"r"(&r), "r"(bytes + 3) : "v2", "memory");
  expect_vector("lxvd2x", r, 0x0a09080706050403, 0x1211100f0e0d0c0b);
  asm volatile("lxvw4x 34,0,%1; stxvb16x 34,0,%0" ::"r"(&r), "r"(bytes) : "v2", "memory");
  expect_vector("lxvw4x", r, 0x0302010007060504, 0x0b0a09080f0e0d0c);
  asm volatile("lxvl 34,%1,%2; stxvb16x 34,0,%0" ::"r"(&r), "b"(bytes + 1), "r"(U64(5) << 56) : "v2", "memory");
  expect_vector("lxvl", r, 0, 0x0000000504030201);
  asm volatile("lxvwsx 34,0,%1; stxvb16x 34,0,%0" ::"r"(&r), "r"(bytes + 4) : "v2", "memory");
  expect_vector("lxvwsx", r, 0x0706050407060504, 0x0706050407060504);
  u64 high, low;
  asm volatile("mtvsrdd 34,%2,%3; mfvsrd %0,34; mfvsrld %1,34" : "=r"(high), "=r"(low) : "b"(U64(0x1122)), "r"(U64(0x3344)) : "v2");
  expect(high == 0x1122 && low == 0x3344, "mtvsrdd, mfvsrd, mfvsrld: 0x%lx 0x%lx", high, low);
  result("double and single lanes, fused, permute, vector loads");
}

void mandelbrot_row(u32 row, u8 iterations[MANDELBROT_COLUMNS])
{
  double y = -1.2 + row * (2.4 / (MANDELBROT_ROWS - 1));
  for (u32 column = 0; column < MANDELBROT_COLUMNS; column++) {
    double x = -2.2 + column * (3.2 / (MANDELBROT_COLUMNS - 1)), re = 0, im = 0;
    u32 n = 0;
    while (n < MANDELBROT_LIMIT) {
      double re2 = re * re, im2 = im * im;
      if (re2 + im2 > 4) break;
      im = 2 * re * im + y;
      re = re2 - im2 + x;
      n++;
    }
    iterations[column] = (u8)n;
  }
}
