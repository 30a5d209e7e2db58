// virtio-scsi: a controller with disks (VIRTIO 1.2 5.6). A disk is a logical unit of a target; commands from all request
// queues go to it as they come, and are returned as the host finishes them, at turn boundaries of the machine.
//
// What the host works on cannot be called back. A task that is aborted, or hit by a reset of its unit, is returned with
// that response when the host is done with it, and the function that asked for it is answered after that, so no old write
// lands behind its answer. After a reset of the device new commands wait until the old ones are over, for the same reason.
//
// Left out: commands with data in both directions, protection information, asynchronous notifications of media.

import { type DeviceLog, Done, type HostEvents } from '../../../device/ports.ts';
import { assert, UsageError } from '../../../util/errors.ts';
import type { DescriptorChain } from '../../core/chain.ts';
import type { DeviceKind, VirtioDevice } from '../../core/device.ts';
import type { Virtqueue } from '../../core/queue.ts';
import {
  CONTROL_QUEUE,
  DEFAULT_CDB_SIZE,
  DEFAULT_SENSE_SIZE,
  EVENT_BYTES,
  EVENT_QUEUE,
  FIRST_REQUEST_QUEUE,
  MAX_SCSI_QUEUES,
  MAX_TARGET,
  MAX_UNIT_NUMBER,
  SCSI_CONFIG,
  SCSI_CONFIG_BYTES,
  SCSI_FEATURES,
  SCSI_QUEUE_SIZE,
  scsiRegister,
  VIRTIO_ID_SCSI,
  VIRTIO_SCSI_F_CHANGE,
  VIRTIO_SCSI_F_HOTPLUG,
} from './config.ts';
import {
  type CommandRequest,
  type ControlRequest,
  EVENT,
  EVENT_REMOVED,
  EVENT_RESCAN,
  encodeUnitAddress,
  eventBytes,
  parseCommandRequest,
  parseControlRequest,
  RESPONSE,
  responseHeader,
  TASK_FUNCTION,
} from './request.ts';
import { SENSE } from './sense.ts';
import { type Task, TaskSet } from './task-set.ts';
import { answerWithoutUnit, LogicalUnit, type ScsiDiskOptions, type ScsiResult } from './unit.ts';

/** Data of commands under way that the controller holds in the host's memory before it lets further ones wait. */
const MAX_BYTES_UNDER_WAY = 64 * 2 ** 20;
/** Lines about failures of the host that one controller writes. */
const MAX_FAILURE_LINES = 8;

export interface ScsiUnitOptions extends ScsiDiskOptions {
  /** 0 to 255. */
  readonly target: number;
  /** 0 to 16383, 0 unless given. */
  readonly unit?: number;
}

export interface VirtioScsiOptions {
  readonly units: readonly ScsiUnitOptions[];
  readonly events: HostEvents;
  readonly log: DeviceLog;
  /** Request queues, 1 to 16. Default 1. */
  readonly queues?: number;
}

interface PluggedUnit {
  readonly target: number;
  readonly number: number;
  readonly unit: LogicalUnit;
  readonly tasks: TaskSet;
}

/** A task management function that waits for tasks of the host. */
interface WaitingFunction {
  readonly queue: Virtqueue;
  readonly chain: DescriptorChain;
  readonly tasks: Set<Task>;
}

const nothing = new Uint8Array(0);

export class VirtioScsi implements DeviceKind {
  readonly name = 'virtio-scsi';
  readonly deviceType = VIRTIO_ID_SCSI;
  readonly features = SCSI_FEATURES;
  readonly queueSizes: readonly number[];
  readonly configBytes = SCSI_CONFIG_BYTES;
  readonly config;
  /** So far: commands by what they led to, functions and events. */
  readonly counts = { good: 0, check: 0, unreached: 0, overrun: 0, aborted: 0, functions: 0, events: 0 };
  private readonly events: HostEvents;
  private readonly log: DeviceLog;
  private readonly plugged: PluggedUnit[] = [];
  private readonly waiting: WaitingFunction[] = [];
  private device: VirtioDevice | undefined;
  private senseSize = DEFAULT_SENSE_SIZE;
  private cdbSize = DEFAULT_CDB_SIZE;
  private eventsMissed = false;
  /** Counts lives: what was begun in an earlier one is not answered. */
  private life = 0;
  private bytesUnderWay = 0;
  private underWay = 0;
  /** Commands of earlier lives that the host still works on. */
  private leftOver = 0;
  private failureLines = 0;

