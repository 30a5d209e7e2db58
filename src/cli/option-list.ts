// Options inside of an option, as in `--drive file=disk.img,format=raw,readonly`: a list of names with values, checked
// against a schema. A comma in a value is written twice.

import { UsageError } from '../util/errors.ts';

/** What a name takes. `flag`: nothing, or on or off. */
export type OptionKind =
  | { readonly kind: 'flag'; readonly preset?: boolean }
  | { readonly kind: 'text' }
  | { readonly kind: 'size' }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] };

export interface OptionRow {
  readonly name: string;
  readonly takes: OptionKind;
  /** May be given more than once. */
  readonly repeats?: boolean;
  readonly help: string;
}

export type OptionValue = string | number | boolean;

/** One `name=value`, in the order given. */
export interface GivenOption {
  readonly name: string;
  readonly value: OptionValue;
}

/** `option` is what messages call it, e.g. `--drive`. Throws a UsageError that names what is wrong. */
export function parseOptionList(option: string, text: string, rows: readonly OptionRow[]): GivenOption[] {
  const given: GivenOption[] = [];
  if (text === '') return given;
  for (const part of splitAtCommas(text)) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const row = rows.find((candidate) => candidate.name === name);
    if (!row) throw usage(`${option} has no option "${name}"; there are ${rows.map((each) => each.name).join(', ')}.`);
    if (!row.repeats && given.some((other) => other.name === name)) throw usage(`${option} gives ${name} twice.`);
    given.push({ name, value: readValue(option, row, equals < 0 ? undefined : part.slice(equals + 1)) });
  }
  return given;
}

/** The value of an option that does not repeat, or undefined. */
export function optionValue(given: readonly GivenOption[], name: string): OptionValue | undefined {
  return given.find((each) => each.name === name)?.value;
}

/** How to write an option of the list, for help. */
export function optionForm({ name, takes }: OptionRow): string {
  switch (takes.kind) {
    case 'flag':
      return takes.preset ? `${name}=off` : name;
    case 'text':
      return `${name}=...`;
    case 'size':
      return `${name}=SIZE`;
    case 'number':
      return `${name}=${takes.min}..${takes.max}`;
    case 'choice':
      return `${name}=${takes.of.join('|')}`;
  }
}

function readValue(option: string, { name, takes }: OptionRow, text: string | undefined): OptionValue {
  switch (takes.kind) {
    case 'flag':
      if (text === undefined || text === 'on') return true;
      if (text === 'off') return false;
      throw usage(`${option} takes ${name}, ${name}=on or ${name}=off, not "${name}=${text}".`);
    case 'text':
      if (text) return text;
      throw usage(`${option} takes a value for ${name}, as in ${name}=...`);
    case 'size': {
      const match = /^(\d+)([KMG]?)$/i.exec(text ?? '');
      const unit = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match?.[2].toUpperCase() ?? ''];
      const bytes = match && unit ? Number(match[1]) * unit : Number.NaN;
      if (Number.isSafeInteger(bytes)) return bytes;
      throw usage(`${option} takes a size such as 256M for ${name}, not "${text ?? ''}".`);
    }
    case 'number': {
      const value = /^\d+$/.test(text ?? '') ? Number(text) : Number.NaN;
      if (value >= takes.min && value <= takes.max) return value;
      throw usage(`${option} takes a number from ${takes.min} to ${takes.max} for ${name}, not "${text ?? ''}".`);
    }
    case 'choice':
      if (text !== undefined && takes.of.includes(text)) return text;
      throw usage(`${option} takes ${takes.of.join(' or ')} for ${name}, not "${text ?? ''}".`);
  }
}

function splitAtCommas(text: string): string[] {
  const parts = [''];
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ',') parts[parts.length - 1] += text[i];
    else if (text[i + 1] === ',') {
      parts[parts.length - 1] += ',';
      i++;
    } else parts.push('');
  }
  return parts;
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
