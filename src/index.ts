// The package for Node: machines that run in this process.

import { nodeMachineHost } from './backends/node/machine-host.ts';
import { type AttachmentTexts, clockFor, openAttachments, parseAttachments } from './cli/attachments.ts';
import { Networks } from './cli/networks.ts';
import type { MachineConfiguration } from './machine/configuration.ts';
import { Machine as PortableMachine } from './machine/machine.ts';

export type { MachineHost } from './backends/machine-host.ts';
export type { AttachmentTexts } from './cli/attachments.ts';
export type { MachineConfiguration } from './machine/configuration.ts';
export type { MachineConsole } from './machine/console.ts';
export type { EventCategory, MachineEvent } from './machine/events.ts';
export type { MachineReport, RunOutcome } from './machine/report.ts';
export { PowervisorError, UsageError } from './util/errors.ts';
export { DMA_POLICIES, type DmaPolicy } from './vmm/dma-policy.ts';

/** A machine with what the options of the same names plug into it, besides `devices`. */
export interface NodeMachineConfiguration extends MachineConfiguration, AttachmentTexts {
  /** File to which what passes the network cards is written, for tcpdump and others. */
  readonly pcap?: string;
  /** Told of trouble outside of the guest, such as a network peer that has gone. */
  readonly warn?: (message: string) => void;
}

export type Machine = PortableMachine;
export const Machine = {
  /**
   * A machine at power-on in this process; see MachineConfiguration. The clock is the virtual one unless a network card
   * or a vsock is plugged in. Rejects with a UsageError for options that cannot be, and with a PowervisorError for what
   * cannot be opened.
   */
  create: async (configuration: NodeMachineConfiguration): Promise<PortableMachine> => {
    const { drive, device, net, share, vsock, pcap, warn = () => {}, ...rest } = configuration;
    const attachments = parseAttachments({ drive, device, net, share, vsock });
    const networks = new Networks(attachments.net ?? [], pcap, warn);
    try {
      const clock = rest.clock ?? clockFor(attachments);
      const seed = rest.seed ?? (clock === 'virtual' ? 1 : undefined);
      const attached = await openAttachments(attachments, networks, { clock, seed });
      const machine = await PortableMachine.create(
        {
          ...rest,
          clock,
          devices: [...(rest.devices ?? []), ...(attached.devices ?? [])],
          bridges: rest.bridges ?? attached.bridges,
        },
        nodeMachineHost,
      );
      await networks.open();
      const dispose = machine[Symbol.asyncDispose].bind(machine);
      machine[Symbol.asyncDispose] = async () => {
        await dispose();
        networks.close();
      };
      return machine;
    } catch (error) {
      networks.close();
      throw error;
    }
  },
};
