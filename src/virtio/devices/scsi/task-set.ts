// The tasks of one unit and whose turn it is (SAM-5 8): simple ones go side by side, an ordered one waits for all before it
// and lets all behind it wait, head-of-queue ones go at once.

import type { DescriptorChain } from '../../core/chain.ts';
import type { Virtqueue } from '../../core/queue.ts';
import { type CommandRequest, TASK_HEAD_OF_QUEUE, TASK_ORDERED } from './request.ts';

export interface Task {
  readonly queue: Virtqueue;
  readonly chain: DescriptorChain;
  readonly request: CommandRequest;
  /** The response it gets instead of its own result. */
  aborted: number | undefined;
}

export class TaskSet {
  private readonly begun = new Set<Task>();
  private waiting: Task[] = [];
  private idle: (() => void) | undefined;

  add(task: Task): void {
    if (task.request.attribute === TASK_HEAD_OF_QUEUE) this.waiting.unshift(task);
    else this.waiting.push(task);
  }

  /** The next task that may begin; it counts as begun. */
  next(): Task | undefined {
    const [task] = this.waiting;
    if (task === undefined || !this.mayBegin(task)) return undefined;
    this.waiting.shift();
    this.begun.add(task);
    return task;
  }

  end(task: Task): void {
    this.begun.delete(task);
    this.callIdle();
  }

  /** Takes tasks that have not begun out of the set. */
  dropWaiting(which: (task: Task) => boolean): Task[] {
    const dropped = this.waiting.filter(which);
    this.waiting = this.waiting.filter((task) => !dropped.includes(task));
    return dropped;
  }

  running(which: (task: Task) => boolean): Task[] {
    return [...this.begun].filter(which);
  }

  some(which: (task: Task) => boolean): boolean {
    return this.waiting.some(which) || this.running(which).length > 0;
  }

  /** Calls once no task has begun and not ended. */
  whenIdle(action: () => void): void {
    this.idle = action;
    this.callIdle();
  }

  /** The tasks are nobody's any more. */
  clear(): void {
    this.begun.clear();
    this.waiting = [];
    this.callIdle();
  }

  private mayBegin({ request: { attribute } }: Task): boolean {
    if (attribute === TASK_HEAD_OF_QUEUE) return true;
    if (attribute === TASK_ORDERED) return this.begun.size === 0;
    return ![...this.begun].some((other) => other.request.attribute === TASK_ORDERED);
  }

  private callIdle(): void {
    if (this.begun.size > 0) return;
    const { idle } = this;
    this.idle = undefined;
    idle?.();
  }
}
