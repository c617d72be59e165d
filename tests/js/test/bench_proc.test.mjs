// What ./dev bench reads of the kernel's texts about a process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';
import { idleBetween } from '../../../bench/lib/idle.mjs';
import { availableIn, costOf, countedBetween, cpuSecondsIn, numberIn, ranOf, switchesIn, switchesOf } from '../../../bench/lib/proc.mjs';

const STATUS = [
  'Name:\tcoffer voluntary_ctxt_switches:\t9',
  'VmHWM:\t   46864 kB',
  'VmRSS:\t   30000 kB',
  'RssAnon:\t   19008 kB',
  'voluntary_ctxt_switches:\t60',
  'nonvoluntary_ctxt_switches:\t18',
  '',
].join('\n');

test('numbers of a status are those of their own lines', () => {
  assert.equal(numberIn(STATUS, 'VmRSS'), 30000);
  assert.equal(numberIn(STATUS, 'VmHWM'), 46864);
  assert.equal(numberIn(STATUS, 'voluntary_ctxt_switches'), 60);
  assert.equal(switchesIn(STATUS), 78);
  assert.equal(availableIn('MemTotal:       100 kB\nMemFree:  2 kB\nMemAvailable:       50 kB\n'), 51_200);
  assert.throws(() => numberIn(STATUS, 'VmSwap'), /has no VmSwap/);
});

test('CPU time is found behind a name with spaces and parentheses', () => {
  const after = ['S', ...Array(10).fill('0'), '123', '77', ...Array(30).fill('5')].join(' ');
  assert.equal(cpuSecondsIn(`42 (a) b) (c) ${after}\n`), 2);
});

test('switches are summed over threads that stay, come and go', () => {
  const before = new Map([['1', 10], ['2', 100], ['3', 7]]);
  // 2 ended and its number was given again; 3 ended; 4 is new.
  assert.equal(countedBetween(before, new Map([['1', 15], ['2', 4], ['4', 3]])), 5 + 4 + 3);
  assert.equal(countedBetween(before, before), 0);
});

test('an idle span is told by the second', () => {
  const before = { at: 1000, switches: new Map([['1', 10]]), ran: new Map([['1', 5e6]]), rssBytes: 1 };
  const after = { at: 5000, switches: new Map([['1', 18]]), ran: new Map([['1', 45e6]]), rssBytes: 25e6 };
  const { wakeUps, cpuMs, residentMb } = idleBetween(before, after);
  assert.deepEqual([wakeUps, cpuMs, residentMb], [2, 10, 25]);
});

test('a process that wakes up is seen to, and one that sleeps is not', async () => {
  const start = (script) => spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  const sleeper = start('setTimeout(() => {}, 60000)');
  const waker = start('setInterval(() => {}, 10)');
  try {
    await new Promise((resolve) => setTimeout(resolve, 1000)); // both have started
    const look = () => [sleeper, waker].map((child) => switchesOf(child.pid));
    const before = look();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const [slept, woke] = look().map((after, i) => countedBetween(before[i], after));
    assert.ok(woke > 30 && woke > 2 * slept, `${woke} switches of one that wakes, ${slept} of one that sleeps`);
    assert.ok(costOf(waker.pid).rssBytes > 1e6);
    assert.ok(countedBetween(new Map(), ranOf(waker.pid)) > 1e6, 'node starts in less than a millisecond');
  } finally {
    sleeper.kill('SIGKILL');
    waker.kill('SIGKILL');
  }
});
