/*
 * A chapter prints lines; a line gathers expectations and ends in `ok` or `FAILED: why`, the why being the first expectation that did not hold.
 * The layout is for people and for tests alike: two blanks, the name, what was seen, and `ok` as the last word.
 */
#include "runtime.h"

#define NAME_WIDTH 15
#define DETAIL_WIDTH 58

static u32 passed, failed, met;
static u32 chapter_number;
static const char *line_name;
static char why[160];

void chapter(const char *name, const char *title)
{
  if (colour) print("\n\033[1m%u %s\033[0m  \033[2m%s\033[0m\n", ++chapter_number, name, title);
  else print("\n%u %s  %s\n", ++chapter_number, name, title);
}

void line(const char *name)
{
  line_name = name;
  why[0] = 0;
}

bool expect(bool holds, const char *format, ...)
{
  if (holds) {
    met++;
    return true;
  }
  va_list list;
  va_start(list, format);
  if (!why[0]) format_list(why, sizeof why, format, list);
  va_end(list);
  return false;
}

bool expect_eq(const char *what, u64 got, u64 want)
{
  return expect(got == want, "%s: 0x%lx, should be 0x%lx", what, got, want);
}

void result(const char *format, ...)
{
  if (why[0]) {
    failed++;
    print(colour ? "  %-*s \033[1;31mFAILED\033[0m: %s\n" : "  %-*s FAILED: %s\n", NAME_WIDTH, line_name, why);
    return;
  }
  passed++;
  char detail[160];
  va_list list;
  va_start(list, format);
  format_list(detail, sizeof detail, format, list);
  va_end(list);
  print(colour ? "  %-*s %-*s \033[32mok\033[0m\n" : "  %-*s %-*s ok\n", NAME_WIDTH, line_name, DETAIL_WIDTH, detail);
}

void skip(const char *name, const char *format, ...)
{
  va_list list;
  print(colour ? "  %-*s \033[2mskipped: " : "  %-*s skipped: ", NAME_WIDTH, name);
  va_start(list, format);
  vprint(format, list);
  va_end(list);
  print(colour ? "\033[0m\n" : "\n");
}

u32 lines_failed(void) { return failed; }
u32 lines_passed(void) { return passed; }
u32 expectations_met(void) { return met; }
