// Presence of pages of RAM as the ultravisor asks for it and the CPU core keeps it.

import type { CpuCore } from '../cpu/interpreter/core.ts';
import { presence } from '../cpu/state/memory-map.ts';
import type { Residency } from '../ultravisor/ports.ts';

export function coreResidency(core: CpuCore): Residency {
  const watch = (gras: readonly number[], lenBytes: number, mark: number) => {
    for (const gra of gras) core.markPages(gra, lenBytes, mark);
    core.forgetMarkedTranslations();
  };
  return {
    remove: (gra, lenBytes) => watch([gra], lenBytes, presence.absent),
    restore: (gra, lenBytes) => core.markPages(gra, lenBytes, 0),
    watch: (gras, lenBytes) => watch(gras, lenBytes, presence.watched),
    untouched: (gra, lenBytes) => core.pagesMarked(gra, lenBytes, presence.watched),
  };
}
