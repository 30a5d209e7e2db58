// Option values as people write them, turned into checked values. Each function throws a UsageError of one sentence
// that names the option and what it takes.

import type { ClockMode } from '../machine/time.ts';
import { VIOLATION_POLICIES, type ViolationPolicy } from '../memory/checked-host-view.ts';
import { UsageError } from '../util/errors.ts';
import { DMA_POLICIES, type DmaPolicy, isDmaPolicy } from '../vmm/dma-policy.ts';
import { limits, mebibyte } from './limits.ts';

const sizeUnits: Record<string, number> = { '': 1, K: 1024, M: mebibyte, G: 1024 * mebibyte };

/** `512M`, `1G`, `1.5G`, `1024K`, or a number of bytes; units are powers of 1024, with an optional `iB` or `B`. */
function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?$/i.exec(text.trim());
  if (match === null) throw usage(`${option} takes a size such as 256M, 1G or a number of bytes, not "${text}".`);
  return Number(match[1]) * sizeUnits[match[2].toUpperCase()];
}

/** Guest RAM, in bytes. */
export function parseMemory(text: string): number {
  const { min, max, multipleOf } = limits.memoryBytes;
  const bytes = parseSize('--memory', text);
  if (bytes < min || bytes > max) {
    throw usage(`--memory must be from ${min / mebibyte}M to ${max / mebibyte}M, not "${text}".`);
  }
  if (bytes % multipleOf !== 0) throw usage(`--memory must be a multiple of 1M, not "${text}".`);
  return bytes;
}

/** Secure memory, in bytes. */
export function parseSecureMemory(text: string): number {
  const { min, multipleOf } = limits.secureMemoryBytes;
  const bytes = parseSize('--secure-memory', text);
  if (bytes < min) throw usage(`--secure-memory must be at least ${min / mebibyte}M, not "${text}".`);
  if (bytes % multipleOf !== 0) throw usage(`--secure-memory must be a multiple of 64K, not "${text}".`);
  return bytes;
}

export function parseCpus(text: string): number {
  const { min, max } = limits.cpus;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usage(`--smp takes a number of CPUs from ${min} to ${max}, not "${text}".`);
}

/** Seconds, with a fraction if wanted, to milliseconds. */
export function parseTimeout(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  const longest = 2 ** 31 / 1000; // timers of the host count milliseconds in 31 bits
  if (seconds > 0 && seconds < longest) return seconds * 1000;
  throw usage(`--timeout takes a number of seconds greater than 0 and below ${Math.floor(longest)}, not "${text}".`);
}

export function parseSeed(text: string): number {
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value <= 0xffff_ffff) return value;
  throw usage(`--seed takes a number from 0 to 4294967295, not "${text}".`);
}

export function parseClock(text: string): ClockMode {
  if (text === 'virtual' || text === 'host') return text;
  throw usage(`--clock is "virtual" or "host", not "${text}".`);
}

export function parseViolationPolicy(text: string): ViolationPolicy {
  const policy = VIOLATION_POLICIES.find((name) => name === text);
  if (policy) return policy;
  throw usage(`--on-violation is ${VIOLATION_POLICIES.join(' or ')}, not "${text}".`);
}

/** A policy; a string array is the help that was asked for instead. */
export function parseDmaPolicy(text: string): DmaPolicy | readonly string[] {
  if (isDmaPolicy(text)) return text;
  if (text === 'help') return Object.entries(DMA_POLICIES).map(([name, help]) => `  ${name.padEnd(12)} ${help}`);
  throw usage(`--dma-policy is ${Object.keys(DMA_POLICIES).join(' or ')}, not "${text}"; "help" explains them.`);
}

/** Category names separated by commas. Which there are, the machine knows. */
export function parseTrace(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => /^[a-z][a-z0-9-]*$/.test(name))) return names;
  throw usage(`--trace takes category names separated by commas, not "${text}".`);
}

/** An address, decimal or with 0x. */
export function parseAddress(option: string) {
  return (text: string): bigint => {
    if (/^(\d+|0x[0-9a-f]+)$/i.test(text)) return BigInt.asUintN(64, BigInt(text));
    throw usage(`${option} takes an address such as 0x1000, not "${text}".`);
  };
}

export function parseJobs(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value > 0 && value <= 1024) return value;
  throw usage(`--jobs takes a number from 1 to 1024, not "${text}".`);
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
