/* What every chapter uses: types, console, strings, checks, the machine as firmware described it, interrupts, memory, time. */
#ifndef POCKET_RUNTIME_H
#define POCKET_RUNTIME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define be16(x) ((u16)__builtin_bswap16(x))
#define be32(x) ((u32)__builtin_bswap32(x))
#define be64(x) ((u64)__builtin_bswap64(x))

/* ---- special registers (arch.h has the numbers) ---- */
#define mfspr(number) ({ u64 value_; asm volatile("mfspr %0, %c1" : "=r"(value_) : "i"(number)); value_; })
#define mtspr(number, x) asm volatile("mtspr %c0, %1" ::"i"(number), "r"((u64)(x)) : "memory")
static inline u64 mfmsr(void) { u64 v; asm volatile("mfmsr %0" : "=r"(v)); return v; }
static inline u64 timebase(void) { u64 v; asm volatile("mftb %0" : "=r"(v)); return v; }
static inline void sync(void) { asm volatile("sync" ::: "memory"); }
static inline void isync(void) { asm volatile("isync" ::: "memory"); }
static inline void relax(void) { asm volatile("or 1,1,1; or 2,2,2" ::: "memory"); }
/* mtmsrd L=1 changes EE and RI only. */
static inline void interrupts_on(void) { asm volatile("mtmsrd %0, 1" ::"r"(MSR_EE | MSR_RI) : "memory"); }
static inline void interrupts_off(void) { asm volatile("mtmsrd %0, 1" ::"r"(MSR_RI) : "memory"); }
/* FP, VMX and VSX are off except around the code that needs them; returns the MSR to give back to fpu_restore. */
static inline u64 fpu_on(void)
{
  u64 old = mfmsr();
  asm volatile("mtmsrd %0; isync" ::"r"(old | MSR_FP | MSR_VEC | MSR_VSX) : "memory");
  return old;
}
static inline void fpu_restore(u64 old) { asm volatile("mtmsrd %0; isync" ::"r"(old) : "memory"); }

/* ---- one processor ---- */
struct frame {
  u64 gpr[32], nip, msr, ctr, lr, xer, cr, dar, dsisr, vector, padding;
};
struct cpu {
  u64 toc, interrupt_stack, saved_r12, saved_r11, saved_cr, saved_r1;
  u64 trap_stack, trap_msr, trap_value;
  u64 stack;
  /* from here on C only */
  u32 server; /* interrupt server number, the name of this processor for RTAS and hcalls */
  u32 index;
  struct frame trap;     /* what interrupted the last trap_call */
  u64 trap_fscr;
  u64 last_vector;       /* with the AIL bit */
  u64 last_handler_msr;  /* MSR the handler ran with */
  volatile u64 decrementer_count, decrementer_tb;
  volatile u64 ipi_count, device_count, spurious_count;
  volatile u64 system_calls, vectored_calls;
  u32 rtas_args[20];
  /* processors other than the first: a mailbox */
  volatile u64 online, released, stopping, leaving, jobs_done;
  void (*volatile job)(struct cpu *, void *);
  void *volatile job_argument;
};
_Static_assert(offsetof(struct cpu, stack) == CPU_STACK && offsetof(struct cpu, trap_value) == CPU_TRAP_VALUE, "arch.h");
_Static_assert(offsetof(struct frame, vector) + FRAME_HEADER == FRAME_VECTOR, "arch.h");
_Static_assert(sizeof(struct frame) + FRAME_HEADER == FRAME_BYTES, "arch.h");

register struct cpu *this_cpu asm("r13");
extern struct cpu boot_cpu;

/* ---- the machine, as the firmware chapter found it (open-firmware.c) ---- */
#define MAX_CPUS 64
struct machine {
  u64 load_base, initrd, initrd_size;
  u64 memory_bytes, real_mode_bytes;
  u32 cpu_count, cpus[MAX_CPUS];
  u32 boot_server;
  u32 timebase_hz, dec_bits, cpu_version;
  u32 nodes, properties, firmware_calls;
  u32 terminal, terminal_irq;
  u64 rtas_base, rtas_entry;
  u32 rtas_size, rtas_functions;
  u64 heap, heap_end;
  char model[64], bootargs[512];
  /* the first PCI host bridge, and the virtio functions on it */
  struct {
    u32 buid_high, buid_low, window; /* window: LIOBN of the default DMA window */
    u64 dma_base, dma_bytes, memory64, memory64_bytes; /* bus addresses, but for memory64, where they appear */
    bool fixed_window; /* dma-ranges: the window stands for memory at its own address, set aside for devices */
    u32 function_count, functions[8]; /* configuration addresses */
  } bridge;
  struct {
    u32 read_config, write_config;
    u32 power_off, system_reboot, os_term, start_cpu, query_cpu, stop_self, set_xive, get_xive, int_on, int_off, time_of_day, nvram_fetch, nvram_store;
  } token;
};
extern struct machine machine;

/* ---- string.c ---- */
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
/* Boot arguments are words; a word is `name` or `name=value`. NULL = absent, "" = without a value; the value ends at a blank. */
const char *bootarg(const char *name);
u64 bootarg_number(const char *name, u64 if_absent);
bool bootarg_lists(const char *name, const char *item); /* name=a,b,item */
u64 parse_number(const char *);

