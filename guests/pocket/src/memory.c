/*
 * The heap claimed from firmware, and radix translation (Power ISA 3.0B Book III 5.7.10): a 52-bit tree of 13, 9, 9 and 9 bits (4K pages) or
 * 5 bits (64K pages), leaves of 2M and 1G one and two levels up; entries are big-endian. One tree serves quadrant 3 (PID 0).
 */
#include "runtime.h"

#define NEXT_MASK U64(0x0fffffffffffff00)
#define ROOT_BITS 13
#define PROCESS_TABLE_BYTES 4096 /* 256 processes: H_REGISTER_PROC_TBL size 0 */
#define RADIX_TREE_SIZE U64(0x4000000000000000) /* RTS 21 in its two pieces: 2^52 bytes */
#define RADIX_TREE_SIZE_LOW U64(0xa0)

struct address_space kernel_space;
bool translating;
static u64 *process_table;

u64 real_address(const void *p) { return (u64)p & REAL_MASK; }

void *allocate(u64 bytes, u64 alignment)
{
  machine.heap = (machine.heap + alignment - 1) & -alignment;
  u64 at = machine.heap;
  machine.heap += bytes;
  if (machine.heap > machine.heap_end) panic("heap exhausted");
  void *p = (void *)(LINK_BASE | at);
  memset(p, 0, bytes);
  return p;
}

static u64 *table(struct address_space *space, u64 entries)
{
  space->table_bytes += entries * 8;
  return allocate(entries * 8, entries * 8 < 4096 ? 4096 : entries * 8);
}

void space_create(struct address_space *space, u32 pid)
{
  space->pid = pid;
  space->table_bytes = 0;
  space->root = table(space, 1 << ROOT_BITS);
}

/* The entry at `index`, pointing to a table of 2^bits entries. */
static u64 *descend(struct address_space *space, u64 *entry, u32 bits)
{
  if (!*entry) *entry = be64(PTE_VALID | real_address(table(space, U64(1) << bits)) | bits);
  return (u64 *)(LINK_BASE | (be64(*entry) & NEXT_MASK));
}

u64 *map(struct address_space *space, u64 ea, u64 ra, u32 shift, u64 flags)
{
  u64 *entry = &space->root[(ea >> 39) & 0x1fff];
  entry = &descend(space, entry, 9)[(ea >> 30) & 0x1ff];
  if (shift < PAGE_1G) {
    entry = &descend(space, entry, 9)[(ea >> 21) & 0x1ff];
    if (shift < PAGE_2M) {
      u32 bits = PAGE_2M - shift;
      entry = &descend(space, entry, bits)[(ea >> shift) & ((1u << bits) - 1)];
    }
  }
  *entry = be64(PTE_VALID | PTE_LEAF | ra | flags);
  asm volatile("ptesync" ::: "memory");
  return entry;
}

static u64 address_operand(u64 ea, u32 shift)
{
  u64 ap = shift == PAGE_64K ? 5 : shift == PAGE_2M ? 1 : shift == PAGE_1G ? 2 : 0;
  return (ea & ~U64(0xfff)) | ap << 5;
}

void flush_page(u32 pid, u64 ea, u32 shift)
{
  asm volatile("ptesync; tlbie %0,%1,0,1,1; eieio; tlbsync; ptesync" ::"r"(address_operand(ea, shift)), "r"((u64)pid << 32) : "memory");
}

void flush_page_local(u32 pid, u64 ea, u32 shift)
{
  asm volatile("ptesync; tlbiel %0,%1,0,1,1; ptesync" ::"r"(address_operand(ea, shift)), "r"((u64)pid << 32) : "memory");
}

/* IS = 1, RIC = 2: the translations of one PID, its walk caches and its process table entry. */
void flush_pid(u32 pid)
{
  asm volatile("ptesync; tlbie %0,%1,2,1,1; eieio; tlbsync; ptesync" ::"r"(U64(1) << 10), "r"((u64)pid << 32) : "memory");
}

u64 process_entry(const struct address_space *space)
{
  return RADIX_TREE_SIZE | RADIX_TREE_SIZE_LOW | real_address(space->root) | ROOT_BITS;
}

void set_process_entry(u32 pid, u64 dword)
{
  process_table[2 * pid] = be64(dword);
  process_table[2 * pid + 1] = 0;
  flush_pid(pid);
}

u64 process_table_address(void) { return real_address(process_table); }

void flush_code(const void *from, u64 bytes)
{
  u64 end = (u64)from + bytes;
  for (u64 p = (u64)from & -U64(128); p < end; p += 128) asm volatile("dcbst 0,%0" ::"r"(p) : "memory");
  sync();
  for (u64 p = (u64)from & -U64(128); p < end; p += 128) asm volatile("icbi 0,%0" ::"r"(p) : "memory");
  sync();
  isync();
}

void translation_on_here(void)
{
  mtspr(SPR_PIDR, 0);
  mtspr(SPR_AMR, 0);
  mtspr(SPR_IAMR, 0);
  isync();
  set_msr(mfmsr() | MSR_IR | MSR_DR);
}

/* The linear map: the first 2 MiB in 64K pages (code read and execute, the rest read and write), then 2M leaves. */
static void build_linear_map(void)
{
  extern char text_end[];
  u64 code_end = (real_address(text_end) + 0xffff) & ~U64(0xffff);
  for (u64 ra = 0; ra < 0x200000; ra += 0x10000)
    map(&kernel_space, LINK_BASE + ra, ra, PAGE_64K, PTE_PRIVILEGED | PTE_TOUCHED | (ra < code_end ? PTE_READ | PTE_EXECUTE : PTE_WRITE));
  for (u64 ra = 0x200000; ra < machine.memory_bytes; ra += 0x200000) map(&kernel_space, LINK_BASE + ra, ra, PAGE_2M, PTE_PRIVILEGED | PTE_TOUCHED | PTE_WRITE);
}

/* LoPAR H_REGISTER_PROC_TBL: new table, radix, guest tlbie. H_SET_MODE resource 3: alternate interrupt location. */
bool translation_need(void)
{
  if (translating) return true;
  if (!interrupts_need()) return false;
  if (!process_table) {
    process_table = allocate(PROCESS_TABLE_BYTES, PROCESS_TABLE_BYTES);
    space_create(&kernel_space, 0);
    build_linear_map();
    process_table[0] = be64(process_entry(&kernel_space));
    sync();
  }
  if (hcall(H_REGISTER_PROC_TBL, 0x18 | 0x04 | 0x01, process_table_address(), 0, 0) != H_SUCCESS) return false;
  translation_on_here();
  translating = true;
  return hcall(H_SET_MODE, 3, 3, 0, 0) == H_SUCCESS;
}
