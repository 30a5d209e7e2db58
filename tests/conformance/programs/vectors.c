// VMX and VSX: loops for the compiler to vectorise, and the intrinsics by name.
#include <altivec.h>
#include <math.h>
#include <stdlib.h>
#undef vector
#undef bool
#undef pixel
#include "common.h"

typedef __vector unsigned char v8;
typedef __vector signed char vs8;
typedef __vector unsigned short v16;
typedef __vector signed short vs16;
typedef __vector unsigned int v32;
typedef __vector signed int vs32;
typedef __vector unsigned long long v64;
typedef __vector signed long long vs64;
typedef __vector float vf;
typedef __vector double vd;

#define N 1003
static int8_t b1[N], b2[N], b3[N];
static uint16_t h1[N], h2[N], h3[N];
static int32_t w1[N], w2[N], w3[N];
static int64_t d1[N], d2[N], d3[N];
static float f1[N], f2[N], f3[N];
static double g1[N], g2[N], g3[N];

static void fill(void) {
  for (int i = 0; i < N; i++) {
    uint64_t r = edgy64(), s = edgy64();
    b1[i] = (int8_t)r; b2[i] = (int8_t)s; h1[i] = (uint16_t)r; h2[i] = (uint16_t)s; w1[i] = (int32_t)r; w2[i] = (int32_t)s; d1[i] = (int64_t)r; d2[i] = (int64_t)s;
    f1[i] = (float)(int32_t)r / 1000.0f; f2[i] = (float)((int32_t)s | 1) / 77.0f; g1[i] = (double)(int64_t)r / 1e9; g2[i] = (double)((int64_t)s | 1) / 3.0;
  }
}

#define EACH(NAME, ARRAY, EXPRESSION)                                        \
  __attribute__((noinline)) static void NAME(int n) { for (int i = 0; i < n; i++) ARRAY[i] = (EXPRESSION); }
EACH(add8, b3, (int8_t)(b1[i] + b2[i])) EACH(max8, b3, b1[i] > b2[i] ? b1[i] : b2[i]) EACH(shift8, b3, (int8_t)(b1[i] >> 3))
EACH(mul16, h3, (uint16_t)(h1[i] * h2[i])) EACH(average16, h3, (uint16_t)((h1[i] + h2[i] + 1) >> 1)) EACH(saturate16, h3, (uint16_t)(h1[i] + h2[i] > 65535 ? 65535 : h1[i] + h2[i]))
EACH(mix32, w3, (w1[i] ^ w2[i]) + (w1[i] & 0xff)) EACH(mul32, w3, (int32_t)((uint32_t)w1[i] * (uint32_t)w2[i])) EACH(rotate32, w3, (int32_t)((uint32_t)w1[i] << 7 | (uint32_t)w1[i] >> 25))
EACH(select32, w3, w1[i] < w2[i] ? w1[i] - 5 : w2[i] * 3) EACH(abs32, w3, abs(w1[i] >> 1)) EACH(add64, d3, (int64_t)((uint64_t)d1[i] - (uint64_t)d2[i])) EACH(shift64, d3, d1[i] >> 9)
EACH(widen, d3, (int64_t)w1[i] * w2[i]) EACH(count64, d3, __builtin_popcountll((uint64_t)d1[i])) EACH(fadd, f3, f1[i] * f2[i] + 1.5f) EACH(fdivide, f3, f1[i] / f2[i]) EACH(fsquare, f3, sqrtf(fabsf(f1[i])))
EACH(fmaximum, f3, f1[i] > f2[i] ? f1[i] : f2[i]) EACH(gmul, g3, g1[i] * g2[i] - g1[i]) EACH(gdivide, g3, g1[i] / g2[i]) EACH(gsquare, g3, sqrt(fabs(g1[i]))) EACH(tofloat, f3, (float)w1[i]) EACH(todouble, g3, (double)d1[i])
EACH(toint, w3, (int32_t)(f1[i] / 10000.0f)) EACH(narrow, f3, (float)g1[i]) EACH(floors, g3, floor(g1[i] / 7)) EACH(gcompare, d3, g1[i] < g2[i])

__attribute__((noinline)) static void reductions(void) {
  int64_t sum = 0; int32_t least = 0; double dot = 0; float total = 0; uint32_t sad = 0;
  for (int i = 0; i < N; i++) { sum += w1[i]; least = w1[i] < least ? w1[i] : least; sad += (uint32_t)abs(b1[i] - b2[i]); }
  for (int i = 0; i < N; i++) { dot += g1[i] * g2[i] * 1e-20; total += f1[i] * 1e-3f; }
  digest((uint64_t)sum); digest((uint32_t)least); digest(sad); digest_bytes(&dot, 8); digest_bytes(&total, 4);
}