/* ---- console.c ---- */
void put_char(char);
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *format, va_list);
void flush(void);
void format_text(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
void format_list(char *to, size_t size, const char *format, va_list);
int get_char(void); /* -1 = nothing there */
extern bool colour;

/* ---- report.c: lines of checks ---- */
void chapter(const char *name, const char *title);
void line(const char *name);
bool expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool expect_eq(const char *what, u64 got, u64 want);
void result(const char *format, ...) __attribute__((format(printf, 1, 2)));
void skip(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
u32 lines_failed(void);
u32 lines_passed(void);
u32 expectations_met(void);

/* ---- hcall.c ---- */
#define H_SUCCESS 0
#define H_BUSY 1
#define H_FUNCTION (-2)
#define H_PARAMETER (-4)
#define H_GET_TERM_CHAR 0x54
#define H_PUT_TERM_CHAR 0x58
#define H_EOI 0x64
#define H_CPPR 0x68
#define H_IPI 0x6c
#define H_IPOLL 0x70
#define H_XIRR 0x74
#define H_CEDE 0xe0
#define H_PROD 0xe8
#define H_SET_MODE 0x31c
#define H_REGISTER_PROC_TBL 0x37c
i64 hcall(u64 token, u64 r4, u64 r5, u64 r6, u64 r7);
i64 hcall_results(u64 results[4], u64 token, u64 r4, u64 r5, u64 r6, u64 r7);

/* ---- rtas.c ---- */
i32 rtas(u32 token, u32 inputs, u32 outputs, ...); /* outputs after the status are in rtas_output() */
u32 rtas_output(u32 index);
_Noreturn void power_off(void);
_Noreturn void reboot(void);
void last_words(void);
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- calls.S ---- */
i64 firmware_call(u64 entry, u64 a, u64 b);
void set_msr(u64 msr);
u64 trap_call(void (*function)(void), u64 argument);
void enter_problem_state(void);
void run_big_endian(u64 *table);
u64 run_32bit(u64 a, u64 b);
_Noreturn void move_to_zero(u64 base);
struct user_entry {
  u64 address, msr, stack, argument;
};

/* ---- interrupts.c ---- */
bool interrupts_need(void); /* little-endian interrupts through H_SET_MODE; false = refused */
void park_decrementer(void);
void set_decrementer(i64 ticks);

/* ---- memory.c: a heap that only grows, and radix tables ---- */
void *allocate(u64 bytes, u64 alignment);
u64 real_address(const void *);
#define PAGE_4K 12
#define PAGE_64K 16
#define PAGE_2M 21
#define PAGE_1G 30
#define PTE_VALID U64(0x8000000000000000)
#define PTE_LEAF U64(0x4000000000000000)
#define PTE_REFERENCED U64(0x100)
#define PTE_CHANGED U64(0x80)
#define PTE_PRIVILEGED U64(0x8)
#define PTE_READ U64(0x4)
#define PTE_WRITE U64(0x6)
#define PTE_EXECUTE U64(0x1)
#define PTE_TOUCHED (PTE_REFERENCED | PTE_CHANGED)
struct address_space {
  u64 *root; /* 8192 big-endian entries */
  u32 pid;
  u32 table_bytes;
};
extern struct address_space kernel_space;
void space_create(struct address_space *, u32 pid);
u64 *map(struct address_space *, u64 ea, u64 ra, u32 shift, u64 flags); /* the leaf entry, big-endian */
void flush_page(u32 pid, u64 ea, u32 shift);       /* tlbie, all processors */
void flush_page_local(u32 pid, u64 ea, u32 shift); /* tlbiel, this one */
void flush_pid(u32 pid);
void set_process_entry(u32 pid, u64 dword);
u64 process_entry(const struct address_space *);
u64 process_table_address(void);
bool translation_need(void); /* builds the kernel's tables, registers them, turns translation and AIL = 3 on */
void translation_on_here(void);
extern bool translating;
/* a window of kernel addresses for tests: 0xc008000000000000 + offset */
#define WINDOW U64(0xc008000000000000)
void flush_code(const void *from, u64 bytes);

/* ---- time.c ---- */
u64 ticks_of_us(u64 microseconds);
u64 us_of_ticks(u64 ticks);
bool wait_until(volatile u64 *counter, u64 at_least, u64 microseconds); /* busy wait with a deadline */

/* ---- xics.c ---- */
void xics_open(void);  /* this processor accepts all priorities */
void xics_close(void); /* and none */
void handle_external(void);
bool send_ipi(u32 server);

/* ---- secure.S ---- */
i64 ultracall(u64 token, u64 r4, u64 r5);
i64 enter_secure_mode(u64 device_tree); /* 0 = the VM is secure and has been restarted at its entry; else what UV_ESM answered */

/* ---- pci.c ---- */
u32 config_read(u32 address, u32 offset, u32 bytes);
void config_write(u32 address, u32 offset, u32 bytes, u32 value);
u32 register_read(u64 ra, u32 bytes); /* little-endian registers behind BARs */
void register_write(u64 ra, u32 bytes, u32 value);
bool dma_map(u64 bus, u64 ra, u64 bytes); /* TCEs of the default window; 4 KiB pages */

/* ---- chapters ---- */
void chapter_firmware_early(u64 initrd, u64 initrd_size, u64 entry, u64 base);
void chapter_cpu(void);
void chapter_mmu(void);
void chapter_time(void);
void chapter_interrupts(void);
void chapter_smp(void);
void chapter_patch(void);
void chapter_secure(void);
void chapter_echo(void);
void mischief(void);
void benchmark(void);
void spin(u64 millions);

#endif