  /** Throws UsageError for units at impossible or taken places. */
  constructor(options: VirtioScsiOptions) {
    const { queues = 1 } = options;
    assert(queues >= 1 && queues <= MAX_SCSI_QUEUES, `a SCSI controller with ${queues} queues`);
    this.events = options.events;
    this.log = options.log;
    this.queueSizes = Array.from({ length: FIRST_REQUEST_QUEUE + queues }, () => SCSI_QUEUE_SIZE);
    this.config = SCSI_CONFIG.handler({
      readRegister: (name) => {
        if (name === 'sense_size') return this.senseSize;
        if (name === 'cdb_size') return this.cdbSize;
        return scsiRegister(name, queues);
      },
      writeRegister: (name, value) => {
        if (name === 'sense_size') this.senseSize = value;
        if (name === 'cdb_size') this.cdbSize = value;
      },
    });
    for (const unit of options.units) this.plug(unit);
  }

  attach(device: VirtioDevice): void {
    this.device = device;
  }

  /** Plugs a unit and tells the driver. Throws UsageError for an impossible or taken place. */
  addUnit(options: ScsiUnitOptions): void {
    this.plug(options);
    const { target, unit = 0 } = options;
    for (const each of this.plugged) if (each.target === target) each.unit.attend(SENSE.unitsChanged);
    this.tell(VIRTIO_SCSI_F_HOTPLUG, EVENT.TRANSPORT_RESET, target, unit, EVENT_RESCAN);
  }

  /** Takes a unit away, tells the driver, and closes the back end once the host is done with it. False: there is none. */
  removeUnit(target: number, number: number): boolean {
    const index = this.plugged.findIndex((each) => each.target === target && each.number === number);
    if (index < 0) return false;
    const [{ unit, tasks }] = this.plugged.splice(index, 1);
    this.abort(tasks, () => true, RESPONSE.BAD_TARGET);
    tasks.whenIdle(() => void unit.backend.close());
    this.tell(VIRTIO_SCSI_F_HOTPLUG, EVENT.TRANSPORT_RESET, target, number, EVENT_REMOVED);
    return true;
  }

  /** The back end of a unit has another size than before: tells the driver. */
  capacityChanged(target: number, number: number): void {
    const unit = this.find(target, number)?.unit;
    if (!unit) return;
    const { code, qualifier } = SENSE.capacityChanged;
    unit.attend(SENSE.capacityChanged);
    this.tell(VIRTIO_SCSI_F_CHANGE, EVENT.PARAM_CHANGE, target, number, code | (qualifier << 8));
  }

  notified(queue: Virtqueue): void {
    if (queue.index === CONTROL_QUEUE) {
      for (let chain = queue.take(); chain; chain = queue.take()) this.control(queue, chain);
    } else if (queue.index === EVENT_QUEUE) {
      // Buffers stay with the driver's ring until there is something to say.
      if (this.eventsMissed) this.sendEvent(EVENT.NO_EVENT, new Uint8Array(8), 0);
      return;
    } else {
      while (this.leftOver === 0 && this.bytesUnderWay < MAX_BYTES_UNDER_WAY) {
        const chain = queue.take();
        if (!chain) break;
        this.begin(queue, chain);
      }
    }
    queue.signal();
  }

  reset(): void {
    this.life++;
    this.leftOver += this.underWay;
    this.underWay = 0;
    this.bytesUnderWay = 0;
    this.senseSize = DEFAULT_SENSE_SIZE;
    this.cdbSize = DEFAULT_CDB_SIZE;
    this.eventsMissed = false;
    this.waiting.length = 0;
    for (const { unit, tasks } of this.plugged) {
      tasks.clear();
      unit.powerOn();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.plugged.map(({ unit }) => unit.backend.close()));
  }

