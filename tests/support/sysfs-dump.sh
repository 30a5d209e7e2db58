#!/bin/sh
# First process of a guest that prints what Linux knows of its PCI and virtio devices, one `path value` a line, and stops.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
sleep 1
echo 1 > /proc/sys/kernel/printk
show() { [ -f "$1" ] && echo "$1 $(cat "$1" 2>/dev/null | tr -s '\n' ';')"; }
echo DUMP BEGINS
for d in /sys/bus/pci/devices/*; do
  for f in class vendor device subsystem_vendor subsystem_device revision resource enable; do show $d/$f; done
  echo "$d/config $(hexdump -v -e '1/1 "%02x"' $d/config)"
  echo "$d/driver $(basename $(readlink $d/driver))"
  for i in $d/msi_irqs/*; do [ -f $i ] && echo "$d/message $(cat $i)"; done | sort | uniq -c | while read n rest; do echo "$rest x$n"; done
done
for d in /sys/bus/virtio/devices/*; do
  for f in device vendor features status; do show $d/$f; done
  echo "$d/driver $(basename $(readlink $d/driver))"
done
for b in vda sda; do
  for f in size ro removable capability serial; do show /sys/block/$b/$f; done
  for f in /sys/block/$b/queue/*; do show $f; done
  for f in vendor model rev scsi_level type queue_depth; do show /sys/block/$b/device/$f; done
  for f in /sys/block/$b/device/vpd_pg*; do [ -f $f ] && echo "$f $(hexdump -v -e '1/1 "%02x"' $f)"; done
done
for f in /sys/class/scsi_disk/*/*; do show $f; done
for f in can_queue cmd_per_lun sg_tablesize nr_hw_queues; do show /sys/class/scsi_host/host0/$f; done
for f in mtu address features type tx_queue_len; do show /sys/class/net/eth0/$f; done
ls /sys/class/net/eth0/queues | while read q; do echo "/sys/class/net/eth0/queues $q"; done
show /sys/class/misc/hw_random/rng_available
ls /sys/class/virtio-ports 2>/dev/null | while read p; do echo "/sys/class/virtio-ports/$p $(cat /sys/class/virtio-ports/$p/name)"; done
echo DUMP ENDS
poweroff -f
