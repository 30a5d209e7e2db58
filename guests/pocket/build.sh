#!/bin/sh
# Builds pocket.elf with Debian's gcc-powerpc64le-linux-gnu (CROSS overrides the prefix). The same compiler gives the same bytes.
#   build.sh           rebuild pocket.elf and toolchain.txt here
#   build.sh --check   build aside; with the recorded toolchain the bytes must equal the committed ones
set -eu
cd "$(dirname "$0")"
cross=${CROSS:-powerpc64le-linux-gnu-}
mode=${1:-}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

if ! command -v "${cross}gcc" >/dev/null; then
  echo "build.sh: ${cross}gcc is not installed; on Debian: apt install gcc-powerpc64le-linux-gnu" >&2
  exit 1
fi
LC_ALL=C
export LC_ALL
{
  "${cross}gcc" --version | head -n 1
  "${cross}ld" --version | head -n 1
} >"$out/toolchain.txt"

common="-mcpu=power9 -mlittle-endian -mabi=elfv2 -mcmodel=medium -O2 -g0 -std=gnu11 -ffreestanding -fno-pic -fno-common -fno-stack-protector
 -fno-asynchronous-unwind-tables -fno-ident -fno-tree-loop-distribute-patterns -fno-strict-aliasing -ffixed-r13 -mno-gnu-attribute -Wall -Wextra -Werror
 -Wno-main -Wno-unused-parameter -I src"
# Interrupts come anywhere: nothing but the files that own the FP, VMX and VSX registers may use them.
general="$common -msoft-float -mno-altivec -mno-vsx"
floating="$common -mhard-float -maltivec -mvsx -ffp-contract=off -fno-tree-vectorize"

for name in to-little-endian big-endian-test; do
  "${cross}gcc" -c -x assembler-with-cpp -mbig-endian -mcpu=power9 -o "$out/$name.o" "src/$name.be.S"
  "${cross}objcopy" -O binary -j .text "$out/$name.o" "$out/$name.bin"
done

objects=$out/head.o
for source in src/head.S $(ls src/*.S src/*.c | grep -v -e '\.be\.S$' -e '^src/head\.S$'); do
  name=$(basename "$source")
  name=${name%.*}
  case $source in
    *.S) flags="-mcpu=power9 -maltivec -mvsx -I src -Wa,-I,$out" ;;
    *-float.c) flags=$floating ;;
    *) flags=$general ;;
  esac
  # shellcheck disable=SC2086
  "${cross}gcc" $flags -c -o "$out/$name.o" "$source"
  case $name in head) ;; *) objects="$objects $out/$name.o" ;; esac
done

# Before the image moves to address 0 only position-independent data may be used: no pointers in the data of these files.
for name in chapter-firmware console report string hcall time; do
  if "${cross}objdump" -h "$out/$name.o" | grep -q -e '\.data\.rel' -e '\.rela\.data' -e '\.rela\.rodata'; then
    echo "build.sh: src/$name.c has initialised pointers but runs before the image has moved" >&2
    exit 1
  fi
done

# shellcheck disable=SC2086
"${cross}ld" -static -nostdlib --build-id=none -z max-page-size=0x1000 -z norelro --no-dynamic-linker -T pocket.lds -o "$out/pocket.elf" $objects
"${cross}strip" --strip-debug --discard-all "$out/pocket.elf"

if [ "$mode" = --check ]; then
  if ! cmp -s "$out/toolchain.txt" toolchain.txt; then
    echo "build.sh: another toolchain than the recorded one, bytes not compared:" >&2
    cat "$out/toolchain.txt" >&2
    exit 0
  fi
  cmp "$out/pocket.elf" pocket.elf
  echo "pocket.elf is what its sources give"
else
  cp "$out/pocket.elf" pocket.elf
  cp "$out/toolchain.txt" toolchain.txt
  "${cross}size" pocket.elf
fi