#define KEEP(V) do { __typeof__(V) kept = (V); digest_bytes(&kept, 16); } while (0)

static void intrinsics(void) {
  for (int i = 0; i < 1500; i++) {
    uint64_t r[6];
    for (int j = 0; j < 6; j++) r[j] = edgy64();
    v8 a, b, c;
    memcpy(&a, r, 16); memcpy(&b, r + 2, 16); memcpy(&c, r + 4, 16);
    v16 ha = (v16)a, hb = (v16)b; v32 wa = (v32)a, wb = (v32)b; vs32 sa = (vs32)a; v64 da = (v64)a, db = (v64)b;
    KEEP(vec_perm(a, b, c)); KEEP(vec_sel(a, b, c)); KEEP(vec_adds(a, b)); KEEP(vec_subs((vs8)a, (vs8)b)); KEEP(vec_adds((vs16)a, (vs16)b)); KEEP(vec_subs(wa, wb)); KEEP(vec_adds(sa, (vs32)b));
    KEEP(vec_avg(a, b)); KEEP(vec_avg((vs16)a, (vs16)b)); KEEP(vec_avg((vs32)wa, (vs32)wb)); KEEP(vec_max((vs8)a, (vs8)b)); KEEP(vec_min(ha, hb)); KEEP(vec_max(da, db)); KEEP(vec_min((vs64)da, (vs64)db));
    KEEP(vec_mule(a, b)); KEEP(vec_mulo((vs8)a, (vs8)b)); KEEP(vec_mule((vs16)a, (vs16)b)); KEEP(vec_mulo(ha, hb)); KEEP(vec_mule(wa, wb)); KEEP(vec_mulo((vs32)wa, (vs32)wb));
    KEEP(vec_msum(a, b, wa)); KEEP(vec_msum((vs8)a, b, sa)); KEEP(vec_msum(ha, hb, wb)); KEEP(vec_msums((vs16)a, (vs16)b, sa)); KEEP(vec_msums(ha, hb, wb)); KEEP(vec_madds((vs16)a, (vs16)b, (vs16)c)); KEEP(vec_mradds((vs16)a, (vs16)b, (vs16)c)); KEEP(vec_mladd(ha, hb, (v16)c));
    KEEP(vec_sum4s(a, wb)); KEEP(vec_sum2s(sa, (vs32)b)); KEEP(vec_sums(sa, (vs32)b)); KEEP(vec_sum4s((vs16)a, (vs32)b));
    KEEP(vec_pack(ha, hb)); KEEP(vec_packs((vs16)a, (vs16)b)); KEEP(vec_packsu((vs16)a, (vs16)b)); KEEP(vec_packs(wa, wb)); KEEP(vec_packsu(sa, (vs32)b)); KEEP(vec_packs((vs64)a, (vs64)b)); KEEP(vec_packpx(wa, wb));
    KEEP(vec_unpackh((vs8)a)); KEEP(vec_unpackl((vs16)a)); KEEP(vec_unpackh(sa)); KEEP(vec_mergeh(a, b)); KEEP(vec_mergel(ha, hb)); KEEP(vec_mergee(wa, wb)); KEEP(vec_mergeo(wa, wb));
    KEEP(vec_sl(wa, wb)); KEEP(vec_sr(ha, hb)); KEEP(vec_sra((vs8)a, b)); KEEP(vec_rl(wa, wb)); KEEP(vec_rl(da, db)); KEEP(vec_sld(a, b, 5)); KEEP(vec_slo(a, b)); KEEP(vec_sro(a, b)); KEEP(vec_sll(a, vec_splat_u8(3))); KEEP(vec_srl(a, vec_splat_u8(6)));
    KEEP(vec_splat(a, 7)); KEEP(vec_splat(ha, 2)); KEEP(vec_splat(wa, 1)); KEEP(vec_cmpgt(a, b)); KEEP(vec_cmpeq(ha, hb)); KEEP(vec_cmpgt((vs32)wa, (vs32)wb)); KEEP(vec_cmpgt(da, db));
    KEEP(vec_cntlz(a)); KEEP(vec_cntlz(da)); KEEP(vec_popcnt(ha)); KEEP(vec_gb(a)); KEEP(vec_eqv(wa, wb)); KEEP(vec_nand(wa, wb)); KEEP(vec_orc(wa, wb)); KEEP(vec_bperm(a, b)); KEEP(vec_adde((__vector unsigned __int128)a, (__vector unsigned __int128)b, (__vector unsigned __int128)c)); KEEP(vec_addc(wa, wb)); KEEP(vec_subc(wa, wb));
    digest((uint64_t)(vec_any_gt(a, b) | vec_all_eq(ha, ha) << 1 | vec_all_lt(wa, wb) << 2 | vec_any_eq(da, db) << 3));
    KEEP(__builtin_crypto_vcipher(da, db)); KEEP(__builtin_crypto_vncipher(da, db)); KEEP(__builtin_crypto_vcipherlast(da, db)); KEEP(__builtin_crypto_vncipherlast(da, db)); KEEP(__builtin_crypto_vsbox(da));
    KEEP(__builtin_crypto_vpmsumb(a, b)); KEEP(__builtin_crypto_vpmsumh(ha, hb)); KEEP(__builtin_crypto_vpmsumw(wa, wb)); KEEP(__builtin_crypto_vpmsumd(da, db)); KEEP(__builtin_crypto_vpermxor(a, b, c)); KEEP(__builtin_crypto_vshasigmaw(wa, 0, 11)); KEEP(__builtin_crypto_vshasigmad(da, 1, 6));
    vf x = vec_ctf(sa, 5), y = vec_ctf(wb, 9);
    KEEP(x); KEEP(vec_madd(x, y, x)); KEEP(vec_nmsub(x, y, x)); KEEP(vec_cts(x, 3)); KEEP(vec_ctu(y, 2)); KEEP(vec_floor(x)); KEEP(vec_ceil(x)); KEEP(vec_trunc(x)); KEEP(vec_max(x, y)); KEEP(vec_cmpge(x, y)); KEEP(vec_abs(x)); KEEP(vec_sqrt(vec_abs(x)));
    vd p = vec_double((vs64)da), q = vec_double(db);
    KEEP(vec_add(p, q)); KEEP(vec_mul(p, q)); KEEP(vec_div(p, q)); KEEP(vec_madd(p, q, p)); KEEP(vec_msub(p, q, q)); KEEP(vec_sqrt(vec_abs(p))); KEEP(vec_max(p, q)); KEEP(vec_cmpgt(p, q)); KEEP(vec_rint(p)); KEEP(vec_cpsgn(p, q)); KEEP(vec_xxpermdi(p, q, 1)); KEEP(vec_xxsldwi(wa, wb, 3));
    KEEP(vec_xl(3 * (i & 63), (unsigned char *)w1)); KEEP(vec_vsx_ld(5, (int *)((char *)d1 + (i & 31))));
    vec_xst(a, 7 + (i & 63), (unsigned char *)b3);
#ifdef _ARCH_PWR9
    KEEP(vec_absd(a, b)); KEEP(vec_cnttz(wa)); KEEP(vec_cmpne(a, b)); KEEP(vec_cmpnez(ha, hb)); KEEP(vec_parity_lsbb(wa)); KEEP(vec_revb(da)); KEEP(vec_slv(a, b)); KEEP(vec_srv(a, b)); KEEP(vec_rlnm(wa, wb, (v32)c)); KEEP(vec_signexti((vs8)a));
    KEEP(vec_insert4b((vs32)wa, b, 5)); KEEP(vec_xl_len((unsigned char *)h1 + i % 50, (size_t)(i % 18))); vec_xst_len(a, (unsigned char *)b3 + 200 + i % 50, (size_t)(i % 19));
    KEEP(vec_extract_exp(p)); KEEP(vec_extract_sig(p)); digest((uint64_t)vec_first_match_index(a, b)); digest((uint64_t)vec_first_mismatch_index(a, a)); KEEP(vec_test_data_class(p, 0x30)); KEEP(vec_xl_be(9, (unsigned char *)d2));
#endif
  }
  digest_bytes(b3, sizeof b3);
  report("intrinsics");
}

int main(void) {
  // NJ off: qemu-user begins with it on, Linux with it off.
  vec_mtvscr((v32){0, 0, 0, 0});
  static void (*const loops[])(int) = {add8, max8, shift8, mul16, average16, saturate16, mix32, mul32, rotate32, select32, abs32, add64, shift64, widen, count64, fadd, fdivide, fsquare, fmaximum, gmul, gdivide, gsquare, tofloat, todouble, toint, narrow, floors, gcompare};
  for (int round = 0; round < 12; round++) {
    fill();
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
      loops[i](N - round);
      digest_bytes(b3, sizeof b3); digest_bytes(h3, sizeof h3); digest_bytes(w3, sizeof w3); digest_bytes(d3, sizeof d3); digest_bytes(f3, sizeof f3); digest_bytes(g3, sizeof g3);
    }
    reductions();
    report("loops");
  }
  intrinsics();
  return 0;
}
