// The findings of docs/findings, each shown on an unmodified kernel: what a secure guest gets wrong, how little it says
// of that, and what the report of the machine says.

import { describe, expect, it } from 'vitest';
import { MemoryBlock } from '../../src/backends/memory/block.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { UserNetwork } from '../../src/backends/net/user-network.ts';
import { nodeSockets } from '../../src/backends/node/net/node-sockets.ts';
import type { MachineConfiguration } from '../../src/index.ts';
import type { Violation } from '../../src/memory/violations.ts';
import type { DeviceRequest } from '../../src/vmm/devices.ts';
import { virtioBalloon, virtioBlock, virtioNet, virtioRng } from '../../src/vmm/virtio-devices.ts';
import { filesOf, GuestSession } from '../support/guest-session.ts';

const FORCED = 'console=hvc0 svm=on swiotlb=force';
const NOT_FORCED = 'console=hvc0 svm=on';
const PATIENCE_MS = 240_000;

const files = await filesOf('linux-svm', 'busybox');
const title = 'reason' in files ? `findings (skipped: ${files.reason})` : 'findings';

const disk = (): DeviceRequest => ({ make: virtioBlock(new MemoryBlock({ sizeBytes: 2 ** 23 }), { queues: 1 }) });
const rng = (): DeviceRequest => ({ make: virtioRng(new SeededEntropy(5)) });
const net = (): DeviceRequest => ({
  make: virtioNet((ports) => new UserNetwork({ ...ports, sockets: nodeSockets, warn: () => {} }), {
    mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
  }),
});

/** A breach as it reads: who, in what way, and the functions of the guest behind it, innermost first. */
function reading(violation: Violation) {
  const origin = violation.origin as Violation['origin'] & { queue?: number; use?: string; address?: string };
  const calls = violation.cause?.chain.map(({ symbol }) => symbol?.replace(/\+.*/, '') ?? 'unknown') ?? [];
  return { ...violation, origin, calls, who: `${origin.name} ${origin.use}` };
}

