import { expect, test } from 'vitest';
import type { MachineHost } from '../backends/machine-host.ts';
import { Done } from '../device/ports.ts';
import { DeviceSchedule } from './device-schedule.ts';
import { type ClockMode, MachineTime } from './time.ts';

function bench(mode: ClockMode = 'virtual') {
  const host = { monotonicMs: () => 0 } as MachineHost;
  const time = new MachineTime(mode, host);
  const seen: string[] = [];
  let calls = 0;
  const schedule = new DeviceSchedule(time, () => calls++);
  return { time, schedule, seen, calls: () => calls, note: (what: string) => () => seen.push(what) };
}

test('time is nanoseconds of the timebase', () => {
  const { time, schedule } = bench();
  time.advance(512);
  expect(schedule.nowNs()).toBe(1000);
});

test('timers fire in order of their deadlines, never early, and not when cancelled', () => {
  const { time, schedule, seen, note } = bench();
  schedule.at(3000, note('c'));
  const cancel = schedule.at(2000, note('cancelled'));
  schedule.at(1000, note('a'));
  schedule.at(1000, note('b'));
  cancel();
  expect(schedule.nextTimer()).toBe(512n);
  time.advance(511);
  schedule.fireTimers();
  expect(seen).toEqual([]);
  time.advance(1);
  schedule.fireTimers();
  expect(seen).toEqual(['a', 'b']);
  expect(schedule.nextTimer()).toBe(3n * 512n);
  time.advance(100_000);
  schedule.fireTimers();
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(schedule.nextTimer()).toBeUndefined();
});

test('what need not wait for its time happens when nobody executes', () => {
  const { time, schedule, seen, note } = bench();
  schedule.at(1000, note('timer'));
  schedule.atOrIdle(2000, note('eager'));
  const cancel = schedule.atOrIdle(2000, note('cancelled'));
  cancel();
  expect(schedule.fireEager()).toBe(true);
  expect(seen).toEqual(['eager']);
  expect(schedule.fireEager()).toBe(false);
  schedule.atOrIdle(3000, note('in time'));
  time.advance(3 * 512);
  schedule.fireTimers();
  expect(seen).toEqual(['eager', 'timer', 'in time']);
  expect(schedule.fireEager()).toBe(false);
});

test('a timer that sets itself again for the past does not keep the machine from going on', () => {
  const { schedule, time } = bench();
  let fired = 0;
  const again = () => {
    if (++fired < 5) schedule.at(0, again);
  };
  schedule.at(0, again);
  time.advance(1);
  schedule.fireTimers();
  expect(fired).toBe(5);
});

test('what is posted while posted actions run waits for the next boundary', () => {
  const { schedule, seen, note, calls } = bench();
  schedule.post(() => {
    seen.push('first');
    schedule.post(note('third'));
  });
  schedule.post(note('second'));
  expect(calls()).toBe(2);
  schedule.runPosted();
  expect(seen).toEqual(['first', 'second']);
  expect(schedule.pressing).toBe(true);
  schedule.runPosted();
  expect(seen).toEqual(['first', 'second', 'third']);
  expect(schedule.pressing).toBe(false);
});

test('with the virtual clock results enter in the order of the requests, whichever is there first', async () => {
  const { schedule, seen } = bench();
  let finishSlow = (_value: string) => {};
  schedule.finish(new Promise<string>((resolve) => (finishSlow = resolve)), (value) => seen.push(value));
  schedule.finish(Promise.resolve('fast'), (value) => seen.push(value));
  await Promise.resolve();
  expect(seen).toEqual([]);
  expect(schedule.mustSettle).toBe(true);
  const settled = schedule.settle();
  finishSlow('slow');
  await settled;
  expect(seen).toEqual(['slow', 'fast']);
  expect(schedule.pressing).toBe(false);
});

test.each(['virtual', 'host'] as const)('what is done already enters at the next boundary (%s clock)', async (mode) => {
  const { schedule, seen, calls } = bench(mode);
  schedule.finish(new Done('first'), (value) => seen.push(value));
  expect(calls()).toBe(1);
  expect(seen).toEqual([]);
  expect(schedule.pressing).toBe(true);
  if (schedule.mustSettle) await schedule.settle();
  schedule.runPosted();
  expect(seen).toEqual(['first']);
  expect(schedule.pressing).toBe(false);
});

test('with the virtual clock what is done already waits for earlier work', async () => {
  const { schedule, seen } = bench();
  let finishSlow = (_value: string) => {};
  schedule.finish(new Promise<string>((resolve) => (finishSlow = resolve)), (value) => seen.push(value));
  schedule.finish(new Done('done'), (value) => seen.push(value));
  const settled = schedule.settle();
  await Promise.resolve();
  expect(seen).toEqual([]);
  finishSlow('slow');
  await settled;
  expect(seen).toEqual(['slow', 'done']);
});

test('with the host clock results enter when they are there', async () => {
  const { schedule, seen, calls } = bench('host');
  let finishSlow = (_value: string) => {};
  schedule.finish(new Promise<string>((resolve) => (finishSlow = resolve)), (value) => seen.push(value));
  schedule.finish(Promise.resolve('fast'), (value) => seen.push(value));
  expect(schedule.mustSettle).toBe(false);
  const before = calls();
  await new Promise((resolve) => setImmediate(resolve));
  expect(calls()).toBe(before + 1);
  schedule.runPosted();
  expect(seen).toEqual(['fast']);
  expect(schedule.pressing).toBe(false);
  finishSlow('slow');
  await new Promise((resolve) => setImmediate(resolve));
  schedule.runPosted();
  expect(seen).toEqual(['fast', 'slow']);
  expect(schedule.pressing).toBe(false);
});

test.each(['virtual', 'host'] as const)('a rejection ends the run (%s clock)', async (mode) => {
  const { schedule } = bench(mode);
  schedule.finish(Promise.reject(new Error('device forgot')), () => {});
  await new Promise((resolve) => setImmediate(resolve));
  const boundary = async () => {
    if (schedule.mustSettle) await schedule.settle();
    schedule.runPosted();
  };
  await expect(boundary()).rejects.toThrow('device forgot');
});