  private plug(options: ScsiUnitOptions): void {
    const { target, unit: number = 0 } = options;
    const isNumber = (value: number, max: number) => Number.isInteger(value) && value >= 0 && value <= max;
    if (!isNumber(target, MAX_TARGET) || !isNumber(number, MAX_UNIT_NUMBER)) {
      const place = `target ${target}, unit ${number}`;
      throw new UsageError(
        'SCSI',
        `There is no ${place} on a SCSI controller: targets are 0 to ${MAX_TARGET}, units 0 to ${MAX_UNIT_NUMBER}.`,
      );
    }
    if (this.find(target, number)) {
      throw new UsageError('SCSI', `Target ${target}, unit ${number} of the SCSI controller is taken twice.`);
    }
    const siblings = () =>
      this.plugged.flatMap((each) => (each.target === target ? [each.number] : [])).sort((a, b) => a - b);
    const unit = new LogicalUnit(options, `${target}:${number}`, siblings);
    unit.powerOn();
    this.plugged.push({ target, number, unit, tasks: new TaskSet() });
  }

  private find(target: number, number: number): PluggedUnit | undefined {
    return this.plugged.find((each) => each.target === target && each.number === number);
  }

  private begin(queue: Virtqueue, chain: DescriptorChain): void {
    const request = parseCommandRequest(chain, { cdb: this.cdbSize, sense: this.senseSize });
    if (request === undefined) return;
    if (typeof request === 'string') {
      queue.fail('request', request, chain.id);
      return;
    }
    const { address } = request;
    const ofTarget = this.plugged.filter(({ target }) => target === address?.target);
    if (!address || ofTarget.length === 0) {
      this.counts.unreached++;
      this.respond(queue, chain, request, RESPONSE.BAD_TARGET);
      return;
    }
    if (request.outBytes > 0 && request.inBytes > 0) {
      // Both directions at once were not negotiated (VIRTIO_SCSI_F_INOUT).
      this.counts.unreached++;
      this.respond(queue, chain, request, RESPONSE.FAILURE);
      return;
    }
    const place = ofTarget.find(({ number }) => number === address.unit);
    if (!place) {
      const numbers = ofTarget.map(({ number }) => number).sort((a, b) => a - b);
      const lists = address.unit === 0 || address.unit === 'reports';
      this.answer(queue, chain, request, answerWithoutUnit(request.cdb, lists, numbers));
      return;
    }
    const task: Task = { queue, chain, request, aborted: undefined };
    place.tasks.add(task);
    this.startTasks(place);
  }

  /** Begins the tasks of a unit whose turn it is. */
  private startTasks(place: PluggedUnit): void {
    for (let task = place.tasks.next(); task; task = place.tasks.next()) this.perform(place, task);
  }

  private perform(place: PluggedUnit, task: Task): void {
    const { unit } = place;
    const { queue, chain, request } = task;
    if (!chain.live) {
      // Its queue was reset while it waited.
      place.tasks.end(task);
      return;
    }
    const admitted = unit.admit(request.cdb);
    if ('refused' in admitted) {
      this.finish(place, task, admitted.refused);
      return;
    }
    const { command } = admitted;
    const [outBytes, inBytes] = [unit.bytesOut(command), unit.bytesIn(command)];
    if (outBytes > request.outBytes || inBytes > request.inBytes) {
      this.counts.overrun++;
      place.tasks.end(task);
      this.respond(queue, chain, request, RESPONSE.OVERRUN);
      return;
    }
    const data = outBytes === 0 ? nothing : chain.readBytes(request.outAt, outBytes);
    if (!data) {
      place.tasks.end(task);
      return;
    }
    const result = unit.perform(command, data);
    if (!(result instanceof Promise || result instanceof Done)) {
      this.finish(place, task, result);
      return;
    }
    const { life } = this;
    const held = outBytes + inBytes;
    this.bytesUnderWay += held;
    this.underWay++;
    this.events.finish(result, (ended) => {
      if (ended.failure !== undefined) this.report(unit, command.kind, ended.failure);
      if (life !== this.life) {
        this.leftOver--;
        if (this.leftOver === 0) this.lookAtQueues();
        return;
      }
      this.underWay--;
      this.bytesUnderWay -= held;
      this.finish(place, task, ended);
      this.startTasks(place);
      queue.signal();
      this.lookAtQueues();
    });
  }

