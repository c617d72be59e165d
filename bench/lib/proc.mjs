// What the kernel says of a process: /proc/PID/stat, /proc/PID/status and the same of each thread.
import fs from 'node:fs';

const TICKS_A_SECOND = 100; // USER_HZ of every Linux that node runs on

/** CPU seconds, of the text of /proc/PID/stat. The program's name may have spaces and parentheses. */
export function cpuSecondsIn(stat) {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** The number in a line of /proc/PID/status or /proc/meminfo, as in VmRSS or voluntary_ctxt_switches. */
export function numberIn(status, field) {
  const match = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status);
  if (match === null) throw new Error(`the kernel's text has no ${field}`);
  return Number(match[1]);
}

/** Bytes that programs can have before others lose theirs, of the text of /proc/meminfo. */
export const availableIn = (meminfo) => numberIn(meminfo, 'MemAvailable') * 1024;

/** How often a thread was given a core, of the text of its status: it slept, or another took its place. */
export const switchesIn = (status) => numberIn(status, 'voluntary_ctxt_switches') + numberIn(status, 'nonvoluntary_ctxt_switches');

/** What was counted from one look to the next; each look is a Map of thread -> its count so far. */
export function countedBetween(before, after) {
  let sum = 0;
  for (const [thread, count] of after) {
    const was = before.get(thread) ?? 0;
    sum += count >= was ? count - was : count; // fewer: another thread, with the number of one that ended
  }
  return sum;
}

/** CPU seconds of a process so far, and memory in bytes: resident now, and at most. */
export function costOf(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    cpuSeconds: cpuSecondsIn(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')),
    rssBytes: numberIn(status, 'VmRSS') * 1024,
    peakRssBytes: numberIn(status, 'VmHWM') * 1024,
  };
}

function eachThread(pid, file, read) {
  const counts = new Map();
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    try {
      counts.set(thread, read(fs.readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8')));
    } catch (error) {
      if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error; // else it ended between the two looks
    }
  }
  return counts;
}

/** Map of thread -> its context switches so far. */
export const switchesOf = (pid) => eachThread(pid, 'status', switchesIn);

/**
 * Map of thread -> nanoseconds on a core so far: seconds of an idle process are less than a tick of /proc/PID/stat. Empty
 * where the kernel does not count them.
 */
export const ranOf = (pid) => eachThread(pid, 'schedstat', (text) => Number(text.split(' ')[0]));
