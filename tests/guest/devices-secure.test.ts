import { deviceMatrix } from '../support/device-matrix.ts';

await deviceMatrix('linux-svm', 'debian-12-modules', undefined, true);