async function until(guest: GuestSession, done: (found: ReturnType<typeof reading>[]) => boolean) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = guest.machine.report().violations.records.map(reading);
    if (done(found)) return found;
    if (Date.now() > deadline) throw new Error(`no such breach; last output:\n${guest.transcript.slice(-2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe.skipIf('reason' in files)(title, { timeout: 900_000 }, () => {
  const { kernel, initrd } = files as { kernel: Uint8Array; initrd: Uint8Array };
  const start = (configuration: Partial<MachineConfiguration>) =>
    GuestSession.start({ kernel, initrd, memoryBytes: 256 * 2 ** 20, ...configuration });

  describe('secure guest without swiotlb=force', () => {
    it('hands out secure addresses and says nothing', async () => {
      await using guest = await start({ append: NOT_FORCED, devices: [disk(), rng()] });
      const found = await until(guest, (all) => all.some(({ who }) => who.startsWith('virtio-blk')));
      const { svm, sharing } = guest.machine.report();
      expect(svm?.state).toBe('secure');
      expect(guest.transcript).toContain('software IO TLB: No low mem');

      // The rings are shared, through the DMA API; no other memory is but the virtual processor area.
      const sharers = sharing.ranges.map(({ by }) => by!.chain.map(({ symbol }) => symbol ?? '').join(' '));
      expect(sharers[0]).toContain('allocate_paca');
      expect(sharers.length).toBeGreaterThan(1);
      for (const sharer of sharers.slice(1)) expect(sharer).toMatch(/dma_direct_alloc.*vring_alloc_queue/);
      expect(sharing.swiotlb).toBeUndefined();
      expect(sharing.devices).toEqual([]);

      // The disk's driver is at a loss over its first request, whose indirect table is secure.
      const request = found.find(({ who }) => who === 'virtio-blk indirect table')!;
      expect(request).toMatchObject({ direction: 'read', pageState: 'secure', madeBy: 'UV_ESM', later: false });
      expect(request.calls.slice(0, 3)).toEqual(['vp_notify', 'virtqueue_notify', 'virtio_queue_rq']);
      expect(request.calls).toContain('submit_bio_noacct_nocheck');
      // What the guest gave is a bus address of the direct window: page and address are the same but for its base.
      expect(BigInt(request.origin.address!)).toBe(2n ** 59n + BigInt(request.gra));

      // The random numbers that it takes from the device are what its buffer held before.
      const random = found.find(({ who }) => who === 'virtio-rng buffer')!;
      expect(random).toMatchObject({ direction: 'write', lenBytes: 128, pageState: 'secure' });
      expect(random.calls.slice(0, 2)).toEqual(['vp_notify', 'virtqueue_kick']);
      expect(guest.transcript).toContain('crng init done');

      // Not a word about any of this.
      expect(guest.transcript.slice(guest.transcript.indexOf('virtio-pci'))).not.toMatch(
        /error|fail|warn|bounce|encrypt/i,
      );
    });

    it('reports where it was, and nothing of what it knows', async () => {
      await using guest = await start({ append: NOT_FORCED, devices: [rng()] });
      await guest.expect('~ # ');
      // In files, in environments, on the stacks of processes and in arguments of system calls.
      await guest.command(
        'C=$(printf %s-%s CANARY 5b1f0c7a); C=$C$C$C$C; export C; for i in 1 2 3 4; do echo $C > /tmp/$C.$i; cat /tmp/$C.$i; done',
      );
      await guest.command('for i in 1 2 3; do dd if=/dev/hwrng of=/tmp/$C bs=512 count=4 2>/dev/null; done');
      const report = guest.machine.report();
      expect(report.violations.count).toBeGreaterThan(10);
      const text = JSON.stringify(report, (_key, value) => (typeof value === 'bigint' ? value.toString(16) : value));
      expect(text).not.toMatch(/CANARY|5b1f0c7a/);
      // Nor as numbers of 64 bits, at any offset and in either byte order.
      const secret = Buffer.from('CANARY-5b1f0c7aCANARY-5b1f0c7a');
      for (let at = 0; at < 15; at++) {
        const piece = secret.subarray(at, at + 8);
        expect(text).not.toContain(piece.toString('hex'));
        expect(text).not.toContain(Buffer.from(piece).reverse().toString('hex'));
      }
      // A chain ends where the kernel was entered, by a process or by its own thread.
      const asked = report.violations.records.map(reading).find(({ calls }) => calls.includes('rng_dev_read'))!;
      expect(asked.calls.slice(-3)).toEqual(['system_call_exception', 'system_call_vectored_common', 'unknown']);
      expect(asked.cause!.chain.map(({ kind }) => kind).slice(-3)).toEqual(['return', 'return', 'process']);
    });

    it('hangs when its network card is brought up', async () => {
      await using guest = await start({ append: NOT_FORCED, devices: [net()] });
      await guest.expect('~ # ');
      guest.type('ifconfig eth0 10.0.2.15 up; echo still here\n');
      const found = await until(guest, (all) => all.length > 0);
      expect(found[0]).toMatchObject({ who: 'virtio-net indirect table', direction: 'read', pageState: 'secure' });
      expect(found[0].origin.queue).toBe(2);
      expect(found[0].calls.slice(0, 4)).toEqual([
        'vp_notify',
        'virtqueue_kick',
        'virtnet_send_command',
        'virtnet_set_rx_mode',
      ]);
      // The card could make nothing of the ciphertext, and the driver waits in a loop for its answer.
      const { warnings, instructions } = guest.machine.report();
      expect(warnings.join()).toContain('virtio-net stopped until its driver resets it: queue 2');
      await expect(guest.expect(/\r\nstill here/, 5000)).rejects.toThrow('time is over');
      expect(guest.machine.report().instructions).toBeGreaterThan(instructions + 1e7);
    });

    it('shows in one run all that would break, if accesses are let through', async () => {
      await using guest = await start({ append: NOT_FORCED, devices: [net()], onViolation: 'report' });
      await guest.expect('~ # ');
      expect(await guest.command('ifconfig eth0 10.0.2.15 up && ping -c 1 -W 1 10.0.2.2')).toContain(
        '1 packets transmitted, 1 packets received',
      );
      const found = guest.machine.report().violations.records.map(reading);
      const sent = found.find(({ origin, direction }) => origin.queue === 1 && direction === 'read')!;
      expect(sent.calls).toContain('start_xmit');
      expect(sent.later).toBe(false);
      // A packet comes when it comes; the buffer for it was given to the card earlier.
      const received = found.find(({ origin, direction }) => origin.queue === 0 && direction === 'write')!;
      expect(received.later).toBe(true);
      expect(received.calls.slice(0, 2)).toEqual(['vp_notify', 'virtqueue_notify']);
      expect(received.calls).toContain('try_fill_recv');
    });

    it('is well with it', async () => {
      await using guest = await start({ append: FORCED, devices: [disk(), net()], cpus: 4 });
      await guest.expect('~ # ');
      expect(guest.transcript).toContain('system is using DMA bounce buffers');
      expect(await guest.command('ifconfig eth0 10.0.2.15 up && ping -c 1 -W 1 10.0.2.2')).toContain(
        '1 packets transmitted, 1 packets received',
      );
      await guest.command("tr '\\0' Z < /dev/zero | dd of=/dev/vda bs=64k count=64 iflag=fullblock 2>/dev/null; sync");
      await guest.command('echo 3 > /proc/sys/vm/drop_caches');
      expect(await guest.command('dd if=/dev/vda bs=64k count=64 2>/dev/null | tr -d Z | wc -c')).toBe('0');
      const { violations, sharing } = guest.machine.report();
      expect(violations.count).toBe(0);

      // The pool as the kernel counts it itself, and as the devices use it.
      expect(await guest.command('cat /sys/kernel/debug/swiotlb/io_tlb_nslabs')).toBe(`${sharing.swiotlb!.slots}`);
      const used = Number(await guest.command('cat /sys/kernel/debug/swiotlb/io_tlb_used'));
      // The console needs no slots, so nothing has changed since.
      expect(guest.machine.report().sharing.swiotlb!.inUse).toBe(used);
      expect(used).toBeGreaterThan(0);
      expect(sharing.swiotlb!.highWater).toBeGreaterThanOrEqual(used);
      const pool = sharing.ranges.find(({ startGra }) => startGra === sharing.swiotlb!.startGra)!;
      expect(pool).toMatchObject({ pages: 1024, pagesNow: 1024, slots: 32768 });
      expect(pool.by!.chain.map(({ symbol }) => symbol).join(' ')).toContain('swiotlb_update_mem_attributes');
      expect(pool.slotsTouched).toBeGreaterThan(0);
      const bounced = Object.fromEntries(sharing.devices.map((each) => [each.device, each]));
      expect(bounced['virtio-blk'].bytesWritten).toBeGreaterThanOrEqual(4 * 2 ** 20);
      expect(bounced['virtio-net'].bytesRead).toBeGreaterThan(84);

      // The kernel leaves through RTAS, big-endian and in real mode; the count is still read right.
      guest.type('poweroff -f\n');
      expect(await guest.ended).toEqual({ reason: 'power-off' });
      expect(guest.machine.report().sharing.swiotlb).toMatchObject({ areas: 4, inUse: used });
    });
  });

  it('the balloon breaks in a secure guest: its driver goes around the DMA API', async () => {
    const balloon = { make: virtioBalloon((device) => device.setTargetBytes(64 * 2 ** 20)) };
    await using guest = await start({ append: FORCED, devices: [balloon] });
    await guest.expect('~ # ');
    expect(guest.transcript).not.toMatch(/balloon/i);
    // It waits for ever for the host to acknowledge its first 1 MiB, which it cannot use any more.
    expect(await guest.command('sleep 2; grep balloon_inflate /proc/vmstat')).toBe('balloon_inflate 16');
    const found = guest.machine.report().violations.records.map(reading);
    expect(found.length).toBeGreaterThan(0);
    for (const { origin, pageState } of found) {
      expect(origin.name).toBe('virtio-balloon');
      expect(pageState).toBe('secure');
      // Guest real addresses, not those of the DMA window.
      expect(BigInt(origin.address!)).toBeLessThan(2n ** 28n);
    }
    expect(found[0].calls).toContain('virtballoon_probe');
    // The rings were never shared.
    expect(guest.machine.report().sharing.ranges.map(({ users }) => users[0]?.kind)).toEqual(['hcall', undefined]);
  });

  it('the balloon takes memory of a secure guest where the host can read it after all', async () => {
    const balloon = { make: virtioBalloon((device) => device.setTargetBytes(64 * 2 ** 20)) };
    await using guest = await start({ append: FORCED, devices: [balloon], onViolation: 'report' });
    await guest.expect('~ # ');
    expect(await guest.command('grep balloon_inflate /proc/vmstat')).toBe('balloon_inflate 1024');
    const found = guest.machine.report().violations.records.map(reading);
    const inflation = found.find(({ origin, who }) => who === 'virtio-balloon buffer' && origin.queue === 0)!;
    expect(inflation.calls).toContain('update_balloon_size_func');
  });

  it('the policy "legacy" breaks every device: without ACCESS_PLATFORM rings stay secure', async () => {
    await using guest = await start({ append: FORCED, dmaPolicy: 'legacy', devices: [disk()] });
    const found = await until(guest, (all) => all.some(({ calls }) => calls.includes('virtio_queue_rq')));
    for (const { origin, pageState, who } of found) {
      expect(who).toBe('virtio-blk queue');
      expect(pageState).toBe('secure');
      expect(BigInt(origin.address!)).toBeLessThan(2n ** 28n);
    }
    expect(found[0].calls).toContain('virtblk_probe');
    const { sharing } = guest.machine.report();
    // The bounce buffer is there, and no device uses it.
    expect(sharing.ranges.some(({ pages }) => pages === 1024)).toBe(true);
    expect(sharing.devices).toEqual([]);
    expect(guest.transcript.slice(guest.transcript.indexOf('virtio-pci'))).not.toMatch(/error|fail|warn/i);
  });
});
