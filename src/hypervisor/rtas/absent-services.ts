// RTAS services that are not offered: /rtas has no property of that name, so the guest does without. For
// docs/hypercalls.md.

const HOTPLUG = 'no hot-plug';
const FLASH = 'no firmware to update';
const EEH = 'no PCI error recovery';

/** [name, why it is absent]. */
export const ABSENT_RTAS_SERVICES: readonly (readonly [name: string, why: string])[] = [
  ['freeze-time-base, thaw-time-base', 'the timebase is synchronous'],
  ['get-power-level, set-power-level, set-indicator', HOTPLUG],
  ['ibm,activate-firmware, ibm,manage-flash-image, ibm,update-flash-64-and-reboot, ibm,validate-flash-image', FLASH],
  ['ibm,configure-bridge, ibm,configure-pe, ibm,get-config-addr-info2, ibm,read-slot-reset-state2', EEH],
  ['ibm,configure-connector, ibm,get-dynamic-sensor-state, ibm,set-dynamic-indicator', HOTPLUG],
  ['ibm,configure-kernel-dump', 'no firmware-assisted dump; kdump works without'],
  ['ibm,open-errinjct, ibm,errinjct, ibm,close-errinjct', 'no error injection'],
  ['ibm,power-off-ups', 'no uninterruptible power supply'],
  ['ibm,set-eeh-option, ibm,set-slot-reset, ibm,slot-error-detail', EEH],
  ['ibm,suspend-me, ibm,update-nodes, ibm,update-properties', 'no migration'],
  ['read-pci-config, write-pci-config', 'every host bridge has a bus unit ID; the calls with one serve'],
  ['rtas-last-error', 'no service reports hardware errors'],
  ['set-time-for-power-on', 'nothing powers the machine on'],
];
