/* Floating-point rows. The results are compared bit for bit. */
#include <math.h>
#include <string.h>
#include "bench.h"

static u64 bits_of(double value)
{
  u64 bits;
  memcpy(&bits, &value, 8);
  return bits;
}

u64 matmul_double(void)
{
  enum { N = 140 };
  static double a[N][N], b[N][N], c[N][N];
  u64 seed = 3, sum = 0;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) a[i][k] = (double)(sequence(&seed) & 0xfff) / 64, b[i][k] = (double)(sequence(&seed) & 0xfff) / 64 - 20;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) {
      double dot = 0;
      for (int n = 0; n < N; n++) dot += a[i][n] * b[n][k];
      c[i][k] = dot;
    }
  for (int i = 0; i < N; i++) sum = mix(sum, bits_of(c[i][(i * 7) % N]));
  return sum;
}

struct body {
  double x, y, z, vx, vy, vz, mass;
};

u64 nbody(void)
{
  enum { BODIES = 5, STEPS = 12000 };
  struct body bodies[BODIES];
  u64 seed = 21, sum = 0;
  for (int i = 0; i < BODIES; i++) {
    double *v = &bodies[i].x;
    for (int k = 0; k < 6; k++) v[k] = (double)(sequence(&seed) & 0xffff) / 4096 - 8;
    for (int k = 3; k < 6; k++) v[k] /= 16;
    bodies[i].mass = 0.1 + (double)(sequence(&seed) & 0xff) / 64;
  }
  for (int step = 0; step < STEPS; step++) {
    for (int i = 0; i < BODIES; i++)
      for (int k = i + 1; k < BODIES; k++) {
        struct body *p = &bodies[i], *q = &bodies[k];
        double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
        double square = dx * dx + dy * dy + dz * dz + 0.01;
        double factor = 0.001 / (square * sqrt(square));
        p->vx -= dx * q->mass * factor, p->vy -= dy * q->mass * factor, p->vz -= dz * q->mass * factor;
        q->vx += dx * p->mass * factor, q->vy += dy * p->mass * factor, q->vz += dz * p->mass * factor;
      }
    for (int i = 0; i < BODIES; i++)
      bodies[i].x += 0.001 * bodies[i].vx, bodies[i].y += 0.001 * bodies[i].vy, bodies[i].z += 0.001 * bodies[i].vz;
  }
  for (int i = 0; i < BODIES; i++) sum = mix(mix(sum, bits_of(bodies[i].x)), bits_of(bodies[i].vz));
  return sum;
}

/* Radix 2, in place, forward and back. */
u64 fft_double(void)
{
  enum { LOG = 11, N = 1 << LOG, ROUNDS = 8 };
  static double re[N], im[N], cosine[N / 2], sine[N / 2];
  u64 seed = 17, sum = 0;
  /* Twiddles by repeated multiplication: no library function decides the bits. */
  double wr = 1, wi = 0, cr = 0.99999529380957619118, ci = -0.0030679567629659762701;
  for (int i = 0; i < N / 2; i++) {
    cosine[i] = wr, sine[i] = wi;
    double t = wr * cr - wi * ci;
    wi = wr * ci + wi * cr, wr = t;
  }
  for (int i = 0; i < N; i++) re[i] = (double)(sequence(&seed) & 0xff) - 128, im[i] = 0;
  for (int round = 0; round < 2 * ROUNDS; round++) {
    double direction = round & 1 ? -1 : 1;
    for (u32 i = 0, k = 0; i < N; i++) {
      if (i < k) {
        double t = re[i];
        re[i] = re[k], re[k] = t;
        t = im[i], im[i] = im[k], im[k] = t;
      }
      u32 bit = N >> 1;
      while (k & bit) k ^= bit, bit >>= 1;
      k |= bit;
    }
    for (int half = 1; half < N; half *= 2)
      for (int start = 0; start < N; start += 2 * half)
        for (int i = 0; i < half; i++) {
          double c = cosine[i * (N / 2 / half)], s = direction * sine[i * (N / 2 / half)];
          int p = start + i, q = p + half;
          double tr = re[q] * c - im[q] * s, ti = re[q] * s + im[q] * c;
          re[q] = re[p] - tr, im[q] = im[p] - ti;
          re[p] += tr, im[p] += ti;
        }
    if (round & 1)
      for (int i = 0; i < N; i++) re[i] /= N, im[i] /= N;
  }
  for (int i = 0; i < N; i += 16) sum = mix(mix(sum, bits_of(re[i])), bits_of(im[i]));
  return sum;
}

typedef float vector __attribute__((vector_size(16)));

/* Single precision, four at a time (VSX). */
u64 matmul_float_vector(void)
{
  enum { N = 144 };
  static float a[N][N];
  static vector b[N][N / 4], c[N][N / 4];
  u64 seed = 3, sum = 0;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) a[i][k] = (float)(sequence(&seed) & 0xff) / 16, b[i][k / 4][k & 3] = (float)(sequence(&seed) & 0xff) - 99;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N / 4; k++) {
      vector dot = { 0, 0, 0, 0 };
      for (int n = 0; n < N; n++) {
        vector x = { a[i][n], a[i][n], a[i][n], a[i][n] };
        dot += x * b[n][k];
      }
      c[i][k] = dot;
    }
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 4; k++) sum = mix(sum, bits_of(c[i][i / 4][k]));
  return sum;
}

typedef double pair __attribute__((vector_size(16)));

/* Double precision, two at a time (VSX): a*x + y, and a stencil of three points. Nothing of it is exact. */
u64 stencil_vector(void)
{
  enum { N = 2048, ROUNDS = 300 };
  static pair x[N + 2], y[N + 2];
  u64 seed = 5, sum = 0;
  for (int i = 0; i < N + 2; i++)
    for (int k = 0; k < 2; k++) x[i][k] = (double)(sequence(&seed) & 0xfff) / 1000, y[i][k] = (double)(sequence(&seed) & 0xfff) / 3000;
  pair a = { 0.3, 0.7 }, third = { 1 / 3.0, 1 / 3.0 }, small = { 1e-3, 1e-3 };
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 1; i <= N; i++) y[i] = a * x[i] + y[i] * third;
    for (int i = 1; i <= N; i++) x[i] = (y[i - 1] + y[i] + y[i + 1]) * third - small * x[i];
  }
  for (int i = 0; i < N; i += 8) sum = mix(mix(sum, bits_of(x[i + 1][0])), bits_of(y[i + 1][1]));
  return sum;
}
