// What `--net` and `--pcap` take, and what they say of what they do not take.

import { describe, expect, it } from 'vitest';
import { Networks, parseNet } from './networks.ts';

describe('--net', () => {
  it('reads the built-in network', () => {
    expect(parseNet('user')).toMatchObject({ kind: 'user', forwards: [], dns: undefined });
    const text = 'user,hostfwd=tcp::2222-:22,hostfwd=udp:0.0.0.0:53-10.0.2.16:5353,dns=127.0.0.1:5300,pairs=4';
    expect(parseNet(text)).toMatchObject({
      forwards: [
        { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 2222, guestAddress: '10.0.2.15', guestPort: 22 },
        { protocol: 'udp', hostAddress: '0.0.0.0', hostPort: 53, guestAddress: '10.0.2.16', guestPort: 5353 },
      ],
      dns: { address: '127.0.0.1', port: 5300 },
    });
    expect(parseNet('user,dns=::1')).toMatchObject({ dns: { address: '::1', port: 53 } });
    expect(parseNet('user,dns=[::1]:54')).toMatchObject({ dns: { address: '::1', port: 54 } });
  });

  it('reads a stream', () => {
    expect(parseNet('stream,/run/x.sock')).toMatchObject({ kind: 'stream', address: { path: '/run/x.sock' } });
    expect(parseNet('stream,x.sock,server')).toMatchObject({ address: { path: 'x.sock' } });
    expect(parseNet('stream,localhost:1234')).toMatchObject({ address: { host: 'localhost', port: 1234 } });
  });

  it.each([
    ['bridge', '--net is user, stream or none, not "bridge"'],
    ['none,x', '--net none takes no options'],
    ['stream', '--net stream needs where to'],
    ['user,colour=red', '--net user has no option "colour"'],
    ['user,hostfwd=tcp:22-22', 'hostfwd=tcp::2222-:22'],
    ['user,hostfwd=tcp::70000-:22', 'hostfwd=tcp::2222-:22'],
    ['user,hostfwd=tcp:host:1-:22', 'hostfwd=tcp::2222-:22'],
    ['user,dns=resolver', 'dns=ADDR'],
    ['user,mac=01:00:00:00:00:00', 'not for groups'],
    ['user,pairs=17', 'number from 1 to 16'],
    ['user,transitional,platform', 'not both'],
    ['stream,/x,dns=1.1.1.1', '--net stream has no option "dns"'],
  ])('refuses %s', (text, message) => {
    expect(() => parseNet(text)).toThrow(message);
  });

  it('refuses contradictions between options', () => {
    const warn = () => {};
    expect(() => new Networks([parseNet('none'), parseNet('user')], undefined, warn)).toThrow('--net none');
    expect(() => new Networks([], 'x.pcap', warn)).toThrow('--pcap needs a network card');
    expect(() => new Networks([parseNet('user')], '/nowhere/x.pcap', warn)).toThrow('Cannot write the capture');
    expect(new Networks([parseNet('none')], undefined, warn).any).toBe(false);
    expect(new Networks([parseNet('user'), parseNet('user')], undefined, warn).requests('host').length).toBe(2);
  });
});