  private finish(place: PluggedUnit, task: Task, result: ScsiResult): void {
    const { queue, chain, request, aborted } = task;
    place.tasks.end(task);
    if (aborted === undefined) this.answer(queue, chain, request, result);
    else this.respondAborted(task, aborted);
    this.endFunctions(task);
  }

  /** Functions that waited for the task, too, if it was the last one. */
  private endFunctions(task: Task): void {
    for (const each of [...this.waiting]) {
      each.tasks.delete(task);
      if (each.tasks.size > 0) continue;
      this.waiting.splice(this.waiting.indexOf(each), 1);
      this.respondTo(each.queue, each.chain, RESPONSE.FUNCTION_COMPLETE);
      each.queue.signal();
    }
  }

  private respondAborted({ queue, chain, request }: Task, response: number): void {
    this.counts.aborted++;
    this.respond(queue, chain, request, response);
    queue.signal();
  }

  /** A command that never came to have a status. */
  private respond(queue: Virtqueue, chain: DescriptorChain, request: CommandRequest, response: number): void {
    const header = responseHeader(0, request.outBytes + request.inBytes, 0, response);
    if (chain.write(0, header)) queue.complete(chain, header.length);
  }

  private answer(queue: Virtqueue, chain: DescriptorChain, request: CommandRequest, result: ScsiResult): void {
    const { status, sense = nothing, data = nothing } = result;
    if (data.length > request.inBytes) {
      this.counts.overrun++;
      this.respond(queue, chain, request, RESPONSE.OVERRUN);
      return;
    }
    if (status === 0) this.counts.good++;
    else this.counts.check++;
    const shown = sense.subarray(0, this.senseSize);
    // All that came with a command is taken if it ends well.
    const taken = status === 0 ? request.outBytes : 0;
    const residual = request.outBytes - taken + request.inBytes - data.length;
    const header = responseHeader(shown.length, residual, status, RESPONSE.OK);
    if (!chain.write(0, header)) return;
    if (shown.length > 0 && !chain.write(header.length, shown)) return;
    if (data.length > 0 && !chain.write(request.inAt, data)) return;
    queue.complete(chain, data.length > 0 ? request.inAt + data.length : header.length + shown.length);
  }

  private control(queue: Virtqueue, chain: DescriptorChain): void {
    const request = parseControlRequest(chain);
    if (request === undefined) return;
    if (typeof request === 'string') {
      queue.fail('request', request, chain.id);
      return;
    }
    this.counts.functions++;
    if (request.kind === 'notification') {
      // The events that will be told are none (4 bytes), and that is how it is.
      const reached = this.placesAt(request, false).length > 0;
      const reply = Uint8Array.of(0, 0, 0, 0, reached ? RESPONSE.OK : RESPONSE.BAD_TARGET);
      if (chain.write(0, reply)) queue.complete(chain, reply.length);
      return;
    }
    const wholeTarget = request.function === TASK_FUNCTION.I_T_NEXUS_RESET;
    const places = this.placesAt(request, wholeTarget);
    if (places.length === 0) {
      const known = this.plugged.some(({ target }) => target === request.address?.target);
      this.respondTo(queue, chain, known ? RESPONSE.INCORRECT_LUN : RESPONSE.BAD_TARGET);
      return;
    }
    const outcome = this.manage(request, places);
    if (typeof outcome === 'number') this.respondTo(queue, chain, outcome);
    else if (outcome.size === 0) this.respondTo(queue, chain, RESPONSE.FUNCTION_COMPLETE);
    else this.waiting.push({ queue, chain, tasks: outcome });
  }

  private placesAt({ address }: ControlRequest, wholeTarget: boolean): PluggedUnit[] {
    return this.plugged.filter(
      ({ target, number }) => target === address?.target && (wholeTarget || number === address.unit),
    );
  }

