// Somebody is killed at a chosen moment, and comes back as under a service manager.
import assert from 'node:assert/strict';
import { until } from '../program.mjs';

function shuffled(list, random) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

/** `count` of the points, all of them before one comes again. */
export function* turns(points, count, random) {
  for (let order = []; count > 0; count--) {
    if (order.length === 0) order = shuffled(points, random);
    yield order.pop();
  }
}

/** Lets `work` go on until the point is reached and its victims are dead, once; whether it came to that. */
export async function killAt(point, place, work) {
  let dead;
  const fire = () => (dead ??= Promise.all(point.victims.map((victim) => place.stack[victim].kill())));
  const disarm = point.arm(place, fire);
  try {
    await work(() => dead !== undefined);
    await dead;
  } finally {
    disarm();
  }
  return dead !== undefined;
}

export const nameOf = ({ name, victims }) => `${name}: ${victims.join(' and ')}`;

/** Starts whoever is dead, as a service manager does. */
export function revive(stack) {
  for (const name of ['enclave', 'host']) if (!stack[name].running) stack[name].start();
}

/**
 * Asks until it is answered well. A request that nobody answers in time may have waited for a disk that hung, and
 * for nothing else: then the host says so, or a thread of it stands in the kernel.
 */
export async function askedAgain(stack, what, ask) {
  let hung;
  const answered = () => until(what, () => ask().then(() => true, (error) => {
    if (error.name === 'TimeoutError') hung = [stack.host, stack.enclave].map((one) => one.tail()).join('\n-- enclave\n');
    throw error;
  }));
  await answered().catch((error) => {
    if (hung === undefined) throw error;
    return answered();
  });
  if (hung === undefined || /the disk is slow/.test(stack.host.text())) return;
  assert.match(hung, /state D/, 'a request was not answered, and no disk is slow');
}
