import { describe, expect, it } from 'vitest';
import { findMirror } from './mirror.ts';

const none = { environment: {}, aptIndexTargets: async () => undefined };
const targets = (...lines: string[]) => ({ environment: {}, aptIndexTargets: async () => lines.join('\n') });

describe('findMirror', () => {
  it('prefers the option, then the variable, then apt', async () => {
    const apt = 'Packages bookworm main http://apt.test/debian/';
    const sources = { ...targets(apt), environment: { POWERVISOR_MIRROR: 'https://variable.test/d' } };
    expect((await findMirror({ ...sources, option: 'http://option.test/debian' })).href).toBe(
      'http://option.test/debian/',
    );
    expect((await findMirror(sources)).href).toBe('https://variable.test/d/');
    expect((await findMirror(targets(apt))).href).toBe('http://apt.test/debian/');
  });

  it("passes over apt's entries for security, updates, sources and other distributions", async () => {
    const sources = targets(
      'Packages bookworm-security main http://security.test/',
      'Packages bookworm-updates main http://updates.test/',
      'Packages noble main http://other.test/',
      'Translations bookworm main http://translations.test/',
      'Packages bookworm contrib http://contrib.test/',
      'Packages trixie main cdrom:[disc]/',
      'Packages trixie main http://right.test/debian',
    );
    expect((await findMirror(sources)).href).toBe('http://right.test/debian/');
  });

  it('says how to name a mirror when there is none', async () => {
    await expect(findMirror(none)).rejects.toThrow('--mirror URL');
    await expect(findMirror(targets('Packages noble main http://other.test/'))).rejects.toThrow('POWERVISOR_MIRROR');
  });

  it.each(['nonsense', 'ftp://old.test/', ''])('refuses --mirror "%s"', async (option) => {
    await expect(findMirror({ ...none, option })).rejects.toThrow('is not an http, https or file URL');
  });
});
