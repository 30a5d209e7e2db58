/* The console over H_PUT_TERM_CHAR and H_GET_TERM_CHAR (PAPR: up to 16 characters a call, packed most significant byte first), and a small printf. */
#include "runtime.h"

bool colour = true;

static u8 pending[16];
static u32 pending_count;
static u8 input[16];
static u32 input_count, input_at;

void flush(void)
{
  if (!pending_count) return;
  u64 words[2];
  memset(pending + pending_count, 0, sizeof pending - pending_count);
  memcpy(words, pending, sizeof words);
  while (hcall(H_PUT_TERM_CHAR, machine.terminal, pending_count, be64(words[0]), be64(words[1])) == H_BUSY) relax();
  pending_count = 0;
}

static void put_byte(u8 byte)
{
  pending[pending_count++] = byte;
  if (pending_count >= sizeof pending) flush();
}

void put_char(char c)
{
  if (c == '\n') put_byte('\r');
  put_byte((u8)c);
}

int get_char(void)
{
  if (input_at == input_count) {
    u64 r[4];
    input_at = input_count = 0;
    if (hcall_results(r, H_GET_TERM_CHAR, machine.terminal, 0, 0, 0) != H_SUCCESS || !r[0]) return -1;
    u64 words[2] = {be64(r[1]), be64(r[2])};
    memcpy(input, words, sizeof input);
    input_count = r[0] > 16 ? 16 : (u32)r[0];
  }
  return input[input_at++];
}

struct sink {
  char *to; /* NULL = the console */
  size_t left;
};

static void emit(struct sink *sink, char c)
{
  if (!sink->to) put_char(c);
  else if (sink->left > 1) *sink->to++ = c, sink->left--;
}

/* %d %u %x with l, %s %c %p %%, flags 0 and -, width (also *), precision of %s. */
static void format_to(struct sink *sink, const char *f, va_list list)
{
  for (; *f; f++) {
    if (*f != '%') {
      emit(sink, *f);
      continue;
    }
    bool left = false, zero = false, wide = false;
    int width = 0, precision = -1;
    for (f++; *f == '-' || *f == '0'; f++) *f == '-' ? (left = true) : (zero = true);
    if (*f == '*') width = va_arg(list, int), f++;
    else
      while (*f >= '0' && *f <= '9') width = width * 10 + (*f++ - '0');
    if (*f == '.')
      for (f++, precision = 0; *f >= '0' && *f <= '9'; f++) precision = precision * 10 + (*f - '0');
    while (*f == 'l') wide = true, f++;
    char digits[24];
    char *text = digits;
    size_t length = 0;
    char sign = 0;
    switch (*f) {
    case 'c':
      digits[0] = (char)va_arg(list, int);
      length = 1;
      break;
    case 's':
      text = va_arg(list, char *);
      if (!text) text = (char *)"(null)";
      while (text[length] && (precision < 0 || length < (size_t)precision)) length++;
      break;
    case 'd':
    case 'u':
    case 'x':
    case 'p': {
      u64 v;
      if (*f == 'd') {
        i64 s = wide ? va_arg(list, i64) : va_arg(list, int);
        if (s < 0) sign = '-';
        v = s < 0 ? -(u64)s : (u64)s;
      } else v = wide || *f == 'p' ? va_arg(list, u64) : va_arg(list, unsigned);
      u64 base = *f == 'x' || *f == 'p' ? 16 : 10;
      text = digits + sizeof digits;
      do {
        u64 d = v % base;
        *--text = (char)(d < 10 ? '0' + d : 'a' + d - 10);
        length++, v /= base;
      } while (v);
      break;
    }
    default:
      digits[0] = *f;
      length = 1;
      if (!*f) f--;
    }
    int padding = width - (int)length - (sign ? 1 : 0);
    if (sign && zero) emit(sink, sign);
    for (; !left && padding > 0; padding--) emit(sink, zero ? '0' : ' ');
    if (sign && !zero) emit(sink, sign);
    while (length--) emit(sink, *text++);
    for (; padding > 0; padding--) emit(sink, ' ');
  }
}

void vprint(const char *format, va_list list)
{
  struct sink sink = {NULL, 0};
  format_to(&sink, format, list);
  flush();
}

void print(const char *format, ...)
{
  va_list list;
  va_start(list, format);
  vprint(format, list);
  va_end(list);
}

void format_list(char *to, size_t size, const char *format, va_list list)
{
  struct sink sink = {to, size};
  format_to(&sink, format, list);
  *sink.to = 0;
}

void format_text(char *to, size_t size, const char *format, ...)
{
  va_list list;
  va_start(list, format);
  format_list(to, size, format, list);
  va_end(list);
}
