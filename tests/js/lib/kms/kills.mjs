// Somebody is killed at a chosen moment, and comes back as under a service manager.

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
