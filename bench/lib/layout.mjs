// Where things are: in the source tree, or as `cmake --install` put them (PREFIX/bin, PREFIX/share/coffer/bench).
import fs from 'node:fs';
import path from 'node:path';

/** root: the folder that holds bench/; cwd: where the harness was started. */
export function layoutOf(root, cwd, exists = fs.existsSync) {
  if (exists(path.join(root, 'CMakeLists.txt'))) {
    return {
      installed: false,
      command: './dev bench',
      programs: path.join(root, 'build/release/bin'),
      results: path.join(root, 'build/bench'),
      resultsNamed: 'build/bench',
      remedy: './dev build release makes it, in build/release/bin',
    };
  }
  return {
    installed: true,
    command: 'coffer bench',
    programs: path.resolve(root, '../../bin'),
    results: path.join(cwd, 'coffer-bench-results'), // never beside the programs, where others install
    resultsNamed: 'coffer-bench-results',
    remedy: 'install Coffer with its benchmarks (./dev build release; cmake --install build/release)',
  };
}
