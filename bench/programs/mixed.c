/* Two mixtures in the manner of well-known benchmarks, not the benchmarks: their figures cannot be compared with published ones. */
#include <string.h>
#include "bench.h"

/* --- Lists, a small matrix, a state machine over text, and a CRC that ties them together, as CoreMark has them. --- */

struct item {
  struct item *next;
  i32 key, data;
};

static u16 crc16(u16 crc, u32 value, int bits)
{
  for (int i = 0; i < bits; i++) {
    u16 odd = (crc ^ value) & 1;
    crc >>= 1;
    value >>= 1;
    if (odd) crc ^= 0xa001;
  }
  return crc;
}

static struct item *merge_sort(struct item *list, int by_data)
{
  for (int width = 1;; width *= 2) {
    struct item *rest = list, *tail = 0;
    int merges = 0;
    list = 0;
    while (rest) {
      struct item *left = rest, *right = rest;
      int left_size = 0, right_size = width;
      merges++;
      while (right && left_size < width) left_size++, right = right->next;
      while (left_size > 0 || (right_size > 0 && right)) {
        struct item *least;
        int take_left = left_size > 0 && (right_size == 0 || !right ||
                                          (by_data ? left->data <= right->data : left->key <= right->key));
        if (take_left) least = left, left = left->next, left_size--;
        else least = right, right = right->next, right_size--;
        if (tail) tail->next = least;
        else list = least;
        tail = least;
      }
      rest = right;
    }
    tail->next = 0;
    if (merges <= 1) return list;
  }
}

static struct item *reverse(struct item *list)
{
  struct item *reversed = 0;
  while (list) {
    struct item *next = list->next;
    list->next = reversed;
    reversed = list;
    list = next;
  }
  return reversed;
}

static i32 matrix_round(i32 *restrict c, const int16_t *a, const int16_t *b, int n, i32 add)
{
  i32 sum = 0;
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++) {
      i32 dot = add;
      for (int j = 0; j < n; j++) dot += a[i * n + j] * b[j * n + k];
      c[i * n + k] = dot;
      sum += (dot >> 3) & 0xff;
    }
  return sum;
}

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, POWER, BAD, STATES };

static void scan_numbers(const char *text, u32 *seen)
{
  enum state state = START;
  for (; *text; text++) {
    char c = *text;
    if (c == ',') {
      seen[state]++;
      state = START;
      continue;
    }
    int digit = c >= '0' && c <= '9';
    switch (state) {
      case START: state = digit ? INTEGER : c == '-' || c == '+' ? SIGN : c == '.' ? POINT : BAD; break;
      case SIGN: state = digit ? INTEGER : c == '.' ? POINT : BAD; break;
      case INTEGER: state = digit ? INTEGER : c == '.' ? POINT : c == 'e' ? EXPONENT : BAD; break;
      case POINT: state = digit ? FRACTION : BAD; break;
      case FRACTION: state = digit ? FRACTION : c == 'e' ? EXPONENT : BAD; break;
      case EXPONENT: state = digit || c == '-' || c == '+' ? POWER : BAD; break;
      case POWER: state = digit ? POWER : BAD; break;
      default: break;
    }
  }
}

u64 coremark_like(void)
{
  enum { ITEMS = 100, N = 12, ROUNDS = 1500 };
  static struct item items[ITEMS];
  static int16_t a[N * N], b[N * N];
  static i32 c[N * N];
  static const char text[] = "5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,-87e+832,+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,";
  u64 seed = 11;
  u16 crc = 0;
  for (int i = 0; i < N * N; i++) a[i] = sequence(&seed), b[i] = sequence(&seed);
  for (int round = 0; round < ROUNDS; round++) {
    struct item *list = 0;
    for (int i = 0; i < ITEMS; i++) {
      items[i].key = sequence(&seed) & 0x7fff;
      items[i].data = (i32)(i * 7919 % ITEMS);
      items[i].next = list;
      list = &items[i];
    }
    list = merge_sort(reverse(merge_sort(list, 0)), 1);
    for (struct item *at = list; at; at = at->next) crc = crc16(crc, (u32)at->key, 16);
    crc = crc16(crc, (u32)matrix_round(c, a, b, N, round), 32);
    u32 seen[STATES] = { 0 };
    scan_numbers(text, seen);
    for (int i = 0; i < STATES; i++) crc = crc16(crc, seen[i], 8);
  }
  return crc;
}

/* --- Records, small procedures and strings, as Dhrystone has them. --- */

struct record {
  struct record *next;
  int kind, number;
  char text[31];
};

static struct record *first, *second;
static int global_number;
static char global_char = 'A';

static __attribute__((noinline)) int after(char a, char b) { return a == b ? (global_char = a, 0) : 1; }
static __attribute__((noinline)) int compare_text(const char *a, const char *b)
{
  int at = 2;
  while (at <= 2)
    if (!after(a[at], b[at + 1])) at += 3;
    else at++;
  if (strcmp(a, b) > 0) return global_number = at + 7, 1;
  return 0;
}
static __attribute__((noinline)) void next_number(int *number)
{
  int local = *number + 10;
  for (;;) {
    if (global_char == 'A') {
      *number = local - 1 - global_number;
      return;
    }
    local++;
    global_char = 'A';
  }
}
static __attribute__((noinline)) void kind_of(int kind, int *result)
{
  switch (kind) {
    case 0: *result = 0; break;
    case 1: *result = global_number > 100 ? 0 : 3; break;
    case 2: *result = 1; break;
    default: *result = 2; break;
  }
}
static __attribute__((noinline)) void fill_array(int *line, int (*table)[50], int at, int value)
{
  int place = at + 5;
  line[place] = value;
  line[place + 1] = line[place];
  line[place + 30] = place;
  for (int i = place; i <= place + 1; i++) table[place][i] = place;
  table[place][place - 1]++;
  table[place + 20][place] = line[place];
  global_number = 5;
}
static __attribute__((noinline)) void copy_record(struct record *from)
{
  struct record *next = from->next;
  *next = *first;
  from->number = 5;
  next->number = from->number;
  next->next = from->next;
  kind_of(from->kind, &next->kind);
  if (next->kind == 0) next->number = 6;
  else next_number(&next->number);
}

u64 dhrystone_like(void)
{
  enum { ROUNDS = 300000 };
  static int line[50], table[50][50];
  char name[31], other[31];
  int number = 1;
  u64 sum = 0;
  first = memory(sizeof *first);
  second = memory(sizeof *second);
  memset(line, 0, sizeof line);
  memset(table, 0, sizeof table);
  *second = (struct record){ .next = second, .kind = 2, .number = 40 };
  *first = (struct record){ .next = second, .kind = 0, .number = 40 };
  strcpy(first->text, "a record of the first kind now");
  strcpy(name, "the text that is compared, one");
  for (int round = 0; round < ROUNDS; round++) {
    strcpy(other, "the text that is compared, two");
    global_char = (char)('A' + (round & 1));
    int differs = !compare_text(name, other);
    int local = 2;
    while (local < 3) {
      number = 5 * local - 3;
      next_number(&number);
      local++;
    }
    fill_array(line, table, local, number);
    copy_record(first);
    for (char c = 'A'; c <= global_char; c++) kind_of(c & 3, &first->kind);
    number = number * local / (differs + 2);
    sum = mix(sum, (u64)(number + second->number + line[8]));
  }
  return sum;
}
