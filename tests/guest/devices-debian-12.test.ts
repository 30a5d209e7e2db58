import { deviceMatrix } from '../support/device-matrix.ts';

await deviceMatrix('debian-12-kernel', 'debian-12-modules', 'packed');
