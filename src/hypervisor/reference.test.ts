// docs/hypercalls.md is written from the tables. After a change: npx vitest run src/hypervisor/reference.test.ts -u

import { expect, test } from 'vitest';
import { Bench } from '../../tests/support/hypervisor-fakes.ts';
import { ABSENT_HCALLS } from './absent-hcalls.ts';
import { ABSENT_RTAS_SERVICES } from './rtas/absent-services.ts';
import type { RtasService } from './rtas/service.ts';

const { hypervisor } = new Bench();

const hex = (value: number) => `0x${value.toString(16)}`;
const cells = (count: RtasService['nargs']) => (typeof count === 'number' ? `${count}` : `${count[0]} or ${count[1]}`);

function reference(): string {
  const hcalls = [
    ...hypervisor.definitions().map((call) => ({
      token: call.token,
      row: `| ${hex(call.token)} | ${call.name} | served | ${call.inputs} / ${call.outputs} | ${call.functionSet ?? ''} | ${call.ref} |`,
    })),
    ...ABSENT_HCALLS.map(([token, name, why]) => ({
      token,
      row: `| ${hex(token)} | ${name} | H_FUNCTION | | | ${why} |`,
    })),
  ].sort((a, b) => a.token - b.token);
  return `# Hypercalls and RTAS services

Written from the tables in \`src/hypervisor\` by \`src/hypervisor/reference.test.ts\`, which fails when this file is out of
date; do not edit it. Codes and semantics are those of the Linux on Power Architecture Reference (LoPAR) unless the last
column names another source.

## Hypercalls

"Registers" counts arguments and results from r4 up; the token is in r3, and so is the return code. "Function set" is
the string in \`ibm,hypertas-functions\` that advertises the call. A call that is not served answers H_FUNCTION and is
named in the counts; so does any token that is not in this table, by its number. Other layers add calls of their own when
a machine is put together, such as the private one behind the Open Firmware client interface.

| Token | Name | Here | Registers | Function set | Source, or why not |
|---|---|---|---|---|---|
${hcalls.map(({ row }) => row).join('\n')}

## RTAS services

The property of that name in \`/rtas\` has the token. Cells count the inputs and the outputs with the status.

| Token | Name | Cells | Source |
|---|---|---|---|
${hypervisor.rtas
  .services()
  .map(({ token, name, nargs, nret, ref }) => `| ${hex(token)} | ${name} | ${cells(nargs)} / ${cells(nret)} | ${ref} |`)
  .join('\n')}

Not offered: \`/rtas\` has no such property, and guests do without.

| Name | Why |
|---|---|
${ABSENT_RTAS_SERVICES.map(([name, why]) => `| ${name} | ${why} |`).join('\n')}
`;
}

test('docs/hypercalls.md agrees with the tables', async () => {
  await expect(reference()).toMatchFileSnapshot('../../docs/hypercalls.md');
});

test('no call is both served and listed as absent; names and tokens are unique', () => {
  const served = hypervisor.definitions();
  const tokens = [...served.map(({ token }) => token), ...ABSENT_HCALLS.map(([token]) => token)];
  const names = [...served.map(({ name }) => name), ...ABSENT_HCALLS.map(([, name]) => name)];
  expect(new Set(tokens).size).toBe(tokens.length);
  expect(new Set(names).size).toBe(names.length);
  const services = new Set(hypervisor.rtas.services().map(({ name }) => name));
  const absent = ABSENT_RTAS_SERVICES.flatMap(([group]) => group.split(', '));
  expect(absent.filter((name) => services.has(name))).toEqual([]);
  expect(new Set(absent).size).toBe(absent.length);
});

test('the absent list is in order of token', () => {
  const tokens = ABSENT_HCALLS.map(([token]) => token);
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
});
