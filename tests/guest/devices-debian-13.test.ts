import { deviceMatrix } from '../support/device-matrix.ts';

await deviceMatrix('debian-13-kernel', 'debian-13-modules', 'transitional');