  /** Does a function (SAM-5 7): its response, or the tasks it has to wait for. */
  private manage(request: Extract<ControlRequest, { kind: 'task' }>, places: readonly PluggedUnit[]) {
    const sameTag = (task: Task) => task.request.tag === request.tag;
    switch (request.function) {
      case TASK_FUNCTION.ABORT_TASK:
        return this.abortAll(places, sameTag, RESPONSE.ABORTED);
      case TASK_FUNCTION.ABORT_TASK_SET:
      case TASK_FUNCTION.CLEAR_TASK_SET:
        return this.abortAll(places, () => true, RESPONSE.ABORTED);
      case TASK_FUNCTION.I_T_NEXUS_RESET:
      case TASK_FUNCTION.LOGICAL_UNIT_RESET: {
        const tasks = this.abortAll(places, () => true, RESPONSE.RESET);
        for (const { unit } of places) unit.resetUnit();
        return tasks;
      }
      case TASK_FUNCTION.QUERY_TASK:
        return places.some(({ tasks }) => tasks.some(sameTag))
          ? RESPONSE.FUNCTION_SUCCEEDED
          : RESPONSE.FUNCTION_COMPLETE;
      case TASK_FUNCTION.QUERY_TASK_SET:
        return places.some(({ tasks }) => tasks.some(() => true))
          ? RESPONSE.FUNCTION_SUCCEEDED
          : RESPONSE.FUNCTION_COMPLETE;
      default:
        // CLEAR ACA among them: the condition is never there.
        return RESPONSE.FUNCTION_REJECTED;
    }
  }

  private abortAll(places: readonly PluggedUnit[], which: (task: Task) => boolean, response: number): Set<Task> {
    const running = new Set<Task>();
    for (const place of places) {
      for (const task of this.abort(place.tasks, which, response)) running.add(task);
      this.startTasks(place);
    }
    return running;
  }

  /** Answers the tasks that have not begun; marks and returns those that have. */
  private abort(tasks: TaskSet, which: (task: Task) => boolean, response: number): Task[] {
    for (const task of tasks.dropWaiting(which)) this.respondAborted(task, response);
    const running = tasks.running(which);
    for (const task of running) task.aborted ??= response;
    return running;
  }

  private respondTo(queue: Virtqueue, chain: DescriptorChain, response: number): void {
    if (chain.write(0, Uint8Array.of(response))) queue.complete(chain, 1);
  }

  private tell(feature: number, event: number, target: number, number: number, reason: number): void {
    const { device } = this;
    if (device?.running && device.negotiated(feature)) {
      this.sendEvent(event, encodeUnitAddress(target, number), reason);
    }
  }

  private sendEvent(event: number, unit: Uint8Array, reason: number): void {
    const queue = this.device?.queues[EVENT_QUEUE];
    const chain = queue?.take();
    if (!queue || !chain) {
      this.eventsMissed = true;
      return;
    }
    if (chain.writableBytes < EVENT_BYTES) {
      queue.fail('request', `a buffer of ${chain.writableBytes} bytes for events`, chain.id);
      return;
    }
    this.counts.events++;
    const missed = this.eventsMissed ? EVENT.MISSED : 0;
    this.eventsMissed = false;
    if (chain.write(0, eventBytes(event + missed, unit, reason))) queue.complete(chain, EVENT_BYTES);
    queue.signal();
  }

  /** Room has come free: takes on what had to wait. */
  private lookAtQueues(): void {
    const { device } = this;
    if (!device?.running) return;
    for (const queue of device.queues) {
      if (queue && queue.index >= FIRST_REQUEST_QUEUE && device.running) this.notified(queue);
    }
  }

  private report(unit: LogicalUnit, what: string, message: string): void {
    if (++this.failureLines > MAX_FAILURE_LINES) return;
    const last = this.failureLines === MAX_FAILURE_LINES ? '; further failures are not shown' : '';
    this.log.warn(`${unit.name}: ${what} failed, the guest gets an I/O error: ${message}${last}`);
  }
}
