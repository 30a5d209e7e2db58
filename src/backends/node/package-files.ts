// Files of this package beside its code: found from the source tree, from `dist`, and from a bundle of that.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert } from '../../util/errors.ts';

/** Path of a file of the package, such as `guests/linux-svm.config`. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, packageFolder()));
}

/** The nearest folder above this code that has a package.json. */
function packageFolder(): URL {
  for (let folder = new URL('.', import.meta.url), above = folder; ; folder = above) {
    if (existsSync(new URL('package.json', folder))) return folder;
    above = new URL('..', folder);
    assert(above.href !== folder.href, 'the code lies in its package');
  }
}
